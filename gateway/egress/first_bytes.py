"""How long answers take to begin, by host and model: an attempt that cannot begin in time is not worth its price."""

from collections import OrderedDict, deque
from dataclasses import dataclass, field

KEPT = 64
ENOUGH = 8
"""Fewer answers say nothing about the slowest tenth."""

SHARE = 0.9
SCOPES_MAX = 1_000


@dataclass(slots=True)
class _Took:
    seconds: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT))
    heard: int = 0
    usual: float = 0.0


class FirstBytes:
    """The last answers of each host, model and way (streamed or whole)."""

    def __init__(self) -> None:
        self._took: OrderedDict[tuple[str, str, bool], _Took] = OrderedDict()

    def note(self, host: str, model: str, seconds: float, *, stream: bool) -> None:
        """Remember how long a good answer took to begin, from when it was asked for."""
        took = self._took.get((host, model, stream))
        if took is None:
            took = self._took[host, model, stream] = _Took()
            if len(self._took) > SCOPES_MAX:
                self._took.popitem(last=False)
        took.seconds.append(seconds)
        took.heard += 1
        if took.heard % ENOUGH == 0:  # the order of 64 numbers is not worth an effort for each call
            ordered = sorted(took.seconds)
            took.usual = ordered[min(len(ordered) - 1, int(len(ordered) * SHARE))]

    def usual(self, host: str, model: str, *, stream: bool) -> float:
        """Give the 90th percentile in seconds, 0.0 while nothing is known."""
        took = self._took.get((host, model, stream))
        return 0.0 if took is None else took.usual
