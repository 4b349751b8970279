"""What a permit takes of the limits and gives back; what is larger than any limit; and shadow mode, where nobody waits."""

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.limit.gate import DOUBT, Gate, LimitRule, Permit
from gateway.limit.scope import Scope
from gateway.model.cause import Cause
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
    refusal,
    stated,
    states,
    turned_away,
)
from tests.gateway.limit.timed import TimedLoop, timed

TOKENS = LimitRule(tokens_per_minute=1000, per_minute=100)


def _level(gate: Gate, kind: str, now: float) -> float:
    (scope,) = gate.scopes.values()
    (held,) = [held for held in scope.configured if held.kind == kind]
    return held.meter.level(now)


def _heavy(tokens_in: int, tokens_out: int = 0) -> dict[str, Any]:
    return {"input_tokens": tokens_in, "output_tokens": tokens_out}


@pytest.mark.parametrize(
    ("counted", "left"), [((100, 50), 850), ((300, 400), 300), ((None, None), 500), ((None, 0), 600)]
)
def test_tokens_are_corrected_to_what_the_provider_counted(counted: tuple[int | None, int | None], left: int) -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop, TOKENS)
        permit = await permitted(gate, a_way(**_heavy(400, 100)))
        assert _level(gate, "tokens", loop.now()) == 500
        permit.answered(GOOD)
        permit.settle(*counted)
        assert _level(gate, "tokens", loop.now()) == left
        permit.settle(*counted)
        assert _level(gate, "tokens", loop.now()) == left, "a second time changes nothing"
        permit.release()
        assert _level(gate, "tokens", loop.now()) == left

    timed(main)


def test_tokens_that_were_not_used_let_the_next_call_go() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop, TOKENS)
        permit = await permitted(gate, a_way(**_heavy(900)))
        waiter = asking(gate, a_way(**_heavy(500)))
        await asyncio.sleep(2)
        permit.answered(GOOD)
        permit.settle(100, 0)
        permit.release()
        await waiter
        assert loop.now() == pytest.approx(BEGAN + 2, abs=LATE)

    timed(main)


def test_tokens_above_the_estimate_hold_the_next_call_back() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop, TOKENS)
        permit = await permitted(gate, a_way(**_heavy(10)))
        permit.answered(GOOD)
        permit.settle(10, 5_000)
        permit.release()
        assert (await permitted(gate, a_way(**_heavy(10)))).queued_seconds == pytest.approx(60, abs=0.1)

    timed(main)


@pytest.mark.parametrize("answer", [refusal(500.0), type(GOOD)(good=False)], ids=["refused", "failed"])
def test_what_failed_took_a_request_and_no_tokens(answer: type[GOOD]) -> None:  # type: ignore[valid-type]
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop, TOKENS)
        permit = await permitted(gate, a_way(**_heavy(800)))
        permit.answered(answer)  # type: ignore[arg-type]
        permit.release()
        assert _level(gate, "tokens", loop.now()) == 1000
        assert _level(gate, "requests", loop.now()) == 99

    timed(main)


@pytest.mark.parametrize("rule", [TOKENS, LimitRule(tokens_per_minute=1000, per_minute=100, burst=1)])
def test_what_was_never_sent_took_nothing(rule: LimitRule) -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop, rule)
        permit = await permitted(gate, a_way(**_heavy(800)), sends=False)
        (scope,) = gate.scopes.values()
        assert _all_levels(scope, loop.now()) != [held.meter.limit for held in scope.configured]
        permit.release()
        permit.settle(5, 5)
        permit.release()
        fresh = a_gate(loop, rule).scope_at(scope.key)
        assert _all_levels(scope, loop.now()) == _all_levels(fresh, loop.now())
        assert is_at_rest(gate, loop)

    timed(main)


def _all_levels(scope: Scope, now: float) -> list[float]:
    return [held.meter.level(now) for held in scope.configured]


def test_an_attempt_that_could_not_connect_leaves_its_place_to_who_waits() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop, LimitRule(per_minute=1))
        connecting = await permitted(gate, sends=False)
        waiter = asking(gate)
        await asyncio.sleep(3)
        connecting.release()
        given = await waiter
        assert isinstance(given, Permit)
        assert given.queued_seconds == pytest.approx(3, abs=LATE)

    timed(main)


