"""The first moments of a scope about which nothing is known.

One call goes first. Every answer lets one more be under way without one, so that each round of answers doubles them (as
TCP's slow start does, RFC 5681 section 3.1), and so does every half second: a slow first answer holds nobody back for
long, and a strict provider sees no burst. It is over when an answer states a limit, at 64, or after three seconds.
Doubling with every single answer let the fourth round go out all at once: 33 of 40 calls were refused by a strict
provider that states nothing.
"""

STEP_SECONDS = 0.5
OVER_SECONDS = 3.0
OVER_AT = 64


class Starting:
    """Counts what is under way without an answer. The caller brings the time."""

    __slots__ = ("_answers", "_began", "_out", "over")

    def __init__(self) -> None:
        self._began: float | None = None
        self._answers = self._out = 0
        self.over = False

    def wait(self, now: float) -> float:
        """Seconds until one more may go, 0.0 for now; an answer may come before."""
        if self.over or self._began is None:
            return 0.0
        passed = max(0.0, now - self._began)
        window = (1 + self._answers) << min(int(passed / STEP_SECONDS), 16)
        if window >= OVER_AT or passed >= OVER_SECONDS:
            self.over = True
            return 0.0
        if self._out < window:
            return 0.0
        left = self._began + (int(passed / STEP_SECONDS) + 1) * STEP_SECONDS - now
        return min(STEP_SECONDS, left) if now >= self._began else left

    def went(self, now: float) -> None:
        """One more is under way."""
        if self._began is None:
            self._began = now
        self._out += 1

    def ended(self, *, answered: bool) -> None:
        """One is under way no longer: it was answered, or it failed."""
        self._out = max(0, self._out - 1)
        self._answers += answered

    def again(self, now: float) -> None:
        """Begin once more: after the provider has refused, everybody would come at once."""
        self._began, self._answers, self.over = now, 0, False
