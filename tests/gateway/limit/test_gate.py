"""The gate, on a clock that only timers move: order, limits, leaving, refusing, draining."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.limit import gate as gate_module
from gateway.limit.gate import Answer, Gate, LimitRule, Permit
from gateway.limit.rule import SKEW_SECONDS
from gateway.model.cause import Cause
from gateway.model.decision import Refuse
from gateway.model.event import Live
from gateway.model.flow import State
from gateway.model.route import Route
from tests.gateway.factories import HandClock, a_call, a_route
from tests.gateway.limit.timed import TimedLoop, timed

ROUTE = a_route()
FAR = 1e6


def _gate(loop: TimedLoop, *rules: LimitRule, queue_max: int = 100, queue_max_bytes: int = 1_000) -> Gate:
    return Gate(rules, loop, queue_max=queue_max, queue_max_bytes=queue_max_bytes)


async def _ask(
    gate: Gate,
    *,
    seconds: float = FAR,
    size: int = 1,
    live: Live | None = None,
    route: Route = ROUTE,
    sends: bool = True,
) -> Permit | Refuse:
    now = asyncio.get_running_loop().time()
    given = await gate.acquire(route, live or Live(call=a_call()), deadline=now + seconds, size_bytes=size)
    if sends and isinstance(given, Permit):
        given.sent()
    return given


async def _permit(gate: Gate, **how: Any) -> Permit:
    given = await _ask(gate, **how)
    assert isinstance(given, Permit)
    return given


async def _refused(gate: Gate, **how: Any) -> Refuse:
    given = await _ask(gate, **how)
    assert isinstance(given, Refuse)
    return given


async def _settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_without_a_rule_and_without_a_model_everything_passes_at_once() -> None:
    async def main(loop: TimedLoop) -> None:
        gate, route = _gate(loop), a_route(model_group="")
        permits = [await _permit(gate, route=route) for _ in range(1_000)]
        assert {permit.queued_seconds for permit in permits} == {0.0}
        assert loop.now() == 1000.0
        permits[0].release()

    timed(main)


def test_a_burst_over_the_limit_takes_exactly_as_long_as_it_must() -> None:
    async def main(loop: TimedLoop) -> None:
        gate, passed = _gate(loop, LimitRule(per_second=2)), list[float]()

        async def one() -> None:
            (await _permit(gate)).release()
            passed.append(loop.now() - 1000)

        await asyncio.gather(*(one() for _ in range(7)))
        assert passed == pytest.approx([0, 0, 1, 1, 2, 2, 3], abs=0.1)
        assert gate.waiting == gate.waiting_bytes == 0

    timed(main)


def test_a_broken_rate_is_spaced_evenly() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = _gate(loop, LimitRule(per_second=0.5))
        times = []
        for _ in range(3):
            await _permit(gate)
            times.append(loop.now() - 1000)
        assert times == pytest.approx([0, 2, 4], abs=0.1)

    timed(main)


def test_all_rules_that_fit_hold_together() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = _gate(loop, LimitRule(per_second=2), LimitRule(per_minute=3), LimitRule(provider="other", per_second=1))
        times = []
        for _ in range(5):
            await _permit(gate)
            times.append(loop.now() - 1000)
        assert times == pytest.approx([0, 0, 1, 60, 60], abs=0.1)

    timed(main)


def test_every_account_and_model_group_waits_in_its_own_line() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = _gate(loop, LimitRule(model="gpt-*", per_minute=1))
        for name, scope in (("gpt-5", "a"), ("gpt-5", "b"), ("gpt-4", "a"), ("o3", "a"), ("o3", "a")):
            permit = await _permit(gate, route=a_route(model_group=name, scope=scope))
            assert permit.queued_seconds == 0
            permit.answered(Answer(good=True))
        assert (await _permit(gate, route=a_route(model_group="gpt-5", scope="a"))).queued_seconds > 59

    timed(main)


def test_a_window_counts_from_when_a_request_went_out() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = _gate(loop, LimitRule(per_second=1))
        slow = await _permit(gate, sends=False)
        await asyncio.sleep(0.8)  # while the connection was made
        slow.sent()
        await _permit(gate)
        assert loop.now() == pytest.approx(1001.8, abs=0.1)

    timed(main)


def test_places_are_given_in_the_order_of_arrival() -> None:
    async def main(loop: TimedLoop) -> None:
        gate, order = _gate(loop, LimitRule(concurrency=1)), list[int]()

        async def one(number: int) -> None:
            permit = await _permit(gate)
            order.append(number)
            await asyncio.sleep(1)
            permit.release()

        await asyncio.gather(*(one(number) for number in range(6)))
        assert order == sorted(order)
        assert loop.now() == pytest.approx(1006, abs=0.1)

    timed(main)


def test_a_permit_is_given_back_once_however_often_it_is_said() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = _gate(loop, LimitRule(concurrency=1))
        first = await _permit(gate)
        first.release()
        first.release()
        await _permit(gate)
        assert (await _refused(gate, seconds=5)).cause is Cause.PROXY_QUEUE_TIMEOUT

    timed(main)


def test_who_cannot_pass_in_time_is_refused_at_once_and_told_when_to_come_back() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = _gate(loop, LimitRule(per_minute=1))
        await _permit(gate)
        refused = await _refused(gate, seconds=59)
        assert loop.now() == 1000
        assert (refused.cause, refused.status) == (Cause.PROXY_QUEUE_TIMEOUT, 429)
        assert refused.retry_after_seconds == pytest.approx(60, abs=0.1)
        assert refused.queued_seconds == 0
        assert "1 requests per minute" in refused.why
        assert (await _permit(gate, seconds=61)).queued_seconds == pytest.approx(60, abs=0.1)

    timed(main)


def test_a_wait_for_a_running_call_ends_at_the_deadline() -> None:
    """Nobody knows when a running call will end, so such a wait begins; it does not outlive the app's patience."""

    async def main(loop: TimedLoop) -> None:
        gate = _gate(loop, LimitRule(concurrency=1))
        await _permit(gate)
        refused = await _refused(gate, seconds=7)
        assert loop.now() == pytest.approx(1007)
        assert refused.cause is Cause.PROXY_QUEUE_TIMEOUT
        assert refused.queued_seconds == pytest.approx(7)
        assert refused.retry_after_seconds is not None
        assert refused.retry_after_seconds >= 1
        assert "at the same time" in refused.why
        assert gate.waiting == gate.waiting_bytes == 0

    timed(main)