def test_a_permit_that_was_sent_counts_although_it_was_never_answered() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop, LimitRule(per_minute=1))
        (await permitted(gate)).release()
        assert (await permitted(gate)).queued_seconds == pytest.approx(60, abs=0.1)

    timed(main)


def test_to_settle_after_all_is_given_back_harms_nobody() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop, TOKENS)
        permit = await permitted(gate, a_way(**_heavy(400)))
        permit.release()
        permit.settle(100, 0)
        assert _level(gate, "tokens", loop.now()) == 900
        await asyncio.sleep(100)
        permit.settle(500, 0)
        permit.release()
        assert _level(gate, "tokens", loop.now()) == 1000, "it has left the window long ago"
        (scope,) = gate.scopes.values()
        assert scope.in_flight == 0

    timed(main)


@settings(max_examples=80, deadline=None)
@given(
    steps=st.lists(
        st.sampled_from(["sent", "good", "failed", "settle", "release", "wait"]),
        max_size=10,
    )
)
def test_whatever_is_said_of_a_permit_in_whatever_order_all_is_given_back_in_the_end(steps: list[str]) -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop, LimitRule(per_minute=5, tokens_per_minute=1000, concurrency=2, burst=2))
        permit = await permitted(gate, a_way(**_heavy(100)), sends=False)
        say = {
            "sent": permit.sent,
            "good": lambda: permit.answered(GOOD),
            "failed": lambda: permit.answered(type(GOOD)(good=False)),
            "settle": lambda: permit.settle(50, 10),
            "release": permit.release,
        }
        for step in steps:
            if step == "wait":
                await asyncio.sleep(7)
            else:
                say[step]()
        permit.release()
        assert is_at_rest(gate, loop)
        await asyncio.sleep(130)
        (scope,) = gate.scopes.values()
        fresh = a_gate(loop, *gate.rules).scope_at(scope.key)
        assert _all_levels(scope, loop.now()) == pytest.approx(_all_levels(fresh, loop.now()))

    timed(main)


# too large


@pytest.mark.parametrize(
    ("rule", "said", "limit", "window"),
    [
        (LimitRule(tokens_per_minute=1000), "configured limit of 1,000 tokens per minute", 1000, 60.0),
        (LimitRule(tokens_per_day=2000), "configured limit of 2,000 tokens per day", 2000, 86_400.0),
    ],
)
def test_a_call_larger_than_a_configured_limit_is_refused_at_once_with_the_numbers(
    rule: LimitRule, said: str, limit: int, window: float
) -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop, rule)
        refused = await turned_away(gate, a_way(**_heavy(1500, 1234)))
        assert (refused.cause, refused.status) == (Cause.PROXY_REQUEST_TOO_LARGE, 413)
        assert refused.retry_after_seconds is None, "waiting does not make it smaller"
        assert "2,734 tokens" in refused.why
        assert said in refused.why
        assert refused.policy is not None
        assert (refused.policy.kind, refused.policy.limit, refused.policy.window_seconds) == ("tokens", limit, window)
        assert loop.now() == BEGAN
        assert is_at_rest(gate, loop)

    timed(main)


def test_a_call_as_large_as_the_limit_passes() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop, LimitRule(tokens_per_minute=1000))
        assert (await permitted(gate, a_way(**_heavy(1000)))).queued_seconds == 0
        assert (await turned_away(gate, a_way(**_heavy(1001)))).status == 413

    timed(main)


@pytest.mark.parametrize(
    ("tokens", "refused"), [(1000, False), (round(1000 * DOUBT), False), (round(1000 * DOUBT) + 1, True)]
)
def test_a_call_is_refused_as_larger_than_a_learned_limit_only_when_it_is_beyond_doubt(
    tokens: int, *, refused: bool
) -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop)
        await answered(gate, states(stated(1000, 1000, 0.0, kind="tokens")))
        route = a_way(**_heavy(tokens))
        if refused:
            answer = await turned_away(gate, route)
            assert (answer.cause, answer.status) == (Cause.PROXY_REQUEST_TOO_LARGE, 413)
            assert "provider's limit of 1,000 tokens per minute" in answer.why
        else:
            await permitted(gate, route)

    timed(main)


