"""Limits are set anew while calls run and wait: no count is lost, no burst is given away, nobody is left behind."""

import asyncio
from typing import Any

import pytest

from gateway.limit.gate import Gate, LimitRule
from gateway.limit.renew import renew
from gateway.model.cause import Cause
from gateway.model.decision import Refuse
from tests.gateway.limit.asking import (
    BEGAN,
    GOOD,
    LATE,
    a_gate,
    a_way,
    answered,
    asking,
    is_at_rest,
    permitted,
    turned_away,
)
from tests.gateway.limit.test_gate_accounts import OURS, A, B
from tests.gateway.limit.timed import TimedLoop, timed


def _renew(gate: Gate, *rules: LimitRule, **changed: Any) -> None:
    usual = {"queue_max": gate.queue_max, "queue_max_bytes": gate.queue_max_bytes, "shadow": gate.shadow}
    renew(gate, rules, **(usual | changed))


def _level(gate: Gate, kind: str, now: float) -> float:
    (scope,) = gate.scopes.values()
    (held,) = [held for held in scope.configured if held.kind == kind]
    return held.meter.level(now)


def test_a_limit_that_stays_keeps_its_count_and_its_meter() -> None:
    async def main(loop: TimedLoop) -> None:
        kept = LimitRule(per_minute=4)
        gate = a_gate(loop, kept, LimitRule(tokens_per_day=10_000))
        for _ in range(3):
            await answered(gate, GOOD)
        (scope,) = gate.scopes.values()
        meter = scope.configured[0].meter
        _renew(gate, LimitRule(concurrency=7), kept)
        assert [held.meter for held in scope.configured] == [meter]
        assert (_level(gate, "requests", loop.now()), scope.concurrency) == (1, 7)

    timed(main)


@pytest.mark.parametrize(("amount", "left"), [(10, 7), (2, -1)])
def test_a_limit_of_another_amount_goes_on_from_what_was_counted(amount: int, left: int) -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop, LimitRule(per_minute=4))
        for _ in range(3):
            await answered(gate, GOOD)
        _renew(gate, LimitRule(per_minute=amount))
        assert _level(gate, "requests", loop.now()) == left

    timed(main)


def test_a_call_under_way_is_settled_where_it_counts_by_then() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop, LimitRule(tokens_per_minute=1000))
        running = await permitted(gate, a_way(input_tokens=400))
        for amount in (2000, 3000):
            _renew(gate, LimitRule(tokens_per_minute=amount))
        unsent = await permitted(gate, a_way(input_tokens=500), sends=False)
        _renew(gate, LimitRule(tokens_per_minute=1000))
        assert _level(gate, "tokens", loop.now()) == 100
        running.answered(GOOD)
        running.settle(100, 0)
        running.release()
        assert _level(gate, "tokens", loop.now()) == 400
        unsent.release()
        assert _level(gate, "tokens", loop.now()) == 900
        await asyncio.sleep(61)
        assert _level(gate, "tokens", loop.now()) == 1000
        assert is_at_rest(gate, loop)

    timed(main)


def test_a_call_of_a_key_that_has_joined_another_is_settled_where_it_counts_by_then() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop, LimitRule(per_hour=50), LimitRule(tokens_per_minute=1000))
        await answered(gate, OURS, A)
        running = await permitted(gate, a_way("key-b", input_tokens=400))
        await answered(gate, OURS, B)
        _renew(gate, LimitRule(tokens_per_minute=2000))
        running.answered(GOOD)
        running.settle(100, 0)
        running.release()
        assert _level(gate, "tokens", loop.now()) == 2000 - 100
        assert is_at_rest(gate, loop)

    timed(main)


def test_who_waits_goes_as_soon_as_the_new_limit_lets_it() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop, LimitRule(per_minute=1))
        await answered(gate, GOOD)
        waiting = [asking(gate, a_way()) for _ in range(3)]
        await asyncio.sleep(1)
        _renew(gate, LimitRule(per_minute=10))
        await asyncio.gather(*waiting)
        assert loop.now() == pytest.approx(BEGAN + 1, abs=LATE)

    timed(main)


def test_who_waits_and_never_fits_any_more_is_refused_at_once_and_holds_up_nobody() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop, LimitRule(per_minute=1, tokens_per_minute=1000))
        await answered(gate, GOOD)
        large, small = asking(gate, a_way(input_tokens=800)), asking(gate, a_way(input_tokens=10))
        await asyncio.sleep(1)
        _renew(gate, LimitRule(per_minute=10, tokens_per_minute=100))
        refused = await large
        assert isinstance(refused, Refuse)
        assert refused.cause is Cause.PROXY_REQUEST_TOO_LARGE
        await small
        assert loop.now() == pytest.approx(BEGAN + 1, abs=LATE)
        assert gate.waiting == 0

    timed(main)


def test_shadow_mode_lets_everybody_go() -> None:
    async def main(loop: TimedLoop) -> None:
        rule = LimitRule(per_minute=1)
        gate = a_gate(loop, rule)
        await answered(gate, GOOD)
        waiting = [asking(gate, a_way()) for _ in range(3)]
        await asyncio.sleep(1)
        _renew(gate, rule, shadow=True)
        await asyncio.gather(*waiting)
        assert loop.now() == pytest.approx(BEGAN + 1, abs=LATE)

    timed(main)


def test_a_smaller_queue_turns_away_newcomers_alone() -> None:
    async def main(loop: TimedLoop) -> None:
        rule = LimitRule(per_minute=1)
        gate = a_gate(loop, rule)
        await answered(gate, GOOD)
        waiting = asking(gate, a_way())
        await asyncio.sleep(1)
        _renew(gate, rule, queue_max=1)
        refused = await turned_away(gate, a_way())
        assert refused.cause is Cause.PROXY_QUEUE_FULL
        assert not waiting.done()
        waiting.cancel()

    timed(main)
