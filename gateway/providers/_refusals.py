"""Limits that the words of a refusal (429) state. Total on any bytes; nothing here looks at more than `_TEXT_MAX`.

Wordings: public reports of answers by OpenAI, Anthropic, Groq, Moonshot and Gemini, read 2026-11; LiteLLM 1.106's
``parallel_request_limiter``, read 2026-11; Together, xAI, GitHub Models, OpenRouter and new-api from memory, not
checked.

What is refused has nothing left of it, so ``remaining`` is 0 for requests and concurrency. Tokens may be left, only too
few for this request: there it is what the text says, else None. Where a text names several limits, nobody knows which
of them it was. A sentence that advertises higher limits is not read.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from gateway.model.call import Headers
from gateway.model.provider import StatedLimit
from gateway.providers._envelope import read_any
from gateway.providers._headers import COUNT_MAX, RESET_MAX_SECONDS

BODY_MAX = 65_536
"""A longer body is no error of a provider's."""

_TEXT_MAX = 4_000
_LIMITS_MAX = 8
_NEAR = 120
"""So many characters behind a limit its use is said."""

_SECONDS = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0, "秒": 1.0, "分": 60.0, "小": 3_600.0, "天": 86_400.0}
"""By the first letter of the unit."""

# The repetitions below are bounded and whitespace is single: a text of 4,000 characters takes a few milliseconds at
# worst, whatever stands in it.
_NUMBER = r"(?<![\w$€.])(\d{1,3}(?:,\d{3}){1,4}|\d{1,13})((?:\.\d{1,9})?)(k?)(?!\w|[.,]\d)"
_UNIT = r"(seconds?|secs?|minutes?|mins?|hours?|hrs?|days?|[smhd])(?![a-z])"
_PER = rf"(?: ?/ ?| per |-per-|_per_)(?:(\d{{1,6}}) ?)?{_UNIT}"
_EVERY = rf"(?: ?/ ?| per |-per-|_per_| in | every | within | each | an? )(?:(\d{{1,6}}) ?)?{_UNIT}"
_WHAT = r"(?:(input|prompt|output|completion|generated)[ _-])?(?:api )?([a-z][a-z_]{2,23}?)"
_SHORT = r"([io]?)([trq])p([smhd])(?![a-z0-9])"
_IS = r"(?: is| of| to| was)?(?: ?[:=])? ?"

_DIMENSION = re.compile(rf"(?<![a-z0-9_])(?:{_SHORT}|{_WHAT}{_PER})")
_NUMBER_FIRST = re.compile(rf"{_NUMBER} ?(?:{_SHORT}|{_WHAT}{_EVERY})")
_NUMBER_LAST = re.compile(rf"(?<![a-z0-9_])(?:{_SHORT}|{_WHAT}{_PER})\)?(?: rate)?(?: limit)?{_IS}{_NUMBER}")
_BOTH = re.compile(rf"(?<![a-z0-9_])(?:{_SHORT}|{_WHAT}{_PER}) ?\(actual/limit\): ?(\d{{1,13}})/{_NUMBER}")
_LIMIT = re.compile(rf"\blimit{_IS}{_NUMBER}(?:{_PER})?")
_AT_ONCE = r"(?:concurrency|(?:concurrent|parallel)[ _](?:requests?|connections?|calls))"
_CONCURRENT = re.compile(
    rf"(?:max(?:imum)?[ _](?:[a-z]{{1,16}} )?{_AT_ONCE}(?: limit)?|{_AT_ONCE} limit|{_AT_ONCE}: limit){_IS}{_NUMBER}"
    rf"|(?:limit{_IS}|limited to |up to |at most |only |maximum of |max )(?<=[ :=]){_NUMBER} {_AT_ONCE}"
    r"|并发(?:数|请求数?|量)?(?:的)?(?:限制|上限|最多)(?:为|是)? ?[:：]? ?(\d{1,9})()()"
)
_NO_NUMBER = re.compile(
    r"\bnumber of (?:(concurrent|input|output|prompt|request) )?(tokens|requests|connections) has exceeded your "
    r"(?:(?:per[ -])?(minute|hour|day|hourly|daily) )?rate limit"
)
_CONCURRENT_NO_NUMBER = re.compile(rf"{_AT_ONCE} limit (?:was |has been )?(?:exceeded|reached)")
_LITELLM = re.compile(rf"\blimit type: ([a-z_]{{1,40}})\. current limit: {_NUMBER}")
_METRIC = re.compile(rf"\bquota exceeded for metric: [a-z0-9./_-]{{0,200}}?/([a-z0-9_]{{1,100}}), limit: {_NUMBER}")
_CHINESE = re.compile(r"(?:每 ?|(\d{1,4}) ?)(秒|分钟|小时|天)[^\d,。，后]{0,12}(\d{1,9}) ?(?:次|个?请求)")
_USED = re.compile(r"\bused:? (\d{1,13})\b")
_LEFT = re.compile(r"\bremaining:? (\d{1,13})\b")
_OTHER = re.compile(r" [a-z]")
_REQUESTED = re.compile(r"\brequested:? \d")
_WAS = re.compile(r"\b(?:sent|made|used|received|current(?:ly)?|actual|requested|had)[ :]*$")
_MORE = re.compile(r"\b(?:upgrad|unlock|purchas|subscri|add (?:\$?\d+|credits)|higher|increase your)")
_SENTENCE = re.compile(r"(?<=[.!?]) (?=\D)|(?<=[。！？])")
_REQUESTS = ("request", "req", "reqs", "calls", "call", "queries", "query", "messages")


