"""Configured limits: for whom, how many, in how long, and together with what."""

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.limit.bucket import Bucket
from gateway.limit.rule import LimitRule, held_by
from gateway.limit.window import Window
from tests.gateway.limit.asking import a_gate, a_way, gaps, moments, permitted, turned_away
from tests.gateway.limit.timed import TimedLoop, timed


@pytest.mark.parametrize(
    ("rule", "provider", "model", "fits"),
    [
        (LimitRule(), "openai", "gpt-5", True),
        (LimitRule(), "openai", "", True),
        (LimitRule(provider="openai"), "openai", "gpt-5", True),
        (LimitRule(provider="openai"), "anthropic", "gpt-5", False),
        (LimitRule(model="gpt-*"), "openai", "gpt-5", True),
        (LimitRule(model="gpt-*"), "openai", "o3", False),
        (LimitRule(model="gpt-*"), "openai", "GPT-5", False),
        (LimitRule(model="gpt-*"), "openai", "", False),
        (LimitRule(model="o[13]"), "openai", "o3", True),
        (LimitRule(model="o[13]"), "openai", "o4", False),
        (LimitRule(model="*/llama-?"), "openrouter", "meta/llama-4", True),
        (LimitRule(provider="anthropic", model="claude-*"), "anthropic", "claude-x", True),
    ],
)
def test_a_rule_is_for_its_provider_and_for_models_like_its_own(
    rule: LimitRule, provider: str, model: str, *, fits: bool
) -> None:
    assert rule.fits(provider, model) is fits


@pytest.mark.parametrize(
    ("rule", "paces"),
    [
        (LimitRule(), False),
        (LimitRule(tokens_per_minute=1, tokens_per_day=1), False),
        (LimitRule(burst=1), False),
        (LimitRule(per_second=0.1), True),
        (LimitRule(per_minute=1), True),
        (LimitRule(per_hour=1), True),
        (LimitRule(per_day=1), True),
        (LimitRule(concurrency=1), True),
    ],
)
def test_a_rule_paces_when_it_says_how_many_calls_may_go(rule: LimitRule, *, paces: bool) -> None:
    assert rule.paces is paces


@pytest.mark.parametrize(
    ("name", "kind", "seconds"),
    [
        ("per_second", "requests", 1.0),
        ("per_minute", "requests", 60.0),
        ("per_hour", "requests", 3_600.0),
        ("per_day", "requests", 86_400.0),
        ("tokens_per_minute", "tokens", 60.0),
        ("tokens_per_day", "tokens", 86_400.0),
    ],
)
def test_every_number_of_a_rule_is_held_in_a_window_of_its_own(name: str, kind: str, seconds: float) -> None:
    limits: dict[str, Any] = {name: 7}
    (held,) = held_by(LimitRule(**limits), 0.0)
    assert (held.kind, held.limit, held.seconds, held.burst) == (kind, 7, seconds, None)
    assert isinstance(held.meter, Window)
    assert held.meter.limit == 7
    assert held.meter.seconds >= seconds, "a little longer is safe, shorter is not"


def test_a_rule_without_numbers_holds_nothing() -> None:
    assert held_by(LimitRule(model="gpt-*", together=True), 0.0) == []


def test_a_burst_holds_a_bucket_beside_every_window_of_requests_and_none_of_tokens() -> None:
    held = held_by(LimitRule(per_minute=60, tokens_per_minute=1000, burst=3), 0.0)
    assert [(one.kind, type(one.meter)) for one in held] == [
        ("requests", Bucket),
        ("requests", Window),
        ("tokens", Window),
    ]


@pytest.mark.parametrize(
    ("rule", "seconds"), [(LimitRule(per_hour=2), 3_600), (LimitRule(per_day=2), 86_400)], ids=["hour", "day"]
)
def test_the_third_call_of_two_an_hour_or_a_day_waits_for_all_of_it_and_who_cannot_is_told(
    rule: LimitRule, seconds: int
) -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop, rule)
        for _ in range(2):
            await permitted(gate)
        refused = await turned_away(gate, seconds=60)
        assert refused.retry_after_seconds == pytest.approx(seconds, abs=0.1)
        assert (await permitted(gate)).queued_seconds == pytest.approx(seconds, abs=0.1)

    timed(main)


