"""When the events of a stream came: counted in so few slots that a stream of any length fits.

A stream that outgrows its slots has pairs of them put together, so that each is twice as long from then on.
"""

SLOTS = 64
SLOT_SECONDS = 0.05


class Rhythm:
    """Counts events over time. The caller brings the time: monotonic seconds.

    Attributes:
        began_at: When the first came, None before.
        slot_seconds: How long a slot is by now.
        counts: Events in each slot, the first slot beginning at ``began_at``; at most `SLOTS`.
        count: All of them.
        gap_seconds: The longest time between two, and ``gap_at``, when that silence began.
    """

    __slots__ = ("_last_at", "began_at", "count", "counts", "gap_at", "gap_seconds", "slot_seconds")

    def __init__(self) -> None:
        self.began_at: float | None = None
        self.slot_seconds = SLOT_SECONDS
        self.counts: list[int] = []
        self.count = 0
        self.gap_seconds = self.gap_at = self._last_at = 0.0

    def beat(self, now: float, events: int) -> None:
        """Count events that came together."""
        if self.began_at is None:
            self.began_at = self._last_at = now
        silent = now - self._last_at
        if silent > self.gap_seconds:
            self.gap_seconds, self.gap_at = silent, self._last_at
        self._last_at = now
        self.count += events
        slot = int((now - self.began_at) / self.slot_seconds)
        while slot >= SLOTS:
            self._put_together()
            slot = int((now - self.began_at) / self.slot_seconds)
        if slot >= len(self.counts):
            self.counts += [0] * (slot + 1 - len(self.counts))
        self.counts[slot] += events

    def _put_together(self) -> None:
        self.slot_seconds *= 2
        self.counts = [sum(self.counts[at : at + 2]) for at in range(0, len(self.counts), 2)]