class Found(NamedTuple):
    """One limit of a text: what is counted, how many, in which time; below 0 the text leaves open what is left."""

    kind: str
    limit: int | None
    window_seconds: float | None
    remaining: int | None = None


def read_refusal(body: bytes, _headers: Headers = ()) -> tuple[StatedLimit, ...]:
    """Read what a 429 says in words, in any of the envelopes that `read_any` knows or as plain text."""
    if len(body) > BODY_MAX:
        return ()
    declared = read_any(body)
    if declared is not None:
        return limits_in(declared.message, declared.type)
    text = body[: 4 * _TEXT_MAX].decode("utf-8", "replace").lstrip()
    return () if text.startswith(("<", "{", "[")) else limits_in(text)


def limits_in(message: str, kind: str = "") -> tuple[StatedLimit, ...]:
    """Give the limits that a message states; ``kind`` is what the envelope says was counted."""
    text = " ".join(message[:_TEXT_MAX].lower().split())
    text = " ".join(one.strip() for one in _SENTENCE.split(text) if not _MORE.search(one))
    for read in (
        _at_once,
        _of_actual,
        _of_litellm,
        _of_metric,
        _numbers_first,
        _in_chinese,
        _numbers_last,
        _without_number,
    ):
        if found := _first_of_each(read(text)):
            return _stated(found)
    return _stated(_first_of_each(_after_limit(text, kind)))


def window_in(message: str) -> float | None:
    """Give the window that a message names (``free-models-per-day``)."""
    named = _DIMENSION.search(message[:_TEXT_MAX].lower())
    return None if named is None else _dimension(named.groups())[1]


def count_in(digits: str, fraction: str = "", thousand: str = "") -> float | None:
    """Give a number above 0 of a text; thousands may be separated or written as ``k``."""
    number = float(digits.replace(",", "") + fraction) * (1000 if thousand else 1)
    return number if 0.0 < number <= COUNT_MAX else None


def _first_of_each(found: Iterator[Found | None]) -> tuple[Found, ...]:
    limits: dict[tuple[str, float | None], Found] = {}
    for one in islice(found, 4 * _LIMITS_MAX):
        if one is not None:
            limits.setdefault((one.kind, one.window_seconds), one)
    return tuple(limits.values())[:_LIMITS_MAX]


def _stated(found: tuple[Found, ...]) -> tuple[StatedLimit, ...]:
    alone = len(found) == 1
    return tuple(
        StatedLimit(one.kind, one.limit, _remaining(one, alone=alone), None, one.window_seconds) for one in found
    )


def _remaining(one: Found, *, alone: bool) -> int | None:
    if one.remaining is not None:
        return one.remaining if one.remaining >= 0 else None
    nothing = alone and (one.limit is None or "tokens" not in one.kind)
    return 0 if nothing else None


def _found(
    kind: str, number: tuple[str, ...], window_seconds: float | None, remaining: int | None = None
) -> Found | None:
    """Give a limit; less than one a minute is one in a longer time (Together's ``0.6 queries per minute``)."""
    counted = count_in(*number)
    if not kind or counted is None:
        return None
    if counted < 1:
        if window_seconds is None or window_seconds / counted > RESET_MAX_SECONDS:
            return None
        return Found(kind, 1, window_seconds / counted)
    limit = int(counted)
    return Found(kind, limit, window_seconds, None if remaining is None else min(limit, remaining))


def _kind(which: str | None, what: str) -> str:
    if what.startswith("token"):
        prefix = {None: "", "": ""}.get(which, "input_" if which in {"i", "input", "prompt"} else "output_")
        return f"{prefix}tokens"
    return "requests" if what in _REQUESTS or what.startswith("request") else ""


def _dimension(groups: tuple[str | None, ...]) -> tuple[str, float | None]:
    """Give kind (empty for one that is not counted here) and window of the groups of `_SHORT`, `_WHAT` and `_PER`."""
    prefix, letter, short, which, what, times, unit = groups
    if letter is not None and short is not None:
        if prefix and letter != "t":
            return "", None
        return _kind(prefix, "tokens" if letter == "t" else "requests"), _SECONDS[short]
    return _kind(which, what or ""), _window(times, unit)