def test_the_queue_is_bounded_in_calls_and_in_bytes() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = _gate(loop, LimitRule(per_minute=1), queue_max=2, queue_max_bytes=100)
        await _permit(gate)
        waiters = [asyncio.ensure_future(_ask(gate, size=40)) for _ in range(2)]
        await _settle()
        assert (gate.waiting, gate.waiting_bytes) == (2, 80)
        full = await _refused(gate)
        assert (full.cause, full.status) == (Cause.PROXY_QUEUE_FULL, 429)
        assert full.retry_after_seconds == pytest.approx(180, abs=0.1)
        waiters.pop().cancel()
        await _settle()
        heavy = await _refused(gate, size=61)
        assert heavy.cause is Cause.PROXY_QUEUE_FULL
        assert "as many as the queue holds" in full.why
        assert "MiB, which leaves no room for this one" in heavy.why
        light = asyncio.ensure_future(_ask(gate, size=60))
        await asyncio.gather(*waiters, light)
        assert loop.now() == pytest.approx(1120, abs=0.1)

    timed(main)


def test_a_waiter_is_shown_with_its_reason_and_its_time() -> None:
    async def main(loop: TimedLoop) -> None:
        gate, live = _gate(loop, LimitRule(per_minute=1)), Live(call=a_call())
        await _permit(gate)
        waiter = asyncio.ensure_future(_ask(gate, live=live))
        await _settle()
        assert live.state is State.QUEUED
        assert live.wait_reason == "configured limit of 1 requests per minute"
        assert live.eta_ms == pytest.approx(60_000, abs=100)
        await waiter

    timed(main)


def test_who_leaves_gives_its_place_to_the_next() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = _gate(loop, LimitRule(per_minute=1))
        await _permit(gate)
        leaver, stayer = (asyncio.ensure_future(_ask(gate)) for _ in range(2))
        await asyncio.sleep(30)
        leaver.cancel()
        assert isinstance(await stayer, Permit)
        assert loop.now() == pytest.approx(1060, abs=0.1)
        assert leaver.cancelled()

    timed(main)


@pytest.mark.parametrize("rule", [LimitRule(concurrency=1), LimitRule(per_minute=1)], ids=["concurrency", "window"])
def test_who_leaves_in_the_very_moment_of_its_turn_loses_nobody_a_place(rule: LimitRule) -> None:
    async def main(loop: TimedLoop) -> None:
        gate = _gate(loop, rule)
        holder = await _permit(gate)
        leaver, stayer = (asyncio.ensure_future(_ask(gate)) for _ in range(2))
        await _settle()
        loop.seconds += 61
        holder.release()  # the turn of the first waiter comes here
        leaver.cancel()
        await _settle()
        assert leaver.cancelled()
        assert isinstance(await stayer, Permit)
        assert loop.now() == pytest.approx(1061, abs=0.1)

    timed(main)


