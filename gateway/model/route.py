"""What a call means: who is asked, by whom, for what."""

from dataclasses import dataclass

from gateway.model.call import Origin
from gateway.model.provider import Endpoint, Provider


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """The meaning of a call.

    Attributes:
        upstream: Where it goes; the host asked for unless the configuration says otherwise.
        target: Path and query there, byte for byte.
        tenant: Who asks; ``"default"`` for one person's gateway.
        key: Keyed fingerprint of the credential, 8 hexadecimal digits; ``"none"`` without one.
        scope: What a provider counts limits by: organisation and project when named, else the key, as a fingerprint.
        model: As asked for; empty when the request names none.
        model_group: ``model`` without its date.
        input_tokens: Estimate.
        output_tokens: Estimate: the explicit maximum, else what is usual.
        retry_count: How many retries the SDK says went before.
        pure: Whether asking twice does no harm beyond its price.
        timeout_seconds: How long the app waits, as it says, else 60.
        document: The parsed JSON body when it is an object, else None.
    """

    provider: Provider
    endpoint: Endpoint
    upstream: Origin
    target: bytes
    pure: bool
    tenant: str
    key: str
    scope: str
    model: str
    model_group: str
    stream: bool
    input_tokens: int
    output_tokens: int
    retry_count: int
    timeout_seconds: float
    document: dict[str, object] | None

    @property
    def foreign(self) -> bool:
        """Whether it is for no provider: carried as it is, without limit, cache or opinion."""
        return not self.provider.name
