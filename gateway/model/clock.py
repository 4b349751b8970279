"""Time as a value that is handed in, so that a test can move it by hand."""

import time
from typing import Protocol


class Clock(Protocol):
    """Two clocks: waits are measured on the monotonic one, rows are dated on the wall."""

    def now(self) -> float:
        """Monotonic seconds; the zero means nothing."""
        ...

    def wall(self) -> float:
        """Seconds since the Unix epoch, UTC. May jump."""
        ...


class SystemClock:
    """The machine's own clocks."""

    now = staticmethod(time.monotonic)
    wall = staticmethod(time.time)
