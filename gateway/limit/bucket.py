"""A bucket: it holds ``capacity`` and fills evenly, as most providers count.

In any stretch of t seconds at most ``capacity + t * rate`` passes.
It is kept in step with what the provider says is left. That is true for the moment in which the answered request was
sent, not for now: what was sent later is taken off again. What the provider counts beside our calls (other processes
with the same key) is learned as a rate, and taken off what flows in.
"""

import math
from collections import deque
from typing import NamedTuple

from gateway.limit.cost import ORDER_SECONDS, Entry, Hold, Meter, check

_EVENTS_MAX = 8_192
_REPLAYED_MAX, _REPLAY_SECONDS = 512, 0.05
_ROUNDING = 1e-6
_OTHERS_SECONDS = 2.0
"""How quickly the rate of others is learned."""

_CROWD, _OVERFLOW, _FADE_SECONDS = 0.2, 0.8, 3.0
_UNTOLD_FADE_SECONDS = 15.0
"""Where nobody says what is left: slower than refusals would come if others do spend it, quicker than a user's wait."""
_RATE_LEFT = 0.05
"""However busy others are, a share of the rate stays ours; else we would never ask again."""


_SENT = Entry(-1.0, 0.0)
"""A bucket has no log by moments; this only says that the request is on its way."""


class _Event(NamedTuple):
    sent_at: float
    hold: Hold


