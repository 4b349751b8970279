"""Counters and histograms that cost a dictionary look-up, and the bounds that keep their number small.

prometheus-client's own are not used: each keeps a lock, a time of creation and an object for every bucket. What is
counted here is turned into its families when somebody asks. Not safe between threads: `gateway.observe.observer` has
the lock.
"""

from bisect import bisect_left
from collections.abc import Callable

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.utils import floatToGoString

OTHER = "other"
NONE = "none"

Labels = tuple[str, ...]
Fold = Callable[[Labels], Labels]
"""Labels of a series for which there is no room any more -> those that it is counted under."""


class Names:
    """The values of one label: the first ``room`` that come, and `OTHER` for the rest.

    Half of the room is kept for names that have proven true, so that a crowd of invented ones leaves some for those
    that come later.
    """

    def __init__(self, room: int) -> None:
        self._room = room
        self._known: set[str] = set()

    def of(self, name: str, *, proven: bool = False) -> str:
        """Give the label's value. ``proven``: somebody else knows the name too."""
        if not name:
            return NONE
        if name in self._known:
            return name
        if len(self._known) < (self._room if proven else self._room // 2):
            self._known.add(name)
            return name
        return OTHER


class Counter:
    """Counts by labels. ``room`` bounds the series; what is beyond is folded."""

    def __init__(
        self, name: str, text: str, labels: Labels = (), *, room: int = 1000, fold: Fold | None = None
    ) -> None:
        self.name, self.text, self.labels = name, text, labels
        self._room, self._fold = room, fold
        self._values: dict[Labels, float] = {} if labels else {(): 0.0}

    def add(self, labels: Labels = (), amount: float = 1.0) -> None:
        """Count."""
        values = self._values
        if labels not in values:
            if len(values) >= self._room and self._fold is not None:
                labels = self._fold(labels)
            values.setdefault(labels, 0.0)
        values[labels] += amount

    def family(self) -> CounterMetricFamily:
        """Give it as it is read."""
        family = CounterMetricFamily(self.name, self.text, labels=self.labels)
        for labels, value in self._values.items():
            family.add_metric(labels, value)
        return family


class Histogram:
    """Durations by labels, in seconds."""

    def __init__(
        self,
        name: str,
        text: str,
        bounds: tuple[float, ...],
        labels: Labels = (),
        *,
        room: int = 1000,
        fold: Fold | None = None,
    ) -> None:
        self.name, self.text, self.labels = name, text, labels
        self._bounds, self._room, self._fold = bounds, room, fold
        self._values: dict[Labels, list[float]] = {} if labels else {(): self._empty()}

    def add(self, seconds: float, labels: Labels = ()) -> None:
        """Count one duration."""
        held = self._values.get(labels)
        if held is None:
            if len(self._values) >= self._room and self._fold is not None:
                labels = self._fold(labels)
            held = self._values.setdefault(labels, self._empty())
        held[bisect_left(self._bounds, seconds)] += 1
        held[-1] += seconds

    def family(self) -> HistogramMetricFamily:
        """Give it as it is read: each bucket holds those below it."""
        family = HistogramMetricFamily(self.name, self.text, labels=self.labels)
        bounds = [*map(floatToGoString, self._bounds), "+Inf"]
        for labels, held in self._values.items():
            count, buckets = 0.0, []
            for bound, more in zip(bounds, held, strict=False):
                count += more
                buckets.append((bound, count))
            family.add_metric(labels, buckets, held[-1])
        return family

    def _empty(self) -> list[float]:
        """One place for each bound, one for what is above all, and the sum."""
        return [0.0] * (len(self._bounds) + 2)
