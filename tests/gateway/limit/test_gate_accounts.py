"""Keys of one organisation count together from the answer on that names it; and each tenant has its share."""

import asyncio
import math
import random
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.limit.gate import Answer, Gate, LimitRule, Permit
from gateway.limit.scope import ScopeKey
from gateway.model.cause import Cause
from gateway.model.decision import Refuse
from gateway.model.route import Route
from tests.gateway.limit.asking import (
    BEGAN,
    GOOD,
    LATE,
    a_gate,
    a_way,
    answered,
    asking,
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

OURS = Answer(good=True, account="org")
A, B, C = (a_way(f"key-{letter}") for letter in "abc")


async def _one_organisation(gate: Gate, *routes: Route) -> None:
    for route in routes:
        await answered(gate, OURS, route)


def test_two_keys_of_one_organisation_share_one_scope_once_their_answers_name_it() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop, LimitRule(per_minute=4))
        for route in (A, B):
            await answered(gate, GOOD, route)
        assert len(gate.scopes) == 2
        await _one_organisation(gate, A, B)
        assert list(gate.scopes) == [ScopeKey("openai", "org", "gpt-5")]
        assert loop.now() == BEGAN
        assert (await permitted(gate, B)).queued_seconds == pytest.approx(60, abs=0.1), "four were counted, two of each"

    timed(main)


def test_a_third_key_joins_with_what_it_has_spent() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop, LimitRule(per_minute=6))
        await _one_organisation(gate, A, B)
        for _ in range(3):
            await answered(gate, GOOD, C)
        await _one_organisation(gate, C)
        assert len(gate.scopes) == 1
        assert loop.now() == BEGAN
        assert (await permitted(gate, A)).queued_seconds > 59, "six were counted: one, one and four"

    timed(main)


def test_every_model_of_a_key_moves_with_it() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop, LimitRule(per_minute=1))
        await answered(gate, GOOD, a_way("key-a", "gpt-4"))
        await _one_organisation(gate, A, B)
        assert {key.account for key in gate.scopes} == {"org"}
        assert (await permitted(gate, a_way("key-b", "gpt-4"))).queued_seconds == pytest.approx(60, abs=0.1)

    timed(main)


def test_another_providers_scope_of_the_same_name_is_left_alone() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop, LimitRule(per_minute=2))
        elsewhere = a_way("key-a", provider=replace(A.provider, name="other"))
        await answered(gate, GOOD, elsewhere)
        before = gate.scopes["other", "key-a", "gpt-5"]  # type: ignore[index]
        await _one_organisation(gate, A, B)
        assert gate.scopes["other", "key-a", "gpt-5"] is before  # type: ignore[index]
        assert before.successor is None
        assert (await permitted(gate, elsewhere)).queued_seconds == 0

    timed(main)


def test_a_key_of_a_host_that_is_not_the_providers_is_none_of_the_providers_own() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop, LimitRule(per_minute=1))
        relay = a_way("key-a", upstream=A.upstream._replace(host="relay.example"))
        await answered(gate, GOOD, A)
        assert (await permitted(gate, relay)).queued_seconds == 0

    timed(main)


def test_who_waited_at_either_key_is_served_in_turn_in_the_scope_of_both() -> None:
    async def main(loop: TimedLoop) -> None:
        gate, order = a_gate(loop, LimitRule(concurrency=1)), list[str]()

        async def one(name: str, route: Route) -> None:
            permit = await permitted(gate, route)
            order.append(name)
            scope = gate.scopes["openai", "org", "gpt-5"]  # type: ignore[index]
            assert scope.in_flight == 1
            await asyncio.sleep(1)
            permit.release()

        held = [await permitted(gate, A), await permitted(gate, B)]
        waiters = [
            asyncio.ensure_future(one(f"{name}{n}", way)) for n in range(3) for name, way in (("a", A), ("b", B))
        ]
        await ticks()
        for permit in held:
            permit.answered(OURS)
        (scope,) = gate.scopes.values()
        assert (scope.in_flight, len(scope.queue), gate.waiting) == (2, 6, 6)
        held[0].release()
        await ticks()
        assert not order, "one is under way, as many as may be"
        held[1].release()
        await asyncio.gather(*waiters)
        assert sorted(order[:2]) == ["a0", "b0"]
        assert sorted(order[2:4]) == ["a1", "b1"]
        assert sorted(order[4:]) == ["a2", "b2"]
        assert is_at_rest(gate, loop)

    timed(main)


