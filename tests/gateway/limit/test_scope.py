"""One scope by itself: what holds a call back, and by what name; who is next; what it learns and forgets."""

import asyncio
import math

import pytest

from gateway.limit.block import FREE
from gateway.limit.cost import Cost
from gateway.limit.refusal import Refusal
from gateway.limit.rule import LimitRule
from gateway.limit.scope import Scope, ScopeKey
from gateway.limit.waiter import Waiter
from gateway.model.cause import Cause
from gateway.model.provider import StatedLimit
from tests.gateway.factories import HandClock
from tests.gateway.limit.asking import stated, ticks
from tests.gateway.limit.timed import TimedLoop, timed

ONE = Cost(1, 0, 0)
NONE = Cost(0)


def _scope(*rules: LimitRule, clock: HandClock | TimedLoop | None = None, model: str = "") -> Scope:
    return Scope(ScopeKey("openai", "key", model), rules, clock or HandClock())


def _go(scope: Scope, number: int = 1, *, cost: Cost = ONE, now: float = 1000.0) -> None:
    for _ in range(number):
        for taken in scope.take(cost, now):
            taken.meter.sent(taken.hold, now)


def _hear(scope: Scope, *limits: StatedLimit, cost: Cost = ONE, now: float = 1000.0, source: str = "headers") -> None:
    scope.hear(limits, cost, now, now, source)


def test_a_scope_without_limits_holds_nobody_back() -> None:
    assert _scope().block(ONE, 1000.0) is FREE
    assert _scope().most_at_once(1000.0) is None
    assert _scope().too_large(Cost(1, 10**9, 10**9), 1.0) is None


@pytest.mark.parametrize(
    ("rule", "cost", "reason"),
    [
        (LimitRule(per_second=1), ONE, "configured limit of 1 requests per second"),
        (LimitRule(per_minute=1), ONE, "configured limit of 1 requests per minute"),
        (LimitRule(per_hour=1), ONE, "configured limit of 1 requests per hour"),
        (LimitRule(per_day=1), ONE, "configured limit of 1 requests per day"),
        (LimitRule(per_second=0.25), ONE, "configured limit of 1 requests per 4 s"),
        (LimitRule(tokens_per_minute=2000), Cost(1, 1500, 500), "configured limit of 2,000 tokens per minute"),
        (LimitRule(tokens_per_day=2000), Cost(1, 1500, 500), "configured limit of 2,000 tokens per day"),
        (LimitRule(concurrency=1), ONE, "configured limit of 1 requests at the same time"),
    ],
)
def test_what_holds_a_call_back_is_named_as_it_was_configured(rule: LimitRule, cost: Cost, reason: str) -> None:
    scope = _scope(rule)
    _go(scope, cost=cost)
    block = scope.block(cost, 1000.0)
    assert block.reason == reason
    assert block.seconds > 0


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (stated(60, 0, 60.0), "the provider's limit of 60 requests per minute"),
        (stated(1500, 0, None, 10.0, "input_tokens"), "the provider's limit of 1,500 input tokens per 10 s"),
        (stated(1500, 0, None, 60.0, "output_tokens"), "the provider's limit of 1,500 output tokens per minute"),
        (stated(1500, 0, None, 60.0, "tokens"), "the provider's limit of 1,500 tokens per minute"),
    ],
)
def test_a_learned_limit_is_named_as_the_providers(said: StatedLimit, reason: str) -> None:
    scope = _scope()
    _hear(scope, said)
    assert scope.block(Cost(1, 100, 100), 1000.0).reason == reason


def test_of_all_that_holds_back_the_longest_counts() -> None:
    scope = _scope(LimitRule(per_second=1), LimitRule(per_minute=1))
    _go(scope)
    assert scope.block(ONE, 1000.0).seconds == pytest.approx(60, abs=0.1)
    scope.paused_until, scope.pause_reason = 1100.0, "the provider asked"
    assert scope.block(ONE, 1000.0) == (100.0, "the provider asked", "", 0.0, None)
    assert scope.block(ONE, 1101.0) is FREE


def test_of_all_rules_the_smallest_concurrency_counts() -> None:
    assert _scope(LimitRule(concurrency=5), LimitRule(concurrency=2), LimitRule()).most_at_once(1000.0) == 2


def test_a_limit_of_a_day_that_the_provider_states_is_known_and_waited_for_by_nobody() -> None:
    scope = _scope()
    _hear(scope, stated(1000, 0, None, 86_400.0))
    assert list(scope.learned) == ["requests"]
    assert scope.block(ONE, 1000.0) is FREE
    assert scope.too_large(Cost(5000), 1.0) is None


def test_how_much_is_left_of_nothing_that_is_known_teaches_nothing() -> None:
    scope = _scope(model="gpt-5")
    _hear(scope, stated(None, 0, 60.0))
    assert not scope.learned
    assert not scope.starting.over


def test_a_call_weighs_what_it_takes_of_the_limit_of_which_it_takes_most() -> None:
    scope = _scope(LimitRule(per_minute=100, tokens_per_minute=1000))
    assert scope.weight(ONE) == pytest.approx(1 / 100)
    assert scope.weight(Cost(1, 400, 100)) == pytest.approx(1 / 2)
    _hear(scope, stated(600, 600, 0.0, 60.0, "input_tokens"))
    assert scope.weight(Cost(1, 400, 100)) == pytest.approx(4 / 6)


@pytest.mark.parametrize("scope", [_scope(), _scope(LimitRule(tokens_per_minute=1000))], ids=["unlimited", "free"])
def test_where_a_call_takes_nothing_of_any_limit_all_weigh_the_same(scope: Scope) -> None:
    assert scope.weight(ONE) == 1.0


