"""Limits that providers state in the headers of an answer. Total: what is no sensible number is None.

Go's duration is what OpenAI's resets are written in (pkg.go.dev/time#ParseDuration, read 2026-11).
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from gateway.model.call import Headers
from gateway.model.provider import StatedLimit

COUNT_MAX = 10**12
RESET_MAX_SECONDS = 32 * 86_400.0
"""The longest window that anyone counts in is a month; more is a mistake of the writer's or of ours."""

_UNITS = {b"h": 3600.0, b"m": 60.0, b"s": 1.0, b"ms": 1e-3, b"us": 1e-6, b"\xc2\xb5s": 1e-6, b"ns": 1e-9}
_PART = re.compile(rb"(\d{1,15}(?:\.\d{0,9})?)(h|ms|m|us|\xc2\xb5s|ns|s)")
_NUMBER = re.compile(rb"\d{1,15}(?:\.\d{1,9})?")
_WHOLE = re.compile(rb"\d{1,13}")
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)")

Seconds = Callable[[bytes, datetime | None], float | None]
"""A reset and the time of the answer -> seconds until then."""


class Named(NamedTuple):
    """The headers that state one limit; empty names are not looked for."""

    kind: str
    limit: bytes
    remaining: bytes
    reset: bytes = b""


def limits_of(names: Iterable[Named], seconds: Seconds) -> Callable[[Headers], tuple[StatedLimit, ...]]:
    """Give a `Provider.read_limits` for these names; a limit without any number is left out."""
    names = tuple(names)

    def read_limits(headers: Headers) -> tuple[StatedLimit, ...]:
        index = dict(headers)
        now = _date(index)
        stated = (
            StatedLimit(
                kind=name.kind,
                limit=whole(index.get(name.limit)),
                remaining=whole(index.get(name.remaining)),
                reset_seconds=seconds(index[name.reset].strip(), now) if name.reset in index else None,
            )
            for name in names
        )
        return tuple(one for one in stated if one.limit is not None or one.remaining is not None)

    return read_limits


def whole(value: bytes | None) -> int | None:
    """Read a count; negative, huge, or anything but digits is None."""
    if value is None or not _WHOLE.fullmatch(value.strip()):
        return None
    number = int(value)
    return number if number <= COUNT_MAX else None


def duration(value: bytes, _now: datetime | None = None) -> float | None:
    """Read ``6m0s``, ``20ms``, ``1m26.4s``, or plain seconds."""
    if _NUMBER.fullmatch(value):
        return _sensible(float(value))
    total, at = 0.0, 0
    for part in _PART.finditer(value[:64]):
        if part.start() != at:
            return None
        total, at = total + float(part[1]) * _UNITS[part[2]], part.end()
    return _sensible(total) if at and at == len(value) else None


def until(value: bytes, now: datetime | None) -> float | None:
    """Read a time of RFC 3339 against the answer's own, so that a wrong clock on this machine changes nothing."""
    text = value.decode("latin-1")
    if now is None or not _RFC3339.fullmatch(text):
        return None
    try:
        return _sensible(max(0.0, (datetime.fromisoformat(text.upper()) - now).total_seconds()))
    except (ValueError, OverflowError):
        return None


def until_epoch(unit: float) -> Seconds:
    """Read a time that is counted from 1970 in such units."""

    def read(value: bytes, now: datetime | None) -> float | None:
        if now is None or not _NUMBER.fullmatch(value):
            return None
        return _sensible(max(0.0, float(value) * unit - now.timestamp()))

    return read


def _sensible(seconds: float) -> float | None:
    return seconds if math.isfinite(seconds) and 0.0 <= seconds <= RESET_MAX_SECONDS else None


def _date(index: Mapping[bytes, bytes]) -> datetime | None:
    try:
        now = parsedate_to_datetime(index.get(b"date", b"").decode("latin-1"))
        return (now if now.tzinfo is not None else now.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


OPENAI_NAMES = tuple(
    Named(kind, b"x-ratelimit-limit-" + name, b"x-ratelimit-remaining-" + name, b"x-ratelimit-reset-" + name)
    for kind, name in (("requests", b"requests"), ("tokens", b"tokens"))
)
"""OpenAI's names, which many have taken over."""

read_openai_limits = limits_of(OPENAI_NAMES, duration)
