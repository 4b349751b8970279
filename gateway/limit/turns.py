"""Asks all gateways' counter, for one scope, who of those that are next here may go.

One question at a time, with everybody who may go by what this gateway knows itself; whoever comes meanwhile is in the
next one. So a lone call costs one question, and a crowd not many more. No call's own task ever asks: one that leaves
cuts no connection off, and what it had been given is given back with the next question.

Whether a question that was not answered has been heard nobody knows. It is asked again as it was before anything else
is, which is counted once, and what it granted is given back: its calls went by this gateway's share meanwhile.
"""

import asyncio
import math
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from gateway.limit.block import Block, shared_limit
from gateway.limit.bucket import Bucket
from gateway.limit.cost import Cost
from gateway.limit.rule import SKEW_SECONDS, Held
from gateway.limit.shared import Fix, Item, Line, Question, SharedMeter, Spent, Turn
from gateway.limit.untold import Sum, Untold, spent, spent_when
from gateway.limit.waiter import Taken, Waiter, home_of
from gateway.limit.window import Window
from gateway.model.flow import State
from gateway.unreachable import UnreachableError

if TYPE_CHECKING:
    from gateway.limit.scope import Scope
    from gateway.limit.sharing import Sharing

AT_ONCE_MAX = 64
FIXES_MAX = 4_096
FIX_SECONDS = 0.05
"""What was not used is told so late at most: with the next question, or by itself."""

AGAIN_SECONDS, LOST_SECONDS = 0.2, 100.0
"""A question is asked again so soon, and so long at most: answers are kept a little longer than that."""


class Lost(NamedTuple):
    """A question that was not answered, when it was asked first, and what it told of what went alone."""

    question: Question
    at: float
    untold: Sum


