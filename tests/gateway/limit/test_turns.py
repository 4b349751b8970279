"""A gate whose limits are counted by all gateways: asked once for many, and never at the cost of a call."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from gateway.limit.gate import Gate, Permit
from gateway.limit.rule import LimitRule
from gateway.limit.shared import Present, Question, Turn, Word
from gateway.limit.sharing import Sharing
from gateway.limit.team import TeamGate
from gateway.model.cause import Cause
from gateway.model.event import Live
from gateway.model.flow import State
from gateway.unreachable import UnreachableError
from tests.gateway.factories import a_call
from tests.gateway.limit.asking import GOOD, a_gate, a_way, answered, asking, permitted, refusal, ticks
from tests.gateway.limit.timed import TimedLoop, timed

RULE = LimitRule(per_second=10)


@dataclass
class Everybody:
    """All gateways' counter: lets so many go, and answers after so long."""

    loop: TimedLoop
    left: int = 1_000
    seconds: float = 0.001
    wait_seconds: float = 0.5
    is_there: bool = True
    here: int = 1
    questions: list[Question] = field(default_factory=list)
    words: list[Word] = field(default_factory=list)

    async def ask(self, question: Question) -> Turn:
        self.questions.append(question)
        await asyncio.sleep(self.seconds)
        if not self.is_there:
            raise UnreachableError("it did not answer in time")
        granted = []
        for _ in question.items:
            granted.append(self.left > 0)
            self.left -= self.left > 0
        return Turn(
            at_ms=self.loop.now() * 1000,
            granted=tuple(granted),
            wait_seconds=0.0 if all(granted) else self.wait_seconds,
            meter=None if all(granted) else 0,
            why="" if all(granted) else "limit",
            paused_seconds=0.0,
            reason="",
            used=(),
        )

    async def present(self, word: Word) -> Present:
        self.words.append(word)
        if not self.is_there:
            raise UnreachableError("it did not answer in time")
        return Present(self.here, self.here, True)

    def spent(self) -> list[tuple[float, float]]:
        """Give what was told of the first limit: when, and how much."""
        return [
            (self.loop.now() - age, amount) for question in self.questions for age, amount in (question.told or [()])[0]
        ]

    @property
    def items(self) -> int:
        return sum(len(question.items) for question in self.questions)


def a_team(loop: TimedLoop, *rules: LimitRule, expected: int = 1, **changes: object) -> tuple[Gate, Everybody, Sharing]:
    everybody = Everybody(loop, **changes)  # type: ignore[arg-type]
    sharing = Sharing(everybody, loop, expected=expected)
    return a_gate(loop, *(rules or (RULE,)), sharing=sharing), everybody, sharing


def told(main: Callable[[TimedLoop], object]) -> None:
    timed(main)  # type: ignore[arg-type]


def test_a_lone_call_costs_one_question_and_is_never_shown_as_waiting() -> None:
    async def main(loop: TimedLoop) -> None:
        gate, everybody, sharing = a_team(loop)
        await sharing.begin(1)
        live = Live(call=a_call())
        await permitted(gate, live=live)
        assert (everybody.items, len(everybody.questions)) == (1, 1)
        assert live.wait_reason is None
        assert everybody.questions[0].meters[0].limit == 10

    told(main)


def test_a_crowd_asks_together() -> None:
    async def main(loop: TimedLoop) -> None:
        gate, everybody, sharing = a_team(loop, LimitRule(per_second=1_000))
        await sharing.begin(1)
        permits = await asyncio.gather(*(permitted(gate) for _ in range(60)))
        assert len(permits) == 60
        assert everybody.items == 60
        assert len(everybody.questions) <= 3

    told(main)


def test_a_tenants_share_counts_among_all_gateways() -> None:
    """What is asked for, and what waits here: both by the tenant's weight."""

    async def main(loop: TimedLoop) -> None:
        everybody = Everybody(loop, left=0)
        sharing = Sharing(everybody, loop, expected=1)
        bounds = {"queue_max": 100, "queue_max_bytes": 1_000_000}
        gate = TeamGate((RULE,), loop, shares={"big": 4.0}, own={}, sharing=sharing, **bounds)
        await sharing.begin(1)
        calls = [asyncio.ensure_future(permitted(gate, a_way(tenant=name))) for name in ("big", "big", "small")]
        await asyncio.sleep(0.1)
        weights = {item.tenant: item.weight for question in everybody.questions for item in question.items}
        lines = {name: line.weight for question in everybody.questions for name, line in question.waiting.items()}
        assert weights["big"] == weights["small"] / 4
        assert lines["big"] == lines["small"] / 4
        everybody.left = 10
        await asyncio.gather(*calls)

    told(main)


