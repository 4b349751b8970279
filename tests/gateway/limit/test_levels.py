"""What outlives the process: a restart brings no second burst, and a damaged document breaks nothing."""

import asyncio
import copy
import json
import math
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gateway.limit import levels as levels_module
from gateway.limit.gate import Answer, Gate, LimitRule, Permit
from gateway.limit.levels import document_of, restore
from gateway.limit.refusal import Refusal
from gateway.limit.scope import Scope
from gateway.model.cause import Cause
from gateway.model.event import Live
from gateway.model.provider import StatedLimit
from gateway.model.route import Route
from tests.gateway.factories import HandClock, a_call, a_route

_FAR = 1e9
_MINUTELY = StatedLimit("requests", 100, 59, 24.6)


def _gate(clock: HandClock, *rules: LimitRule) -> Gate:
    return Gate(rules, clock, queue_max=10, queue_max_bytes=1_000)


def _kept(gate: Gate) -> dict[str, Any]:
    """Give the document as it comes back from its file."""
    return json.loads(json.dumps(document_of(gate), allow_nan=False))  # type: ignore[no-any-return]


def _after(document: object, *rules: LimitRule, elapsed: float = 0.0) -> Gate:
    """Begin anew, on a clock that has nothing to do with the old one."""
    clock = HandClock()
    clock.seconds = 77.0
    gate = _gate(clock, *rules)
    restore(gate, document, elapsed)
    return gate


async def _permit(gate: Gate, route: Route | None = None, deadline: float = _FAR) -> Permit:
    given = await gate.acquire(route or a_route(), Live(call=a_call()), deadline=deadline, size_bytes=1)
    assert isinstance(given, Permit)
    given.sent()
    return given


async def _go(gate: Gate, route: Route | None = None) -> int:
    """Let go what goes at once; how many that were."""
    route, went = route or a_route(), 0
    while (await _goes(gate, route)) and went < 1_000:
        went += 1
    return went


async def _goes(gate: Gate, route: Route) -> bool:
    given = await gate.acquire(route, Live(call=a_call()), deadline=gate.clock.now(), size_bytes=1)
    if not isinstance(given, Permit):
        return False
    given.sent()
    given.release()
    return True


def _scope(gate: Gate) -> Scope:
    return next(iter(gate.scopes.values()))


async def test_a_restart_brings_no_second_burst_and_takes_nothing_away() -> None:
    rules = (LimitRule(per_minute=10), LimitRule(per_hour=12))
    clock = HandClock()
    before = _gate(clock, *rules)
    for _ in range(3):
        for _ in range(2):
            (await _permit(before)).release()
        clock.seconds += 20
    document = _kept(before)
    clock.seconds += 10
    after = _after(document, *rules, elapsed=10)
    for seconds in (0, 5, 8, 12, 30, 60, 3_600):
        clock.seconds += seconds
        assert isinstance(after.clock, HandClock)
        after.clock.seconds += seconds
        for one, other in zip(_scope(before).configured, _scope(after).configured, strict=True):
            assert one.meter.level(clock.now()) == other.meter.level(after.clock.now())
    assert await _go(before) == await _go(after) == 10


async def test_what_is_under_way_counts_as_of_the_moment_of_writing() -> None:
    before = _gate(HandClock(), LimitRule(per_minute=3))
    permit = await before.acquire(a_route(), Live(call=a_call()), deadline=_FAR, size_bytes=1)
    assert isinstance(permit, Permit), "which is not sent yet"
    assert await _go(_after(_kept(before), LimitRule(per_minute=3), elapsed=50)) == 2
    assert await _go(_after(_kept(before), LimitRule(per_minute=3), elapsed=61)) == 3


async def test_of_thousands_so_many_entries_are_kept_that_nothing_may_go_earlier() -> None:
    clock = HandClock()
    before = _gate(clock, LimitRule(per_minute=5_000))
    for _ in range(3_000):
        (await _permit(before)).release()
        clock.seconds += 0.01
    document = _kept(before)
    assert len(json.dumps(document)) < 5_000
    for elapsed in (0.0, 31.0, 40.0, 59.0, 61.0):
        clock_now = clock.now() + elapsed
        after = _after(document, LimitRule(per_minute=5_000), elapsed=elapsed)
        mine, theirs = _scope(before).configured[0].meter, _scope(after).configured[0].meter
        copied = copy.deepcopy(mine).level(clock_now)
        assert copied - 5_000 / 64 - 1 <= theirs.level(after.clock.now()) <= copied


