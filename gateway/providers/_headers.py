"""Limits that providers state in the headers of an answer. Total: what is no sensible number is None.

Go's duration is what OpenAI's resets are written in (pkg.go.dev/time#ParseDuration, read 2026-11).
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import NamedTuple

from gateway.model.call import Headers
from gateway.model.provider import StatedLimit

COUNT_MAX = 10**12
RESET_MAX_SECONDS = 32 * 86_400.0
"""The longest window that anyone counts in is a month; more is a mistake of the writer's or of ours."""

_SMALL = {b"ms": 1e-3, b"us": 1e-6, b"\xc2\xb5s": 1e-6, b"ns": 1e-9}
_PART = rb"(\d{1,15}(?:\.\d{0,9})?)"
_DURATION = re.compile(rb"(?:%bh)?(?:%bm(?!s))?(?:%bs)?(?:%b(ms|us|\xc2\xb5s|ns))?" % (_PART, _PART, _PART, _PART))
_NUMBER = re.compile(rb"\d{1,15}(?:\.\d{1,9})?")
_DIGITS_MAX = 13
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)")

Seconds = Callable[[bytes, datetime | None], float | None]
"""A reset and the time of the answer -> seconds until then."""


class Named(NamedTuple):
    """The headers that state one limit, and its window where that is documented; empty names are not looked for."""

    kind: str
    limit: bytes
    remaining: bytes
    reset: bytes = b""
    window_seconds: float | None = None


def limits_of(
    names: Iterable[Named], seconds: Seconds, *, dated: bool = False
) -> Callable[[Headers], tuple[StatedLimit, ...]]:
    """Give a `Provider.read_limits` for these names; ``dated`` when a reset is a time, which needs the answer's Date.

    This runs on every answer: where no header has such a name, nothing is read at all.
    """
    names = tuple(names)
    wanted = frozenset(header for name in names for header in name[1:4] if header)

    def read_limits(headers: Headers) -> tuple[StatedLimit, ...]:
        index = {name: value for name, value in headers if name in wanted}
        if not index:
            return ()
        return stated_by(names, index, seconds, answered_at(headers) if dated else None)

    return read_limits


def stated_by(
    names: Iterable[Named], index: Mapping[bytes, bytes], seconds: Seconds, now: datetime | None
) -> tuple[StatedLimit, ...]:
    """Give what these headers state; a limit of 0 is no statement, nor is one without any number."""
    stated = []
    for kind, limit_name, remaining_name, reset_name, window_seconds in names:
        limit, remaining = whole(index.get(limit_name)), whole(index.get(remaining_name))
        if limit == 0 or (limit is None and remaining is None):
            continue
        reset = index.get(reset_name)
        stated.append(
            StatedLimit(kind, limit, remaining, None if reset is None else seconds(reset.strip(), now), window_seconds)
        )
    return tuple(stated)


def whole(value: bytes | None) -> int | None:
    """Read a count; negative, huge, or anything but digits is None."""
    if value is None:
        return None
    value = value.strip()
    if not value.isdigit() or len(value) > _DIGITS_MAX:
        return None
    number = int(value)
    return number if number <= COUNT_MAX else None


def duration(value: bytes, _now: datetime | None = None) -> float | None:
    """Read ``6m0s``, ``20ms``, ``1m26.4s``, or plain seconds."""
    if _NUMBER.fullmatch(value):
        return sensible(float(value))
    parts = _DURATION.fullmatch(value)
    if parts is None:
        return None
    hours, minutes, seconds, small, unit = parts.groups(b"0")
    total = float(hours) * 3600.0 + float(minutes) * 60.0 + float(seconds) + float(small) * _SMALL.get(unit, 0.0)
    return sensible(total) if value else None


def until(value: bytes, now: datetime | None) -> float | None:
    """Read a time of RFC 3339 against the answer's own, so that a wrong clock on this machine changes nothing."""
    text = value.decode("latin-1")
    if now is None or not _RFC3339.fullmatch(text):
        return None
    try:
        return sensible(max(0.0, (datetime.fromisoformat(text.upper()) - now).total_seconds()))
    except (ValueError, OverflowError):
        return None


def until_epoch(unit: float) -> Seconds:
    """Read a time that is counted from 1970 in such units."""

    def read(value: bytes, now: datetime | None) -> float | None:
        if now is None or not _NUMBER.fullmatch(value):
            return None
        return sensible(max(0.0, float(value) * unit - now.timestamp()))

    return read


def sensible(seconds: float) -> float | None:
    """Give a time that somebody could mean, else None."""
    return seconds if math.isfinite(seconds) and 0.0 <= seconds <= RESET_MAX_SECONDS else None


def answered_at(headers: Headers) -> datetime | None:
    """Give the time of the answer by its own Date."""
    return next((_date(value) for name, value in reversed(headers) if name == b"date"), None)


@lru_cache(maxsize=32)  # every answer of the same second says the same
def _date(value: bytes) -> datetime | None:
    try:
        now = parsedate_to_datetime(value[:64].decode("latin-1"))
        return (now if now.tzinfo is not None else now.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def openai_names(*, requests: float | None = None, tokens: float | None = None) -> tuple[Named, ...]:
    """Give OpenAI's names, which many have taken over, with the windows that are documented for them."""
    return tuple(
        Named(
            kind,
            f"x-ratelimit-limit-{kind}".encode(),
            f"x-ratelimit-remaining-{kind}".encode(),
            f"x-ratelimit-reset-{kind}".encode(),
            window,
        )
        for kind, window in (("requests", requests), ("tokens", tokens))
    )


OPENAI_NAMES = openai_names()
"""Requests are counted by the minute or by the day, depending on account and model; the answer does not say."""

read_openai_limits = limits_of(OPENAI_NAMES, duration)
