"""What a provider's 429 means for those who wait."""

from dataclasses import dataclass

from gateway.limit.cost import CONCURRENCY, REQUESTS, TOKENS
from gateway.model.cause import Cause
from gateway.model.provider import StatedLimit

PASSED_ON_SECONDS = 120.0
"""A longer stated wait is the app's to know; nobody is held for it."""

_KINDS = {
    Cause.RATE_LIMIT_REQUESTS: REQUESTS,
    Cause.RATE_LIMIT_UNKNOWN: REQUESTS,
    Cause.RATE_LIMIT_RAMP: REQUESTS,
    Cause.RATE_LIMIT_TOKENS: TOKENS,
    Cause.RATE_LIMIT_CONCURRENCY: CONCURRENCY,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A 429 that waiting can cure. Daily limits and quotas are none: waiting in a queue does not cure them.

    Attributes:
        wait_seconds: As stated in a header, a field or in words; None when nothing was.
        stated: The limits that its words name.
    """

    cause: Cause
    wait_seconds: float | None = None
    stated: tuple[StatedLimit, ...] = ()

    @property
    def kind(self) -> str:
        """What there was too much of."""
        return _KINDS[self.cause]


def is_pacing(cause: Cause) -> bool:
    """Whether a refusal for this cause is one of speed."""
    return cause in _KINDS
