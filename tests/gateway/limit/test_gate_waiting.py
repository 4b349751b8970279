"""Who waits: for how long it is told it will, when it is turned away instead, and what is left when everybody has gone."""

import asyncio
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.limit.gate import Gate, LimitRule, Permit
from gateway.model.cause import Cause
from gateway.model.decision import Refuse
from gateway.model.event import Live
from gateway.model.flow import State
from gateway.model.route import Route
from tests.gateway.factories import a_call
from tests.gateway.limit.asking import (
    BEGAN,
    GOOD,
    LATE,
    ROUTE,
    a_gate,
    a_way,
    answered,
    ask,
    asking,
    is_at_rest,
    known,
    moments,
    permitted,
    refusal,
    stated,
    states,
    ticks,
    turned_away,
)
from tests.gateway.limit.timed import TimedLoop, timed

SIXTY_A_MINUTE = states(stated(60, 20, 40.0))


# the slow start


def test_of_a_scope_that_nobody_knows_one_call_goes_first_and_twice_as_many_every_half_second() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop)
        times = await moments(gate, 20, runs=100)
        assert times[0] == 0
        for seconds, out in ((0.4, 1), (0.9, 2), (1.4, 4), (1.9, 8), (2.4, 16)):
            assert sum(at <= seconds for at in times) == out
        assert times[-1] == pytest.approx(2.5, abs=LATE)

    timed(main)


def test_every_answer_doubles_how_many_may_be_unanswered() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop)
        times = await moments(gate, 30, runs=0.1)
        assert sum(at < 0.09 for at in times) == 1
        assert sum(at < 0.19 for at in times) == 3, "two while the first was answered"
        assert times[-1] < 0.5

    timed(main)


@pytest.mark.parametrize("rule", [LimitRule(per_minute=500), LimitRule(per_second=100), LimitRule(concurrency=100)])
def test_a_configured_number_of_requests_makes_a_slow_start_needless(rule: LimitRule) -> None:
    async def main(loop: TimedLoop) -> None:
        assert await moments(a_gate(loop, rule), 50) == [0.0] * 50

    timed(main)


def test_a_configured_number_of_tokens_does_not_say_how_many_requests_may_go() -> None:
    async def main(loop: TimedLoop) -> None:
        assert (await moments(a_gate(loop, LimitRule(tokens_per_minute=1000)), 2, runs=9))[1] > 0.4

    timed(main)


def test_calls_of_no_known_model_start_at_once() -> None:
    """Listing models, files, batches: nothing is counted by model there."""

    async def main(loop: TimedLoop) -> None:
        assert await moments(a_gate(loop), 50, a_way(model="")) == [0.0] * 50

    timed(main)


def test_the_slow_start_is_over_when_an_answer_states_a_limit() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop)
        first = await permitted(gate)
        waiters = [asking(gate) for _ in range(100)]
        await asyncio.sleep(0.1)
        first.answered(states(stated(6000, 5999, 0.01)))
        await asyncio.gather(*waiters)
        assert loop.now() == pytest.approx(BEGAN + 0.1, abs=LATE)

    timed(main)


def test_calls_that_could_not_connect_do_not_make_the_next_ones_faster() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop)
        for _ in range(3):
            (await permitted(gate, sends=False)).release()
        assert loop.now() == BEGAN
        await permitted(gate)
        assert (await permitted(gate)).queued_seconds == pytest.approx(0.5, abs=LATE)

    timed(main)


# the ETA


async def _told_and_true(
    gate: Gate, number: int, route: Route = ROUTE, *, runs: float | None = None
) -> list[tuple[float, float]]:
    """Let so many ask in one moment; give the wait that each was told, and the one that it had. Only who waits."""

    async def one() -> tuple[float, float]:
        live = Live(call=a_call())
        waiter = asking(gate, route, live=live)
        await ticks(1)
        told = live.eta_ms
        permit = await waiter
        assert isinstance(permit, Permit)
        waited = permit.queued_seconds
        if runs is not None:
            await asyncio.sleep(runs)
            permit.answered(GOOD)
            permit.release()
        return (0.0 if told is None else told / 1000, waited)

    return sorted(pair for pair in await asyncio.gather(*(one() for _ in range(number))) if pair[1] > 0)


