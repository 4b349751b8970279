"""What people are shown of the limits: JSON, bounded, and the keys that the command line and the page read."""

import asyncio
import json
import math
from typing import Any

import pytest

from gateway.cli.limits import lines_of
from gateway.limit import view as view_module
from gateway.limit.gate import Answer, Gate, LimitRule, Permit
from gateway.limit.refusal import Refusal
from gateway.limit.users import USERS_MAX
from gateway.limit.view import view
from gateway.model.cause import Cause
from gateway.model.event import Live
from gateway.model.provider import StatedLimit
from gateway.model.route import Route
from tests.gateway.factories import HandClock, a_call, a_route
from tests.gateway.limit.timed import TimedLoop, timed

_DOCUMENT = {"shadow", "waiting", "waiting_bytes", "queue_max", "queue_max_bytes", "scopes"}
_SCOPE = {
    "provider", "account", "account_kind", "model", "state", "paused_ms", "pause_reason", "limits", "in_flight",
    "queued", "next_eta_ms", "last_eta_ms", "demand_per_second", "next_429_seconds", "users",
}  # fmt: skip
_LIMIT = {
    "kind", "limit", "window_seconds", "burst", "source", "remembered", "learned_seconds_ago", "level", "level_ratio",
    "refill_per_second", "foreign_per_second", "enforced",
}  # fmt: skip
_USER = {"tenant", "key", "client", "in_flight", "queued", "calls"}
_FAR = 1e6


def _nobody(_client: str) -> str | None:
    return None


def _seen(gate: Gate, names: Any = _nobody) -> dict[str, Any]:
    """Give the view as it arrives, after checking that it is what its readers expect."""
    document = view(gate, names)
    text = json.dumps(document, allow_nan=False)
    assert document.keys() == _DOCUMENT
    for scope in document["scopes"]:
        assert scope.keys() == _SCOPE
        assert all(limit.keys() == _LIMIT for limit in scope["limits"])
        assert all(user.keys() == _USER for user in scope["users"])
    assert all("".join(words for words, _ in line).isprintable() for line in lines_of(json.loads(text), 100))
    return json.loads(text)  # type: ignore[no-any-return]


def _gate(clock: Any, *rules: LimitRule, shadow: bool = False) -> Gate:
    return Gate(rules, clock, queue_max=200, queue_max_bytes=1_000, shadow=shadow)


async def _permit(gate: Gate, route: Route | None = None, client: str = "127.0.0.1:50123") -> Permit:
    live = Live(call=a_call(client=client))
    given = await gate.acquire(route or a_route(), live, deadline=_FAR, size_bytes=1)
    assert isinstance(given, Permit)
    given.sent()
    return given


def _shown(gate: Gate) -> str:
    return "\n".join("".join(words for words, _ in line) for line in lines_of(_seen(gate), 200))


def test_before_the_first_call_there_is_nothing_to_see() -> None:
    gate = _gate(HandClock(), shadow=True)
    assert _seen(gate) == {
        "shadow": True, "waiting": 0, "waiting_bytes": 0, "queue_max": 200, "queue_max_bytes": 1_000, "scopes": [],
    }  # fmt: skip


async def test_a_configured_limit_is_shown_with_what_is_left_of_it() -> None:
    gate = _gate(HandClock(), LimitRule(per_minute=4, burst=2, concurrency=3))
    await _permit(gate)
    scope = _seen(gate)["scopes"][0]
    assert (scope["state"], scope["in_flight"], scope["queued"], scope["next_eta_ms"]) == ("open", 1, 0, None)
    shown = {(one["kind"], one["burst"]): one for one in scope["limits"]}
    assert set(shown) == {("requests", 2.0), ("requests", None), ("concurrency", None)}
    for one in shown.values():
        assert (one["source"], one["enforced"], one["remembered"]) == ("configured", True, False)
    assert (shown["requests", 2.0]["level"], shown["requests", 2.0]["level_ratio"]) == (1, 0.5)
    assert (shown["requests", None]["level"], shown["requests", None]["window_seconds"]) == (3, 60)
    assert shown["requests", None]["refill_per_second"] is None, "a window does not fill"
    assert (shown["concurrency", None]["limit"], shown["concurrency", None]["level"]) == (3, 2)
    assert "3 at once" in _shown(gate)


async def test_a_learned_limit_says_where_it_is_from_and_when_it_was_heard() -> None:
    clock = HandClock()
    gate = _gate(clock)
    permit = await _permit(gate)
    assert _seen(gate)["scopes"][0]["state"] == "starting"
    stated = (StatedLimit("requests", 100, 99, 0.6), StatedLimit("tokens", 86_400, 86_300, 100.0, 86_400.0))
    permit.answered(Answer(good=True, stated=stated))
    clock.seconds += 3
    minute, day = _seen(gate)["scopes"][0]["limits"]
    assert (minute["kind"], minute["limit"], minute["source"]) == ("requests", 100, "headers")
    assert (minute["window_seconds"], minute["learned_seconds_ago"], minute["enforced"]) == (60, 3, True)
    assert (day["kind"], day["window_seconds"], day["enforced"]) == ("tokens", 86_400, False)
    assert "not enforced" in _shown(gate)


async def test_a_refusal_shows_the_pause_and_what_was_observed() -> None:
    clock = HandClock()
    gate = _gate(clock)
    permit = await _permit(gate)
    permit.answered(Answer(good=False, refusal=Refusal(cause=Cause.RATE_LIMIT_REQUESTS, wait_seconds=7.0)))
    scope = _seen(gate)["scopes"][0]
    assert (scope["state"], scope["paused_ms"]) == ("paused", 7_000)
    assert "provider" in scope["pause_reason"]
    assert [one["source"] for one in scope["limits"]] == ["observed"]
    assert scope["limits"][0]["learned_seconds_ago"] == 0, "never a negative age"
    clock.seconds += 8
    scope = _seen(gate)["scopes"][0]
    assert (scope["paused_ms"], scope["pause_reason"]) == (None, None)


