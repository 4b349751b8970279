"""What a gateway that knows a limit hands to one that does not."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.limit.gate import Gate
from gateway.limit.handed import Fact, adopt, gist, known
from gateway.model.cause import Cause
from tests.gateway.limit.asking import (
    a_gate,
    a_way,
    answered,
    asking,
    is_at_rest,
    moments,
    permitted,
    refusal,
    stated,
    states,
    ticks,
)
from tests.gateway.limit.asking import (
    known as answered_well,
)
from tests.gateway.limit.timed import TimedLoop, timed

MINUTE_OF_60 = states(stated(60, 9, 51.0))


def hand(one: Gate, other: Gate, elapsed: float = 0.0) -> dict[Fact, Any]:
    """Give over all that one knows, as it comes out of Redis."""
    facts: dict[Fact, Any] = {fact: json.loads(json.dumps(said)) for fact, said in known(one).items()}
    for fact, said in facts.items():
        adopt(other, fact, said, elapsed)
    return facts


def both(work: Callable[[TimedLoop, Gate, Gate], Any]) -> None:
    async def main(loop: TimedLoop) -> None:
        await work(loop, a_gate(loop), a_gate(loop))

    timed(main)


def test_a_limit_that_one_was_told_holds_at_the_other_from_its_first_call_on() -> None:
    async def work(loop: TimedLoop, one: Gate, other: Gate) -> None:
        await answered(one, MINUTE_OF_60)
        hand(one, other)
        went = await moments(other, 20)
        assert sum(at <= 0.1 for at in went) <= 10, "nine were left of it"
        assert went[-1] >= 8, "the others come at one a second"
        assert is_at_rest(other, loop)

    both(work)


def test_what_it_has_been_told_itself_counts_more_than_what_others_say() -> None:
    async def work(_: TimedLoop, one: Gate, other: Gate) -> None:
        await answered(one, states(stated(10, 0, 60.0)))
        await answered(other, states(stated(1_000, 999, 0.06)))
        hand(one, other)
        assert [scope.learned["requests"].meter.limit for scope in other.scopes.values()] == [1_000]  # type: ignore[union-attr]

    both(work)


def test_what_was_only_heard_is_not_told_on() -> None:
    async def work(loop: TimedLoop, one: Gate, other: Gate) -> None:
        await answered(one, MINUTE_OF_60)
        await answered(one, refusal(5), a_way(key="b"))
        hand(one, other)
        third = a_gate(loop)
        assert hand(other, third) == {}
        assert not any(scope.learned for scope in third.scopes.values())

    both(work)


def test_an_old_limit_is_not_taken_over() -> None:
    async def work(_: TimedLoop, one: Gate, other: Gate) -> None:
        await answered(one, MINUTE_OF_60)
        hand(one, other, elapsed=3_601)
        assert not any(scope.learned for scope in other.scopes.values())

    both(work)


def test_a_refusal_without_a_limit_slows_all_that_send_by_the_same_share() -> None:
    async def work(_: TimedLoop, one: Gate, other: Gate) -> None:
        await answered_well(one)
        await answered_well(other)
        for number in range(240):
            await answered((one, other)[number % 2])
            await asyncio.sleep(0.05)
        await answered(one, refusal(cause=Cause.RATE_LIMIT_UNKNOWN))
        hand(one, other)
        rates = [gate.scopes[key].pace.meter for gate in (one, other) for key in gate.scopes]  # type: ignore[union-attr]
        ours, theirs = (meter.limit / meter.seconds for meter in rates)
        assert theirs == pytest.approx(ours, rel=0.2)
        hand(one, other)
        assert rates[1].limit / rates[1].seconds == theirs, "the same refusal counts once"

    both(work)


def test_a_gateway_that_sends_nothing_has_nothing_to_slow_down() -> None:
    async def work(_: TimedLoop, one: Gate, other: Gate) -> None:
        await answered(one, refusal(cause=Cause.RATE_LIMIT_UNKNOWN))
        hand(one, other)
        assert all(scope.pace is None for scope in other.scopes.values())

    both(work)


def test_how_many_may_be_under_way_is_known_to_the_other() -> None:
    async def work(_: TimedLoop, one: Gate, other: Gate) -> None:
        await answered(one, refusal(None, Cause.RATE_LIMIT_CONCURRENCY, stated(2, None, kind="concurrency")))
        hand(one, other)
        await permitted(other)
        await permitted(other)
        third = asking(other)
        await ticks()
        assert not third.done()
        third.cancel()

    both(work)


def test_whose_a_key_is_is_known_before_its_first_answer() -> None:
    async def work(_: TimedLoop, one: Gate, other: Gate) -> None:
        await answered(one)
        one.know_account(a_way(), "org")
        hand(one, other)
        await answered(other)
        assert {key.account for key in other.scopes} == {"org"}

    both(work)


def test_what_is_counted_by_key_already_stays_until_an_answer_names_the_organisation() -> None:
    async def work(_: TimedLoop, one: Gate, other: Gate) -> None:
        await answered(other)
        await answered(one)
        one.know_account(a_way(), "org")
        hand(one, other)
        await answered(other)
        assert "org" not in {key.account for key, scope in other.scopes.items() if scope.used_at > 1_000}
        other.know_account(a_way(), "org")
        await answered(other)
        assert {key.account for key in other.scopes} == {"org"}

    both(work)


def test_only_what_changed_is_worth_telling_again() -> None:
    async def work(_: TimedLoop, one: Gate, __: Gate) -> None:
        def told() -> list[object]:
            return [gist(said) for said in known(one).values()]

        await answered(one, MINUTE_OF_60)
        before = told()
        await asyncio.sleep(3)
        await answered(one, states(stated(60, 8, 52.0)))
        assert told() == before
        await answered(one, states(stated(600, 8, 52.0)))
        assert told() != before

    both(work)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_NAMES = st.sampled_from(
    ["kind", "limit", "window_seconds", "stepwise", "capacity", "said_seconds_ago", "left", "most", "account",
     "refused_seconds_ago", "source"]
)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    what=st.sampled_from(["requests", "tokens", "pace", "concurrency", "account"]) | st.text(max_size=8),
    document=_VALUES | st.dictionaries(_NAMES, _VALUES | st.sampled_from(["requests", "tokens"]), max_size=10),
    elapsed=st.floats(0, 1e6),
)
def test_whatever_is_handed_over_nothing_breaks_and_calls_go_on(what: str, document: object, elapsed: float) -> None:
    async def work(_: TimedLoop, one: Gate, __: Gate) -> None:
        adopt(one, Fact("openai", "key-a", "gpt-5", what), document, elapsed)
        await answered(one, states(stated(100, 99, 0.6)))
        await permitted(one)

    both(work)
