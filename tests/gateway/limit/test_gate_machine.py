"""The gate beside a model of it: whatever is asked, answered, given back or broken off, in whatever order."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gateway.limit.gate import Answer, Gate, LimitRule, Permit
from gateway.limit.scope import Scope
from gateway.model.cause import Cause
from gateway.model.decision import Refuse
from gateway.model.event import Live
from gateway.model.provider import StatedLimit
from gateway.model.route import Route
from tests.gateway.factories import a_call
from tests.gateway.limit.asking import FAR, GOOD, a_way, refusal, stated
from tests.gateway.limit.timed import TimedLoop

TENANTS = ("one", "two", "three")
_SIZE = 10


@dataclass(eq=False, repr=False)
class Asked:
    """One call, as the model sees it."""

    number: int
    route: Route
    front: bool
    task: asyncio.Task[Permit | Refuse]
    permit: Permit | None = None
    sent_at: float | None = None
    tokens: int = 0
    is_answered: bool = False

    def __repr__(self) -> str:
        return f"<{self.number} of {self.route.tenant}>"


@dataclass
class Seen:
    """What went out: when, and how many tokens it took in the end."""

    at: float
    asked: Asked


class GateMachine(RuleBasedStateMachine):
    """One scope; calls are of three tenants, some with a burden of tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = TimedLoop()
        self.number = 0
        self.lines: dict[str, list[Asked]] = {name: [] for name in TENANTS}
        self.held: list[Asked] = []
        self.gone: list[Asked] = []
        self.sent: list[Seen] = []
        self.wrong: list[str] = []

    @initialize(
        per_second=st.sampled_from([None, 1, 3]),
        per_minute=st.sampled_from([None, 5, 20]),
        tokens=st.sampled_from([None, 100, 1000]),
        concurrency=st.sampled_from([None, 1, 3]),
        burst=st.sampled_from([None, 1, 2]),
    )
    def begin(self, **limits: int | None) -> None:
        self.rule = LimitRule(
            per_second=limits["per_second"],
            per_minute=limits["per_minute"],
            tokens_per_minute=limits["tokens"],
            concurrency=limits["concurrency"],
            burst=limits["burst"],
        )
        self.gate = Gate((self.rule,), self.loop, queue_max=1_000, queue_max_bytes=100_000)

    def run[T](self, what: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(what)

    async def _pass(self, seconds: float) -> None:
        """Let the time go on, and see who was served, in order."""
        until = self.loop.now() + seconds
        if seconds:
            await asyncio.sleep(seconds)
        for _ in range(6):
            await asyncio.sleep(0)
        assert self.loop.now() <= until + 0.001

    def _served(self, asked: Asked) -> None:
        if asked.task.cancelled():
            return
        given = asked.task.result()
        line = self.lines[asked.route.tenant]
        if isinstance(given, Refuse):
            if given.cause is not Cause.PROXY_QUEUE_TIMEOUT:
                self.wrong.append(f"{asked.number} was refused: {given}")
            line.remove(asked)
            return
        before = [one.number for one in line[: line.index(asked)] if not one.task.cancelling()]
        if before:
            self.wrong.append(f"{asked.number} was served before {before}")
        line.remove(asked)
        asked.permit = given
        self.held.append(asked)

    @rule(
        tenant=st.sampled_from(TENANTS),
        tokens=st.sampled_from([0, 1, 40, 90]),
        seconds=st.sampled_from([0.5, 10.0, FAR]),
        front=st.sampled_from([False, False, False, True]),
        number=st.integers(1, 4),
    )
    def ask(self, tenant: str, tokens: int, seconds: float, number: int, *, front: bool) -> None:
        async def main() -> None:
            for _ in range(number):
                self._ask(a_way(tenant=tenant, input_tokens=tokens), self.loop.now() + seconds, front=front)
                await self._pass(0)

        self.run(main())

    def _ask(self, route: Route, deadline: float, *, front: bool) -> Asked:
        self.number += 1
        asking = self.gate.acquire(route, Live(call=a_call()), deadline=deadline, size_bytes=_SIZE, front=front)
        asked = Asked(self.number, route, front, self.loop.create_task(asking), tokens=route.input_tokens)
        line = self.lines[route.tenant]
        line.insert(sum(one.front for one in line) if front else len(line), asked)
        asked.task.add_done_callback(lambda _task: self._served(asked))
        return asked

    @rule(seconds=st.sampled_from([0.01, 0.3, 1.0, 1.0205, 7.0, 61.0]))
    def advance(self, seconds: float) -> None:
        self.run(self._pass(seconds))

    @precondition(lambda self: any(one.sent_at is None for one in self.held))
    @rule(data=st.data())
    def send(self, data: st.DataObject) -> None:
        asked = data.draw(st.sampled_from([one for one in self.held if one.sent_at is None]))
        assert asked.permit is not None
        asked.permit.sent()
        asked.sent_at = self.loop.now()
        self.sent.append(Seen(self.loop.now(), asked))

    @precondition(lambda self: any(one.sent_at is not None and not one.is_answered for one in self.held))
    @rule(
        data=st.data(),
        answer=st.sampled_from(
            [
                GOOD,
                GOOD,
                Answer(good=False),
                Answer(good=True, stated=(stated(60, 30, 30.0),)),
                Answer(good=True, stated=(stated(1000, 900, None, 60.0, "tokens"),)),
                refusal(3.0),
                refusal(None),
                refusal(500.0),
                refusal(None, Cause.RATE_LIMIT_CONCURRENCY),
                refusal(2.0, Cause.RATE_LIMIT_CONCURRENCY, StatedLimit("concurrency", 2, None, None)),
                refusal(1.0, Cause.RATE_LIMIT_TOKENS),
            ]
        ),
    )
    def answer(self, data: st.DataObject, answer: Answer) -> None:
        sent = [one for one in self.held if one.sent_at is not None and not one.is_answered]
        asked = data.draw(st.sampled_from(sent))
        assert asked.permit is not None

        async def main() -> None:
            asked.permit.answered(answer)  # type: ignore[union-attr]
            await self._pass(0)

        asked.is_answered = True
        if not answer.good:
            asked.tokens = 0
        self.run(main())

    @precondition(lambda self: any(one.is_answered for one in self.held))
    @rule(data=st.data(), share=st.sampled_from([0.0, 0.5, 1.0]))
    def settle(self, data: st.DataObject, share: float) -> None:
        """Never more than the estimate: what was more can only be noticed afterwards."""
        asked = data.draw(st.sampled_from([one for one in self.held if one.is_answered]))
        assert asked.permit is not None
        asked.tokens = min(asked.tokens, int(asked.tokens * share))
        asked.permit.settle(asked.tokens, 0)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), times=st.integers(1, 2))
    def release(self, data: st.DataObject, times: int) -> None:
        asked = data.draw(st.sampled_from(self.held))

        async def main() -> None:
            for _ in range(times):
                asked.permit.release()  # type: ignore[union-attr]
            await self._pass(0)

        self.held.remove(asked)
        self.run(main())

    @precondition(lambda self: any(self.lines.values()))
    @rule(data=st.data(), also_released=st.booleans())
    def leave(self, data: st.DataObject, *, also_released: bool) -> None:
        """Break off one that waits, perhaps in the moment in which its turn comes."""
        asked = data.draw(st.sampled_from([one for line in self.lines.values() for one in line]))
        released = self.held.pop(0) if also_released and self.held else None

        async def main() -> None:
            if released is not None and released.permit is not None:
                released.permit.release()
            asked.task.cancel()
            await self._pass(0)

        self.run(main())
        if asked.task.cancelled():
            self.lines[asked.route.tenant].remove(asked)

    @invariant()
    def nothing_is_counted_twice_or_forgotten(self) -> None:
        if not hasattr(self, "gate"):
            return
        waiting = sum(len(line) for line in self.lines.values())
        assert self.gate.waiting == waiting
        assert self.gate.waiting_bytes == waiting * _SIZE
        scope = self._scope()
        if scope is not None:
            assert scope.in_flight == len(self.held)
            assert len(scope.queue) == waiting
            assert sum(use.in_flight for use in scope.users.uses.values()) == len(self.held)
            assert sum(use.queued for use in scope.users.uses.values()) == waiting

    @invariant()
    def nobody_overtakes_within_a_tenant_or_is_refused_without_reason(self) -> None:
        assert not self.wrong

    @invariant()
    def no_more_run_than_may(self) -> None:
        if hasattr(self, "gate") and self.rule.concurrency is not None:
            assert len(self.held) <= self.rule.concurrency

    @invariant()
    def no_window_holds_more_than_its_limit(self) -> None:
        if not hasattr(self, "gate"):
            return
        for amount, seconds in ((self.rule.per_second, 1.0), (self.rule.per_minute, 60.0)):
            for seen in self.sent if amount is not None else ():
                assert sum(seen.at <= one.at < seen.at + seconds for one in self.sent) <= (amount or 0)
        if self.rule.tokens_per_minute is not None:
            for seen in self.sent:
                took = sum(one.asked.tokens for one in self.sent if seen.at <= one.at < seen.at + 60)
                assert took <= self.rule.tokens_per_minute

    @invariant()
    def somebody_who_may_go_does_not_wait(self) -> None:
        scope = self._scope() if hasattr(self, "gate") else None
        if scope is not None and scope._concurrency_learned is not None:
            return  # it grows with time, and nobody is woken: see test_gate_refused
        if scope is not None and (waiter := scope.queue.peek()) is not None:
            block = scope.block(waiter.cost, self.loop.now())
            assert block.seconds > 0 or scope._timer is not None
            if block.seconds != float("inf"):
                assert scope._timer is not None, "there is an alarm for the next"

    def _scope(self) -> Scope | None:
        return next(iter(self.gate.scopes.values()), None)

    def teardown(self) -> None:
        try:
            if hasattr(self, "gate"):
                self._everybody_is_served_in_the_end()
        finally:
            for line in self.lines.values():
                for one in line:
                    one.task.cancel()
            self.run(asyncio.sleep(0))
            self.loop.close()

    def _everybody_is_served_in_the_end(self) -> None:
        for _ in range(400):
            self.run(self._all_are_answered())
            if not any(self.lines.values()):
                break
            self.run(self._pass(61))
        assert not any(self.lines.values()), "somebody waits for ever"
        assert not self.wrong
        self.nothing_is_counted_twice_or_forgotten()
        self.run(self._one_more())

    async def _all_are_answered(self) -> None:
        while self.held:  # what is given back lets others go
            permit = self.held.pop(0).permit
            assert permit is not None
            permit.sent()
            permit.answered(GOOD)
            permit.release()
            await self._pass(0)

    async def _one_more(self) -> None:
        last = self._ask(a_way(tenant="one"), self.loop.now() + 1_000, front=False)
        await self._pass(999)
        assert isinstance(last.task.result(), Permit), "the lane still works"


TestGate = GateMachine.TestCase
TestGate.settings = settings(
    max_examples=100,
    stateful_step_count=40,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),  # to explain takes minutes
    suppress_health_check=[HealthCheck.too_slow],
)
pytestmark = pytest.mark.timeout(240)