def test_who_waits_is_counted_with_the_first_and_the_last_turn() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = _gate(loop, LimitRule(per_minute=2))
        for _ in range(2):
            await _permit(gate)
        waiters = [asyncio.ensure_future(_permit(gate)) for _ in range(5)]
        await asyncio.sleep(10)
        document = _seen(gate)
        scope = document["scopes"][0]
        assert (document["waiting"], document["waiting_bytes"]) == (5, 5)
        assert (scope["state"], scope["queued"], scope["in_flight"]) == ("waiting", 5, 2)
        assert scope["next_eta_ms"] == pytest.approx(50_000, abs=200)
        assert scope["last_eta_ms"] == pytest.approx(170_000, abs=200), "two each minute: the fifth in the third"
        assert scope["users"][0]["queued"] == 5
        await asyncio.gather(*waiters)
        assert loop.now() == pytest.approx(1180, abs=0.5)

    timed(main)


def test_a_turn_that_depends_on_running_calls_is_a_number_or_nothing() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = _gate(loop, LimitRule(concurrency=1))
        running = await _permit(gate)
        waiter = asyncio.ensure_future(_permit(gate))
        await asyncio.sleep(1)
        scope = _seen(gate)["scopes"][0]
        assert scope["last_eta_ms"] is None or scope["last_eta_ms"] >= scope["next_eta_ms"] >= 0
        running.release()
        await waiter

    timed(main)


def test_what_never_ends_is_shown_as_no_time_at_all() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = _gate(loop, LimitRule(per_minute=1))
        await _permit(gate)
        waiter = asyncio.ensure_future(_permit(gate))
        await asyncio.sleep(0.1)
        scope = next(iter(gate.scopes.values()))
        scope.paused_until = math.inf
        shown = _seen(gate)["scopes"][0]
        assert (shown["paused_ms"], shown["next_eta_ms"], shown["last_eta_ms"]) == (None, None, None)
        assert (shown["state"], shown["queued"]) == ("paused", 1)
        waiter.cancel()
        scope.paused_until = -math.inf

    timed(main)


async def test_when_the_provider_would_refuse_follows_from_what_is_asked_for() -> None:
    clock = HandClock()
    gate = _gate(clock)
    permit = await _permit(gate)
    permit.answered(Answer(good=True, stated=(StatedLimit("requests", 60, 59, 1.0),)))
    assert _seen(gate)["scopes"][0]["next_429_seconds"] is None
    for _ in range(40):
        (await _permit(gate)).release()
    scope = _seen(gate)["scopes"][0]
    assert scope["demand_per_second"] == pytest.approx(4.1)
    assert scope["next_429_seconds"] == pytest.approx(19 / 3.1, abs=0.5)


async def test_connections_of_one_program_are_one_user_and_of_two_keys_are_two() -> None:
    gate = _gate(HandClock())
    gate.scope_at(gate._scope_key(a_route())).starting.over = True
    permits = [await _permit(gate, client=f"127.0.0.1:5000{port}") for port in (1, 2, 3)]
    await _permit(gate, client="127.0.0.1:60000")
    await _permit(gate, a_route(key="another"), client="127.0.0.1:50001")
    permits[0].release()
    names = {"127.0.0.1:60000": "other.py"}
    users = _seen(gate, lambda client: names.get(client, "app.py"))["scopes"][0]["users"]
    assert {(one["client"], one["key"] == "another"): (one["in_flight"], one["calls"]) for one in users} == {
        ("app.py", False): (2, 3), ("other.py", False): (1, 1), ("app.py", True): (1, 1),
    }  # fmt: skip
    unknown = _seen(gate)["scopes"][0]["users"]
    assert {one["client"] for one in unknown} == {"127.0.0.1"}, "no program known: its address without the port"


async def test_however_many_use_it_what_is_shown_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view_module, "SHOWN_MAX", 5)
    gate = _gate(HandClock(), LimitRule(per_minute=100_000))
    for number in range(USERS_MAX * 3):
        (await _permit(gate, client=f"10.0.0.{number}:1")).release()
    for number in range(20):
        (await _permit(gate, a_route(scope=f"key {number}"))).release()
    document = _seen(gate)
    assert [scope["account"] for scope in document["scopes"]] == [f"key {number}" for number in (19, 18, 17, 16, 15)]
    monkeypatch.setattr(view_module, "SHOWN_MAX", 100)
    assert max(len(scope["users"]) for scope in _seen(gate)["scopes"]) <= USERS_MAX


async def test_what_was_not_used_for_an_hour_is_left_out() -> None:
    clock = HandClock()
    gate = _gate(clock, LimitRule(per_minute=5))
    running = await _permit(gate, a_route(scope="runs"))
    (await _permit(gate, a_route(scope="ended"))).release()
    clock.seconds += 3_601
    assert [scope["account"] for scope in _seen(gate)["scopes"]] == ["runs"]
    running.release()


@pytest.mark.parametrize("per_second", [0.1, 0.5, 7])
async def test_a_rate_is_shown_as_it_is_kept(per_second: float) -> None:
    gate = _gate(HandClock(), LimitRule(per_second=per_second))
    await _permit(gate)
    limit = _seen(gate)["scopes"][0]["limits"][0]
    assert limit["limit"] / limit["window_seconds"] == pytest.approx(per_second)
    assert isinstance(limit["limit"], int)
