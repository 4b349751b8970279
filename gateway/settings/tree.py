"""Every setting: name, type, default, unit and the reason for the default. Reads neither configuration nor environment.

Defaults are stated here and in the modules beside it alone; ``config/gateway.toml`` is printed from them.
"""

from typing import Literal, Self

from pydantic import SecretStr, model_validator

from gateway.settings.address import Address
from gateway.settings.caching import Cache, check_backend
from gateway.settings.doctor import Doctor
from gateway.settings.fallback import Fallbacks
from gateway.settings.network import Network, ProviderEntry, check_preconnect, check_proxy
from gateway.settings.observe import Observe
from gateway.settings.pacing import Limits, Retry
from gateway.settings.problems import MisfitError
from gateway.settings.section import MIB, Section, setting
from gateway.settings.team import Team
from gateway.settings.values import (
    TOKEN_MIN,
    AllowedHost,
    EditedRoute,
    HostName,
    ListenAddress,
    Token,
    TokenInAddresses,
)


def _text(secret: SecretStr | None) -> str:
    return "" if secret is None else secret.get_secret_value()


def _locked(key: str, address: Address, *, token: bool, variable: str, what: str) -> None:
    """Check that strangers find a lock wherever they find us."""
    if not token and not address.is_loopback:
        message = (
            f"an address that only this machine reaches (127.0.0.1, [::1] or localhost), or a token beside it: {what}."
            f" Set {variable} to a random text of at least {TOKEN_MIN} characters (openssl rand -hex 24)"
        )
        raise MisfitError(key, message)


class Listen(Section):
    """The proxy itself: forward proxy and base URLs on one port."""

    address: ListenAddress = setting(
        Address("127.0.0.1", 8080),
        "Where apps reach the gateway. Loopback, because whoever reaches it can use your network through it; any other"
        " address needs a token or [[team.tenants]], and then only providers and allow_hosts are reached through it."
        " Port 0 takes any free port.",
        unit="HOST:PORT",
    )
    token: TokenInAddresses | None = setting(
        None,
        "What every app must present: as the password in its proxy address (http://whygate:TOKEN@HOST:8080), as the"
        " first part of a base URL's path (http://HOST:8080/~TOKEN/openai/v1), or in the header x-whygate-token."
        " None by default, because on loopback only your own programs come. `whygate env` and `run` fill it in. Where"
        " there are [[team.tenants]], whoever presents this one is the tenant default.",
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
    connections_per_client: int = setting(
        256,
        "How many connections one client may have open, counted by its address (of IPv6 by the first half of it), when"
        " the address above is not loopback. Each carries one call at a time, so it bounds calls that run and wait,"
        " too. Past it a connection is answered with 503 at once, and other clients are served as before. 0 is any"
        " number.",
        unit="connections",
        ge=0,
    )
    bytes_per_client: int = setting(
        256 * MIB,
        "How much memory the bodies of one client's calls may hold together, likewise. 0 is any amount.",
        unit="bytes",
        ge=0,
    )
    connections_max: int = setting(
        16_384,
        "How many connections all clients may have open together. Each takes a descriptor or two, of which the system"
        " gives a process so many (ulimit -n).",
        unit="connections",
        ge=1,
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
        _locked(
            "address",
            self.address,
            token=self.token is not None,
            variable="[page] token (WHYGATE_PAGE__TOKEN)",
            what=what,
        )
        return self

    @property
    def secret(self) -> str:
        """The token as it is compared; empty when there is none."""
        return _text(self.token)


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

    probes: Literal["target", "full", "off"] = setting(
        "target",
        "Whether it may look a second time when a call fails, so that the verdict is sure: two seconds at most, once a"
        ' minute for each host, never with a key. "target" touches nothing but the host that failed, the configured'
        ' proxy and the provider\'s status page; "full" also what `whygate doctor` uses as controls, third parties'
        ' among it; "off" nothing.',
        unit='"target", "full" or "off"',
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
    observe: Observe = Observe()
    doctor: Doctor = Doctor()
    team: Team = Team()
    providers: tuple[ProviderEntry, ...] = setting((), "Providers.", unit="tables", strict=False)
    fallback: Fallbacks = setting((), "Who answers when a provider does not.", unit="tables", strict=False)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.listen.address == self.page.address and self.page.address.port:
            message = f"listen.address and page.address that differ (both are {self.page.address})"
            raise ValueError(message)
        _locked(
            "listen.address",
            self.listen.address,
            token=self.listen.token is not None or bool(self.team.tenants),
            variable="[listen] token (WHYGATE_LISTEN__TOKEN)",
            what="without one, strangers could use your network and your keys ([[team.tenants]] have one each)",
        )
        check_proxy(self.network, self.listen.address)
        names = [entry.name for entry in self.providers]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            message = f"one [[providers]] table for each name (twice: {', '.join(twice)})"
            raise ValueError(message)
        check_backend(self.cache, has_redis=self.team.redis is not None)
        check_preconnect(self.network, self.providers)
        return self
