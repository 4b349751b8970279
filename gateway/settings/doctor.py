"""Settings of the doctor: whom it may ask, and where."""

from typing import Annotated

from pydantic import StringConstraints

from gateway.settings.section import Section, setting
from gateway.settings.values import HostName, ProviderName

_Address = Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F.:]+$")]
_WebAddress = Annotated[str, StringConstraints(pattern=r"^https?://[^\s]+$", max_length=500)]
_PlainAddress = Annotated[str, StringConstraints(pattern=r"^http://[^\s]+$", max_length=500)]
_Place = Annotated[str, StringConstraints(to_lower=True, pattern=r"^\S+:[0-9]{1,5}$")]


class ResolverEntry(Section):
    """A resolver that is asked over HTTPS, as a control of the network's own."""

    name: str = setting(..., "What it is called in the report.", unit="text", example='"Cloudflare"', min_length=1)
    address: _Address = setting(
        ..., "Of its server; its certificate must hold this address.", unit="IP address", example='"1.1.1.1"'
    )
    port: int = setting(443, "Of its server.", unit="port", ge=1, le=65_535)
    path: str = setting("/dns-query", "Where it answers (RFC 8484).", unit="path", pattern=r"^/\S*$")


class PortalEntry(Section):
    """A page over plain HTTP that is known to the letter; another one in its place is a captive portal's."""

    url: _PlainAddress = setting(
        ..., "Of the page.", unit="address", example='"http://detectportal.firefox.com/success.txt"'
    )
    status: int = setting(200, "Of the true answer.", unit="HTTP status", ge=100, le=599)
    holds: str = setting("", "What its body holds; empty for a page without one.", unit="text", example='"success"')


class StatusEntry(Section):
    """A provider's status page."""

    provider: ProviderName = setting(..., "Whose it is.", unit="name of a provider", example='"openai"')
    url: _WebAddress = setting(
        ...,
        "Of the page for people; Statuspage's and incident.io's are understood.",
        unit="address",
        example='"https://status.openai.com"',
    )
    components: tuple[str, ...] = setting(
        (),
        "Words of which one stands in the name of a component that calls go to; empty for every component.",
        unit="list of texts",
        example='["api"]',
        strict=False,
    )


class Doctor(Section):
    """What `whygate doctor` goes by. Every list that is left out or empty is the built-in one."""

    controls: bool = setting(
        True,  # noqa: FBT003
        "Whether it may also ask third parties, to tell a trouble of this network from one of the provider: public"
        " resolvers, pages that show a captive portal, other providers in use here. It says beforehand whom.",
        unit="true or false",
    )
    stream_url: _WebAddress | None = setting(
        None,
        "A page of yours that sends a few events with a pause of 200 ms or more between them, to see whether something"
        " on the way holds streams back. There is no public one.",
        unit="address",
        example='"https://stream.example.com/events"',
    )
    connect_to: dict[_Place, _Place] = setting(
        {},
        "Where to connect to instead, for tests of the doctor itself; certificates are checked for the name as ever.",
        unit="table of host:port and address:port",
        example='{ "api.openai.com:443" = "127.0.0.1:8443" }',
    )
    chatgpt: tuple[HostName, ...] = setting(
        (), "What ChatGPT in browsers and apps needs, for `--chatgpt`.", unit="list of host names", strict=False
    )
    resolvers: tuple[ResolverEntry, ...] = setting((), "Public resolvers.", unit="tables", strict=False)
    portals: tuple[PortalEntry, ...] = setting((), "Pages that show a captive portal.", unit="tables", strict=False)
    status_pages: tuple[StatusEntry, ...] = setting(
        (), "Status pages, besides or in place of the built-in ones.", unit="tables", strict=False
    )
