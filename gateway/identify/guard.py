"""What the listener refuses before it asks what a call means: other sites' pages, wrong names, loops."""

from collections.abc import Callable
from urllib.parse import urlsplit

from gateway.model.call import Call, Mode, Origin
from gateway.model.cause import Cause
from gateway.model.decision import Refuse

HOP_HEADER = b"x-whygate-hop"
"""Set on requests that go to an address of this machine; one that comes back with it has gone in a circle."""

_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


def hop_mark(upstream: Origin, instance: str) -> tuple[bytes, bytes] | None:
    """Give the header that a request to this machine carries, None for any other."""
    return (HOP_HEADER, instance.encode()) if upstream.host in _LOCAL else None


def refusal(call: Call, instance: str) -> Refuse | None:
    """Say why a call must not be served, or None.

    Args:
        instance: What this gateway writes into `HOP_HEADER`.
    """
    if call.index.get(HOP_HEADER) == instance.encode():
        return Refuse(
            cause=Cause.PROXY_LOOP_DETECTED, status=508, why="this request has already passed through this gateway"
        )
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
    elif host and host != call.origin.host:
        why = f"the Host header names {host}, but the connection is for {call.origin.host}"
        return Refuse(cause=Cause.CLIENT_MALFORMED_REQUEST, status=421, why=why)
    return None


def refusal_abroad(call: Call, barred: Callable[[str, int], str | None]) -> Refuse | None:
    """Say why a call that is for no provider must not be carried to its host, or None.

    Args:
        barred: Host and port -> why an app may not go there, None when it may.
    """
    why = barred(call.origin.host, call.origin.port) if call.mode is Mode.PROXY else None
    return Refuse(cause=Cause.PROXY_DESTINATION_BLOCKED, status=403, why=why) if why else None


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
