"""What can be wrong above TLS, one function each: answers of others, login pages, filters, status pages."""

from typing import Literal

from tests.network.faults import DAY_SECONDS, EVERYWHERE, OWN, Fault, Piece, dns_answers, refused, resigned, silence
from tests.network.pages import CHALLENGE, REGION, SINKS
from tests.network.truth import Host


def answers(
    where: str, status: int, body: str, *, headers: dict[str, str] | None = None, path: str = "", edge: bool = False
) -> Fault:
    """Answer this instead.

    Args:
        path: Only for targets that begin so.
        edge: Whether Cloudflare's header fields are on it; without, it was written before the provider.
    """
    more = {"status": status, "body": body, "headers": headers or {}, "path": path, "edge": edge}
    return Fault("http", "answer", (where,), more=more)


def html_403(
    where: str, *, edge: bool = False, body: str = "<html><title>403 Forbidden</title><h1>Forbidden</h1></html>"
) -> Fault:
    """A 403 page."""
    return answers(where, 403, body, headers={"content-type": "text/html; charset=UTF-8"}, edge=edge)


def challenge(where: str) -> Fault:
    """The edge wants JavaScript and cookies."""
    return answers(
        where,
        403,
        CHALLENGE,
        headers={"content-type": "text/html; charset=UTF-8", "cf-mitigated": "challenge"},
        edge=True,
    )


def region(where: str = "api.openai.com") -> Fault:
    """The provider does not serve this country."""
    return answers(where, 403, REGION, headers={"content-type": "application/json"}, edge=True, path="/v1")


def server_error(where: str, status: int = 503, *, path: str = "/v1") -> Fault:
    """The provider is in trouble."""
    body = '{"error": {"message": "The server is currently overloaded.", "type": "server_error", "param": null, "code": null}}'
    return answers(where, status, body, headers={"content-type": "application/json"}, edge=True, path=path)


def clock_off(seconds: float = DAY_SECONDS, *where: str) -> Fault:
    """Servers' `Date` is so far from this machine's: this machine's clock is wrong by that, the other way."""
    return Fault("http", "date", where or (EVERYWHERE,), more={"seconds": seconds})


def held_back(seconds: float, *where: str, path: str = "") -> Fault:
    """The body comes so much later than the head, all at once."""
    return Fault("http", "held", where or (EVERYWHERE,), more={"seconds": seconds, "path": path})


def no_answer(*where: str, path: str = "") -> Fault:
    """The request is read, and nothing comes."""
    return Fault("http", "silence", where, more={"path": path})


def reset_at_request(*where: str, path: str = "") -> Fault:
    """RST once the request is there."""
    return Fault("http", "reset", where, more={"path": path})


def unread_beyond(count_bytes: int, *where: str) -> Fault:
    """The server stops to read after so many bytes of a body."""
    return Fault("http", "unread", where, more={"count_bytes": count_bytes, "path": ""})


def upgrade(kind: Literal["swallowed", "refused", "accepted"], *where: str) -> Fault:
    """WebSocket handshakes get no answer, a 403 page, or a 101 (without, the provider's 401)."""
    return Fault("http", f"upgrade-{kind}", where or (EVERYWHERE,))


def seen_from(**trace: str) -> Fault:
    """What ``/cdn-cgi/trace`` says, for example ``loc="CN", warp="on", gateway="on"``."""
    return Fault("http", "trace", more=dict(trace))


def status(
    provider: Literal["openai", "claude"],
    state: Literal["incident", "degraded", "html", "missing", "slow", "unknown", "error"],
) -> Fault:
    """The status page shows this. For one that cannot be reached use the faults of TCP or TLS."""
    return Fault("status", state, (provider,))


def portal(
    vendor: Literal["fortigate", "meraki", "aruba", "cisco-ise", "mikrotik", "page", "511"] = "meraki",
    https: Literal["silence", "refused", "resigned", "ok"] = "silence",
) -> list[Piece]:
    """A login page: all of port 80 leads to it, and port 443 as said."""
    made: list[Piece] = [Fault("http", "portal", more={"vendor": vendor})]
    if https == "silence":
        made.append(silence(EVERYWHERE, port=443))
    elif https == "refused":
        made.append(refused(EVERYWHERE, port=443))
    elif https == "resigned":
        made.append(resigned("aruba-portal", trusted=False))
    return made


def sunk(name: str, vendor: str) -> list[Piece]:
    """A DNS filter: the name leads to the vendor's block page, one of `tests.network.pages.SINKS`."""
    sink = SINKS[vendor]
    made: list[Piece] = [dns_answers(name, *sink.addresses, at=OWN)]
    if sink.page:
        made.append(Host(sink.name, sink.addresses[:1], edge="any", site=f"sink-{vendor}"))
        made.append(resigned(sink.issuer, sink.addresses[0], trusted=False))
    return made


def blocked_inside_tls(
    where: str, vendor: Literal["zscaler", "fortigate", "paloalto"], *, trusted: bool = True
) -> list[Piece]:
    """Inspected, and answered with the product's own page."""
    return [resigned(vendor, where, trusted=trusted), Fault("http", "blocked", (where,), more={"vendor": vendor})]