def _agree(pairs: list[tuple[float, float]], *, number: int) -> None:
    assert len(pairs) >= number, "they did have to wait"
    for told, true in pairs:
        assert told == pytest.approx(true, rel=0.1, abs=0.05)


@pytest.mark.parametrize(
    "rule",
    [LimitRule(per_minute=6), LimitRule(per_second=3), LimitRule(per_second=0.2), LimitRule(per_minute=30, burst=2)],
    ids=["minute", "second", "broken", "burst"],
)
def test_the_nth_waiter_is_told_its_wait_for_a_configured_limit(rule: LimitRule) -> None:
    async def main(loop: TimedLoop) -> None:
        _agree(await _told_and_true(a_gate(loop, rule), 40), number=34)

    timed(main)


def test_the_nth_waiter_is_told_its_wait_for_configured_tokens() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop, LimitRule(tokens_per_minute=1000, per_second=1000))
        _agree(await _told_and_true(gate, 40, a_way(input_tokens=100)), number=30)

    timed(main)


def test_the_nth_waiter_is_told_its_wait_for_a_learned_bucket() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop)
        await answered(gate, SIXTY_A_MINUTE)
        _agree(await _told_and_true(gate, 60), number=35)

    timed(main)


def test_the_nth_waiter_is_told_its_wait_after_a_pause_with_a_learned_bucket() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop)
        await answered(gate, SIXTY_A_MINUTE)
        await answered(gate, refusal(20))
        _agree(await _told_and_true(gate, 30), number=30)

    timed(main)


def test_the_nth_waiter_is_told_its_wait_after_a_pause_with_nothing_known() -> None:
    """The pace is what went well before; every good answer makes it faster, so that the last ones come early."""

    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop)
        await known(gate)
        await answered(gate, refusal(20))
        pairs = await _told_and_true(gate, 8)
        _agree(pairs, number=8)

    timed(main)


def test_the_nth_waiter_is_told_its_wait_for_a_configured_window_that_begins_after_a_pause() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop, LimitRule(per_minute=2))
        await answered(gate, refusal(40))
        _agree(await _told_and_true(gate, 7), number=7)

    timed(main)


@pytest.mark.parametrize("most", [1, 2, 5])
def test_the_nth_waiter_is_told_its_wait_for_running_calls_by_how_long_they_usually_take(most: int) -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop, LimitRule(concurrency=most))
        await moments(gate, 30 * most, runs=4)
        _agree(await _told_and_true(gate, 6 * most, runs=4), number=5 * most)

    timed(main)


def test_a_newcomer_is_told_its_wait_behind_another_tenant_by_its_share_of_the_turns() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop, LimitRule(per_second=2))
        for _ in range(100):
            asking(gate, a_way(tenant="flood"))
        await ticks()
        pairs = await _told_and_true(gate, 10, a_way(tenant="quiet"))
        for told, true in pairs:
            assert told == pytest.approx(true, rel=0.1, abs=1.1), "the window moves on once a second"
        gate.drain()
        await ticks()

    timed(main)


def test_a_waiter_is_told_the_reason_that_holds_it_longest() -> None:
    async def main(loop: TimedLoop) -> None:
        gate, live = a_gate(loop, LimitRule(per_second=1), LimitRule(per_minute=2)), Live(call=a_call())
        for _ in range(2):
            await permitted(gate)
        waiter = asking(gate, live=live)
        await ticks()
        assert (live.state, live.wait_reason) == (State.QUEUED, "configured limit of 2 requests per minute")
        await waiter

    timed(main)


# deadlines


