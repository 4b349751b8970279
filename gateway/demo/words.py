"""How one call is told in a few words in the live table."""

from dataclasses import dataclass

from gateway.demo.board import FROM_CACHE, Row, Seen
from gateway.show.plain import duration, plain

_WAIT_WORTH_SAYING_MS = 100.0
_UNDER_WAY = {"connecting": "asking", "streaming": "answering"}


@dataclass(frozen=True, slots=True)
class Words:
    """A state with what there is to say about it, and the style of both."""

    state: str
    detail: str
    style: str


def who(row: Row) -> str:
    """Name whom it asks."""
    return plain(row["provider"] or row["kind"])


def what(row: Row) -> str:
    """Name what it asks for."""
    return plain(row["model"] or row["host"])


def words(seen: Seen, now: float) -> Words:
    """Tell where a call stands."""
    row, state = seen.row, seen.state
    if seen.done:
        return _ended(row)
    if state in _UNDER_WAY:
        return Words(_UNDER_WAY[state], "once more" if len(row["attempts"]) > 1 else "", "cyan")
    eta_seconds = seen.eta_seconds(now)
    soon = "now" if eta_seconds < 0.05 else f"in {eta_seconds:.1f} s"
    if state == "queued":
        return Words("queued", f"its turn {soon}", "yellow")
    why = plain(row["wait_reason"] or "").partition(": ")[2]
    return Words("waiting", f"tries again {soon}{why and f' ({why})'}", "magenta")


def _ended(row: Row) -> Words:
    if row["cause"]:
        return Words("failed", plain(row["cause"]), "red")
    if row["cache"] in FROM_CACHE:
        return Words("cached", "from the cache", "blue")
    parts = []
    if row["queue_ms"] >= _WAIT_WORTH_SAYING_MS:
        parts.append(f"waited {duration(row['queue_ms'])} for its turn")
    if len(row["attempts"]) > 1:
        parts.append(f"got {row['attempts'][0]['status'] or 'nothing'} first, retried")
    return Words("answered", ", ".join(parts), "green")
