"""An exact sliding window: in any stretch of ``seconds`` at most ``limit`` is counted, bursts included.

What was taken counts without end until its request is sent, and for ``seconds`` from then on. Only a call that turns
out larger than its estimate can bring the count above the limit; nothing passes then until it has left.
"""

from collections import deque

from gateway.limit.cost import Entry, Hold, check

_LOG_MAX = 4_096
"""Above this, calls within a 4,096th of the window share an entry; they leave together, the earliest a little late."""

_WALK_MAX = 256


class Window:
    """A log of amounts and their moments; see `gateway.limit.cost.Meter`.

    Args:
        limit: What fits in any window; at least 1.
        seconds: The window's length.
    """

    __slots__ = ("_limit", "_log", "_pending", "_reset_at", "_reset_upto", "_used", "seconds")

    def __init__(self, limit: float, seconds: float) -> None:
        check(limit, seconds)
        self._limit, self.seconds = float(limit), seconds
        self._log: deque[Entry] = deque()
        self._used = self._pending = 0.0
        self._reset_at = self._reset_upto = -1.0

    @property
    def limit(self) -> float:
        """What fits in any window."""
        return self._limit

    def adopt(self, limit: float, seconds: float) -> None:
        """Take on another limit from the next grant on; what is counted stays."""
        check(limit, seconds)
        self._limit, self.seconds = float(limit), seconds

    def wait(self, amount: float, now: float, ahead: float = 0.0) -> float:
        """See `Meter.wait`. With calls ahead it is an estimate: they are assumed to go as early as they can."""
        self._forget(now)
        excess = self._used + self._pending + ahead + min(amount, self._limit) - self._limit
        if excess <= 0:
            return 0.0
        rounds, part = divmod(excess, self._limit)
        if not part:
            rounds, part = rounds - 1, self._limit
        return max(0.0, self._leaves(part, now) - now) + rounds * self.seconds

    def take(self, amount: float, now: float) -> Hold:
        """See `Meter.take`."""
        self._pending += amount
        return Hold(amount)

    def sent(self, hold: Hold, now: float) -> None:
        """See `Meter.sent`."""
        if hold.gone or hold.entry is not None:
            return
        self._pending -= hold.amount
        self._used += hold.amount
        hold.entry = self._enter(hold.amount, now)

    def settle(self, hold: Hold, amount: float, now: float) -> None:
        """See `Meter.settle`."""
        if hold.gone or hold.absorbed:
            return
        more, hold.amount = amount - hold.amount, amount
        if hold.entry is None:
            self._pending += more
        elif hold.entry.at >= 0:
            hold.entry.amount += more
            self._used += more

    def give_back(self, hold: Hold, now: float) -> None:
        """See `Meter.give_back`."""
        self.settle(hold, 0.0, now)
        hold.gone = True

    def level(self, now: float) -> float:
        """See `Meter.level`."""
        self._forget(now)
        return self._limit - self._used - self._pending

    def told(self, sent_at: float, remaining: float, now: float, reset_seconds: float | None = None) -> None:
        """Take over the provider's own count, as of a request of that moment.

        Args:
            remaining: What it says was left then, that request counted.
            reset_seconds: After which all that was counted by then is gone.
        """
        self._forget(now)
        counted = self._used + self._pending - self.after(sent_at)
        more = (self._limit - remaining) - counted
        if more > 0:
            self._used += more
            self._log.append(Entry(sent_at, more))  # spent by others, or at another price than we thought
        else:
            self._drop(-more)
        if reset_seconds is not None:
            self._reset_at, self._reset_upto = now + reset_seconds, sent_at

    def after(self, sent_at: float) -> float:
        """Give what was taken for requests that were sent after that moment, or not yet."""
        amount = self._pending
        for entry in reversed(self._log):
            if entry.at <= sent_at:
                break
            amount += entry.amount
        return amount

    def entries(self, now: float) -> list[tuple[float, float]]:
        """Give ``(age in seconds, amount)``, oldest first; what is not sent yet is of now."""
        self._forget(now)
        found = [(now - entry.at, entry.amount) for entry in self._log if entry.amount]
        return [*found, (0.0, self._pending)] if self._pending else found

    def restore(self, age_seconds: float, amount: float, now: float) -> None:
        """Count what an earlier process has spent. Oldest first, before anything else is counted."""
        self._used += amount
        self._enter(amount, now - age_seconds)
        self._forget(now)

    def _enter(self, amount: float, now: float) -> Entry:
        log = self._log
        if len(log) >= _LOG_MAX and now - log[-1].at < self.seconds / _LOG_MAX:
            log[-1].amount += amount
            log[-1].at = now
        else:
            log.append(Entry(now, amount))
        return log[-1]

    def _leaves(self, amount: float, now: float) -> float:
        """Give the moment in which so much will have left, as far as the log tells."""
        log, latest = self._log, now
        if len(log) > _WALK_MAX and amount > self._used / 2:  # far away: an estimate is enough
            return log[min(len(log) - 1, int(len(log) * amount / self._used))].at + self.seconds
        for entry in log:
            amount -= entry.amount
            leaves = entry.at + self.seconds
            if entry.at <= self._reset_upto and self._reset_at >= 0:
                leaves = min(leaves, self._reset_at)
            latest = max(latest, leaves)
            if amount <= 0:
                return latest
        return now + self.seconds

    def _drop(self, amount: float) -> None:
        log = self._log
        while amount > 0 and log:
            first = log[0]
            if first.amount > amount:
                first.amount -= amount
                self._used -= amount
                return
            amount -= first.amount
            self._used -= first.amount
            first.at = -1.0
            log.popleft()

    def _forget(self, now: float) -> None:
        log, before = self._log, now - self.seconds
        if self._reset_at >= 0 and now >= self._reset_at:
            before = max(before, self._reset_upto)
            self._reset_at = -1.0
        while log and log[0].at <= before:
            gone = log.popleft()
            self._used -= gone.amount
            gone.at = -1.0
        if not log:
            self._used = 0.0