def test_what_was_learned_from_headers_is_forgotten_an_hour_after_it_was_last_said() -> None:
    scope = _scope()
    _hear(scope, stated(60, 59, 1.0))
    scope.succeeded(1000.0 + 3_590)
    assert scope.learned
    scope.succeeded(1000.0 + 3_610)
    assert not scope.learned


def test_what_the_words_of_a_refusal_named_is_forgotten_after_ten_minutes() -> None:
    scope = _scope()
    _hear(scope, stated(60, None, None, 60.0), source="refusal")
    scope.succeeded(1000.0 + 590)
    assert scope.learned
    scope.succeeded(1000.0 + 610)
    assert not scope.learned


def test_the_words_of_a_refusal_teach_a_limit_that_no_header_states() -> None:
    async def main(loop: TimedLoop) -> None:
        scope = _scope(clock=loop)
        _go(scope)
        refusal = Refusal(cause=Cause.RATE_LIMIT_REQUESTS, wait_seconds=5, stated=(stated(30, 0, None, 60.0),))
        scope.refused(refusal, ONE, 1000.0, 1000.0, frozenset())
        assert scope.learned["requests"].source == "refusal"
        assert scope.pace is None, "it is known now how fast calls may go"
        assert scope.paused_until == 1005.0

    timed(main)


def test_tokens_that_were_too_many_are_those_of_the_input_where_only_they_are_known() -> None:
    scope = _scope()
    _hear(scope, stated(1000, 900, 6.0, 60.0, "input_tokens"))
    scope.refused(Refusal(cause=Cause.RATE_LIMIT_TOKENS, wait_seconds=5), ONE, 1000.0, 1000.0, frozenset())
    assert scope.pace is None
    meter = scope.learned["input_tokens"].meter
    assert meter is not None
    assert meter.level(1005.0) < 900, "what was thought to be left was not"


def test_a_refusal_for_tokens_where_only_requests_are_known_slows_down_all_the_same() -> None:
    scope = _scope()
    _hear(scope, stated(60, 59, 1.0))
    scope.refused(Refusal(cause=Cause.RATE_LIMIT_TOKENS, wait_seconds=5), ONE, 1000.0, 1000.0, frozenset())
    assert scope.pace is not None


def test_a_refusal_with_concurrency_or_rate_configured_starts_nothing_anew() -> None:
    scope = _scope(LimitRule(per_minute=5), model="gpt-5")
    scope.refused(Refusal(cause=Cause.RATE_LIMIT_UNKNOWN, wait_seconds=5), ONE, 1000.0, 1000.0, frozenset())
    assert scope.starting.over


def test_a_scope_that_holds_anything_is_not_idle() -> None:
    scope = _scope(LimitRule(per_minute=5))
    assert scope.idle(1000.0)
    _go(scope)
    assert not scope.idle(1000.0)
    scope.ended(1000.0)
    assert not scope.idle(1030.0), "one of five is still counted"
    assert scope.idle(1061.0)
    scope.paused_until = 1100.0
    assert not scope.idle(1099.0)
    assert scope.idle(1100.0)


def test_while_somebody_waits_nobody_passes_who_comes_later() -> None:
    async def main(loop: TimedLoop) -> None:
        scope = _scope(LimitRule(tokens_per_minute=100), clock=loop)
        _go(scope, cost=Cost(1, 60))
        waiter = asyncio.ensure_future(Waiter(scope, "a", Cost(1, 90), 1.0).wait(front=False))
        await ticks()
        assert scope.pass_now(Cost(1, 1), loop.now()) is None, "what the next one needs gathers for it"
        assert await waiter is not None
        assert loop.now() == pytest.approx(1060, abs=0.1)

    timed(main)


def test_a_waiter_for_a_running_call_sets_no_alarm_and_one_for_a_window_sets_one() -> None:
    async def main(loop: TimedLoop) -> None:
        scope = _scope(LimitRule(per_minute=2, concurrency=1), clock=loop)
        _go(scope)
        waiters = [asyncio.ensure_future(Waiter(scope, "a", ONE, 1.0).wait(front=False)) for _ in range(2)]
        await ticks()
        assert scope._timer is None
        scope.ended(loop.now())
        scope.pump()
        await ticks()
        assert scope._timer is None, "the next one runs"
        scope.ended(loop.now())
        scope.pump()
        assert scope._timer is not None
        await asyncio.gather(*waiters)
        assert scope._timer is None

    timed(main)


def test_with_what_goes_first_only_what_can_be_foreseen_is_looked_at() -> None:
    scope = _scope(LimitRule(concurrency=1, per_minute=2))
    _go(scope)
    assert scope.block(ONE, 1000.0).seconds == math.inf
    assert scope.block(ONE, 1000.0, NONE) is FREE
    assert scope.block(ONE, 1000.0, Cost(1)).seconds == pytest.approx(60, abs=0.1)


def test_how_long_calls_usually_take_is_learned_from_those_that_ended_well() -> None:
    scope = _scope(LimitRule(concurrency=1))
    for _ in range(40):
        _go(scope)
        scope.ended(1000.0, 6.0)
    _go(scope)
    assert scope.expected(ONE, 1000.0, NONE) == pytest.approx(6, rel=0.01)
    assert scope.expected(ONE, 1000.0, Cost(2)) == pytest.approx(18, rel=0.01)
    scope.ended(1000.0)
    _go(scope)
    assert scope.expected(ONE, 1000.0, NONE) == pytest.approx(6, rel=0.01), "one that failed says nothing"
