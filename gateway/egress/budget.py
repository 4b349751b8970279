"""The retry budget: retries may be a share of what was asked lately, and never more, so that a storm stays a breeze."""

from collections import OrderedDict, deque
from dataclasses import dataclass

RATIO = 0.2
WINDOW_SECONDS = 10
FLOOR = 3
"""Retries that are always allowed in a window. Envoy's and linkerd's defaults are the same 20 % and a small floor."""

SCOPES_MAX = 10_000


@dataclass(slots=True)
class _Second:
    number: int
    calls: int = 0
    retries: int = 0


class RetryBudget:
    """One window of ten one-second counters for each host and key. The caller brings the time (monotonic seconds)."""

    def __init__(self) -> None:
        self._scopes: OrderedDict[tuple[str, str], deque[_Second]] = OrderedDict()

    def asked(self, host: str, key: str, now: float) -> None:
        """Count a call."""
        self._second(host, key, now).calls += 1

    def spend(self, host: str, key: str, now: float) -> bool:
        """Take one retry; False when the budget is empty."""
        current = self._second(host, key, now)
        window = self._scopes[host, key]
        if sum(s.retries for s in window) >= FLOOR + RATIO * sum(s.calls for s in window):
            return False
        current.retries += 1
        return True

    def _second(self, host: str, key: str, now: float) -> _Second:
        number = int(now)
        window = self._scopes.get((host, key))
        if window is None:
            window = self._scopes[host, key] = deque(maxlen=WINDOW_SECONDS)
            if len(self._scopes) > SCOPES_MAX:
                self._scopes.popitem(last=False)
        if not window or window[-1].number != number:
            window.append(_Second(number))
            while window[0].number <= number - WINDOW_SECONDS:
                window.popleft()
        return window[-1]
