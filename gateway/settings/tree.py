"""Every setting: name, type, default, unit and the reason for the default. Reads neither configuration nor environment.

Defaults are stated here and nowhere else; ``config/gateway.toml`` is printed from them.
"""

from typing import Literal, Self

from pydantic import SecretStr, model_validator

from gateway.settings.address import Address
from gateway.settings.network import Network, ProviderEntry, check_preconnect, check_proxy
from gateway.settings.problems import MisfitError
from gateway.settings.section import Section, setting
from gateway.settings.values import (
    TOKEN_MIN,
    AllowedHost,
    EditedRoute,
    HostName,
    ListenAddress,
    ProviderName,
    Token,
    TokenInAddresses,
)

MIB = 1024 * 1024


def _text(secret: SecretStr | None) -> str:
    return "" if secret is None else secret.get_secret_value()


def _token_for(address: Address, token: SecretStr | None, variable: str, what: str) -> None:
    """Check that strangers find a lock wherever they find us."""
    if token is None and not address.is_loopback:
        message = (
            f"an address that only this machine reaches (127.0.0.1, [::1] or localhost), or a token beside it: {what}."
            f" Set {variable} to a random text of at least {TOKEN_MIN} characters (openssl rand -hex 24)"
        )
        raise MisfitError("address", message)


class Listen(Section):
    """The proxy itself: forward proxy and base URLs on one port."""

    address: ListenAddress = setting(
        Address("127.0.0.1", 8080),
        "Where apps reach the gateway. Loopback, because whoever reaches it can use your network through it; any other"
        " address needs a token, and then only providers and allow_hosts are reached through it. Port 0 takes any"
        " free port.",
        unit="HOST:PORT",
    )
    token: TokenInAddresses | None = setting(
        None,
        "What every app must present: as the password in its proxy address (http://whygate:TOKEN@HOST:8080), as the"
        " first part of a base URL's path (http://HOST:8080/~TOKEN/openai/v1), or in the header x-whygate-token."
        " None by default, because on loopback only your own programs come. `whygate env` and `run` fill it in.",
        unit="text, 16 to 256 letters, digits, - . _ ~",
        example='"a-long-random-text"',
    )
    allow_hosts: tuple[AllowedHost, ...] = setting(
        (),
        "Where an app may go besides providers, when the address is not loopback: by CONNECT or a plain request, on the"
        " ports 80 and 443 or the one named. A name must lead to a public address; a private one is reached only when"
        " it is written here itself. On loopback every host is reached, and this changes nothing.",
        unit="list of host names, *.SUFFIX or addresses, each with or without a port",
        example='["files.example.com", "*.example.org", "10.0.0.7:8000"]',
        strict=False,
    )
    drain_seconds: int = setting(
        120,
        "How long calls that are under way may go on after the gateway was asked to stop. Two minutes let a long"
        " streamed answer finish; a second signal stops at once.",
        unit="seconds",
        ge=0,
    )

    edit: tuple[EditedRoute, ...] = setting(
        (),
        "Routes that mitmproxy shall carry, so that its intercept, its scripts and its editing work on them"
        " (start --ui mitmweb). Such calls are logged and diagnosed, but not paced, retried or cached, and their"
        " answers are held until they are whole.",
        unit="list of PROVIDER/PATH, with * for any part",
        example='["openai/v1/chat/*"]',
        strict=False,
    )

    @model_validator(mode="after")
    def _is_locked(self) -> Self:
        what = "without one, strangers could use your network and your keys"
        _token_for(self.address, self.token, "[listen] token (WHYGATE_LISTEN__TOKEN)", what)
        return self

    @property
    def secret(self) -> str:
        """The token as it is compared; empty when there is none."""
        return _text(self.token)


class Page(Section):
    """The status page and its API."""

    address: ListenAddress = setting(
        Address("127.0.0.1", 8081),
        "Where the page is. Apart from the proxy, so that an app which can call the proxy cannot read your log. Any"
        " address but loopback needs a token of your choice.",
        unit="HOST:PORT",
    )
    token: Token | None = setting(
        None,
        "What a reader must present. Left out, a new one is made at each start and printed with the page's link,"
        " which is the safer choice; set it only for a dashboard that must survive a restart.",
        unit="text, at least 16 characters",
        example='"a-long-random-text"',
    )
    allowed_hosts: tuple[HostName, ...] = setting(
        (),
        "Further names that a browser may use for the page, beside localhost and the loopback addresses. Anything"
        " else is refused, because a foreign web site could otherwise point its own name at your page.",
        unit="list of host names without port",
        strict=False,
    )

    @model_validator(mode="after")
    def _is_locked(self) -> Self:
        what = "the one that is made at each start is known to the gateway's terminal alone"
        _token_for(self.address, self.token, "[page] token (WHYGATE_PAGE__TOKEN)", what)
        return self

    @property
    def secret(self) -> str:
        """The token as it is compared; empty when there is none."""
        return _text(self.token)


