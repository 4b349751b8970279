"""What the listener refuses before it asks what a call means: other sites' pages, wrong names, loops."""

from collections.abc import Callable, Iterable
from ipaddress import ip_address
from urllib.parse import urlsplit

from gateway.model.call import Call, Header, Mode, Origin
from gateway.model.cause import Cause
from gateway.model.decision import Refuse

HOP_HEADER = b"x-whygate-hop"
"""Names the gateways that a request has passed, where the next may be another one: at an address of this machine, and
at a proxy. One that comes back to a gateway has gone in a circle."""

HOPS_MAX = 1
"""Gateways that a request may have passed before this one: a person's own before that of a team."""

_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


def hops_of(headers: Iterable[tuple[bytes, bytes]]) -> tuple[bytes, ...]:
    """Give the marks that a request came with. Names are in lower case."""
    told = b",".join(value for name, value in headers if name == HOP_HEADER)
    return tuple(mark for one in told.split(b",") if (mark := one.strip()))


def circle(hops: tuple[bytes, ...], instance: str) -> str | None:
    """Say why a request with these marks must go no further, or None.

    Args:
        instance: What this gateway writes into `HOP_HEADER`.
    """
    if instance.encode() in hops:
        return "this request has already passed through this gateway"
    if len(hops) > HOPS_MAX:
        return f"this request has passed through {len(hops)} gateways already, and {HOPS_MAX} before this one may be"
    return None


def marked(headers: Iterable[tuple[bytes, bytes]], instance: str) -> Header:
    """Give the header that tells the next gateway which ones this request has passed."""
    return HOP_HEADER, b", ".join((*hops_of(headers), instance.encode()))


def hop_mark(call: Call, upstream: Origin, instance: str) -> Header | None:
    """Give the header that a request to this machine carries, None for any other."""
    return marked(call.headers, instance) if upstream.host in _LOCAL or _is_loopback(upstream.host) else None


def refusal(call: Call, instance: str) -> Refuse | None:
    """Say why a call must not be served, or None.

    Args:
        instance: What this gateway writes into `HOP_HEADER`.
    """
    if HOP_HEADER in call.index and (why := circle(hops_of(call.headers), instance)):
        return Refuse(cause=Cause.PROXY_LOOP_DETECTED, status=508, why=why)
    if call.no_room:
        return Refuse(cause=Cause.PROXY_OVERLOADED, status=503, why=call.no_room, retry_after_seconds=1.0)
    host = _name(call.header(b"host") or "")
    if call.mode is Mode.BASE_URL:
        # A foreign page can have its own name lead here, but cannot know the credential; so with it any name is fine.
        if host not in _LOCAL and not call.signed_in:
            why = f"a base URL must name this machine (127.0.0.1 or localhost), not {host or 'nothing'}"
            return Refuse(cause=Cause.PROXY_DESTINATION_BLOCKED, status=403, why=why)
        origin = call.header(b"origin")
        if (origin and _of_origin(origin) not in _LOCAL) or call.header(b"sec-fetch-site") == "cross-site":
            why = "a web page of another site tried to use this gateway"
            return Refuse(cause=Cause.PROXY_DESTINATION_BLOCKED, status=403, why=why)
    elif why := _other_name(call, host):
        return Refuse(cause=Cause.CLIENT_MALFORMED_REQUEST, status=421, why=why)
    return None


def refusal_abroad(call: Call, barred: Callable[[str, int], str | None]) -> Refuse | None:
    """Say why a call that is for no provider must not be carried to its host, or None.

    Args:
        barred: Host and port -> why an app may not go there, None when it may.
    """
    why = barred(call.origin.host, call.origin.port) if call.mode is Mode.PROXY else None
    return Refuse(cause=Cause.PROXY_DESTINATION_BLOCKED, status=403, why=why) if why else None


def _other_name(call: Call, host: str) -> str | None:
    """Say what names another host or port than the connection is for (RFC 9110 section 7.4), or None."""
    if call.sni:
        return f"the TLS handshake names {call.sni}, but the connection is for {call.origin.host}"
    if not host:
        return None
    if host != call.origin.host:
        return f"the Host header names {host}, but the connection is for {call.origin.host}"
    port = (call.header(b"host") or "").strip().rpartition("]")[2].partition(":")[2]
    if port and port != str(call.origin.port):
        return f"the Host header names the port {port}, but the connection is for {call.origin.port}"
    return None


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _of_origin(origin: str) -> str:
    """Give the name in an Origin header; nothing for what is no URL."""
    try:
        return urlsplit(origin).hostname or ""
    except ValueError:
        return ""


def _name(host: str) -> str:
    """Give the name of a Host header without its port, in lower case."""
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0] if host.count(":") == 1 else host