def test_who_is_not_granted_a_turn_waits_in_its_place_and_is_told_why() -> None:
    async def main(loop: TimedLoop) -> None:
        gate, everybody, sharing = a_team(loop, left=2)
        await sharing.begin(1)
        order: list[int] = []
        lives = [Live(call=a_call()) for _ in range(4)]

        async def one(number: int) -> None:
            await permitted(gate, live=lives[number])
            order.append(number)

        tasks = [asyncio.ensure_future(one(number)) for number in range(4)]
        await asyncio.sleep(0.1)
        assert order == [0, 1]
        assert lives[2].state is State.QUEUED
        assert "counted by all gateways together" in (lives[2].wait_reason or "")
        asked = everybody.items
        await asyncio.sleep(0.2)
        assert everybody.items == asked, "nobody asks again before there can be something"
        everybody.left = 10
        await asyncio.gather(*tasks)
        assert order == [0, 1, 2, 3]
        assert loop.now() == pytest.approx(1000.5, abs=0.05)

    told(main)


def test_who_leaves_while_the_others_are_asked_gives_its_place_back() -> None:
    async def main(loop: TimedLoop) -> None:
        gate, everybody, sharing = a_team(loop, seconds=0.02)
        await sharing.begin(1)
        leaving, staying = asking(gate), asking(gate)
        await asyncio.sleep(0.01)
        leaving.cancel()
        assert isinstance(await staying, Permit)
        await asyncio.sleep(0.2)
        fixes = [fix for question in everybody.questions for fix in question.fixes]
        assert [fix.more for fix in fixes] == [-1.0]
        assert gate.reservations == 1
        assert gate.waiting == 0

    told(main)


def test_what_a_call_did_not_use_is_told_to_all() -> None:
    async def main(loop: TimedLoop) -> None:
        gate, everybody, sharing = a_team(loop, LimitRule(tokens_per_minute=10_000, per_second=10))
        await sharing.begin(1)
        permit = await permitted(gate, a_way(input_tokens=100, output_tokens=900))
        permit.answered(GOOD)
        permit.settle(100, 50)
        permit.release()
        await asyncio.sleep(0.2)
        fixes = [fix for question in everybody.questions for fix in question.fixes]
        names = [everybody.questions[-1].meters[fix.meter].id for fix in fixes]
        assert [(name.partition(":")[0], fix.more) for name, fix in zip(names, fixes, strict=True)] == [
            ("tokens", -850.0)
        ]

    told(main)


def test_when_the_others_cannot_be_asked_a_call_goes_by_this_gateways_share() -> None:
    async def main(loop: TimedLoop) -> None:
        gate, everybody, sharing = a_team(loop, expected=5, here=5)
        await sharing.begin(1)
        everybody.is_there = False
        everybody.seconds = 0.05
        began = loop.now()
        await permitted(gate)
        assert loop.now() - began == pytest.approx(0.05, abs=0.01)
        sharing.apart()
        others = [asking(gate) for _ in range(4)]
        await asyncio.sleep(0.5)
        assert sum(task.done() for task in others) == 1, "two of ten in a second are this gateway's"
        await asyncio.gather(*others)
        assert loop.now() - began > 1.5

    told(main)


def test_together_again_whole_limits_are_in_force_and_what_was_spent_alone_has_been_told() -> None:
    async def main(loop: TimedLoop) -> None:
        gate, everybody, sharing = a_team(loop, expected=2, here=2)
        sharing.apart()
        spent = [await permitted(gate) for _ in range(5)]
        assert len(spent) == 5
        running = asyncio.ensure_future(sharing.run())
        await asyncio.sleep(0.3)
        assert sharing.together
        assert sum(amount for _, amount in everybody.spent()) == 5.0
        assert everybody.words[0] == "here"
        assert (await asyncio.gather(*(asking(gate) for _ in range(4))))[-1]
        running.cancel()

    told(main)


def test_whole_limits_wait_for_who_is_here_and_has_not_told_yet() -> None:
    async def main(loop: TimedLoop) -> None:
        gate, everybody, sharing = a_team(loop)
        ready = 1

        async def present(word: Word) -> Present:
            return Present(2, ready, True)

        everybody.present = present  # type: ignore[method-assign]
        running = asyncio.ensure_future(sharing.run())
        await asyncio.sleep(2)
        assert not sharing.together
        ready = 2
        await asyncio.sleep(0.3)
        assert sharing.together
        assert sharing.replicas == 2
        await answered(gate)
        running.cancel()

    told(main)