def test_tokens_of_a_day_are_spent_by_what_calls_really_took() -> None:
    async def main(loop: TimedLoop) -> None:
        gate, route = a_gate(loop, LimitRule(tokens_per_day=1000, per_minute=100)), a_way(input_tokens=400)
        for _ in range(3):
            permit = await permitted(gate, route)
            permit.settle(200, 100)
            permit.release()
        await asyncio.sleep(3_600)
        assert (await turned_away(gate, route, seconds=600)).retry_after_seconds == pytest.approx(82_800, abs=1)

    timed(main)


def test_with_a_burst_so_many_go_at_once_and_the_others_evenly() -> None:
    async def main(loop: TimedLoop) -> None:
        times = await moments(a_gate(loop, LimitRule(per_minute=30, burst=3)), 12)
        assert times[:3] == [0, 0, 0]
        assert gaps(times[2:]) == pytest.approx([2] * 9, abs=0.01)

    timed(main)


@settings(max_examples=60, deadline=None)
@given(
    limit=st.integers(1, 20),
    burst=st.integers(1, 30),
    pauses=st.lists(st.sampled_from([0.0, 0.5, 7.0, 59.0]), max_size=40),
)
def test_with_a_burst_no_minute_holds_more_than_the_limit_and_no_moment_more_than_the_burst(
    limit: int, burst: int, pauses: list[float]
) -> None:
    async def main(loop: TimedLoop) -> None:
        gate, passed = a_gate(loop, LimitRule(per_minute=limit, burst=burst)), list[float]()

        async def one() -> None:
            (await permitted(gate)).release()
            passed.append(loop.now())

        tasks = []
        for pause in pauses:
            await asyncio.sleep(pause)
            tasks.append(asyncio.ensure_future(one()))
        await asyncio.gather(*tasks)
        for start in passed:
            assert sum(start <= at < start + 60 for at in passed) <= limit
            assert sum(start <= at < start + 0.01 for at in passed) <= burst

    timed(main)


# together


def test_models_that_are_counted_together_spend_of_one_limit() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop, LimitRule(model="gpt-*", per_minute=2, together=True))
        for model in ("gpt-4", "gpt-5"):
            await permitted(gate, a_way(model=model))
        assert [key.model for key in gate.scopes] == ["gpt-*"]
        assert (await permitted(gate, a_way(model="gpt-6"))).queued_seconds == pytest.approx(60, abs=0.1)

    timed(main)


@pytest.mark.parametrize("model", ["o[13]", "gpt-?", "*"])
def test_models_are_counted_together_whatever_their_pattern_looks_like(model: str) -> None:
    """``o[13]`` does not match itself."""

    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop, LimitRule(model=model, per_minute=1, together=True))
        one, other = {"o[13]": ("o1", "o3"), "gpt-?": ("gpt-4", "gpt-5"), "*": ("a", "b")}[model]
        await permitted(gate, a_way(model=one))
        assert (await permitted(gate, a_way(model=other))).queued_seconds > 59

    timed(main)


def test_models_that_do_not_match_are_not_counted_with_them() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop, LimitRule(model="gpt-*", per_minute=1, together=True), LimitRule(per_minute=1))
        await permitted(gate, a_way(model="gpt-5"))
        for model in ("o3", "o4"):
            assert (await permitted(gate, a_way(model=model))).queued_seconds == 0

    timed(main)


def test_models_are_counted_together_for_each_key_by_itself() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop, LimitRule(model="gpt-*", per_minute=1, together=True))
        for key in ("key-a", "key-b"):
            assert (await permitted(gate, a_way(key, "gpt-5"))).queued_seconds == 0

    timed(main)


def test_a_limit_of_every_model_holds_for_models_that_are_counted_together() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop, LimitRule(model="gpt-*", per_minute=100, together=True), LimitRule(per_minute=1))
        await permitted(gate, a_way(model="gpt-5"))
        assert (await permitted(gate, a_way(model="gpt-5"))).queued_seconds > 59

    timed(main)


def test_a_limit_of_one_model_still_holds_when_it_is_counted_together_with_others() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(
            loop, LimitRule(model="gpt-*", per_minute=100, together=True), LimitRule(model="gpt-5", per_minute=1)
        )
        await permitted(gate, a_way(model="gpt-5"))
        assert (await permitted(gate, a_way(model="gpt-5"))).queued_seconds > 59

    timed(main)


def test_a_model_that_is_named_like_a_pattern_is_held_by_no_other_models_rule() -> None:
    """An app names its model as it likes; only a rule of ours makes a pattern of it."""

    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop, LimitRule(model="o3", per_day=1), LimitRule(model="gpt-4", per_minute=1))
        for _ in range(3):
            assert (await permitted(gate, a_way(model="*"))).queued_seconds < 1

    timed(main)