async def test_a_burst_that_is_gone_comes_back_as_it_would_have() -> None:
    rule = LimitRule(per_minute=60, burst=5)
    clock = HandClock()
    before = _gate(clock, rule)
    assert await _go(before) == 5
    document = _kept(before)
    assert await _go(_after(document, rule)) == 0
    assert await _go(_after(document, rule, elapsed=3.1)) == 3
    assert await _go(_after(document, rule, elapsed=1e6)) == 5


async def test_what_was_counted_of_another_limit_says_nothing_of_this_one() -> None:
    before = _gate(HandClock(), LimitRule(per_minute=3))
    assert await _go(before) == 3
    for rule in (LimitRule(per_second=3), LimitRule(tokens_per_minute=10**9, concurrency=1_000)):
        assert await _go(_after(_kept(before), rule)) >= 3
    assert await _go(_after(_kept(before), LimitRule(per_minute=5))) == 2, "another amount, in the same window"


async def test_what_was_learned_is_known_at_once_and_said_to_be_remembered() -> None:
    clock = HandClock()
    before = _gate(clock)
    (await _permit(before)).answered(Answer(good=True, stated=(_MINUTELY,)))
    document = _kept(before)
    after = _after(document, elapsed=6)
    learned = _scope(after).learned["requests"]
    assert learned.meter is not None
    assert (learned.remembered, learned.source, learned.meter.limit) == (True, "headers", 100)
    assert _scope(after).starting.over
    clock.seconds += 6
    known = _scope(before).learned["requests"]
    assert known.meter is not None
    assert learned.shape == known.shape
    assert learned.meter.level(after.clock.now()) == pytest.approx(known.meter.level(clock.now()))
    assert after.clock.now() - learned.said_at == pytest.approx(6)


async def test_a_limit_that_comes_back_at_once_is_kept_as_such() -> None:
    clock = HandClock()
    before = _gate(clock)
    (await _permit(before)).answered(Answer(good=True, stated=(StatedLimit("requests", 100, 30, 60.0),)))
    document = _kept(before)
    assert document["scopes"][0]["limits"][0]["stepwise"] is True
    for elapsed, most in ((0, 30), (30, 30), (60, 100)):
        learned = _scope(_after(document, elapsed=elapsed)).learned["requests"]
        assert learned.shape == _scope(before).learned["requests"].shape
        assert learned.meter is not None
        assert learned.meter.level(77.0) == pytest.approx(most)


async def test_what_was_said_too_long_ago_is_neither_kept_nor_restored() -> None:
    clock = HandClock()
    before = _gate(clock)
    (await _permit(before)).answered(Answer(good=True, stated=(_MINUTELY,)))
    document = _kept(before)
    assert _scope(_after(document, elapsed=3_500)).learned
    assert not _scope(_after(document, elapsed=3_700)).learned
    clock.seconds += 3_700
    assert _kept(before)["scopes"][0]["limits"] == []


async def test_a_limit_of_a_refusal_is_believed_for_less_long() -> None:
    before = _gate(HandClock())
    refusal = Refusal(
        cause=Cause.RATE_LIMIT_REQUESTS, wait_seconds=2.0, stated=(StatedLimit("requests", 100, 0, None, 60.0),)
    )
    (await _permit(before)).answered(Answer(good=False, refusal=refusal))
    document = _kept(before)
    assert _scope(_after(document, elapsed=590)).learned["requests"].source == "refusal"
    assert not _scope(_after(document, elapsed=610)).learned


