"""One scope: an account's limits for one group of models, what is under way in it, and who waits.

Everything that can hold a call back is asked for its wait; the longest counts, and names the reason. Who is next is the
fair queue's to say; nobody overtakes it, so what it needs gathers for it.
"""

import asyncio
import math
from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

from gateway.limit.block import FREE, Block, Why, configured, learned_limit, pace, starting
from gateway.limit.bucket import Bucket
from gateway.limit.cost import CONCURRENCY, REQUESTS, Cost, Meter
from gateway.limit.fair_queue import FairQueue
from gateway.limit.learn import Learned, Pace
from gateway.limit.refusal import PASSED_ON_SECONDS, Refusal
from gateway.limit.retell import retell
from gateway.limit.rule import Held, LimitRule, held_by
from gateway.limit.starting import Starting
from gateway.limit.turns import Turns
from gateway.limit.untold import spent_in
from gateway.limit.users import Users
from gateway.limit.waiter import Taken, Waiter
from gateway.limit.window import Window
from gateway.model.cause import Cause
from gateway.model.clock import Clock
from gateway.model.provider import StatedLimit

TIMER_SECONDS = 0.0005
"""An alarm that comes a moment late finds its place free; one that comes early must be set again."""

AT_ONCE_MAX, TURN_SECONDS = 64, 0.001
"""So many are let go in one turn of the event loop: thousands would hold up everybody else's answers."""

BACKOFF_SECONDS, BACKOFF_MAX_SECONDS = 1.0, 20.0
"""How long everybody waits after a refusal that names no time: this, and twice as long after each further one."""

_CONCURRENCY_GROWS_SECONDS = 30.0
_CONCURRENCY_FADES_SECONDS = 600.0


class ScopeKey(NamedTuple):
    """What limits are counted by. ``account`` is a fingerprint: of organisation and project, else of the key."""

    provider: str
    account: str
    model: str

    @property
    def joined(self) -> str:
        """One text, the same in every gateway."""
        return "\0".join(self)