@settings(max_examples=60, deadline=None)
@given(
    patience=st.lists(st.sampled_from([0.5, 2.5, 5.2, 1e4]), min_size=1, max_size=9),
    leaves=st.lists(st.sampled_from([0.0, 0.2, 1.0, 3.0, 1e4]), min_size=1, max_size=9),
    joined_after=st.sampled_from([0.0, 0.1, 1.1, 2.4]),
    rule=st.sampled_from([LimitRule(concurrency=1), LimitRule(per_second=1), LimitRule(per_second=2, concurrency=2)]),
)
def test_nobody_is_lost_when_scopes_become_one_whoever_leaves_or_gives_up(
    patience: list[float], leaves: list[float], joined_after: float, rule: LimitRule
) -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop, rule)
        ways = (A, B, C)
        holders = [await permitted(gate, way) for way in ways]
        served = 0

        async def one(route: Route, seconds: float) -> None:
            nonlocal served
            given = await asking(gate, route, seconds=seconds)
            if isinstance(given, Refuse):
                assert given.cause is Cause.PROXY_QUEUE_TIMEOUT
                return
            served += 1
            try:
                await asyncio.sleep(0.3)
                given.answered(OURS)
            finally:
                given.release()

        tasks = [asyncio.ensure_future(one(ways[n % 3], seconds)) for n, seconds in enumerate(patience)]
        for task, seconds in zip(tasks, leaves, strict=False):
            loop.call_later(seconds, task.cancel)
        await asyncio.sleep(joined_after)
        for holder in holders:
            holder.answered(OURS)
            await asyncio.sleep(0.05)
            holder.release()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(result is None or isinstance(result, asyncio.CancelledError) for result in results), results
        stayed = [n for n, seconds in enumerate(patience) if seconds >= 1e4 and (n >= len(leaves) or leaves[n] >= 1e4)]
        assert served >= len(stayed)
        assert len(gate.scopes) == 1
        assert gate.waiting == gate.waiting_bytes == 0
        (scope,) = gate.scopes.values()
        assert (scope.in_flight, len(scope.queue), scope._timer) == (0, 0, None)

    timed(main)


def test_who_leaves_in_the_moment_in_which_it_was_served_and_its_scope_taken_over_is_counted_no_more() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop, LimitRule(concurrency=1))
        await _one_organisation(gate, A)
        holder = await permitted(gate, B)
        leaver = asking(gate, B)
        await ticks()
        holder.release()  # the leaver's turn
        gate.know_account(B, "org")
        leaver.cancel()
        await ticks()
        assert leaver.cancelled()
        assert gate.scopes["openai", "org", "gpt-5"].in_flight == 0  # type: ignore[index]

    timed(main)


def test_permits_from_before_are_given_back_to_the_scope_of_both() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop, LimitRule(concurrency=2))
        ours, theirs = await permitted(gate, A), await permitted(gate, B)
        ours.answered(OURS)
        theirs.answered(OURS)
        waiter = asking(gate, A)
        await asyncio.sleep(1)
        assert not waiter.done()
        theirs.release()
        theirs.release()
        assert isinstance(await waiter, Permit)
        (scope,) = gate.scopes.values()
        assert scope.in_flight == 2

    timed(main)


