"""What the gateway's live feed has told so far: one row a call, and since when it stands as it does."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

type Row = dict[str, Any]

FROM_CACHE = frozenset({"hit", "collapsed", "stale"})


@dataclass(frozen=True, slots=True)
class Seen:
    """A row as last heard of, and when (monotonic seconds)."""

    row: Row
    at: float

    @property
    def state(self) -> str:
        """Where the call stands."""
        return str(self.row["state"])

    @property
    def done(self) -> bool:
        """Whether it is over."""
        return self.state == "done"

    def eta_seconds(self, now: float) -> float:
        """How long it still waits, as far as the gateway knew."""
        return max(0.0, (self.row.get("eta_ms") or 0) / 1000 - (now - self.at))


@dataclass(slots=True)
class Board:
    """All calls, by their number."""

    on_done: Callable[[Row], None] = lambda _: None
    seen: dict[int, Seen] = field(default_factory=dict)

    def take(self, row: Row, now: float) -> None:
        """Take in a row, unless a newer one of the same call is known."""
        known = self.seen.get(row["seq"])
        if known is not None and known.row["rev"] >= row["rev"]:
            return
        self.seen[row["seq"]] = Seen(row, now)
        if row["state"] == "done":
            self.on_done(row)

    @property
    def rows(self) -> list[Row]:
        """All rows, oldest first."""
        return [self.seen[seq].row for seq in sorted(self.seen)]

    def view(self, room: int, now: float) -> tuple[list[Seen], int]:
        """Choose what to show: who waits (the next one lowest), what is under way, what ended (the latest highest).

        A call moves down through these as it proceeds. When there are too many, calls that would go later and ended
        ones of long ago are left out first.

        Returns:
            At most ``room`` rows, and how many that wait are left out above them.
        """
        every = list(self.seen.values())
        queued = sorted((s for s in every if s.state == "queued"), key=lambda s: -s.row["seq"])
        queued.sort(key=lambda s: -s.eta_seconds(now))
        under_way = sorted((s for s in every if s.state not in {"queued", "done"}), key=lambda s: -s.row["seq"])
        ended = sorted((s for s in every if s.done), key=lambda s: (-s.at, -s.row["seq"]))
        under_way = under_way[: max(1, room - 2)]
        rest = room - len(under_way)
        shown_queued = queued[len(queued) - min(len(queued), max(rest // 2, rest - len(ended))) :]
        shown = [*shown_queued, *under_way]
        return [*shown, *ended[: room - len(shown)]], len(queued) - len(shown_queued)