def test_what_was_spent_alone_is_told_as_of_the_moment_in_which_it_was() -> None:
    async def main(loop: TimedLoop) -> None:
        gate, everybody, sharing = a_team(loop)
        sharing.apart()
        moments = []
        for _ in range(4):
            await asyncio.sleep(0.2)
            moments.append(loop.now())
            await answered(gate)
        await asyncio.sleep(0.1)
        await sharing.begin(1)
        assert [at for at, _ in everybody.spent()] == pytest.approx(moments, abs=0.01)

    told(main)


def test_what_goes_while_the_others_are_waited_for_is_told_at_once() -> None:
    """Else whoever is first to count together finds more room than there is."""

    async def main(loop: TimedLoop) -> None:
        gate, everybody, sharing = a_team(loop, LimitRule(per_second=100))
        sharing.apart()

        async def present(word: Word) -> Present:
            return Present(2, 1, True)

        everybody.present = present  # type: ignore[method-assign]
        running = asyncio.ensure_future(sharing.run())
        await asyncio.sleep(0.5)
        for _ in range(4):
            await answered(gate)
            await asyncio.sleep(0.15)
        assert not sharing.together
        assert sum(amount for _, amount in everybody.spent()) == 4.0
        running.cancel()

    told(main)


def test_a_server_that_has_lost_everything_is_begun_with_anew() -> None:
    async def main(loop: TimedLoop) -> None:
        _gate, everybody, sharing = a_team(loop)
        running = asyncio.ensure_future(sharing.run())
        await asyncio.sleep(0.5)
        assert sharing.together
        known = [True]

        async def present(word: Word) -> Present:
            everybody.words.append(word)
            return Present(1, 1, known.pop() if known else True)

        everybody.words.clear()
        known[:] = [False]
        everybody.present = present  # type: ignore[method-assign]
        await asyncio.sleep(2)
        assert everybody.words[:3] == ["ready", "here", "ready"]
        assert sharing.together
        running.cancel()

    told(main)


def test_a_providers_wait_is_told_to_all() -> None:
    async def main(loop: TimedLoop) -> None:
        gate, everybody, sharing = a_team(loop)
        await sharing.begin(1)
        await answered(gate, refusal(7, Cause.RATE_LIMIT_REQUESTS))
        await asyncio.sleep(0.2)
        (pause,) = [question.pause for question in everybody.questions if question.pause]
        assert pause[0] == 7
        assert "rate_limit.requests" in pause[1]

    told(main)


def test_whoever_leaves_and_whatever_fails_nothing_is_left_behind() -> None:
    """Three hundred calls; the counter is away every now and then, and every third call leaves."""

    async def main(loop: TimedLoop) -> None:
        gate, everybody, sharing = a_team(loop, LimitRule(per_second=50), wait_seconds=0.02)

        async def weather() -> None:
            for step in range(200):
                await asyncio.sleep(0.013)
                everybody.is_there = step % 5 != 0
                everybody.left = step % 7

        async def one(number: int) -> None:
            await asyncio.sleep(number * 0.007)
            permit = await permitted(gate, a_way(f"key-{number % 4}"))
            try:
                await asyncio.sleep(0.01)
                permit.answered(GOOD)
            finally:
                permit.release()

        await sharing.begin(1)
        tasks = [asyncio.ensure_future(one(number)) for number in range(300)]
        changing = asyncio.ensure_future(weather())
        for number in range(0, 300, 3):
            await asyncio.sleep(0.005)
            tasks[number].cancel()
        await asyncio.wait(tasks, timeout=300)
        await changing
        everybody.left, everybody.is_there = 10_000, True
        await asyncio.wait(tasks, timeout=60)
        assert all(task.done() for task in tasks)
        assert [task.exception() for task in tasks if not task.cancelled() and task.exception()] == []
        assert (gate.waiting, gate.waiting_bytes, gate.reservations) == (0, 0, 0)
        assert [len(scope.queue) for scope in gate.scopes.values()] == [0] * len(gate.scopes)

    told(main)


def test_a_gateway_that_ends_leaves_nobody_waiting_for_others() -> None:
    async def main(loop: TimedLoop) -> None:
        gate, _everybody, sharing = a_team(loop, left=0)
        await sharing.begin(1)
        waiting = [asking(gate) for _ in range(3)]
        await asyncio.sleep(0.1)
        gate.drain()
        await ticks(20)
        assert [getattr(await task, "cause", None) for task in waiting] == [Cause.PROXY_DRAINING] * 3
        await sharing.close()

    told(main)