class Bucket:
    """See `gateway.limit.cost.Meter`.

    Args:
        capacity: What can go at once after a pause.
        limit: What one window holds; ``limit / seconds`` flows in.
        reserve: What is kept back, so that small differences between two clocks cost nothing.
    """

    __slots__ = (
        "_anchor",
        "_anchor_at",
        "_anchor_was_full",
        "_apart_seconds",
        "_at",
        "_events",
        "_faded_at",
        "_level",
        "_limit",
        "_passed",
        "_passed_amount",
        "_pending",
        "_replayed_at",
        "_spread_until",
        "_taken_at",
        "capacity",
        "others",
        "reserve",
        "seconds",
        "slack",
    )

    def __init__(self, capacity: float, limit: float, seconds: float, now: float, *, reserve: float = 0.0) -> None:
        check(limit, seconds)
        check(capacity, seconds)
        self.capacity, self._limit, self.seconds, self.reserve = float(capacity), float(limit), seconds, reserve
        self._level = self._anchor = self.capacity
        self._at = self._anchor_at = now
        self._anchor_was_full = False
        self._pending = 0.0
        self._events: deque[_Event] = deque()
        self._passed: deque[tuple[float, float]] = deque()
        self._passed_amount = 0.0
        self._taken_at = self._spread_until = self._replayed_at = -math.inf
        self._faded_at = now
        self._apart_seconds = 0.0
        self.others = 0.0
        self.slack = 0.5
        """By how much a told count may be rounded down."""

    @property
    def limit(self) -> float:
        """What one window holds."""
        return self._limit

    @property
    def rate(self) -> float:
        """What flows in for us, in a second."""
        rate = self._limit / self.seconds
        return max(rate * _RATE_LEFT, rate - self.others)

    def adopt(self, capacity: float, limit: float, seconds: float, now: float) -> None:
        """Take on other numbers from now on."""
        check(limit, seconds)
        check(capacity, seconds)
        self._move(now)
        if capacity > self.capacity and self._level >= self.capacity:
            self._level = capacity  # it was full, and still is
        self.capacity, self._limit, self.seconds = float(capacity), float(limit), seconds
        self._level = min(self._level, self.capacity)

    def wait(self, amount: float, now: float, ahead: float = 0.0) -> float:
        """See `Meter.wait`. What is larger than the bucket goes when it is full."""
        self._move(now)
        missing = ahead + min(amount + self.reserve, self.capacity) - self._level
        early = max(0.0, self._at - now)
        if missing > _ROUNDING:
            return early + missing / self.rate
        return max(early, self._taken_at + self._apart_seconds - now) if now < self._spread_until else early

    def take(self, amount: float, now: float) -> Hold:
        """See `Meter.take`."""
        self._move(now)
        self._level -= amount
        self._pending += amount
        self._taken_at = now
        return Hold(amount)

    def sent(self, hold: Hold, now: float) -> None:
        """See `Meter.sent`."""
        if hold.gone or hold.entry is not None:
            return
        self._move(now)
        self._pending -= hold.amount
        # The provider's bucket was at most full when this arrived.
        self._level = min(self._level, self.capacity - hold.amount)
        hold.entry = _SENT
        self._events.append(_Event(now, hold))
        if len(self._events) > _EVENTS_MAX:
            self._pass(self._events.popleft())

    def settle(self, hold: Hold, amount: float, now: float) -> None:
        """See `Meter.settle`."""
        if hold.gone or hold.absorbed:
            return
        self._move(now)
        more, hold.amount = amount - hold.amount, amount
        self._level = min(self.capacity, self._level - more)
        if hold.entry is None:
            self._pending += more

    def give_back(self, hold: Hold, now: float) -> None:
        """See `Meter.give_back`."""
        self.settle(hold, 0.0, now)
        hold.gone = True

    def level(self, now: float) -> float:
        """See `Meter.level`."""
        self._move(now)
        return self._level

    def told(self, sent_at: float, remaining: float, now: float, *, first: bool = False) -> None:
        """Take over the provider's own count, as of a request of that moment.

        Args:
            remaining: What it says was left then, that request counted, rounded down.
            first: Nothing was known before: ours is no count to compare with.
        """
        self._move(now)
        if sent_at < self._anchor_at:
            # An older answer that took longer: there cannot be more than was left then and has come in since.
            most = remaining + self.slack + (now - sent_at) * self._limit / self.seconds
            self._level = min(self._level, most - self._pending)
            return
        began, self._anchor_was_full = self._anchor_at, False
        last = self._absorb(sent_at)
        expected = min(self.capacity, self._anchor + (sent_at - self._anchor_at) * self.rate)
        true = remaining if first else expected
        if not first:
            least, most = self._unsure(sent_at, expected)
            true += min(0.0, remaining + self.slack - least) + max(0.0, remaining - most)
            # What is said is rounded down: so much less tells nothing of others yet.
            spent = max(0.0, least - remaining - 1.0) or min(0.0, most - remaining)
            idle = self._anchor_was_full and not spent
            self._learn_others(spent, sent_at - began, now - sent_at, idle=idle)
            if last and self.capacity >= 2 * last and remaining + last >= self.capacity - 0.5:
                self.others *= _OVERFLOW  # it was full before that request: nobody spends what we leave
        self._anchor, self._anchor_at = min(true, self.capacity), sent_at
        self._level = self._replayed(now) - self._pending

    def _absorb(self, sent_at: float) -> float:
        """Pass what was sent up to a moment. Gives the amount of the last."""
        last = 0.0
        while self._events and self._events[0].sent_at <= sent_at:
            event = self._events.popleft()
            last = event.hold.amount
            self._pass(event)
            event.hold.absorbed = True
            self._passed.append((event.sent_at, last))
            self._passed_amount += last
        return last

    def _unsure(self, sent_at: float, expected: float) -> tuple[float, float]:
        """Give the least and the most that may have been left: what was sent around that moment may have overtaken."""
        while self._passed and self._passed[0][0] <= sent_at - ORDER_SECONDS:
            self._passed_amount -= self._passed.popleft()[1]
        itself = self._passed[-1][1] if self._passed and self._passed[-1][0] == sent_at else 0.0
        before = self._passed_amount - itself
        after = 0.0
        for event in self._events:
            if event.sent_at >= sent_at + ORDER_SECONDS:
                break
            after += event.hold.amount
        return expected - after, expected + before

    def hand_over(self, now: float) -> tuple[float, float]:
        """Give up what is counted: all that is missing, and what of it is not sent yet. The holds of it go along."""
        missing, pending = self.capacity - self.level(now), self._pending
        self._level, self._pending = self.capacity, 0.0
        return missing, pending

    def join(self, other: Meter, now: float) -> None:
        """See `Meter.join`."""
        if not isinstance(other, Bucket):
            return
        missing, pending = other.hand_over(now)
        self._move(now)
        self._level -= missing
        self._pending += pending

    def crowd(self, now: float) -> None:
        """Suppose that others spend more than we knew: what should have been there was not.

        If it was an accident, the next answers say that more is left than expected, and the guess goes away with them.
        Where no answer says what is left, `fade` takes it away.
        """
        rate = self._limit / self.seconds
        self.others = min(rate, self.others + rate * _CROWD)
        self._faded_at = now

    def fade(self, now: float) -> None:
        """Believe a little less that others spend what we could; nobody says whether they do."""
        self._move(now)
        self.others *= math.exp(-max(0.0, now - self._faded_at) / _UNTOLD_FADE_SECONDS)
        self._faded_at = max(now, self._faded_at)
        if self.others < self._limit / self.seconds * 0.005:
            self.others = 0.0

    def spread(self, until: float, apart_seconds: float) -> None:
        """Let nothing go at the same moment until then: others may be as new here as we are, and see the same rest."""
        self._spread_until, self._apart_seconds = until, apart_seconds

    def drain(self, until: float, left: float, now: float) -> None:
        """Have ``left`` at that moment, and nothing more: what was counted before then has lost its meaning."""
        for event in self._events:
            event.hold.absorbed = True
        self._events.clear()
        self._anchor, self._anchor_at = left, max(until, now)
        self._passed.clear()
        self._passed_amount = 0.0
        self._level, self._at = left - self._pending, self._anchor_at

    def after(self, sent_at: float) -> float:
        """Give what was taken for requests that were sent after that moment, or not yet."""
        return self._pending + sum(event.hold.amount for event in self._events if event.sent_at > sent_at)

    def _learn_others(self, spent: float, seconds: float, late_seconds: float, *, idle: bool) -> None:
        if idle:  # what flowed over tells nothing of others; a guess about them fades
            self.others *= math.exp(-seconds / _FADE_SECONDS)
        # What comes late is believed more slowly, or two gateways would swing against one another.
        share = 1 - math.exp(-max(seconds, 1e-3) / max(_OTHERS_SECONDS, 4 * late_seconds))
        rate = self._limit / self.seconds
        self.others = min(rate, max(0.0, self.others + share * spent / max(seconds, 1e-3)))
        if self.others < rate * 0.005:
            self.others = 0.0

    def _replayed(self, now: float) -> float:
        level, at, rate = self._anchor, self._anchor_at, self.rate
        if len(self._events) > _REPLAYED_MAX:  # long: not for every answer
            if now < self._replayed_at + _REPLAY_SECONDS:
                return self._level + self._pending
            self._replayed_at = now
        for event in self._events:
            level = min(self.capacity, level + (event.sent_at - at) * rate) - event.hold.amount
            at = event.sent_at
        return min(self.capacity, level + (now - at) * rate)

    def _pass(self, event: _Event) -> None:
        """Move the anchor behind a request that was sent."""
        self._anchor += (event.sent_at - self._anchor_at) * self.rate
        if self._anchor >= self.capacity:
            self._anchor, self._anchor_was_full = self.capacity, True
        self._anchor -= event.hold.amount
        self._anchor_at = event.sent_at

    def _move(self, now: float) -> None:
        if now > self._at:
            # What is taken and not sent yet will be counted by the provider later: it cannot flow over for us before.
            self._level = min(self.capacity - self._pending, self._level + (now - self._at) * self.rate)
            self._at = now
