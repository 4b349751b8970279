"""What a provider's 429 does to everybody who asks the same account for the same model."""

import asyncio
from dataclasses import replace

import pytest

from gateway.limit.gate import Answer, Gate, Permit
from gateway.limit.rule import LimitRule
from gateway.model.cause import Cause
from gateway.model.decision import Refuse
from gateway.model.route import Route
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
    gaps,
    is_at_rest,
    known,
    moments,
    permitted,
    refusal,
    stated,
    states,
    ticks,
)
from tests.gateway.limit.timed import TimedLoop, timed

CONCURRENCY = Cause.RATE_LIMIT_CONCURRENCY
MINUTE_OF_60 = states(stated(60, 59, 1.0))
"""A bucket: one a second, sixty at once."""

TWO_IN_ANY_MINUTE = states(stated(2, 1, 60.0))
"""A window: what is gone of it comes back all at once."""


async def _flying(gate: Gate, number: int) -> list[Permit]:
    await known(gate)
    return [await permitted(gate) for _ in range(number)]


def test_a_stated_wait_holds_everybody_of_that_account_and_model_until_exactly_then() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop)
        await answered(gate, refusal(7))
        first = (await moments(gate, 3))[0]
        assert first == pytest.approx(7, abs=LATE)
        assert first >= 7

    timed(main)


def test_a_stated_wait_holds_no_other_key_model_or_provider() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop)
        await answered(gate, refusal(7))
        other = replace(ROUTE.provider, name="other")
        for route in (a_way(model="gpt-4"), a_way("key-b"), a_way(provider=other)):
            assert (await permitted(gate, route)).queued_seconds == 0
        assert loop.now() == BEGAN

    timed(main)


def test_who_waits_already_is_held_by_a_refusal_that_comes_later() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop, LimitRule(per_second=1))
        running = await permitted(gate)
        waiter = asking(gate)
        await asyncio.sleep(0.5)
        running.answered(refusal(10))
        running.release()
        await waiter
        assert loop.now() == pytest.approx(BEGAN + 10.5, abs=LATE)

    timed(main)


def test_a_refusal_behind_a_good_beginning_holds_everybody_and_is_told_once() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop)
        running = await permitted(gate)
        running.answered(GOOD)
        await asyncio.sleep(3)
        late = refusal(7).refusal
        assert late is not None
        running.refused_late(late)
        await asyncio.sleep(1)
        running.refused_late(late)
        running.release()
        assert (await moments(gate, 1))[0] == pytest.approx(6, abs=LATE)
        assert is_at_rest(gate, loop)

    timed(main)


@pytest.mark.parametrize("answer", [None, refusal(None)])
def test_what_never_had_a_good_beginning_cannot_be_refused_late(answer: Answer | None) -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop)
        running = await permitted(gate)
        if answer is not None:
            running.answered(answer)
        late = refusal(60).refusal
        assert late is not None
        running.refused_late(late)
        running.release()
        assert (await moments(gate, 1))[0] < 10

    timed(main)


@pytest.mark.parametrize(("wait", "waits"), [(120.0, True), (120.5, False), (86_400.0, False)])
def test_a_stated_wait_of_over_two_minutes_holds_nobody(wait: float, *, waits: bool) -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop)
        await answered(gate, refusal(wait))
        await permitted(gate)
        assert (loop.now() > BEGAN) is waits

    timed(main)


def test_after_the_wait_calls_go_out_spread_at_the_learned_rate_and_not_at_once() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop)
        await answered(gate, MINUTE_OF_60)
        await answered(gate, refusal(5))
        times = await moments(gate, 12)
        assert times[0] >= 5
        assert min(gaps(times)) > 0.9, "no two together, although sixty had been allowed at once"
        assert max(gaps(times)) < 2, "and yet not slower than need be"

    timed(main)


@pytest.mark.parametrize("per_minute", [60, 3])
def test_with_a_learned_rate_the_first_call_goes_at_the_stated_moment_and_not_later(per_minute: int) -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop)
        await answered(gate, states(stated(per_minute, per_minute - 1, 60 / per_minute)))
        await answered(gate, refusal(5))
        assert (await moments(gate, 1))[0] == pytest.approx(5, abs=LATE)

    timed(main)