async def test_a_pause_goes_on_for_what_is_left_of_it() -> None:
    before = _gate(HandClock(), LimitRule(per_minute=100))
    refusal = Refusal(cause=Cause.RATE_LIMIT_REQUESTS, wait_seconds=30.0)
    permit = await _permit(before)
    permit.answered(Answer(good=False, refusal=refusal))
    document = _kept(before)
    assert document["scopes"][0]["paused_seconds"] == 30
    assert _scope(_after(document, LimitRule(per_minute=100), elapsed=12)).paused_until == pytest.approx(77 + 18)
    assert _scope(_after(document, LimitRule(per_minute=100), elapsed=31)).paused_until < 77


async def test_which_key_is_of_which_organisation_is_known_at_once() -> None:
    before = _gate(HandClock(), LimitRule(per_minute=3))
    permit = await _permit(before)
    permit.answered(Answer(good=True, account="org"))
    document = _kept(before)
    after = _after(document, LimitRule(per_minute=3))
    assert after.accounts == before.accounts
    assert _scope(after).is_organisation
    assert await _go(after) == 2
    assert len(after.scopes) == 1


async def test_the_latest_used_scopes_are_kept_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(levels_module, "KEPT_MAX", 3)
    before = _gate(HandClock(), LimitRule(per_minute=3))
    for number in range(6):
        await _permit(before, a_route(scope=str(number)))
    document = _kept(before)
    assert [scope["account"] for scope in document["scopes"]] == ["5", "4", "3"]
    after = _after(document, LimitRule(per_minute=3))
    assert [key.account for key in after.scopes] == ["3", "4", "5"]


@pytest.mark.parametrize("elapsed", [-1.0, -1e300, -math.inf, math.nan, 0.0])
async def test_time_that_ran_backwards_is_no_time(elapsed: float) -> None:
    before = _gate(HandClock(), LimitRule(per_minute=3))
    await _go(before)
    assert await _go(_after(_kept(before), LimitRule(per_minute=3), elapsed=elapsed)) == 0


@pytest.mark.parametrize("elapsed", [1e5, 1e300, math.inf])
async def test_after_a_long_time_nothing_holds_any_more(elapsed: float) -> None:
    rules = (LimitRule(per_minute=3, per_hour=7, burst=2),)
    before = _gate(HandClock(), *rules)
    await _go(before)
    (await _permit(before, a_route(scope="other"))).answered(
        Answer(
            good=False,
            stated=(_MINUTELY,),
            refusal=Refusal(cause=Cause.RATE_LIMIT_REQUESTS, wait_seconds=60.0),
        )
    )
    after = _after(_kept(before), *rules, elapsed=elapsed)
    assert await _go(after) == await _go(after, a_route(scope="other")) == 2


# damaged


def _documents() -> Iterator[dict[str, Any]]:
    """Give a document with everything in it."""
    clock = HandClock()
    gate = _gate(clock, *_RULES)

    async def fill() -> None:
        permit = await _permit(gate)
        stated = (_MINUTELY, StatedLimit("tokens", 100_000, 99_000, 60.0))
        refusal = Refusal(cause=Cause.RATE_LIMIT_TOKENS, wait_seconds=1.0)
        permit.answered(Answer(good=False, account="org", stated=stated, refusal=refusal))
        permit.release()

    asyncio.run(fill())
    yield _kept(gate)


_RULES = (LimitRule(per_minute=2, burst=1), LimitRule(per_second=1, tokens_per_minute=10**9))
_WHOLE = next(_documents())
_LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5),
    st.sampled_from([0, 0.0, -1, 1e308, -1e308, 5e-324, 10**400, -(10**400), 1e9, "requests", "openai", [], {}]),
)  # fmt: skip
_JSON = st.recursive(
    _LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
)