def _window(times: str | None, unit: str | None) -> float | None:
    if not unit:
        return None
    seconds = int(times or 1) * _SECONDS[unit[0]]
    return seconds if 0.0 < seconds <= RESET_MAX_SECONDS else None


def _at_once(text: str) -> Iterator[Found | None]:
    for match in _CONCURRENT.finditer(text):
        groups = match.groups()
        number = next(groups[at : at + 3] for at in (0, 3, 6) if groups[at])
        left = _left(text[match.end() : match.end() + _NEAR], int(count_in(*number) or 0))
        yield _found("concurrency", number, None, None if left is None or left < 0 else left)


def _without_number(text: str) -> Iterator[Found | None]:
    for match in _NO_NUMBER.finditer(text):
        which, what, period = match.groups()
        window = {"m": 60.0, "h": 3_600.0, "d": 86_400.0}.get((period or " ")[0])
        if which == "concurrent" or what == "connections":
            yield Found("concurrency", None, None)
        else:
            yield Found(_kind("" if which == "request" else which, what), None, window)

    if _CONCURRENT_NO_NUMBER.search(text):
        yield Found("concurrency", None, None)


def _numbers_first(text: str) -> Iterator[Found | None]:
    for match in _NUMBER_FIRST.finditer(text):
        if not _WAS.search(text[max(0, match.start() - 16) : match.start()]):
            yield _found(*_named(match.groups()[3:], match.groups("")[:3]))


def _numbers_last(text: str) -> Iterator[Found | None]:
    for match in _NUMBER_LAST.finditer(text):
        if not _WAS.search(text[max(0, match.start() - 16) : match.start()]):
            yield _found(*_named(match.groups()[:7], match.groups("")[7:]))


def _of_actual(text: str) -> Iterator[Found | None]:
    for match in _BOTH.finditer(text):
        kind, number, window = _named(match.groups()[:7], match.groups("")[8:])
        yield _found(kind, number, window, max(0, int(count_in(*number) or 0) - int(match[8])))


def _named(dimension: tuple[str | None, ...], number: tuple[str, ...]) -> tuple[str, tuple[str, ...], float | None]:
    kind, window = _dimension(dimension)
    return kind, number, window


def _of_litellm(text: str) -> Iterator[Found | None]:
    """Read LiteLLM's own limits; requests and tokens are counted by the minute there."""
    for match in _LITELLM.finditer(text):
        kind = "concurrency" if "parallel" in match[1] else _kind(None, match[1])
        left = _LEFT.search(text, match.end(), match.end() + 40)
        remaining = None if left is None else int(left[1])
        yield _found(kind, match.groups("")[1:], None if kind == "concurrency" else 60.0, remaining)


def _of_metric(text: str) -> Iterator[Found | None]:
    for match in _METRIC.finditer(text):
        kind = google_kind(match[1])
        yield _found(kind, match.groups("")[1:], None, 0)


def google_kind(name: str) -> str:
    """Give what a quota of Google's counts by its name, in either case; empty for anything else."""
    name = name.lower().replace("_", "")
    if "token" in name:
        return "input_tokens" if "input" in name else "output_tokens" if "output" in name else "tokens"
    return "requests" if "request" in name else ""


def _in_chinese(text: str) -> Iterator[Found | None]:
    for match in _CHINESE.finditer(text):
        yield _found("requests", (match[3], "", ""), int(match[1] or 1) * _SECONDS[match[2][0]] or None)


def _after_limit(text: str, hint: str) -> Iterator[Found | None]:
    """Read ``Limit 10000, Used 9500, Requested 800``; what is counted stands before, behind or in the envelope."""
    dimensions = list(_DIMENSION.finditer(text))
    ends = [one.end() for one in dimensions]
    for match in _LIMIT.finditer(text):
        before = bisect_right(ends, match.start())
        named = dimensions[max(0, before - 1)] if dimensions else None
        kind, window = ("", None) if named is None else _dimension(named.groups())
        number, per = match.groups("")[:3], _window(match[4], match[5])
        if named is None:
            counted = match[5] is not None
            other = not counted and _OTHER.match(text, match.end()) is not None  # 2,000,000 enqueued tokens
            kind = "" if other else _hinted(text, hint, counted=counted)
        left = _left(text[match.end() : match.end() + _NEAR], int(count_in(*number) or 0))
        yield _found(kind, number, per or window, left)


def _hinted(text: str, hint: str, *, counted: bool) -> str:
    if hint.startswith(("tokens", "requests")):
        return "tokens" if hint.startswith("tokens") else "requests"
    if not counted:
        return ""
    return "concurrency" if "concurren" in text else "tokens" if "token" in text else "requests"


def _left(behind: str, limit: int) -> int | None:
    """Give what is left of a limit; below 0 when the text speaks of a request that is too large for all of it."""
    if used := _USED.search(behind):
        return max(0, limit - int(used[1]))
    if left := _LEFT.search(behind):
        return int(left[1])
    return -1 if _REQUESTED.search(behind) else None