def test_the_tokens_of_a_call_from_before_are_corrected_in_the_scope_of_both() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop, LimitRule(tokens_per_minute=1000))
        heavy = a_way("key-b", input_tokens=900)
        await _one_organisation(gate, A)
        await known(gate, heavy)
        await asyncio.sleep(61)
        permit = await permitted(gate, heavy)
        permit.answered(OURS)
        permit.settle(10, 0)
        permit.release()
        assert (await permitted(gate, a_way("key-a", input_tokens=900))).queued_seconds == 0

    timed(main)


def test_a_call_that_was_connecting_when_scopes_became_one_counts_from_when_it_went_out() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop, LimitRule(per_minute=2))
        await _one_organisation(gate, A)
        await asyncio.sleep(61)
        slow = await permitted(gate, B, sends=False)
        await _one_organisation(gate, B)
        await asyncio.sleep(50)
        slow.sent()
        sent = [50.0, *(50 + at for at in await moments(gate, 2, A))]
        assert sent[2] - sent[0] >= 60, sent

    timed(main)


def test_a_key_whose_answers_name_another_account_leaves_the_counts_of_the_others_where_they_were() -> None:
    """OpenAI's answers name organisation and project; one that leaves the project out names another account."""

    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop, LimitRule(per_minute=3))
        await _one_organisation(gate, A, B)
        await answered(gate, Answer(good=True, account="org without project"), B)
        waited = [(await permitted(gate, A)).queued_seconds for _ in range(2)]
        assert max(waited) > 59, "three of three were spent"

    timed(main)


def test_a_pause_of_a_key_holds_on_when_its_scope_becomes_one_with_its_organisations() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop)
        await known(gate, A, B)
        await _one_organisation(gate, A)
        flying, other = await permitted(gate, B), await permitted(gate, B)
        flying.answered(refusal(30))
        flying.release()
        other.answered(OURS)
        other.release()
        assert (await permitted(gate, B)).queued_seconds == pytest.approx(30, abs=LATE)

    timed(main)


# shares


def _waits_of_the_quiet(
    flood: Route, quiet: Route, arrivals: list[float], number: int, rate: int, *, name: bool
) -> list[tuple[float, float]]:
    """Let one tenant flood a limit of ``rate`` a second; give arrival and wait of the other's calls."""

    async def main(loop: TimedLoop) -> list[tuple[float, float]]:
        gate = a_gate(loop, LimitRule(per_second=rate))
        if name:
            await _one_organisation(gate, flood, quiet)
            await asyncio.sleep(5)
        flooding = [asking(gate, flood) for _ in range(number)]

        async def one(after: float) -> tuple[float, float]:
            await asyncio.sleep(after)
            permit = await permitted(gate, quiet)
            return after, permit.queued_seconds

        found = await asyncio.gather(*(one(after) for after in arrivals))
        assert len(await asyncio.gather(*flooding)) == number
        assert gate.waiting == 0
        return sorted(found)

    return timed(main)


@settings(max_examples=60, deadline=None)
@given(
    arrivals=st.lists(st.integers(0, 120).map(lambda tenths: tenths / 10), min_size=1, max_size=25),
    number=st.integers(10, 150),
    rate=st.integers(1, 12),
    by_key=st.booleans(),
)
@example(arrivals=[0.0] * 20, number=150, rate=1, by_key=False)
def test_who_floods_delays_another_tenant_by_no_more_than_an_equal_share(
    arrivals: list[float], number: int, rate: int, *, by_key: bool
) -> None:
    flood, quiet = (A, B) if by_key else (a_way(tenant="flood"), a_way(tenant="quiet"))
    found = _waits_of_the_quiet(flood, quiet, arrivals, number, rate, name=by_key)
    alone: list[float] = []  # when each would go if half the limit were the quiet tenant's alone
    for at, waited in found:
        alone.append(max(at, alone[-1] if alone else 0.0) + 2 / rate)
        assert at + waited <= alone[-1] + 1.1 + 0.04 * len(alone) + 2 / rate, (at, waited)


