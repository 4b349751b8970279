"""Whole bodies, while somebody wants to see them: for some calls, for a limited time, and never after a restart.

Failed answers are kept in part anyway. A prompt may hold anything, so it is kept only on request, within bounds, with
credentials struck out, and everybody who looks at the page is told.
"""

from dataclasses import asdict, dataclass
from typing import Any

from gateway.model.clock import Clock
from gateway.model.route import Route

SECONDS_MAX = 3_600
BODY_BYTES = 256 * 1024
"""Of a request, and of an answer. Striking out credentials takes the writer's thread 0.7 ms a KiB."""
PENDING_BYTES = 4 * 1024 * 1024
"""Of the bodies that wait for the writer's thread: what it works through in three seconds, less than it has at the end.
A call beyond that gets its row without them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """Which calls; an empty field is for all."""

    provider: str = ""
    endpoint: str = ""
    model: str = ""

    def fits(self, route: Route) -> bool:
        """Whether a call is among them."""
        return (
            self.provider in {"", route.provider.name}
            and self.endpoint in {"", route.endpoint.name}
            and self.model in {"", route.model}
        )


class Capture:
    """Whether bodies are kept at this moment. Begun and ended by the page, asked by the path; on one event loop."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until: float | None = None
        self._wanted = Captured()
        self._kept = self._missed = 0

    def begin(self, wanted: Captured, seconds: float) -> None:
        """Keep the bodies of such calls that end from now on; what was begun before is replaced.

        Raises:
            ValueError: For no time, or for more than `SECONDS_MAX`.
        """
        if not 0 < seconds <= SECONDS_MAX:
            raise ValueError(f"bodies are kept for 1 to {SECONDS_MAX} seconds, not for {seconds:g}")
        self._wanted, self._until = wanted, self._clock.now() + seconds
        self._kept = self._missed = 0

    def end(self) -> None:
        """Keep no more. What was kept stays in the log until it is deleted by age."""
        self._until = None

    def wants(self, route: Route | None) -> bool:
        """Whether the bodies of a call are to be kept. Costs nothing while nobody asked."""
        if self._until is None or route is None:
            return False
        if self._clock.now() >= self._until:
            self._until = None
            return False
        return self._wanted.fits(route)

    def count(self, *, kept: bool) -> None:
        """Count a call that was wanted: its bodies were kept, or missed because too many waited to be written."""
        if kept:
            self._kept += 1
        else:
            self._missed += 1

    def view(self) -> dict[str, Any] | None:
        """Give ``{provider, endpoint, model, left_seconds, kept, missed}``, None while nothing is kept."""
        left = 0.0 if self._until is None else self._until - self._clock.now()
        if left <= 0:
            return None
        counts = {"kept": self._kept, "missed": self._missed}
        return {**asdict(self._wanted), "left_seconds": round(left, 1), **counts}