@pytest.mark.parametrize("looks", range(1, 8))
def test_a_place_that_becomes_free_while_somebody_sits_down_is_not_overlooked(looks: int) -> None:
    """The clock of a real machine goes on between the look at the window and the setting of the alarm."""

    class Creeping(HandClock):
        def now(self) -> float:
            self.seconds += 1e-5
            return self.seconds

    async def main(loop: TimedLoop) -> None:
        clock = Creeping()
        gate = Gate((LimitRule(per_second=1),), clock, queue_max=9, queue_max_bytes=9)
        await _permit(gate)
        clock.seconds = 1001 + SKEW_SECONDS - (looks + 0.5) * 1e-5
        before = loop.now()
        assert isinstance(await _ask(gate), Permit)
        assert loop.now() < before + 1

    timed(main)


def test_draining_refuses_who_waits_and_who_comes() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = _gate(loop, LimitRule(concurrency=1))
        running = await _permit(gate)
        waiters = [asyncio.ensure_future(_ask(gate)) for _ in range(3)]
        await _settle()
        gate.drain()
        answers = [*await asyncio.gather(*waiters), await _ask(gate), await _ask(gate, route=a_route(scope="new"))]
        assert loop.now() == 1000
        for answer in answers:
            assert isinstance(answer, Refuse)
            assert (answer.cause, answer.status, answer.retry_after_seconds) == (Cause.PROXY_DRAINING, 503, 1.0)
        running.release()
        assert gate.waiting == gate.waiting_bytes == 0
        assert not any(scope.in_flight or scope.queue for scope in gate.scopes.values())

    timed(main)


def test_scopes_that_are_idle_are_forgotten_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main(loop: TimedLoop) -> None:
        gate = _gate(loop, LimitRule(concurrency=2))
        busy = await _permit(gate, route=a_route(scope="busy"))
        for number in range(100):
            (await _permit(gate, route=a_route(scope=str(number)))).release()
        assert len(gate.scopes) <= 21
        assert any(key[1] == "busy" for key in gate.scopes)
        busy.release()

    monkeypatch.setattr(gate_module, "SCOPES_MAX", 20)
    timed(main)


_EVENTS = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.01, 0.3, 0.5, 1.0, 2.5]),  # seconds since the one before
        st.sampled_from([0.0, 0.4, 1.0, 5.0]),  # how long it runs
        st.sampled_from([0.2, 1.5, 6.0, FAR]),  # how long it is ready to wait
        st.none() | st.sampled_from([0.0, 0.01, 0.5, 1.0, 1.0005]),  # when it leaves, if it does
    ),
    max_size=25,
)


@settings(max_examples=100, deadline=None)
@given(events=_EVENTS, per_second=st.sampled_from([None, 1, 3, 0.5]), concurrency=st.sampled_from([None, 1, 2]))
def test_whatever_comes_and_goes_the_limits_hold_and_everybody_is_served_in_turn(
    events: Sequence[tuple[float, float, float, float | None]], per_second: float | None, concurrency: int | None
) -> None:
    async def main(loop: TimedLoop) -> None:
        gate = _gate(loop, LimitRule(per_second=per_second, concurrency=concurrency))
        passed: list[tuple[float, int]] = []
        running = most = 0

        async def one(number: int, runs: float, patience: float) -> None:
            nonlocal running, most
            answer = await _ask(gate, seconds=patience)
            if isinstance(answer, Refuse):
                assert answer.cause is Cause.PROXY_QUEUE_TIMEOUT
                return
            passed.append((loop.now(), number))
            running += 1
            most = max(most, running)
            try:
                await asyncio.sleep(runs)
            finally:
                running -= 1
                answer.release()

        tasks = []
        for number, (pause, runs, patience, leaves) in enumerate(events):
            await asyncio.sleep(pause)
            tasks.append(asyncio.ensure_future(one(number, runs, patience)))
            if leaves is not None:
                loop.call_later(leaves, tasks[-1].cancel)
        await asyncio.gather(*tasks, return_exceptions=True)
        assert not [t for t in tasks if not t.cancelled() and t.exception()]
        assert gate.waiting == gate.waiting_bytes == running == 0
        in_turn = [at for at, _ in sorted(passed, key=lambda one: one[1])]
        assert in_turn == sorted(in_turn), "nobody went at a later moment than one that came after it"
        assert concurrency is None or most <= concurrency
        if per_second is not None:
            limit, seconds = (per_second, 1.0) if per_second >= 1 else (1, 1 / per_second)
            for start, _ in passed:
                assert sum(start <= at < start + seconds for at, _ in passed) <= limit
        assert isinstance(await _ask(gate), Permit), "the lane still works"

    timed(main)
