"""The numbers of this very call, out of the words of its refusal: limits, what was asked, what is too much. Pure.

Wordings (read 2026-11): OpenAI ("maximum context length is N tokens. However, you requested M tokens"; "Limit N, Used
M, Requested K"), Anthropic ("prompt is too long: M tokens > N maximum"; "A + B > N"), Google ("token count (M)
exceeds the maximum number of tokens allowed (N)"), vLLM, DashScope ("Range of input length should be [1, N]").
"""

import re
from collections.abc import Mapping

from gateway.model.cause import Cause

_CHARACTERS = 4_000
_N = r"(\d{1,3}(?:,\d{3}){1,4}|\d{1,12})"
_LIMIT = re.compile(
    rf"(?:(?:maximum context length|context length|context window)(?: is| of)?"
    rf"|maximum(?: number)?(?: of)?(?: input)? tokens(?: allowed)?(?: is| of)?|supports at most|at most|up to"
    rf"|limit(?: is|:)?|less than or equal to|max(?:imum)?(?: is|:)?|less than|allowed|tokens >)[ (]{{1,3}}{_N}",
    re.IGNORECASE,
)
_AFTER = re.compile(rf"> ?{_N} maximum|{_N} tokens? maximum|\[\d{{1,6}}, ?{_N}\]", re.IGNORECASE)
_ASKED = re.compile(
    rf"(?:you requested(?: about| a total of| up to)?|requested(?: about)?:?|resulted in|prompt contains"
    rf"|input (?:token )?count|token count|too long:|provided|too large:|contains|has|received|got|with|you sent"
    rf"|prefill|exceeds?|tokens:)[ (]{{1,3}}{_N}",
    re.IGNORECASE,
)
_USED = re.compile(rf"(?:used|current):? {{1,2}}{_N}", re.IGNORECASE)
_PROMPT = re.compile(
    rf"{_N} (?:in your prompt|in the messages|of text input|in the prompt|from the input)"
    rf"|input length and `?max_tokens`? exceed context limit: {_N}",
    re.IGNORECASE,
)
_ALONE = re.compile(rf"(?<![-\w.]){_N}(?![-\w])")
"""No part of a model's name, a date or an id."""

_SUM = re.compile(rf"{_N} \+ {_N} > {_N}")
"""What the prompt takes, what is kept for the answer, and the room that there is for both."""

_OUTPUT_MIN = 16


def read_numbers(cause: Cause, message: str) -> Mapping[str, int]:
    """Give ``limit``, ``used``, ``requested``, ``over`` and ``max_tokens`` as far as the message states them."""
    text = message[:_CHARACTERS]
    if cause is Cause.REQUEST_CONTEXT_LENGTH and (total := _SUM.search(text)) is not None:
        prompt, output, room = (int(one.replace(",", "")) for one in total.groups())
        over = {"limit": room, "requested": prompt + output, "over": prompt + output - room}
        return over | ({"max_tokens": room - prompt} if room - prompt >= _OUTPUT_MIN else {})
    found = {
        "limit": _first(_LIMIT, text) or _first(_AFTER, text),
        "used": _first(_USED, text),
        "requested": _first(_ASKED, text),
    }
    before = _first(_PROMPT, text)
    limit, asked, used = found["limit"], found["requested"], found["used"]
    if cause is Cause.REQUEST_CONTEXT_LENGTH and (limit is None or asked is None or asked <= limit):
        low, high = _pair(text)
        limit, asked = (low, high) if high is not None else (limit, None)
        found |= {"limit": limit, "requested": asked}
    if limit is not None and asked is not None:
        found["over"] = asked + (used or 0) - limit
        if cause is Cause.REQUEST_CONTEXT_LENGTH and before is not None and limit - before >= _OUTPUT_MIN:
            found["max_tokens"] = limit - before
    if cause is Cause.REQUEST_INVALID_PARAMETER and limit is not None:
        found["max_tokens"] = limit
    return {name: value for name, value in found.items() if value is not None and value > 0}


def _first(pattern: re.Pattern[str], text: str) -> int | None:
    match = pattern.search(text)
    return None if match is None else next(int(one.replace(",", "")) for one in match.groups() if one is not None)


def _pair(text: str) -> tuple[int | None, int | None]:
    """Give the smaller and the larger of two numbers: a limit and what was above it."""
    numbers = sorted({int(one.replace(",", "")) for one in _ALONE.findall(text)[:20]} - set(range(100)))
    return (numbers[0], numbers[-1]) if len(numbers) == 2 else (None, None)