class Scope:
    """See the module. Its owner is the gate, which is told nothing: it asks."""

    def __init__(self, key: ScopeKey, rules: Sequence[LimitRule], clock: Clock) -> None:
        self.key, self._clock = key, clock
        now = clock.now()
        self.configured: list[Held] = [held for rule in rules for held in held_by(rule, now)]
        self.concurrency = min((r.concurrency for r in rules if r.concurrency), default=None)
        self.learned: dict[str, Learned] = {}
        self.pace: Pace | None = None
        self.starting = Starting()
        self.starting.over = not key.model or any(rule.paces for rule in rules)
        self.queue: FairQueue[Waiter] = FairQueue()
        self.users = Users()
        self.in_flight = 0
        self.is_organisation = False
        self.paused_until = -math.inf
        self.pause_reason = ""
        self.successor: Scope | None = None
        self.turns: Turns | None = None
        """Where several gateways count together; None where this one is alone."""
        self.used_at = self.told_at = now
        self.is_open = False
        self._refusals = 0
        self._refused_at = -math.inf
        self._may_probe = self._goes_on = False
        self._concurrency_learned: tuple[int, float] | None = None
        self._seconds_each = 1.0
        self._timer: asyncio.TimerHandle | None = None

    def block(self, cost: Cost, now: float, ahead: Cost | None = None, *, trying: bool = False) -> Block:
        """Say what holds such a call back the longest; `FREE` when nothing does.

        Args:
            ahead: What goes first; then only what can be foreseen is looked at, and ends of running calls cannot.
            trying: It was sent back, and will be the one that may try when the provider's stated wait is over.
        """
        worst = pause = max(0.0, self.paused_until - now)
        why: Why = self._paused
        for kind, meter, why_it in self._counting(trying=self._may_probe and (ahead is None or trying)):
            before = 0.0 if ahead is None else float(ahead.of(kind))
            seconds = meter.wait(cost.of(kind), now, before)
            if before and self.turns is not None:
                seconds *= self.turns.crowding
            if pause and before and isinstance(meter, Window):  # it begins anew when the pause is over
                seconds = max(seconds, pause + (before + cost.of(kind) - 1) // meter.limit * meter.seconds)
            if seconds > worst:
                worst, why = seconds, why_it
        if self.turns is not None and (shared := self.turns.block(worst, now)) is not None:
            return shared
        if ahead is None:
            if (most := self.most_at_once(now)) is not None and self.in_flight >= most:
                return Block(self._concurrency_grows_in(now), self._at_once(most), CONCURRENCY, most)
            if (seconds := self.starting.wait(now)) > worst:
                worst, why = seconds, starting
        return why(worst) if worst > 0 else FREE

    def expected(self, cost: Cost, now: float, ahead: Cost, foreseen: Block | None = None) -> float:
        """Say how long a newcomer will wait, running calls included as far as their usual length tells."""
        seconds = (foreseen or self.block(cost, now, ahead)).seconds
        most = self.most_at_once(now)
        if most is not None and (rounds := (self.in_flight + ahead.requests) // most):
            seconds = max(seconds, rounds * self._seconds_each)
        return max(seconds, self.starting.wait(now)) if not ahead.requests else seconds

    def too_large(self, cost: Cost, doubt: float) -> Block | None:
        """Give the limit that such a call alone exceeds; one that was learned, by an estimate of ``doubt`` more."""
        for held in self.configured:
            if cost.of(held.kind) > held.limit:
                return configured(held, 0.0)
        for learned, meter in self._known():
            if cost.of(learned.kind) > meter.limit * doubt:
                return learned_limit(learned, 0.0)
        return None

    def weight(self, cost: Cost) -> float:
        """Say what a call takes of its tenant's share: of the limit of which it takes most."""
        shares = [cost.of(held.kind) / held.limit for held in self.configured]
        shares += [cost.of(learned.kind) / meter.limit for learned, meter in self._known()]
        return max(shares, default=0.0) or 1.0

    def most_at_once(self, now: float) -> int | None:
        """Give how many may be under way, None when nobody said."""
        if self._concurrency_learned is None:
            return self.concurrency
        most, since = self._concurrency_learned
        if now - since > _CONCURRENCY_FADES_SECONDS:
            self._concurrency_learned = None
            return self.concurrency
        most += int((now - since) / _CONCURRENCY_GROWS_SECONDS)
        return most if self.concurrency is None else min(most, self.concurrency)

    def learn_concurrency(self, most: int, now: float) -> None:
        """Let so many be under way; slowly more again."""
        self._concurrency_learned = (most, now)

    def _concurrency_grows_in(self, now: float) -> float:
        if self._concurrency_learned is None or self.most_at_once(now) == self.concurrency:
            return math.inf
        return _CONCURRENCY_GROWS_SECONDS - (now - self._concurrency_learned[1]) % _CONCURRENCY_GROWS_SECONDS

    def pass_now(self, cost: Cost, now: float) -> list[Taken] | None:
        """Go at once when nobody waits and nothing holds back."""
        if self.queue or (self.turns is not None and self.turns.together) or self.block(cost, now).seconds > 0:
            return None
        return self._take_alone(cost, now)

    def _take_alone(self, cost: Cost, now: float) -> list[Taken]:
        if self.turns is not None:
            self.turns.untold.add(cost)
        return self.take(cost, now)

    def take(self, cost: Cost, now: float) -> list[Taken]:
        """Count a call that goes now."""
        self.in_flight += 1
        self.used_at = now
        self._may_probe = False
        self.starting.went(now)
        meters = [(held.meter, held.kind) for held in self.configured]
        # Those that nobody waits for are counted all the same: they are shown.
        meters += [(one.meter, one.kind) for one in self.learned.values() if one.meter is not None]
        if self.pace is not None:
            meters.append((self.pace.meter, REQUESTS))
        return [Taken(meter, kind, meter.take(cost.of(kind), now)) for meter, kind in meters]

    def give_back(self, taken: list[Taken]) -> None:
        """Count a call no longer that never went."""
        now = self._clock.now()
        for one in taken:
            one.meter.give_back(one.hold, now)
        self.starting.ended(answered=False)
        self.ended(now)

    def ended(self, now: float, seconds: float | None = None) -> None:
        """A call is under way no longer; one that was answered well took so long."""
        self.in_flight -= 1
        self.used_at = now
        if self.turns is not None:
            self.turns.ended()
        if seconds is not None:
            self._seconds_each += 0.2 * (seconds - self._seconds_each)

    def pump(self) -> None:
        """Let go who may; as many as one turn of the event loop bears, the others in the next."""
        if self.turns is not None and self.turns.together:
            self.turns.wake()
        else:
            self.pump_alone()

    def pump_alone(self) -> None:
        """Let go who may by what is counted here."""
        if self._goes_on:
            return
        now, left = self._clock.now(), AT_ONCE_MAX
        while (waiter := self.queue.peek()) is not None and self.block(waiter.cost, now).seconds <= 0:
            self.queue.pop()
            if not waiter.is_gone:
                waiter.serve(self._take_alone(waiter.cost, now))
            left -= 1
            if not left:
                self._goes_on = True
                asyncio.get_running_loop().call_later(TURN_SECONDS, self._go_on)
                return
        self.arm()
        retell(self, now)

    def _go_on(self) -> None:
        self._goes_on = False
        self.pump()

    def arm(self) -> None:
        """Set the alarm for the moment in which the next may go, or, when a running call must end first, none."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if (waiter := self.queue.peek()) is None:
            return
        seconds = self.block(waiter.cost, self._clock.now()).seconds
        if seconds <= 0 and self.turns is not None and self.turns.together:
            self.turns.wake()
        elif seconds < math.inf:
            # Also when that moment has come by now: nobody else would look again.
            self._timer = asyncio.get_running_loop().call_later(seconds + TIMER_SECONDS, self.pump)

    def open(self) -> None:
        """Let everybody out of the line, whatever the limit: they will be refused."""
        self.is_open = True
        for waiter in self.queue.clear():
            if not waiter.is_gone:
                waiter.serve(None)
        self.arm()

    def hear(self, stated: Sequence[StatedLimit], cost: Cost, sent_at: float, now: float, source: str) -> None:
        """Take in the limits that an answer states."""
        for said in stated:
            if said.kind == CONCURRENCY:
                if said.limit:
                    self.learn_concurrency(said.limit, now)
                continue
            learned = self.learned.get(said.kind)
            if learned is None:
                learned = Learned(said.kind, now)
            amount = cost.of(said.kind)
            # Others under way are taken to be like this one; only a limit that is new has not counted them itself.
            others = max(0, self.in_flight - 1) * amount
            learned.hear(said, cost=amount, sent_at=sent_at, now=now, source=source, unanswered=others)
            if learned.meter is not None:
                self.learned[said.kind] = learned
                self.starting.over = True

    def succeeded(self, now: float) -> None:
        """An answer was good: after a while without refusal, go on a little faster."""
        self._refusals = 0
        if self.pace is not None:
            self.pace.grow(now)
            if self.pace.faded(now):
                self.pace = None
        for kind, learned in tuple(self.learned.items()):
            learned.went_well(now)
            if learned.faded(now):
                del self.learned[kind]

    def refused(self, refusal: Refusal, cost: Cost, sent_at: float, now: float, told: frozenset[str]) -> None:
        """Hold everybody until the provider takes calls again, and learn how much was too much.

        Args:
            told: The kinds of limit whose rest the refusal's own headers stated.
        """
        self.hear(refusal.stated, cost, sent_at, now, "refusal")
        if sent_at >= self._refused_at:
            self._refusals += 1  # those that were under way together tell one thing, not many
            self._refused_at = now
        if refusal.kind == CONCURRENCY:
            if not any(said.kind == CONCURRENCY and said.limit for said in refusal.stated):
                self.learn_concurrency(max(1, self.in_flight - 1), now)
            if not refusal.wait_seconds and self.in_flight > 1:
                return  # the end of a running call is what is waited for
        learned = self._limit_of(refusal.kind)
        seconds = self._wait_after(refusal, learned, cost, now)
        if seconds > PASSED_ON_SECONDS:
            return
        until = now + seconds
        if until > self.paused_until:
            self.paused_until = until
            self.pause_reason = f"the provider asked to wait ({refusal.cause.value})"
            if self.turns is not None:
                self.turns.paused(seconds, self.pause_reason)
            # Its word counts: one call may then try, whatever a window of ours thinks is left.
            self._may_probe = learned is None or isinstance(learned.meter, Window)
        self._slow_down(refusal, learned, until, cost, sent_at, now, told)

    def _wait_after(self, refusal: Refusal, learned: Learned | None, cost: Cost, now: float) -> float:
        """Give the wait that is stated, else what the limit's own count says, else one that doubles each time."""
        if refusal.wait_seconds:
            return refusal.wait_seconds
        seconds = min(BACKOFF_MAX_SECONDS, BACKOFF_SECONDS * float(1 << max(0, min(self._refusals - 1, 5))))
        if learned is None or learned.meter is None or self._refusals > 1:
            return seconds
        return min(seconds, learned.meter.wait(cost.of(learned.kind), now) or seconds)

    def _slow_down(  # noqa: PLR0917
        self, refusal: Refusal, learned: Learned | None, until: float, cost: Cost, sent_at: float, now: float,
        told: frozenset[str],
    ) -> None:  # fmt: skip
        if learned is not None and refusal.cause is not Cause.RATE_LIMIT_RAMP:  # that one is not about the limit
            said = learned.kind in told or any(one.kind == learned.kind for one in refusal.stated)
            learned.refused(until, cost.of(learned.kind), sent_at, now, told=said)
            return
        if self.pace is not None:
            self.pace.refused(until, now)
        elif refusal.kind != CONCURRENCY:
            self.pace = Pace(self.users.rate(now), now)
            self.pace.refused(until, now)
        if not self._is_paced:
            self.starting.again(until)

    def join(self, other: "Scope") -> None:
        """Take over what another scope holds: two keys have turned out to be of one account."""
        other.successor = self
        now = self._clock.now()
        spent = spent_in(other.configured, now)
        for ours, theirs in zip(self.configured, other.configured, strict=True):
            ours.meter.join(theirs.meter, now)
        if other.paused_until > self.paused_until:
            self.paused_until, self.pause_reason = other.paused_until, other.pause_reason
        self.learned = other.learned | self.learned
        self.pace = self.pace or other.pace
        self.starting.over = self.starting.over or other.starting.over
        self.in_flight += other.in_flight
        self.users.join(other.users)
        if self.turns is not None:
            self.turns.inherit(spent)
        for waiter in other.queue.clear():
            waiter.scope = self
            self.queue.push(waiter)
        other.arm()
        self.pump()

    def idle(self, now: float) -> bool:
        """Whether forgetting it breaks no limit."""
        full = all(held.meter.level(now) >= held.limit for held in self.configured)
        return not self.queue and not self.in_flight and full and self.paused_until <= now

    def _counting(self, *, trying: bool) -> Iterator[tuple[str, Meter, Why]]:
        """Give what is waited for: kind, meter, and how its wait is told."""
        for held in self.configured:
            yield held.kind, held.meter, partial(configured, held)
        for learned, meter in () if trying else self._known():
            yield learned.kind, meter, partial(learned_limit, learned)
        if self.pace is not None:
            yield REQUESTS, self.pace.meter, pace

    def _known(self) -> Iterator[tuple[Learned, Bucket | Window]]:
        for learned in self.learned.values():
            if learned.enforced and learned.meter is not None:
                yield learned, learned.meter

    def _paused(self, seconds: float) -> Block:
        return Block(seconds, self.pause_reason)

    @property
    def _is_paced(self) -> bool:
        return self.concurrency is not None or any(held.kind == REQUESTS for held in self.configured)

    def _limit_of(self, kind: str) -> Learned | None:
        """Give what is known of a kind; of tokens, when their sum is not, the input's."""
        found = self.learned.get(kind) or (self.learned.get("input_tokens") if kind == "tokens" else None)
        return found if found is not None and found.enforced else None

    def _at_once(self, most: int) -> str:
        who = "configured" if most == self.concurrency else "the provider's"
        return f"{who} limit of {most:,} requests at the same time"