@pytest.mark.parametrize("wait", [5.0, None])
def test_calls_that_are_refused_together_hold_the_others_as_one_refused_call_does(
    wait: float | None,
) -> None:
    """Five in flight that are refused in the same moment tell one thing, not five."""

    def first_moments(refused: int) -> list[float]:
        async def main(loop: TimedLoop) -> list[float]:
            gate = a_gate(loop)
            flying = await _flying(gate, 5)
            await asyncio.sleep(0.2)
            for permit in flying[:refused]:
                permit.answered(refusal(wait))
            for permit in flying:
                permit.release()
            return await moments(gate, 6)

        return timed(main)

    assert first_moments(5) == pytest.approx(first_moments(1), abs=LATE)


def test_a_shorter_wait_that_is_stated_later_does_not_shorten_a_longer_one() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop)
        one, other = await _flying(gate, 2)
        one.answered(refusal(30))
        other.answered(refusal(2))
        one.release()
        other.release()
        assert (await moments(gate, 1))[0] == pytest.approx(30, abs=LATE)

    timed(main)


def test_an_unstated_wait_doubles_with_every_refusal_in_a_row_up_to_twenty_seconds() -> None:
    async def main(loop: TimedLoop) -> None:
        gate, waits = a_gate(loop), []
        await answered(gate, refusal())
        for _ in range(7):
            began = loop.now()
            await answered(gate, refusal())
            waits.append(loop.now() - began)
        assert waits == pytest.approx([1, 2, 4, 8, 16, 20, 20], abs=LATE)

    timed(main)


def test_a_good_answer_between_two_refusals_of_calls_that_went_out_together_breaks_nothing() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop)
        flying = await _flying(gate, 3)
        await asyncio.sleep(0.2)
        for permit, answer in zip(flying, (refusal(), GOOD, refusal()), strict=True):
            permit.answered(answer)
            permit.release()
        assert (await moments(gate, 1))[0] == pytest.approx(1, abs=LATE)

    timed(main)


def test_a_good_answer_ends_the_doubling() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop)
        for _ in range(4):
            await answered(gate, refusal())
        await answered(gate)
        await asyncio.sleep(60)
        await answered(gate, refusal())
        began = loop.now()
        await permitted(gate)
        assert loop.now() - began < 2

    timed(main)


def test_after_a_refusal_without_any_limit_one_call_goes_first_and_the_others_follow_slowly() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop)
        await known(gate)
        for _ in range(40):  # ten a second went well
            await answered(gate)
            await asyncio.sleep(0.1)
        await answered(gate, refusal())
        times = await moments(gate, 40, runs=0.3)
        assert times[0] == pytest.approx(1, abs=LATE)
        assert sum(at < 1.3 for at in times) == 1, "the first is alone until it is answered or half a second is over"
        assert sum(at < 1.5 for at in times) <= 3
        assert len(times) / (times[-1] - 1) < 10, "slower than what was too fast"
        assert len(times) / (times[-1] - 1) > 4, "and not much slower"

    timed(main)


def test_no_call_follows_while_the_first_after_a_refusal_is_unanswered() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop)
        await known(gate)
        for _ in range(100):
            await answered(gate)
            await asyncio.sleep(0.02)
        await answered(gate, refusal(2))
        began = loop.now()
        await permitted(gate)
        assert loop.now() - began == pytest.approx(2, abs=LATE)
        await permitted(gate)
        assert loop.now() - began == pytest.approx(2.5, abs=LATE)

    timed(main)


def test_a_refused_scope_finds_its_speed_again() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop)
        await known(gate)
        await answered(gate, refusal(1))
        await moments(gate, 60)
        times = await moments(gate, 60)
        assert 60 / times[-1] > 3, "it had been one a second, less a share"

    timed(main)


def test_a_pace_is_forgotten_ten_minutes_after_the_last_refusal() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop)
        await answered(gate, refusal(1))
        await asyncio.sleep(602)
        await answered(gate)
        assert await moments(gate, 50) == [0.0] * 50

    timed(main)