class LimitRule(Section):
    """A limit that you set, counted for each account and model by itself."""

    provider: ProviderName = setting(
        ..., "Which provider it is for: the name that stands in the log.", unit="provider name", example='"openai"'
    )
    model: str = setting(
        "*", "Which models it is for. Every matching rule applies.", unit="glob, for example gpt-4o*", min_length=1
    )
    per_second: float | None = setting(
        None, "Calls started in any one second.", unit="calls per second", example="5.0", gt=0, allow_inf_nan=False
    )
    rpm: int | None = setting(None, "Calls started in any one minute.", unit="calls per minute", example="300", ge=1)
    rph: int | None = setting(None, "Calls started in any one hour.", unit="calls per hour", example="5_000", ge=1)
    rpd: int | None = setting(None, "Calls started in any 24 hours.", unit="calls per day", example="50_000", ge=1)
    tpm: int | None = setting(
        None,
        "Tokens in any one minute, question and answer together. Estimated before a call, corrected by what the"
        " provider counts.",
        unit="tokens per minute",
        example="200_000",
        ge=1,
    )
    tpd: int | None = setting(None, "Tokens in any 24 hours.", unit="tokens per day", example="2_000_000", ge=1)
    concurrency: int | None = setting(None, "Calls under way at the same time.", unit="calls", example="8", ge=1)
    burst: int | None = setting(
        None,
        "Calls that may start at once; the others follow evenly. Left out, a whole second's or minute's calls may start"
        " together, which some providers refuse.",
        unit="calls",
        example="5",
        ge=1,
    )
    together: bool = setting(
        False,  # noqa: FBT003
        "Count all models that match as one, for a limit that they share. A rule for some of them then holds for all.",
        unit="true or false",
    )

    @model_validator(mode="after")
    def _limits_something(self) -> Self:
        paced = [self.per_second, self.rpm, self.rph, self.rpd]
        if all(limit is None for limit in (*paced, self.tpm, self.tpd, self.concurrency)):
            message = "at least one of per_second, rpm, rph, rpd, tpm, tpd, concurrency"
            raise ValueError(message)
        if self.burst is not None and all(limit is None for limit in paced):
            raise MisfitError("burst", "per_second, rpm, rph or rpd beside it: it says how many of those start at once")
        return self


class Limits(Section):
    """How calls are paced, and how many may wait. Limits that a provider states are learned, and need no rule."""

    shadow: bool = setting(
        False,  # noqa: FBT003
        "Only watch: decide and write down how long each call would have waited, and let all of them through. For a"
        " first look at a busy team; the provider's refusals then reach the apps.",
        unit="true or false",
    )
    queue_max: int = setting(
        10_000,
        "How many calls may wait at once. Past it a call is refused at once with the reason, so that memory stays"
        " bounded; 10,000 is far more than one machine's apps wait for in practice.",
        unit="calls",
        ge=1,
    )
    queue_max_bytes: int = setting(
        256 * MIB,
        "How much memory the bodies of waiting calls may hold. Images make calls large, so their number alone does"
        " not bound memory.",
        unit="bytes",
        ge=1,
    )
    rules: tuple[LimitRule, ...] = setting(
        (), "Limits of your own, for each account and model by itself.", unit="tables", strict=False
    )


class Retry(Section):
    """When a call is sent again."""

    max_attempts: int = setting(
        3,
        "How often one call is sent at most, the first time included. Waiting for a time that the provider states"
        " is not counted. 1 never sends again.",
        unit="attempts",
        ge=1,
        le=10,
    )


class Cache(Section):
    """Answers that are given again without asking the provider."""

    enabled: bool = setting(
        True,  # noqa: FBT003
        "Answer again what was answered before, for the same key: embeddings, moderations, and prompts with an"
        " explicit temperature of 0.",
        unit="true or false",
    )
    ttl_seconds: int = setting(
        3_600,
        "How long an answer may be given again. An hour covers a working session and still notices tomorrow's model.",
        unit="seconds",
        ge=1,
    )
    max_bytes: int = setting(
        128 * MIB, "How much memory stored answers may take; the oldest go first.", unit="bytes", ge=MIB
    )


class Record(Section):
    """The log of calls on this machine."""

    bodies: bool = setting(
        True,  # noqa: FBT003
        "Keep the start of a failed answer (64 KiB at most, secrets removed), because it often says why. Bodies of"
        " calls that went well are never kept.",
        unit="true or false",
    )
    max_age_days: int = setting(
        14, "How long a call stays in the log. Two weeks cover what people still ask about.", unit="days", ge=1
    )
    max_bytes: int = setting(
        512 * MIB, "How large the log may grow on disk; the oldest calls go first.", unit="bytes", ge=MIB
    )


class Diagnose(Section):
    """What the gateway says about a call that failed."""

    probes: Literal["target", "off"] = setting(
        "target",
        "Whether it may look a second time at a host whose certificate was refused, to name who signed it: one"
        " handshake and one request without any key, two seconds at most. It never touches another host unasked.",
        unit='"target" or "off"',
    )
    language: Literal["en", "zh", "it"] = setting(
        "en",
        "Of the errors that apps get from the gateway, and of what it prints. The page follows the browser.",
        unit='"en", "zh" or "it"',
    )


class Settings(Section):
    """Everything that can be set."""

    listen: Listen = Listen()
    page: Page = Page()
    limits: Limits = Limits()
    retry: Retry = Retry()
    cache: Cache = Cache()
    record: Record = Record()
    network: Network = Network()
    diagnose: Diagnose = Diagnose()
    providers: tuple[ProviderEntry, ...] = setting((), "Providers.", unit="tables", strict=False)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.listen.address == self.page.address and self.page.address.port:
            message = f"listen.address and page.address that differ (both are {self.page.address})"
            raise ValueError(message)
        check_proxy(self.network, self.listen.address)
        names = [entry.name for entry in self.providers]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            message = f"one [[providers]] table for each name (twice: {', '.join(twice)})"
            raise ValueError(message)
        check_preconnect(self.network, self.providers)
        return self
