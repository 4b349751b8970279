"""An exact sliding window: in any stretch of ``seconds`` there are at most ``limit`` grants, bursts included."""

from collections import deque


class Window:
    """Counts grants. The caller brings the time (monotonic seconds, never going back).

    Args:
        limit: Grants in any window; at least 1.
        seconds: The window's length.
    """

    __slots__ = ("_grants", "limit", "seconds")

    def __init__(self, limit: int, seconds: float) -> None:
        if limit < 1 or not seconds > 0:
            message = f"a window needs a limit of at least 1 and a length above 0 s, not {limit} in {seconds} s"
            raise ValueError(message)
        self.limit, self.seconds = limit, seconds
        self._grants: deque[float] = deque(maxlen=limit)

    def free_at(self, now: float, ahead: int = 0) -> float:
        """Say when a grant is possible, at the earliest ``now``, if ``ahead`` others are granted first."""
        self._forget(now)
        used = len(self._grants)
        index = used + ahead - self.limit
        if index < 0:
            return now
        whole, place = divmod(index, self.limit)
        # Grants to come are assumed as early as possible: the window then repeats itself every `seconds`.
        first = self._grants[place] if place < used else now
        return first + (whole + 1) * self.seconds

    def grant(self, now: float) -> None:
        """Count one. Only after `free_at` said now."""
        self._grants.append(now)

    def give_back(self, at: float) -> None:
        """Take the grant of that moment back: it was not used."""
        for place in range(len(self._grants) - 1, -1, -1):  # a grant that is given back is among the latest
            if self._grants[place] <= at:
                if self._grants[place] == at:
                    del self._grants[place]
                return

    def move(self, granted_at: float, sent_at: float) -> None:
        """Count a grant from when it was used: a provider counts what arrives, not what we meant to send."""
        self.give_back(granted_at)
        self._grants.append(sent_at)

    def remaining(self, now: float) -> int:
        """How many may go at once."""
        self._forget(now)
        return self.limit - len(self._grants)

    def _forget(self, now: float) -> None:
        while self._grants and self._grants[0] + self.seconds <= now:
            self._grants.popleft()
