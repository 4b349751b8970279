"""Which requests may be answered from the cache, and which answers may be kept. Pure."""

import math
import re
from dataclasses import dataclass

from gateway.model.attempt import ReplyHead
from gateway.model.call import Call, Headers
from gateway.model.route import Route

ANSWER_BYTES_MAX = 4_194_304
_ALWAYS = frozenset({"embeddings", "moderations"})
_AT_ZERO = frozenset({"chat.completions", "responses", "messages"})
_KEPT_HEADERS = frozenset({b"content-type", b"content-encoding", b"vary"})
_SPOILED = re.compile(rb'"refusal": ?"|: ?"(?:refusal|content_filter)"')
"""A refused or filtered answer, in any of the protocols; ``"refusal": null`` stands in every good one of chat."""
_FORBIDS = re.compile(rb"no-store|private", re.IGNORECASE)
_FAILED = re.compile(rb'"error": ?\{')


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """What the cache may do for a call.

    Attributes:
        read: Answer from it.
        store: Keep the answer.
    """

    read: bool
    store: bool
    ttl_seconds: float


NO_USE = Use(read=False, store=False, ttl_seconds=0.0)


def use_of(call: Call, route: Route, ttl_seconds: float) -> Use:
    """Say what the cache may do: the built-in rule, and ``x-whygate-cache`` of the call itself.

    A retry by the SDK reads nothing: whoever asks again wants another answer than the one that did not help.
    """
    asked = (call.header(b"x-whygate-cache") or "").strip().lower()
    if asked == "no-cache" or not route.pure or not call.body_complete or route.document is None:
        return NO_USE
    stated = _stated_ttl(asked)
    document = route.document
    static = route.endpoint.name in _ALWAYS or (
        route.endpoint.name in _AT_ZERO and _is_zero(document.get("temperature"))
    )
    if not (static or stated is not None) or document.get("store") is True:
        return NO_USE
    return Use(read=route.retry_count == 0, store=True, ttl_seconds=ttl_seconds if stated is None else stated)


def _is_zero(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == 0


def _stated_ttl(asked: str) -> float | None:
    if not asked.startswith("ttl="):
        return None
    try:
        seconds = float(asked[4:])
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds > 0 else None


def may_store(head: ReplyHead, body: bytes) -> bool:
    """Whether a complete answer may be kept: a 200 that nothing in it forbids or spoils."""
    if head.status != 200 or len(body) > ANSWER_BYTES_MAX:
        return False
    if any(name == b"cache-control" and _FORBIDS.search(value) for name, value in head.headers):
        return False
    return _SPOILED.search(body) is None and _FAILED.search(body, 0, 512) is None


def kept_headers(headers: Headers) -> Headers:
    """Give the headers that belong to the answer itself; ids, limits and cookies belonged to one request."""
    return tuple((name, value) for name, value in headers if name in _KEPT_HEADERS)
