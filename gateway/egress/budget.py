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
    """Counters of whole seconds for each host and key. The caller brings the time (monotonic seconds).

    At each retry that it grants, those of the last ten seconds are at most ``floor + ratio * calls``: the retries of
    eleven counters are held against the calls of ten, so that the second that is only half in the window errs on the
    safe side.

    Args:
        ratio: Retries for each call.
        floor: Retries that are always allowed in a window.
    """

    def __init__(self, ratio: float = RATIO, floor: int = FLOOR) -> None:
        self._ratio, self._floor = ratio, floor
        self._scopes: OrderedDict[tuple[str, str], deque[_Second]] = OrderedDict()

    def renew(self, ratio: float, floor: int) -> None:
        """Grant by other figures from now on; what is counted stays."""
        self._ratio, self._floor = ratio, floor

    def asked(self, host: str, key: str, now: float) -> None:
        """Count a call."""
        self._second(host, key, now).calls += 1

    def charge(self, host: str, key: str, now: float) -> None:
        """Count a retry that is not ours to refuse: one that the app's SDK makes."""
        self._second(host, key, now).retries += 1

    def spend(self, host: str, key: str, now: float) -> bool:
        """Take one retry; False when the budget is empty."""
        current = self._second(host, key, now)
        window = self._scopes[host, key]
        first = current.number - WINDOW_SECONDS + 1
        calls = sum(second.calls for second in window if second.number >= first)
        if sum(second.retries for second in window) + 1 > self._floor + self._ratio * calls:
            return False
        current.retries += 1
        return True

    def _second(self, host: str, key: str, now: float) -> _Second:
        number = int(now)
        window = self._scopes.get((host, key))
        if window is None:
            window = self._scopes[host, key] = deque(maxlen=WINDOW_SECONDS + 1)
            if len(self._scopes) > SCOPES_MAX:
                self._scopes.popitem(last=False)
        if not window or window[-1].number != number:
            window.append(_Second(number))
            while window[0].number < number - WINDOW_SECONDS:
                window.popleft()
        return window[-1]