class Turns:
    """One scope's part in the counting of all gateways.

    Attributes:
        crowding: How much of what goes in this scope goes through all gateways, to what goes through this one.
        untold: What went by this gateway's own share alone.
    """

    def __init__(self, scope: "Scope", sharing: "Sharing") -> None:
        self._scope, self._sharing = scope, sharing
        self._task: asyncio.Task[None] | None = None
        self._again = False
        self._until, self._why = -math.inf, Block(0.0, "")
        self._fixes: list[tuple[str, float, float]] = []
        self._pause: tuple[float, str] | None = None
        self._runs = self._telling = self._is_new = False
        self._divided = 1.0
        self._lost: Lost | None = None
        self._book = ""
        self.crowding, self.untold = 1.0, Untold()

    @property
    def together(self) -> bool:
        """Whether all count together now; if not, this gateway keeps to its share by itself."""
        return self._sharing.together

    def block(self, worst: float, now: float) -> Block | None:
        """Give what the others said when they were asked last, if that holds longer than anything here."""
        left = self._until - now
        return self._why._replace(seconds=left) if left > worst and left > 0 else None

    def divide(self, by: float) -> None:
        """Make this gateway's own count keep to a share of each configured limit."""
        if by == self._divided:
            return
        self._divided, now = by, self._sharing.clock.now()
        for held in self._scope.configured:
            _divide(held, by, now)

    def renewed(self) -> None:
        """Keep to the same share of limits that are set anew."""
        by, self._divided = self._divided, 1.0
        self.divide(by)

    def renamed(self) -> None:
        """Count under another name: nothing of ours is counted there yet, so all of it is told before anything else."""
        now = self._sharing.clock.now()
        self._book, self._lost, self._fixes, self._is_new = "", None, [], True
        if (left := self._scope.paused_until - now) > 0:
            self._pause = (left, self._scope.pause_reason)
        if self._sharing.together:
            self.wake()

    def inherit(self, spent: Sum) -> None:
        """Tell what another scope, which this one has taken over, has spent under its own name."""
        self.untold.inherit(spent)
        if self._sharing.together:
            self.wake()

    def wake(self) -> None:
        """Ask, soon."""
        if self._task is not None:
            self._again = True
        else:
            self._task = self._sharing.own(self._work())
            self._task.add_done_callback(self._done)

    def correct(self, granted_ms: float, counted: Cost, true: Cost) -> None:
        """Count what a call really took."""
        if not granted_ms:
            self.untold.correct(counted, true)
            return
        if self._is_new:
            return  # what is told then is right already
        for meter in self._meters():
            kind = meter.id.partition(":")[0]
            if more := true.of(kind) - counted.of(kind):
                self._fixes.append((meter.id, granted_ms, float(more)))
        del self._fixes[:-FIXES_MAX]
        if self._fixes:
            self._tell_in(FIX_SECONDS)

    def paused(self, seconds: float, reason: str) -> None:
        """Have everybody wait that a provider asked here."""
        self._pause = (seconds, reason)
        if self._sharing.together:
            self.wake()

    def ended(self) -> None:
        """One that ran here has ended: where only so many may run at the same time, others wait for that."""
        if self._runs and self._sharing.together:
            self.wake()

    def go_apart(self, by: float) -> None:
        """Count alone from now on, a share of each limit."""
        self.divide(by)
        self._until, self.crowding = -math.inf, 1.0
        self._scope.pump()

    def go_together(self) -> None:
        """Count with the others from now on."""
        self.divide(1.0)
        self._scope.pump()

    def renew(self) -> None:
        """Say again how many run here, before the others forget it."""
        if self._runs and self._scope.in_flight:
            self.wake()

    async def tell(self) -> None:
        """Say what was spent while this gateway counted alone, where that still counts.

        Raises:
            UnreachableError: It cannot be said now.
        """
        if self._lost is not None:
            await self._recover(self._lost)
        now, self._is_new = self._sharing.clock.now(), False
        whole = [spent_when(held, now) for held in self._scope.configured]
        if not any(whole) and not self._scope.in_flight:
            self._fixes.clear()
            return
        fixes, self._fixes = self._fixes, []
        await self._asked(self._question([], now, fixes=fixes, whole=self._filled(whole)), now)

    async def _asked(self, question: Question, now: float) -> Turn:
        lost = self._lost = Lost(question, now, self.untold.sum if question.told else Sum())
        turn = await self._sharing.counter.ask(question)
        self._heard(lost, turn)
        return turn

    def _heard(self, lost: Lost, turn: Turn, *, again: bool = False) -> None:
        question = lost.question
        if question.scope != self._scope.key.joined:
            return  # it was told under a name that counts no more
        self._lost = None
        self.untold.told(lost.untold)
        if turn.book == self._book or (self._book and again):
            return
        # Else what was counted there is lost; that is found out, and everything told, with this gateway's next word.
        # Where it was forgotten because nobody asked for long, nothing of ours was there any more.
        places = {meter.id: place for place, meter in enumerate(question.meters)}
        now, is_new = self._sharing.clock.now(), not self._book or question.whole is not None
        if is_new or all(
            spent(held, now) <= sum(item.amounts[places[_id(held)]] for item in question.items)
            for held in self._scope.configured
            if _id(held) in places
        ):
            self._book = turn.book

    async def _recover(self, lost: Lost) -> None:
        now = self._sharing.clock.now()
        if now - lost.at > LOST_SECONDS:
            self._lost = None
            return
        question, left = lost.question, self._scope.paused_until - now
        pause = (left, question.pause[1]) if question.pause is not None and left > 0 else None
        turn = await self._sharing.counter.ask(replace(question, pause=pause, again=True))
        self._heard(lost, turn, again=True)
        if question.scope != self._scope.key.joined:
            return
        for item, granted in zip(question.items, turn.granted, strict=True):
            if granted:
                pairs = zip(question.meters, item.amounts, strict=True)
                self._fixes += [(meter.id, turn.at_ms, -float(amount)) for meter, amount in pairs if amount]
        del self._fixes[:-FIXES_MAX]

    def _tell_in(self, seconds: float) -> None:
        if not self._telling:
            self._telling = True
            asyncio.get_running_loop().call_later(seconds, self._tell)

    def _tell(self) -> None:
        self._telling = False
        if (self._fixes or self._pause or self._lost or self.untold) and self._sharing.together:
            self.wake()

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._task = None
        if not task.cancelled() and (error := task.exception()) is not None:
            self._sharing.broke(error)
        if self._again and not task.cancelled():
            self._again = False
            self._scope.pump()

    async def _work(self) -> None:
        """Ask until nobody is left that may go."""
        scope = self._scope
        while self._sharing.together:
            self._again = False
            self.divide(1.0)
            batch: list[tuple[Waiter, list[Taken]]] = []
            try:
                if self._lost is not None:
                    await self._recover(self._lost)
                if self._is_new:
                    await self.tell()
                now = self._sharing.clock.now()
                batch = self._batch(now)
                if not (batch or self._fixes or self._pause or self._runs or self.untold):
                    break
                fixes, self._fixes, pause, self._pause = self._fixes, [], self._pause, None
                question = self._question([waiter for waiter, _ in batch], now, fixes=fixes, pause=pause)
                turn = await self._asked(question, now)
            except UnreachableError:
                self._back(batch)
                self._alone()
                return
            except BaseException:
                self._back(batch)
                raise
            self._hear(question, turn, batch)
            if not batch or not all(turn.granted) or not (self._again or scope.queue):
                break
        scope.arm()

    def _batch(self, now: float) -> list[tuple[Waiter, list[Taken]]]:
        """Give who may go by what is known here, some of every tenant: whose turn it is all gateways decide.

        They keep their places until that is known.
        """
        scope = self._scope
        batch: list[tuple[Waiter, list[Taken]]] = []
        for waiter in scope.queue.in_turn(AT_ONCE_MAX):
            if scope.block(waiter.cost, now).seconds > 0:
                break
            if not waiter.is_gone:
                batch.append((waiter, scope.take(waiter.cost, now)))
        return batch

    def _hear(self, question: Question, turn: Turn, batch: list[tuple[Waiter, list[Taken]]]) -> None:
        scope, now = self._scope, self._sharing.clock.now()
        home, refused = home_of(scope), []
        turns = home.turns or self
        moved = question.scope != home.key.joined
        for (waiter, taken), granted in zip(batch, turn.granted, strict=True):
            if not granted:
                refused.append((waiter, taken))
                if moved:  # it was told with all that is counted here
                    turns.correct(turn.at_ms, waiter.cost, Cost(0))
            elif waiter.is_gone:
                home.give_back(taken)
                turns.correct(turn.at_ms, waiter.cost, Cost(0))
            else:
                home.queue.take(waiter)
                waiter.granted_ms = turn.at_ms
                waiter.serve(taken)
        self._back(refused)
        if turn.paused_seconds and now + turn.paused_seconds > scope.paused_until:
            scope.paused_until, scope.pause_reason = now + turn.paused_seconds, turn.reason
        self._measure(question, turn, now)
        if refused:
            self._until = now + turn.wait_seconds
            self._why = shared_limit(question, turn)
            for waiter, _ in refused:
                if waiter.live is not None and not waiter.is_gone:
                    waiter.live.enter(State.QUEUED, self._why.reason, round(turn.wait_seconds * 1000))

    def _measure(self, question: Question, turn: Turn, now: float) -> None:
        """Learn how much of what goes is ours: what is waited for here takes so much longer."""
        ratios = [1.0]
        for held, used in zip(self._scope.configured, turn.used, strict=False):
            own = spent(held, now)
            if used > held.limit / 2:
                ratios.append(used / max(own, 1.0))
        self.crowding = min(max(ratios), float(max(1, self._sharing.replicas)))

    def _back(self, batch: Iterable[tuple[Waiter, list[Taken]]]) -> None:
        """Count no longer who may not go yet."""
        home = home_of(self._scope)
        for _, taken in batch:
            home.give_back(taken)

    def _alone(self) -> None:
        """The others cannot be asked: go on with this gateway's share."""
        self.divide(float(self._sharing.replicas))
        home = home_of(self._scope)
        self._until = -math.inf
        home.pump_alone()
        self._tell_in(AGAIN_SECONDS)

    def _filled(self, amounts: list[Spent]) -> tuple[Spent, ...] | None:
        """Give what was spent of configured limits for all meters; None for nothing."""
        return (*amounts, *[()] * (len(self._meters()) - len(amounts))) if any(amounts) else None

    def _question(
        self,
        waiters: list[Waiter],
        now: float,
        *,
        fixes: Iterable[tuple[str, float, float]] = (),
        pause: tuple[float, str] | None = None,
        whole: tuple[Spent, ...] | None = None,
    ) -> Question:
        scope, meters = self._scope, self._meters()
        kinds = [meter.id.partition(":")[0] for meter in meters]
        places = {meter.id: place for place, meter in enumerate(meters)}
        most = scope.most_at_once(now)
        self._runs = most is not None
        lines = scope.queue.lines()
        waiting = {tenant: self._line(first, meters, kinds, number) for tenant, number, first in lines}
        return Question(
            scope=scope.key.joined,
            meters=meters,
            items=tuple(
                Item(waiter.tenant, scope.queue.charge(waiter), tuple(waiter.cost.of(kind) for kind in kinds))
                for waiter in waiters
            ),
            waiting=waiting,
            running=max(0, scope.in_flight - len(waiters)),
            most=most or 0,
            fixes=tuple(Fix(places[name], at, more) for name, at, more in fixes if name in places),
            told=self._filled([self.untold.of(held, now) for held in scope.configured]) if self.untold else None,
            whole=whole,
            book=self._book,
            pause=pause,
        )

    def _line(self, waiter: "Waiter", meters: tuple[SharedMeter, ...], kinds: list[str], number: int) -> Line:
        amounts = {meter.id: waiter.cost.of(kind) for meter, kind in zip(meters, kinds, strict=True)}
        return Line(number, self._scope.queue.charge(waiter), amounts)

    def _meters(self) -> tuple[SharedMeter, ...]:
        found = []
        for held in self._scope.configured:
            burst = held.limit if held.burst is None else min(held.burst, held.limit)
            found.append(SharedMeter(_id(held), isinstance(held.meter, Window), held.limit, held.seconds, burst))
        for learned in self._scope.learned.values():
            meter, shape = learned.meter, learned.shape
            if learned.enforced and meter is not None and shape is not None:
                name = f"{learned.kind}:learned:{shape.seconds:g}:{'w' if shape.stepwise else 'b'}"
                capacity = meter.capacity if isinstance(meter, Bucket) else meter.limit
                found.append(SharedMeter(name, shape.stepwise, meter.limit, shape.seconds, capacity))
        return tuple(found)


def _id(held: Held) -> str:
    return f"{held.kind}:{held.seconds:g}:{'w' if isinstance(held.meter, Window) else 'b'}"


def _divide(held: Held, by: float, now: float) -> None:
    limit, seconds = held.limit / by, held.seconds + SKEW_SECONDS
    if limit < 1:
        limit, seconds = 1.0, seconds / limit
    if isinstance(held.meter, Window):
        held.meter.adopt(limit, seconds)
    elif isinstance(held.meter, Bucket):
        held.meter.adopt(max(1.0, min(held.burst or held.limit, held.limit) / by), limit, seconds, now)
