"""Who looks at the page, and what of it that is: the one place where a tenant's view ends at its own calls.

The page's own token sees everything, as does a tenant that is an admin. Any other tenant may ask for what `MEMBERS_MAY`
names, and for nothing that a later version adds before somebody has thought about it.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from starlette.requests import Request

from gateway.record.query import OwnReader, Reader

MEMBERS_MAY = re.compile(
    r"/|/static/[^/]+|/api/(?:flows|live|health|limits|overview|causes|openapi\.json)"
    r"|/api/flows/[^/]+(?:/before|/again)?|/api/causes/[^/]+"
)
"""Paths, to be read alone. What they answer is made for whoever asks, by the functions below."""

_SCOPE = "whygate.viewer"


class Viewer(NamedTuple):
    """Who looks. ``tenant`` is None for who sees everything."""

    tenant: str | None

    def may_ask(self, method: str, path: str) -> bool:
        """Whether a request is open to it."""
        return self.tenant is None or (method in {"GET", "HEAD"} and MEMBERS_MAY.fullmatch(path) is not None)


ADMIN = Viewer(None)


def admit(scope: Any, viewer: Viewer) -> None:
    """Note who asks, for the functions below."""
    scope[_SCOPE] = viewer


def viewer_of(request: Request) -> Viewer:
    """Give who asks. A request that did not come through the guard has nobody, and gets no answer."""
    viewer: Viewer = request.scope[_SCOPE]
    return viewer


def reader_for(request: Request, reader: Reader) -> Reader:
    """Give the log as whoever asks may see it."""
    tenant = viewer_of(request).tenant
    return reader if tenant is None else OwnReader(reader, tenant)


def health_for(viewer: Viewer, health: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give what the gateway says of itself: to a tenant no more than whether it works, and whether bodies are kept."""
    if viewer.tenant is None:
        return health
    log, capture = health.get("log") or {}, health.get("capture")
    degraded = None if log.get("degraded") is None else "Calls are not being written just now."
    kept = {"provider": "", "endpoint": "", "model": "", "kept": 0, "missed": 0}
    return {
        "state": health["state"],
        "version": health["version"],
        "log": {"written": 0, "dropped": log.get("dropped", 0), "queued": 0, "degraded": degraded, "moved_aside": None},
        "capture": None if capture is None else {**kept, "left_seconds": capture["left_seconds"]},
    }


def limits_for(viewer: Viewer, limits: dict[str, Any]) -> dict[str, Any]:
    """Give the limits: to a tenant those of scopes that it uses, without the others who use them."""
    if viewer.tenant is None:
        return limits
    scopes = []
    for scope in limits["scopes"]:
        own = [user for user in scope["users"] if user["tenant"] == viewer.tenant]
        if own:
            counted = {name: sum(user[name] for user in own) for name in ("in_flight", "queued")}
            scopes.append({**scope, **counted, "users": own})
    waiting = sum(scope["queued"] for scope in scopes)
    return {**limits, "scopes": scopes, "waiting": waiting, "waiting_bytes": 0}
