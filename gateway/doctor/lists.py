"""The lists that probes go by. Each can be replaced in the settings, so that all of it can be pointed elsewhere.

Sources (read 2026-11): the resolvers' own documentation of their addresses and DNS over HTTPS (RFC 8484); the URLs by
which Apple, Microsoft, Google and Mozilla recognise captive portals; the providers' status pages.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolver:
    """A public resolver that is asked over HTTPS by its address, so that no other resolver is needed to reach it.

    Attributes:
        name: For people.
        address: Of its server; the certificate holds it.
        port: Usually 443.
        path: As in ``https://1.1.1.1/dns-query``.
        six: Its IPv6 address, to compare how far one gets by either family; empty for none.
    """

    name: str
    address: str
    port: int = 443
    path: str = "/dns-query"
    six: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Portal:
    """A page over plain HTTP that is known to the letter: another one in its place is somebody else's.

    Attributes:
        status: Of the true answer.
        holds: What its body holds; empty for an empty body.
    """

    url: str
    status: int = 200
    holds: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusPage:
    """Where a provider says how it is.

    Attributes:
        url: Of the page for people.
        components: Words of which one stands in the name of a component that calls go to; empty to take every one.
        shape: ``statuspage`` (also incident.io), ``google`` (products.json, incidents.json), ``feed`` (RSS or Atom).
    """

    url: str
    components: tuple[str, ...] = ()
    shape: str = "statuspage"


_RESOLVERS = (
    Resolver(name="Cloudflare", address="1.1.1.1", six="2606:4700:4700::1111"),
    Resolver(name="Google", address="8.8.8.8", six="2001:4860:4860::8888"),
    Resolver(name="Quad9", address="9.9.9.9", six="2620:fe::fe"),
)

_PORTALS = (
    Portal(url="http://captive.apple.com/", holds="Success"),
    Portal(url="http://www.msftconnecttest.com/connecttest.txt", holds="Microsoft Connect Test"),
    Portal(url="http://connectivitycheck.gstatic.com/generate_204", status=204),
    Portal(url="http://detectportal.firefox.com/success.txt", holds="success"),
)

_STATUS = {
    "openai": StatusPage(url="https://status.openai.com", components=("api", "responses", "chat completions")),
    "anthropic": StatusPage(url="https://status.claude.com", components=("api.anthropic.com", "claude api")),
    "gemini": StatusPage(url="https://www.google.com/appsstatus/dashboard", components=("gemini",), shape="google"),
    "xai": StatusPage(url="https://status.x.ai", components=("api",), shape="feed"),
    "deepseek": StatusPage(url="https://status.deepseek.com", components=("api",)),
    "groq": StatusPage(url="https://groqstatus.com", components=("api",)),
    "mistral": StatusPage(url="https://status.mistral.ai", components=("api",)),
    "openrouter": StatusPage(url="https://status.openrouter.ai", components=("api", "chat")),
    "moonshot": StatusPage(url="https://status.moonshot.cn", components=("api",)),
    "together": StatusPage(url="https://status.together.ai", components=("api",)),
    "fireworks": StatusPage(url="https://status.fireworks.ai", components=("api",)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Lists:
    """All of them.

    Attributes:
        resolvers: Asked over HTTPS what names resolve to, as a control.
        portals: Asked over plain HTTP.
        status_pages: Provider's name -> its page.
        stream_url: A server that sends a few events, one after another with a pause between them, to see whether
            the path holds them back; empty for none.
        chatgpt: Hosts that ChatGPT in browsers and apps needs; empty for the built-in list.
        connect_to: ``"host:port"`` -> ``"address:port"`` to connect to instead; for tests and unusual networks.
    """

    resolvers: tuple[Resolver, ...] = _RESOLVERS
    portals: tuple[Portal, ...] = _PORTALS
    status_pages: Mapping[str, StatusPage] = field(default_factory=lambda: _STATUS)
    stream_url: str = ""
    chatgpt: tuple[str, ...] = ()
    connect_to: Mapping[str, str] = field(default_factory=dict)