def test_the_refused_call_comes_before_its_tenants_others() -> None:
    async def main(loop: TimedLoop) -> None:
        gate, order = a_gate(loop, LimitRule(concurrency=1)), list[str]()

        async def one(name: str, *, front: bool = False) -> None:
            permit = await permitted(gate, front=front)
            order.append(name)
            await asyncio.sleep(1)
            permit.release()

        running = await permitted(gate)
        others = [asyncio.ensure_future(one(f"other {number}")) for number in range(3)]
        await ticks()
        running.answered(refusal(2))
        running.release()
        await asyncio.gather(one("refused", front=True), *others)
        assert order == ["refused", "other 0", "other 1", "other 2"]

    timed(main)


def test_the_refused_call_does_not_come_before_another_tenant_whose_turn_it_is() -> None:
    async def main(loop: TimedLoop) -> None:
        gate, order = a_gate(loop, LimitRule(concurrency=1)), list[str]()
        flood, quiet = a_way(tenant="flood"), a_way(tenant="quiet")

        async def one(name: str, route: Route = flood, *, front: bool = False) -> None:
            permit = await permitted(gate, route, front=front)
            order.append(name)
            permit.release()

        running = await permitted(gate, flood)
        waiting = [asyncio.ensure_future(one("quiet", quiet)), *(asyncio.ensure_future(one("flood")) for _ in range(5))]
        await ticks()
        waiting.append(asyncio.ensure_future(one("refused", front=True)))
        await ticks()
        running.release()
        await asyncio.gather(*waiting)
        assert order[:2] == ["quiet", "refused"]

    timed(main)


def test_a_call_that_is_alone_and_refused_for_concurrency_does_not_come_again_in_the_same_moment() -> None:
    """Others spend of the same limit. `attempts` leaves the waiting to the gate: three tries were gone in no time."""

    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop)
        await answered(gate, refusal(None, CONCURRENCY))
        await permitted(gate, front=True)
        assert loop.now() >= BEGAN + 0.1

    timed(main)


def test_a_stated_wait_of_nothing_counts_as_none() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop)
        for _ in range(5):
            await answered(gate, refusal(0.0))
        assert loop.now() >= BEGAN + 1

    timed(main)


def test_the_providers_stated_wait_counts_more_than_our_count_of_its_window() -> None:
    """One call may try when the provider said so; the app that waits half a minute is not turned away at once."""

    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop)
        await answered(gate, TWO_IN_ANY_MINUTE)
        await answered(gate, refusal(5))
        given = await ask(gate, seconds=30, front=True)
        assert isinstance(given, Permit), given
        assert given.queued_seconds == pytest.approx(5, abs=LATE)

    timed(main)


def test_one_call_tries_at_the_stated_moment_although_our_count_of_the_window_is_full() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop)
        await answered(gate, TWO_IN_ANY_MINUTE)
        await answered(gate, refusal(5))
        first, second = await moments(gate, 2)
        assert first == pytest.approx(5, abs=LATE)
        assert second > 50

    timed(main)


def test_after_a_concurrency_refusal_one_less_than_were_under_way_may_be() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop)
        flying = await _flying(gate, 5)
        flying[4].answered(refusal(None, CONCURRENCY))
        flying[4].release()
        waiter = asking(gate)
        await asyncio.sleep(10)
        assert not waiter.done(), "four are under way, and the fifth was too many"
        flying[0].release()
        await ticks()
        assert waiter.done()

    timed(main)


def test_a_concurrency_that_a_refusal_names_is_kept() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop)
        flying = await _flying(gate, 6)
        flying[5].answered(refusal(None, CONCURRENCY, stated(2, None, kind="concurrency")))
        flying[5].release()
        for permit in flying[:4]:
            permit.release()
        waiter = asking(gate)
        await asyncio.sleep(1)
        assert waiter.done(), "one is under way, a second may be"
        third = asking(gate)
        await asyncio.sleep(1)
        assert not third.done()
        flying[4].release()
        assert isinstance(await third, Permit)

    timed(main)


def test_a_learned_concurrency_grows_by_one_in_half_a_minute_and_is_forgotten_after_ten() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop)
        flying = await _flying(gate, 3)
        flying[2].answered(refusal(None, CONCURRENCY))
        for permit in flying:
            permit.release()

        async def at_once() -> int:
            waiters = [asking(gate) for _ in range(40)]
            await ticks()
            given = [waiter.result() for waiter in waiters if waiter.done()]
            for waiter in waiters:
                waiter.cancel()
            await asyncio.gather(*waiters, return_exceptions=True)
            for one in given:
                assert isinstance(one, Permit)
                one.answered(GOOD)
                one.release()
            return len(given)

        assert await at_once() == 2
        await asyncio.sleep(30)
        assert await at_once() == 3
        await asyncio.sleep(60)
        assert await at_once() == 5
        await asyncio.sleep(520)
        assert await at_once() == 40

    timed(main)


