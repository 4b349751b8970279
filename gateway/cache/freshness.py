"""Which requests may be answered from the cache, which answers may be kept, and when one still stands in. Pure."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from gateway.cache.rule import CacheRule
from gateway.excerpt import unpacked
from gateway.model.attempt import ReplyHead
from gateway.model.call import Call, Headers
from gateway.model.cause import Cause
from gateway.model.route import Route

ANSWER_BYTES_MAX = 4_194_304
UNPACKED_BYTES_MAX = 4 * ANSWER_BYTES_MAX
BUILT_IN, BY_HEADER = "built-in", "x-whygate-cache"
"""Names of the rules that nobody wrote."""

_ALWAYS = frozenset({"embeddings", "moderations"})
_AT_ZERO = frozenset({"chat.completions", "responses", "messages"})
_IF_ASKED = frozenset({"images.generations", "audio.speech"})
"""They make something anew each time, and are kept only where a rule names them or the call itself asks for it."""

_OURS = frozenset({"function", "custom"})
"""Tools that the app runs itself; what any other finds may be another thing tomorrow."""

_KEPT_HEADERS = frozenset({b"content-type", b"content-encoding", b"vary"})
_SPOILED = re.compile(
    rb'"refusal": ?"|: ?"(?:refusal|content_filter)"|"blockReason"'
    rb'|"finishReason": ?"(?:SAFETY|RECITATION|LANGUAGE|BLOCKLIST|PROHIBITED_CONTENT|SPII|MALFORMED_FUNCTION_CALL'
    rb'|OTHER)"'
)
"""A refused or filtered answer, in any of the protocols; ``"refusal": null`` stands in every good one of chat."""
_FAILED = re.compile(rb'"error": ?\{')
_STAND_IN = ("network.", "service.")
_STAND_IN_TOO = frozenset({Cause.EDGE_ORIGIN_ERROR, Cause.PROXY_CIRCUIT_OPEN})


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """What the cache may do for a call.

    Attributes:
        read: Answer from it.
        ttl_seconds: How long the answer is kept; 0 when it is not.
        rule: The name of what says so; empty when nothing does.
        lent: Every key may have it.
        bypass: Why it is not read although it might be, in words; empty otherwise.
    """

    read: bool = False
    ttl_seconds: float = 0.0
    rule: str = ""
    lent: bool = False
    bypass: str = ""


NO_USE = Use()


def use_of(call: Call, route: Route, rules: Iterable[CacheRule], ttl_seconds: float) -> Use:
    """Say what the cache may do.

    ``x-whygate-cache`` of the call itself comes first, then the first rule that covers it, then the built-in one.
    A retry by the SDK reads nothing: whoever asks again wants another answer than the one that did not help.
    """
    asked = (call.header(b"x-whygate-cache") or "").strip().lower()
    if not can_be_static(call, route):
        return Use(bypass="such a call is never answered from the cache") if asked else NO_USE
    if asked:
        use = _as_asked(asked)
    else:
        found = next((rule for rule in rules if rule.covers(call, route)), None)
        if found is not None and (route.endpoint.name not in _IF_ASKED or found.endpoint == route.endpoint.name):
            use = Use(read=True, ttl_seconds=found.ttl_seconds, rule=found.name, lent=found.shared)
        else:
            use = Use(read=True, ttl_seconds=ttl_seconds, rule=BUILT_IN) if is_static(route) else NO_USE
    if use.ttl_seconds <= 0:
        return Use(bypass=use.bypass)
    if route.retry_count:
        return Use(
            ttl_seconds=use.ttl_seconds, rule=use.rule, lent=use.lent, bypass="the SDK asks for the same once more"
        )
    return use


def _as_asked(asked: str) -> Use:
    if asked == "no-cache":
        return Use(bypass="the call asks for a new answer")
    seconds = _stated_ttl(asked)
    if seconds is None:
        return Use(bypass="x-whygate-cache is neither no-cache nor ttl=SECONDS")
    return Use(read=True, ttl_seconds=seconds, rule=BY_HEADER)


def can_be_static(call: Call, route: Route) -> bool:
    """Whether an answer may ever be given twice: nothing is kept or done at the provider because of the call."""
    document = route.document
    if call.method != "POST" or not call.body_complete or document is None or document.get("store") is True:
        return False
    return route.pure or route.endpoint.name in _IF_ASKED


def is_static(route: Route) -> bool:
    """Whether the built-in rule covers a call: it wants no variety, and looks at nothing that changes."""
    if route.endpoint.name in _ALWAYS:
        return True
    document = route.document or {}
    return route.endpoint.name in _AT_ZERO and _is_zero(document.get("temperature")) and not _looks_outside(document)


def _looks_outside(document: dict[str, object]) -> bool:
    tools = document.get("tools")
    return bool(document.get("web_search_options") or document.get("plugins")) or (
        isinstance(tools, list)
        and any(isinstance(tool, dict) and tool.get("type", "custom") not in _OURS for tool in tools)
    )


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


def may_store(head: ReplyHead, body: bytes, *, lent: bool = False) -> bool:
    """Whether a complete answer may be kept: a 200 that nothing in it forbids or spoils.

    ``Cache-Control: private`` (RFC 9111 section 5.2.2.7) forbids only to give it to others.
    """
    if head.status != 200 or not 0 < len(body) <= ANSWER_BYTES_MAX:
        return False
    for name, value in head.headers:
        if name == b"cache-control":
            said = value.lower()
            if b"no-store" in said or (lent and b"private" in said):
                return False
        elif name == b"vary" and b"*" in value:
            return False
    text = _plain(head, body)
    return text is not None and _SPOILED.search(text) is None and _FAILED.search(text, 0, 512) is None


def _plain(head: ReplyHead, body: bytes) -> bytes | None:
    """Give the body unpacked, since a refusal inside must be seen; None when that cannot be done as a whole."""
    coding = (head.header(b"content-encoding") or "identity").strip().lower()
    if coding == "identity":
        return body
    if (head.header(b"content-type") or "").lower().startswith("text/event-stream"):
        return None  # nobody has seen whether it has its end mark
    found = unpacked(body, coding, UNPACKED_BYTES_MAX)
    return found[0] if found is not None and found[1] else None


def kept_headers(headers: Headers) -> Headers:
    """Give the headers that belong to the answer itself; ids, limits and cookies belonged to one request."""
    return tuple((name, value) for name, value in headers if name in _KEPT_HEADERS)


def may_stand_in(cause: Cause, status: int | None) -> bool:
    """Whether an answer that is too old may be given instead of a failure (``stale-if-error``, RFC 5861 section 4).

    Only where the provider could not be reached or did not work. Never where somebody was refused: a key that is no
    longer good must not read on.

    Args:
        status: Of the provider's last answer, None when there was none.
    """
    if status in {401, 403}:
        return False
    if cause is Cause.UNKNOWN:
        return status is not None and status >= 500
    return cause in _STAND_IN_TOO or cause.startswith(_STAND_IN)
