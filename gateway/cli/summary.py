"""The last words of ``whygate run``: one block when calls failed, one line when something was saved."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from gateway.state import Runtime

_CAUSES_SHOWN = 5
_WAIT_WORTH_SAYING_SECONDS = 1.0
_TRIVIAL_SECONDS = 1.0
"""What lives shorter than this may well have had nothing to call for."""
_NO_CALL = (
    "whygate: no call came through whygate. `whygate run --check -- CMD` shows whether this program can be reached."
)
_FROM_CACHE = frozenset({"hit", "collapsed", "stale"})


def last_words(rows: Sequence[dict[str, Any]], runtime: Runtime, lived_seconds: float) -> str:
    """Say how the calls went.

    Args:
        rows: As the page API gives them, newest first.
        runtime: The gateway that they went through.
        lived_seconds: How long the command ran.
    """
    failed = [row for row in rows if row.get("cause")]
    helped = sum(_is_helped(row) for row in failed)
    # A tunnel that went well is no call to a provider; one that failed may be why there was none.
    calls = [row for row in rows if row.get("kind") != "tunnel" or row.get("cause")]
    if failed:
        return "\n".join(_block(calls, failed, runtime, helped))
    if not calls:
        return _NO_CALL if lived_seconds >= _TRIVIAL_SECONDS else ""
    saved = _saved(calls)
    return f"whygate: {_count(len(calls), 'call')}, none failed; {saved}." if saved else ""


def _is_helped(row: dict[str, Any]) -> bool:
    """Whether the app has an answer although its provider gave none: an older one, or a fallback's."""
    return bool(row.get("fallback") or row.get("cache") == "stale") and (row.get("status") or 599) < 400


def _block(
    calls: Sequence[dict[str, Any]], failed: Sequence[dict[str, Any]], runtime: Runtime, helped: int
) -> list[str]:
    by_cause: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in failed:
        by_cause[row["cause"]].append(row)
    told = f"; {helped} of them got an older answer or a fallback's instead" if helped else ""
    lines = ["", f"whygate: {_count(len(calls), 'call')}, {len(failed)} failed{told}."]
    ordered = sorted(by_cause.items(), key=lambda item: -len(item[1]))
    for cause, rows in ordered[:_CAUSES_SHOWN]:
        diagnosis = rows[0].get("diagnosis") or {}
        lines.append(f"  {len(rows)} x {cause}: {_line(diagnosis.get('title') or 'no title')}")
        if diagnosis.get("what_happened"):
            lines.append(f"      {_line(diagnosis['what_happened'])}")
        if diagnosis.get("what_to_do"):
            lines.append(f"      What to do: {_line(diagnosis['what_to_do'][0])}")
    if len(ordered) > _CAUSES_SHOWN:
        lines.append(f"  ... and {len(ordered) - _CAUSES_SHOWN} other causes")
    # The page of a gateway that ends with this command would be gone before anyone clicks.
    lines.append("  More: whygate flows" + ("" if runtime.ends_with_runs else f"   or {runtime.page_link}"))
    return lines


def _saved(calls: Sequence[dict[str, Any]]) -> str:
    retried = sum(len(row.get("attempts") or ()) > 1 for row in calls)
    cached = sum(row.get("cache") in _FROM_CACHE for row in calls)
    waited_seconds = sum(row.get("queue_ms") or 0.0 for row in calls) / 1_000
    parts = []
    if retried:
        parts.append(f"{retried} went through after a retry")
    if cached:
        parts.append(f"{cached} answered from the cache")
    if waited_seconds >= _WAIT_WORTH_SAYING_SECONDS:
        parts.append(f"{waited_seconds:.0f} s waited to stay under limits")
    return ", ".join(parts)


def _line(text: Any) -> str:
    """Keep a text that came from elsewhere on one line, without control characters."""
    return "".join(c if c.isprintable() else " " for c in str(text))


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"