def test_who_waits_for_a_running_call_goes_when_the_learned_concurrency_has_grown() -> None:
    """A long stream would hold everybody until it ends."""

    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop)
        _stream, refused = await _flying(gate, 2)
        refused.answered(refusal(None, CONCURRENCY))
        refused.release()
        began = loop.now()
        assert isinstance(await ask(gate, seconds=300), Permit)
        assert loop.now() - began == pytest.approx(30, abs=1)

    timed(main)


def test_a_learned_concurrency_never_exceeds_the_configured_one() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop, LimitRule(concurrency=3))
        flying = [await permitted(gate) for _ in range(3)]
        flying[2].answered(refusal(None, CONCURRENCY))
        flying[2].release()
        await asyncio.sleep(300)
        scope = next(iter(gate.scopes.values()))
        assert scope.most_at_once(loop.now()) == 3

    timed(main)


def test_a_concurrency_refusal_with_a_wait_holds_everybody_for_it() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop)
        await answered(gate, refusal(3, CONCURRENCY))
        assert (await moments(gate, 1))[0] == pytest.approx(3, abs=LATE)

    timed(main)


def test_a_refused_call_that_finds_no_turn_in_time_is_told_of_the_pause() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop)
        await answered(gate, refusal(50))
        given = await ask(gate, seconds=20, front=True)
        assert isinstance(given, Refuse)
        assert loop.now() == BEGAN
        assert given.cause is Cause.PROXY_QUEUE_TIMEOUT
        assert given.retry_after_seconds == pytest.approx(50, abs=LATE)
        assert "the provider asked to wait (rate_limit.requests)" in given.why
        assert is_at_rest(gate, loop)

    timed(main)


def test_a_refusal_that_arrives_before_the_request_went_out_teaches_nothing() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop)
        permit = await permitted(gate, sends=False)
        permit.answered(refusal(30))
        permit.release()
        assert (await permitted(gate)).queued_seconds == 0

    timed(main)


def test_an_answer_is_heard_once() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop)
        permit = await permitted(gate)
        permit.answered(GOOD)
        permit.answered(refusal(30))
        permit.release()
        assert (await permitted(gate)).queued_seconds == 0

    timed(main)


def test_a_rise_that_was_too_fast_slows_down_although_the_limits_are_far() -> None:
    """OpenAI's slow_down comes within the limits; its answers go on saying that nearly all is left."""

    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop)
        far = stated(60_000, 59_990, 0.01)
        for _ in range(10):
            await answered(gate, states(far))
            await asyncio.sleep(0.1)
        await answered(gate, refusal(1, Cause.RATE_LIMIT_RAMP))
        began = loop.now()
        await moments(gate, 20)
        assert loop.now() - began > 1.5

    timed(main)


NAMED = stated(1200, None, None, 60.0)
"""Twenty a second, as only a refusal's words say it."""


def test_calls_that_flew_together_and_are_refused_one_by_one_slow_nobody_down_for_good() -> None:
    """Their waits are shorter than their answers are apart, so that each comes when the wait of the one before is over."""

    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop)
        for permit in await _flying(gate, 8):
            await asyncio.sleep(0.03)
            permit.answered(refusal(0.02, Cause.RATE_LIMIT_REQUESTS, NAMED))
            permit.release()
        assert max(gaps((await moments(gate, 12))[1:])) < 0.07

    timed(main)


def test_what_others_are_thought_to_spend_is_forgotten_where_no_answer_says_what_is_left() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop)
        for _ in range(5):
            await answered(gate, refusal(0.02, Cause.RATE_LIMIT_REQUESTS, NAMED))
        slow = max(gaps((await moments(gate, 4))[1:]))
        assert slow > 0.1
        await moments(gate, 400)
        assert max(gaps((await moments(gate, 4))[1:])) < 0.07

    timed(main)