@pytest.mark.parametrize(("seconds", "passes"), [(119.0, False), (121.0, True)])
def test_whoever_could_not_be_served_in_time_behind_those_that_wait_is_turned_away_at_once(
    seconds: float, *, passes: bool
) -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop, LimitRule(per_minute=1))
        await permitted(gate)
        waiter = asking(gate)
        await ticks()
        given = await ask(gate, seconds=seconds)
        if passes:
            assert isinstance(given, Permit)
        else:
            assert isinstance(given, Refuse)
            assert loop.now() == BEGAN
            assert given.retry_after_seconds == pytest.approx(120, abs=0.1)
            assert given.policy is not None
            assert given.policy.reset_seconds == pytest.approx(120, abs=0.1)
            assert (given.policy.kind, given.policy.limit, given.policy.window_seconds) == ("requests", 1, 60.0)
        await waiter

    timed(main)


def test_who_is_turned_away_by_a_learned_limit_is_told_its_numbers() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop)
        await answered(gate, states(stated(60, 0, 60.0)))
        waiters = [asking(gate) for _ in range(30)]
        await ticks()
        refused = await turned_away(gate, seconds=10)
        assert refused.policy is not None
        assert (refused.policy.kind, refused.policy.limit, refused.policy.window_seconds) == ("requests", 60, 60.0)
        assert refused.policy.reset_seconds == refused.retry_after_seconds == pytest.approx(31, abs=2)
        gate.drain()
        await asyncio.gather(*waiters)

    timed(main)


def test_who_gives_up_while_calls_run_is_told_of_the_concurrency() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop, LimitRule(concurrency=3))
        for _ in range(3):
            await permitted(gate)
        refused = await turned_away(gate, seconds=4)
        assert loop.now() == pytest.approx(BEGAN + 4, abs=LATE)
        assert refused.policy is not None
        assert (refused.policy.kind, refused.policy.limit, refused.policy.window_seconds) == ("concurrency", 3, None)
        assert refused.queued_seconds == pytest.approx(4, abs=LATE)

    timed(main)


def test_a_full_queue_tells_when_the_newcomer_would_have_been_served_and_by_which_limit() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop, LimitRule(per_minute=1), queue_max=1)
        await permitted(gate)
        waiter = asking(gate)
        await ticks()
        refused = await turned_away(gate)
        assert refused.cause is Cause.PROXY_QUEUE_FULL
        assert refused.policy is not None
        assert refused.policy.limit == 1
        assert refused.policy.reset_seconds == refused.retry_after_seconds == pytest.approx(120, abs=0.1)
        await waiter

    timed(main)


def test_one_that_is_shut_out_of_the_queue_leaves_no_trace() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop, LimitRule(concurrency=1), queue_max=0)
        holder = await permitted(gate)
        for _ in range(10):
            assert (await turned_away(gate)).cause is Cause.PROXY_QUEUE_FULL
        holder.release()
        assert is_at_rest(gate, loop)
        await permitted(gate)

    timed(main)


# leaving


def test_draining_lets_everybody_out_of_every_line_and_leaves_running_calls_alone() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop, LimitRule(per_minute=1))
        ways = [a_way(f"key-{number}") for number in range(5)]
        running = [await permitted(gate, route) for route in ways]
        waiters = [asking(gate, route) for route in ways for _ in range(10)]
        await asyncio.sleep(3)
        gate.drain()
        for refused in await asyncio.gather(*waiters):
            assert isinstance(refused, Refuse)
            assert refused.cause is Cause.PROXY_DRAINING
            assert refused.queued_seconds == pytest.approx(3, abs=LATE)
        assert loop.now() == pytest.approx(BEGAN + 3, abs=LATE)
        for permit in running:
            permit.answered(GOOD)
            permit.release()
        assert is_at_rest(gate, loop)

    timed(main)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    "rule",
    [LimitRule(per_second=50), LimitRule(concurrency=20), LimitRule(per_second=80, concurrency=15)],
    ids=["window", "concurrency", "both"],
)
def test_of_a_thousand_that_wait_a_third_leaves_at_random_and_everybody_else_is_served(
    rule: LimitRule, seed: int
) -> None:
    draw = random.Random(seed)

    async def main(loop: TimedLoop) -> None:
        gate, served = a_gate(loop, rule), set[int]()

        async def one(number: int) -> None:
            route = ways[number % 3]
            permit = await permitted(gate, route)
            try:
                await asyncio.sleep(0.2)
                served.add(number)
            finally:
                permit.release()

        ways = [a_way(tenant=name) for name in ("first", "second", "third")]
        tasks = [asyncio.ensure_future(one(number)) for number in range(1_000)]
        leavers = set(draw.sample(range(1_000), 300))
        for number in leavers:
            loop.call_later(draw.uniform(0, 15), tasks[number].cancel)
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert {n for n, result in enumerate(results) if result is not None} <= leavers
        assert served >= set(range(1_000)) - leavers
        await asyncio.sleep(20)
        assert is_at_rest(gate, loop)

    timed(main)