def test_two_floods_get_half_each_in_any_second() -> None:
    async def main(loop: TimedLoop) -> None:
        gate, order = a_gate(loop, LimitRule(per_second=10)), list[str]()

        async def one(name: str) -> None:
            await permitted(gate, a_way(tenant=name))
            order.append(name)

        await asyncio.gather(*(one("first") for _ in range(60)), *(one("second") for _ in range(60)))
        for at in range(10, 110, 10):
            assert 4 <= order[at : at + 10].count("second") <= 6

    timed(main)


def test_the_keys_of_one_tenant_that_has_a_name_share_its_share() -> None:
    async def main(loop: TimedLoop) -> None:
        gate, order = a_gate(loop, LimitRule(concurrency=1)), list[str]()
        many = [a_way(tenant="many", key=f"k{n}", scope="s") for n in range(3)]
        few = a_way(tenant="few", key="f", scope="s")

        async def one(name: str, route: Route) -> None:
            (await permitted(gate, route)).release()
            order.append(name)

        holder = await permitted(gate, few)
        waiters = [asyncio.ensure_future(one("many", route)) for route in many * 4]
        waiters += [asyncio.ensure_future(one("few", few)) for _ in range(4)]
        await ticks()
        holder.release()
        await asyncio.gather(*waiters)
        assert order[:8].count("few") == 4

    timed(main)


def _heavy_wait(seed: int, tokens: int, *, others_go_on: bool) -> float:
    draw = random.Random(seed)

    async def main(loop: TimedLoop) -> float:
        gate = a_gate(loop, LimitRule(tokens_per_minute=6000, per_second=1000))
        light, heavy = a_way(tenant="light", input_tokens=tokens // 50), a_way(tenant="heavy", input_tokens=tokens)
        lights: list[asyncio.Task[Permit | Refuse]] = []
        per_light = light.input_tokens / 100 * 0.9  # a little more is asked for than there is
        goes_on = True

        async def keep_coming() -> None:
            while goes_on:
                lights.append(asking(gate, light))
                await asyncio.sleep(per_light * draw.uniform(0.5, 1.5))

        coming = asyncio.ensure_future(keep_coming())
        await asyncio.sleep(150 + draw.uniform(0, 60))
        waiting = asyncio.ensure_future(permitted(gate, heavy))
        await ticks()
        if not others_go_on:
            goes_on = False
            for task in lights:
                task.cancel()
        waited = (await waiting).queued_seconds
        goes_on = False
        coming.cancel()
        for task in lights:
            task.cancel()
        await asyncio.gather(coming, *lights, return_exceptions=True)
        return waited

    return timed(main)


@pytest.mark.parametrize("seed", range(6))
def test_a_call_fifty_times_as_heavy_is_not_overtaken_for_ever_by_light_ones(seed: int) -> None:
    alone = _heavy_wait(seed, 500, others_go_on=False)
    assert _heavy_wait(seed, 500, others_go_on=True) <= 2 * alone + 0.5
    assert alone > 0.5, "it had to wait at all"


def test_a_tenant_that_takes_fifty_times_as_many_tokens_gets_fifty_times_fewer_turns() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop, LimitRule(tokens_per_minute=1000, concurrency=1))
        order: list[str] = []

        async def one(name: str, tokens: int) -> None:
            permit = await permitted(gate, a_way(tenant=name, input_tokens=tokens))
            order.append(name)
            permit.release()

        await asyncio.gather(*(one("heavy", 500) for _ in range(5)), *(one("light", 10) for _ in range(150)))
        third, fourth = [at for at, name in enumerate(order) if name == "heavy"][2:4]
        assert math.isclose(fourth - third, 51, abs_tol=2)

    timed(main)


def test_a_tenant_that_comes_late_does_not_have_to_wait_for_what_others_were_served_before() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop)
        await answered(gate, states(stated(600, 0, 60.0), account="org"), A)
        for _ in range(50):
            asking(gate, A)
        await asyncio.sleep(2)
        gate.know_account(B, "org")
        late = await permitted(gate, B)
        assert late.queued_seconds < 1
        gate.drain()
        await ticks()

    timed(main)
