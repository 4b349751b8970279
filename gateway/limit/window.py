"""An exact sliding window: in any stretch of ``seconds`` at most ``limit`` is counted, bursts included.

What was taken counts without end until its request is sent, and for ``seconds`` from then on. Only a call that turns
out larger than its estimate can bring the count above the limit; nothing passes then until it has left.
"""

import math
from collections import deque
from collections.abc import Iterator

from gateway.limit.cost import ORDER_SECONDS, Entry, Hold, Meter, check

_LOG_MAX = 4_096
"""Above this, calls within a 4,096th of the window share an entry; they leave together, the earliest a little late."""

_WALK_MAX = 256
_SPENT_MAX = 64
_ROUNDING = 1e-9


class Window:
    """A log of amounts and their moments; see `gateway.limit.cost.Meter`.

    Args:
        limit: What fits in any window; at least 1.
        seconds: The window's length.
    """

    __slots__ = (
        "_began", "_left", "_limit", "_log", "_pending", "_reset_at", "_reset_upto", "_told_upto", "_used", "seconds",
    )  # fmt: skip

    def __init__(self, limit: float, seconds: float) -> None:
        check(limit, seconds)
        self._limit, self.seconds = float(limit), seconds
        self._log: deque[Entry] = deque()
        self._left: deque[Entry] = deque()
        """What has left the window lately: an answer speaks of the moment in which it was asked for."""
        self._used = self._pending = 0.0
        self._began = self._reset_at = self._reset_upto = self._told_upto = -math.inf

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
        counted = self._used + self._pending
        excess = counted + ahead + min(amount, self._limit) - self._limit
        if excess <= _ROUNDING:
            return 0.0
        over = max(0.0, counted - self._limit)  # has to leave before anything else can go
        rounds, part = divmod(excess - over, self._limit)
        if not part and rounds:
            rounds, part = rounds - 1, self._limit
        return max(0.0, self._leaves(over + part, now, exactly=not ahead) - now) + rounds * self.seconds

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
        elif hold.entry.at > self._told_upto and not hold.entry.gone:
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
        if sent_at < self._told_upto:
            return  # an older answer that took longer
        self._forget(now)
        departed, later, unsure_before, unsure_after = self._around(sent_at)
        counted, theirs = self._used + departed - later, self._limit - remaining
        if theirs > counted + unsure_after and sent_at > now - self.seconds:
            more = theirs - counted - unsure_after  # spent by others, or at another price than we thought
            self._used += more
            self._insert(sent_at, more)
        elif theirs < counted - unsure_before:
            self._drop(counted - unsure_before - theirs - departed, sent_at)
        self._told_upto = sent_at
        if reset_seconds is not None:
            self._reset_at, self._reset_upto = now + reset_seconds, sent_at

    def after(self, sent_at: float) -> float:
        """Give what was taken for requests that were sent after that moment, or not yet."""
        return self._pending + self._around(sent_at)[1]

    def entries(self, now: float) -> list[tuple[float, float]]:
        """Give ``(age in seconds, amount)``, oldest first; what is not sent yet is of now."""
        self._forget(now)
        found = [(now - entry.at, entry.amount) for entry in self._log if entry.amount]
        return [*found, (0.0, self._pending)] if self._pending else found

    def spent(self, now: float, amount: float = math.inf) -> list[tuple[float, float]]:
        """Give `entries`, oldest first, in 64 pieces at most; of some together the latest moment counts.

        Args:
            amount: So much of what was spent last, and no more.
        """
        found: list[tuple[float, float]] = []
        for age, part in reversed(self.entries(now)):
            if amount <= 0:
                break
            found.append((age, min(part, amount)))
            amount -= part
        size = max(1, math.ceil(len(found) / _SPENT_MAX))
        groups = [found[at : at + size] for at in range(0, len(found), size)]
        return [(group[0][0], sum(part for _, part in group)) for group in reversed(groups)]

    def restore(self, age_seconds: float, amount: float, now: float) -> None:
        """Count what another one has spent, some time ago."""
        if age_seconds < self.seconds and amount > 0:
            self._used += amount
            self._insert(now - max(0.0, age_seconds), amount)

    def hand_over(self, now: float) -> tuple[deque[Entry], float, float]:
        """Give up what is counted: log, its sum, and what is not sent yet. The holds of it go along."""
        self._forget(now)
        given = self._log, self._used, self._pending
        self._log, self._used, self._pending = deque(), 0.0, 0.0
        return given

    def join(self, other: Meter, now: float) -> None:
        """See `Meter.join`."""
        if not isinstance(other, Window):
            return
        log, used, pending = other.hand_over(now)
        self._used += used
        self._pending += pending
        self._log = deque(sorted((*self._log, *log), key=lambda entry: entry.at))

    def _enter(self, amount: float, now: float) -> Entry:
        log = self._log
        if log and log[-1].at > now:
            return self._insert(now, amount)
        if len(log) >= _LOG_MAX and now - self._began < self.seconds / _LOG_MAX:
            log[-1].amount += amount
            log[-1].at = now
        else:
            self._began = now
            log.append(Entry(now, amount))
        return log[-1]

    def _insert(self, at: float, amount: float) -> Entry:
        """Put an amount in its place, which is near the end."""
        log, place = self._log, len(self._log)
        while place and log[place - 1].at > at:
            place -= 1
        if len(log) >= _LOG_MAX and place < len(log) and log[place].at - at < self.seconds / _LOG_MAX:
            log[place].amount += amount
            return log[place]
        if len(log) >= _LOG_MAX and place and at - log[place - 1].at < self.seconds / _LOG_MAX:
            log[place - 1].amount += amount
            return log[place - 1]
        log.insert(place, entry := Entry(at, amount))
        return entry

    def _leaves(self, amount: float, now: float, *, exactly: bool) -> float:
        """Give the moment in which so much will have left, as far as the log tells."""
        log, latest = self._log, now
        if not exactly and len(log) > _WALK_MAX:  # for who comes later an estimate is enough
            at = log[min(len(log) - 1, int(len(log) * amount / self._used))].at
            return self._end(at)
        for entry in log:
            amount -= entry.amount
            latest = max(latest, self._end(entry.at))
            if amount <= _ROUNDING:
                return latest
        return now + self.seconds

    def _end(self, at: float) -> float:
        leaves = at + self.seconds
        return min(leaves, self._reset_at) if at <= self._reset_upto else leaves

    def _around(self, sent_at: float) -> tuple[float, float, float, float]:
        """Look at what was sent around a moment.

        Returns:
            What was in the window then and has left since; what was sent later; and what was sent so shortly before or
            after that it may have overtaken, or been overtaken, on its way.
        """
        departed = sum(entry.amount for entry in self._lately_left(sent_at))
        later = before = after = 0.0
        itself = True
        for entry in reversed(self._log):
            if entry.at <= sent_at - ORDER_SECONDS:
                break
            if entry.at > sent_at:
                later += entry.amount
                after += entry.amount if entry.at < sent_at + ORDER_SECONDS else 0.0
            elif entry.at == sent_at and itself:
                itself = False
            else:
                before += entry.amount
        return departed, later, before, after

    def _lately_left(self, sent_at: float) -> Iterator[Entry]:
        for entry in reversed(self._left):
            if entry.at <= sent_at - self.seconds:
                return
            yield entry

    def _drop(self, amount: float, upto: float) -> None:
        """Count so much less, the oldest first: it has left already, by the provider's count."""
        for entry in self._log:
            if amount <= 0 or entry.at > upto:
                return
            part = min(amount, entry.amount)
            entry.amount -= part
            amount -= part
            self._used -= part

    def _forget(self, now: float) -> None:
        log, upto = self._log, -math.inf
        if now >= self._reset_at > -math.inf:
            upto = self._reset_upto
            self._reset_at = self._reset_upto = -math.inf
        while log and (log[0].at + self.seconds <= now or log[0].at <= upto):
            gone = log.popleft()
            self._used -= gone.amount
            gone.gone = True
            self._left.append(gone)
        while self._left and (len(self._left) > _LOG_MAX or self._left[0].at <= now - 2 * self.seconds):
            self._left.popleft()
        if not log:
            self._used = 0.0