def _paths(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield at
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from _paths(inner, (*at, key))


_PATHS = sorted((path for path in _paths(_WHOLE) if path), key=str)


def _damaged(changes: dict[tuple[Any, ...], Any]) -> Any:
    document = copy.deepcopy(_WHOLE)
    for path, value in sorted(changes.items(), key=lambda change: -len(change[0])):
        inner: Any = document
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = value
    return document


def test_the_document_that_is_damaged_here_has_everything_in_it() -> None:
    scope = _WHOLE["scopes"][0]
    assert len(scope["limits"]) == 2
    assert {one["stepwise"] for one in scope["limits"]} == {True, False}
    assert [("missing" in one, "spent" in one) for one in scope["configured"]] == [
        (True, False), (False, True), (False, True), (False, True),
    ]  # fmt: skip
    assert _WHOLE["accounts"]


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(document=_JSON, elapsed=st.floats())
def test_what_is_no_document_at_all_is_left_alone(document: object, elapsed: float) -> None:
    gate = _after(document, *_RULES, elapsed=elapsed)
    assert not gate.scopes
    _after({"version": 1, "accounts": document, "scopes": [document]}, *_RULES, elapsed=elapsed)
    _after({"version": 1, "accounts": [document], "scopes": document}, *_RULES, elapsed=elapsed)


@pytest.mark.parametrize("value", [0.5, -1, True, None, "x", [], {}, math.nan, math.inf, [[0]], {"kind": 0}, [None]])
def test_whatever_one_value_is_replaced_by_nothing_is_raised(value: object) -> None:
    async def use(gate: Gate) -> None:
        await _goes(gate, a_route())

    for path in _PATHS:
        gate = _after(_damaged({path: value}), *_RULES)
        document_of(gate)
        asyncio.run(use(gate))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("scopes", 0, "limits", 0, "window_seconds"), 0),
        (("scopes", 0, "paused_seconds"), 10**400),
        (("scopes", 0, "configured", 1, "spent", 0, 1), -(10**400)),
    ],
    ids=["divided by zero", "huge pause", "huge amount"],
)
def test_a_number_that_is_none_is_left_out_like_any_other(path: tuple[Any, ...], value: object) -> None:
    _after(_damaged({path: value}), *_RULES)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("scopes", 0, "configured", 1, "spent"), [[0, -1_000]]),
        (("scopes", 0, "configured", 1, "spent"), [[-1e9, 2]]),
        (("scopes", 0, "paused_seconds"), 1e9),
        (("scopes", 0, "limits", 0, "said_seconds_ago"), -1e9),
    ],
    ids=["a negative amount", "spent in the future", "a pause of years", "said in the future"],
)
async def test_numbers_without_sense_neither_open_a_limit_nor_close_it_for_good(
    path: tuple[Any, ...], value: object
) -> None:
    document = _damaged({path: value})
    gate = _after(document, LimitRule(per_minute=2, burst=1), _RULES[1])
    scope = _scope(gate)
    assert scope.configured[1].meter.level(77.0) <= 2
    assert scope.paused_until <= 77.0 + 120
    assert all(learned.said_at <= 77.0 for learned in scope.learned.values())
    assert scope.configured[1].meter.level(77.0 + 61) >= 2


async def test_one_thing_that_is_not_understood_leaves_out_nothing_else() -> None:
    document = _damaged({("scopes", 0, "limits", 0, "limit"): None})
    scope = _scope(_after(document, *_RULES))
    assert scope.configured[1].meter.level(77.0) == 1


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@example(changes={("scopes", 0, "limits", 0, "window_seconds"): 0}, elapsed=0.0)
@given(changes=st.dictionaries(st.sampled_from(_PATHS), _JSON, max_size=4), elapsed=st.floats())
def test_whatever_is_damaged_the_configured_limits_hold_and_calls_go(
    changes: dict[tuple[Any, ...], Any], elapsed: float
) -> None:
    try:
        document = _damaged(changes)
    except (TypeError, KeyError, IndexError, AttributeError):
        return
    gate = _after(document, *_RULES, elapsed=elapsed)
    clock = gate.clock
    assert isinstance(clock, HandClock)
    route = a_route()

    async def use() -> list[float]:
        went = []
        for _ in range(130 * 2):
            if await _goes(gate, route):
                went.append(clock.now())
            clock.seconds += 1
        return went

    went = asyncio.run(use())
    learned = any("limits" in path for path in changes)
    assert went or learned, "within four minutes somebody goes, unless a sensible limit was made another"
    for start in went:
        assert sum(start <= at < start + 60 for at in went) <= 2
    json.dumps(document_of(gate), allow_nan=False)
