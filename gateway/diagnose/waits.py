"""How long somebody says to wait: in a header, in a field of the envelope, in the words of the message. Pure.

Forms (read 2026-11): ``Retry-After`` in seconds or as a date (RFC 9110 section 10.2.3), ``retry-after-ms``, resets of a
subscription (``x-codex-primary-reset-after-seconds``), Google's ``RetryInfo.retryDelay``, ``resets_in_seconds``, and
texts: "try again in 7m12s", "retry after 86400 seconds", "in 174ms", "reset after 8h44m7s".
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

MAX_SECONDS = 400 * 86_400.0

_UNITS = {
    "ms": 1e-3, "milliseconds": 1e-3, "millisecond": 1e-3, "s": 1.0, "sec": 1.0, "secs": 1.0, "second": 1.0,
    "seconds": 1.0, "m": 60.0, "min": 60.0, "mins": 60.0, "minute": 60.0, "minutes": 60.0, "h": 3600.0, "hr": 3600.0,
    "hrs": 3600.0, "hour": 3600.0, "hours": 3600.0, "d": 86400.0, "day": 86400.0, "days": 86400.0, "秒": 1.0,
    "分钟": 60.0, "小时": 3600.0,
}  # fmt: skip
_LEAD = re.compile(
    r"(?:try again|retry|wait|retry after|reset|resets|available|reset after|again)(?: again)?(?: in| after| for)?"
    r" {1,3}(?:about |approximately |another )?(?=\d)|请在 ?(?=\d)|等待 ?(?=\d)",
    re.IGNORECASE,
)
_PART = re.compile(r" {0,2}(\d{1,9}(?:\.\d{1,9})?) {0,2}([a-z]{1,12}|秒|分钟|小时)", re.IGNORECASE)
_SECONDS_FIELDS = ("resets_in_seconds", "clears_in", "retry_after", "retry_after_seconds", "retryafter", "retry-after")
_DELAY = re.compile(r'"retrydelay": ?"(\d{1,8}(?:\.\d{1,9})?)s"')


def stated_wait(headers: Mapping[str, str], numbers: Mapping[str, float], message: str, raw: str) -> float | None:
    """Give the seconds that the answer says to wait, the most exact form first; None when it does not say.

    Args:
        headers: Of the answer, names in lower case.
        numbers: Of its envelope.
        message: Of its envelope.
        raw: The start of its body in lower case.
    """
    stated = (
        _number(headers.get("retry-after-ms", ""), 1e-3),
        _number(headers.get("x-ms-retry-after-ms", ""), 1e-3),
        whole := _retry_after(headers),
        _number(headers.get("x-codex-primary-reset-after-seconds", ""), 1.0),
        *(_sensible(value) for name, value in numbers.items() if name.lower() in _SECONDS_FIELDS),
        _delay(raw),
        words := in_words(message),
    )
    found = [seconds for seconds in stated if seconds is not None]
    if found and found[0] == whole and words is not None and 0 < whole - words < 1:
        return words  # the header is the same, rounded up to a second
    return next((seconds for seconds in found if seconds > 0), found[0] if found else None)


def in_words(text: str) -> float | None:
    """Read "try again in 1m26.4s"; None when the text names no wait."""
    for lead in _LEAD.finditer(text[:4000]):
        total, at = 0.0, lead.end()
        while (part := _PART.match(text, at)) is not None and part[2].lower() in _UNITS:
            total, at = total + float(part[1]) * _UNITS[part[2].lower()], part.end()
        if at > lead.end():
            return _sensible(total)
    return None


def span(seconds: float) -> str:
    """Give a time as people say it: ``26 s``, ``7 min``, ``3 h``, ``5 days``."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 120:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.2g} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 172_800 else f"{seconds / 86_400:.0f} days"


def _retry_after(headers: Mapping[str, str]) -> float | None:
    value = headers.get("retry-after", "").strip()
    if (seconds := _number(value, 1.0)) is not None:
        return seconds
    try:
        at, now = parsedate_to_datetime(value), parsedate_to_datetime(headers.get("date", ""))
        return _sensible(max(0.0, (_aware(at) - _aware(now)).total_seconds()))
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _delay(raw: str) -> float | None:
    found = _DELAY.search(raw[:16_000])
    return _sensible(float(found[1])) if found else None


def _number(text: str, unit: float) -> float | None:
    text = text.strip()
    if not text or not text.isascii() or not text.replace(".", "", 1).isdigit() or len(text) > 15:
        return None
    return _sensible(float(text) * unit)


def _sensible(seconds: float) -> float | None:
    return seconds if 0.0 <= seconds <= MAX_SECONDS else None