@settings(max_examples=60, deadline=None)
@given(
    leave_at=st.lists(st.sampled_from([0.0, 1.0205, 1.0, 2.0, 2.041, 0.5]), min_size=1, max_size=12),
    concurrency=st.sampled_from([None, 1]),
)
def test_leaving_at_the_very_moment_of_a_turn_costs_the_others_nothing(
    leave_at: list[float], concurrency: int | None
) -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop, LimitRule(per_second=1, concurrency=concurrency))
        (await permitted(gate)).release()

        async def one() -> None:
            (await permitted(gate)).release()

        leavers = [asyncio.ensure_future(one()) for _ in leave_at]
        stayers = [asyncio.ensure_future(one()) for _ in range(3)]
        for task, seconds in zip(leavers, leave_at, strict=True):
            loop.call_later(seconds, task.cancel)
        await asyncio.gather(*stayers)
        served_leavers = sum(not task.cancelled() for task in leavers)
        assert loop.now() <= BEGAN + (3 + served_leavers) * 1.03 + 1.03
        await asyncio.gather(*leavers, return_exceptions=True)
        assert is_at_rest(gate, loop)

    timed(main)


# clocks


def test_the_gate_never_looks_at_the_wall_clock() -> None:
    async def main(loop: TimedLoop) -> None:
        class NoWall:
            now = staticmethod(loop.now)

            def wall(self) -> float:
                raise AssertionError("the wall clock may jump")

        gate = Gate((LimitRule(per_minute=3, tokens_per_minute=900),), NoWall(), queue_max=99, queue_max_bytes=99)
        heavy = a_way(input_tokens=100)
        await answered(gate, states(stated(60, 10, 50.0), account="org"), heavy)
        await answered(gate, refusal(3), heavy)
        await answered(gate, refusal(None, Cause.RATE_LIMIT_CONCURRENCY), heavy)
        assert len(await moments(gate, 4, heavy)) == 4
        assert isinstance(await ask(gate, heavy, seconds=1), Permit | Refuse)
        gate.drain()
        assert loop.now() > BEGAN

    timed(main)


def test_nobody_is_refused_on_a_guess_of_what_others_will_take() -> None:
    """All come at once and nothing was counted yet: each reserves 500 tokens, and turns out to take 20."""

    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop, LimitRule(tokens_per_minute=6_000))
        route = a_way(input_tokens=10, output_tokens=490)

        async def one() -> None:
            permit = await permitted(gate, route, seconds=20)
            await asyncio.sleep(0.5)
            permit.answered(GOOD)
            permit.settle(10, 10)
            permit.release()

        await asyncio.gather(*(one() for _ in range(100)))
        assert loop.now() < 1000 + 10

    timed(main)


def test_who_waits_behind_what_is_known_to_be_taken_is_refused_at_once() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop, LimitRule(tokens_per_minute=6_000))
        route = a_way(input_tokens=10, output_tokens=490)
        for _ in range(12):
            permit = await permitted(gate, route)
            permit.answered(GOOD)
            permit.settle(10, 490)
            permit.release()
        waiting = [asking(gate, route) for _ in range(10)]
        await ticks()
        refused = await turned_away(gate, route, seconds=20)
        assert (refused.cause, loop.now()) == (Cause.PROXY_QUEUE_TIMEOUT, 1000)
        for task in waiting:
            task.cancel()

    timed(main)