def test_the_kind_of_the_limit_is_named_that_is_too_small() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop)
        limits = (stated(9000, 9000, 0.0, kind="input_tokens"), stated(100, 100, 0.0, kind="output_tokens"))
        await answered(gate, states(*limits))
        refused = await turned_away(gate, a_way(**_heavy(1000, 500)))
        assert "500 output tokens" in refused.why
        assert refused.policy is not None
        assert refused.policy.kind == "output_tokens"

    timed(main)


# shadow


def test_in_shadow_mode_nobody_waits_and_everybody_learns_why_it_would_have() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop, LimitRule(per_minute=2), shadow=True)
        permits = [await permitted(gate) for _ in range(5)]
        assert loop.now() == BEGAN
        assert [permit.shadow for permit in permits[:2]] == [None, None]
        for permit in permits[2:]:
            assert permit.shadow is not None
            assert permit.shadow.reason == "configured limit of 2 requests per minute"
            assert permit.shadow.seconds == pytest.approx(60, abs=0.1)
        assert {permit.queued_seconds for permit in permits} == {0.0}
        assert _level(gate, "requests", loop.now()) == -3
        await asyncio.sleep(61)
        assert _level(gate, "requests", loop.now()) == 2
        assert (await permitted(gate)).shadow is None

    timed(main)


def test_in_shadow_mode_a_pause_of_the_provider_is_told_and_held_by_nobody() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop, shadow=True)
        await answered(gate, refusal(20))
        permit = await permitted(gate)
        assert permit.shadow is not None
        assert permit.shadow.seconds == pytest.approx(20)
        assert "asked to wait" in permit.shadow.reason
        assert loop.now() == BEGAN

    timed(main)


def test_in_shadow_mode_a_concurrency_is_counted_and_never_kept() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop, LimitRule(concurrency=1), shadow=True)
        first, second = await permitted(gate), await permitted(gate)
        assert (first.shadow, second.shadow is not None) == (None, True)
        assert second.shadow is not None
        assert "at the same time" in second.shadow.reason
        assert second.shadow.seconds == float("inf"), "nobody knows when a running call will end"
        first.release()
        second.release()
        assert (await permitted(gate)).shadow is None

    timed(main)


def test_in_shadow_mode_nothing_is_too_large() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop, TOKENS, shadow=True)
        permit = await permitted(gate, a_way(**_heavy(99_999)))
        permit.release()
        assert _level(gate, "tokens", loop.now()) == 1000 - 99_999
        assert (await permitted(gate)).shadow is not None

    timed(main)


def test_in_shadow_mode_the_queue_is_never_full_and_no_deadline_too_near() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop, LimitRule(per_minute=1), shadow=True, queue_max=0, queue_max_bytes=0)
        for _ in range(50):
            await permitted(gate, size=1_000, seconds=1)
        assert gate.waiting == gate.waiting_bytes == 0

    timed(main)


def test_in_shadow_mode_a_call_that_would_have_gone_at_once_has_nothing_to_tell() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop, LimitRule(per_minute=1), shadow=True, queue_max_bytes=10)
        assert (await permitted(gate, size=1_000)).shadow is None

    timed(main)


def test_in_shadow_mode_limits_are_learned_and_their_levels_recover() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop, shadow=True)
        await answered(gate, states(stated(60, 2, 58.0)))
        shadows = [(await permitted(gate)).shadow for _ in range(6)]
        assert shadows[0] is None
        last = shadows[-1]
        assert last is not None
        assert last.reason == "the provider's limit of 60 requests per minute"
        assert 2 < last.seconds < 6
        (scope,) = gate.scopes.values()
        meter = scope.learned["requests"].meter
        assert meter is not None
        assert meter.level(loop.now()) == pytest.approx(-4)
        await asyncio.sleep(10)
        assert meter.level(loop.now()) >= 3

    timed(main)
