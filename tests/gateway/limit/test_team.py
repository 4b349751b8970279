"""A gate for several: shares in the queue, and limits of a tenant's own over all its keys."""

import asyncio
from typing import Any

import pytest

from gateway.limit.cost import Cost
from gateway.limit.fair_queue import FairQueue
from gateway.limit.gate import Answer, LimitRule, Permit
from gateway.limit.refusal import Refusal
from gateway.limit.team import TeamGate, scopes_of
from gateway.limit.view import view
from gateway.model.cause import Cause
from gateway.model.decision import Refuse
from gateway.model.event import Live
from tests.gateway.factories import HandClock, a_call, a_route

BOUNDS = {"queue_max": 100, "queue_max_bytes": 1_000_000}
FREE = LimitRule(provider="openai", per_minute=100_000)


class Item:
    def __init__(self, tenant: str) -> None:
        self.tenant, self.cost, self.weight = tenant, Cost(1), 1.0


def test_a_share_of_two_is_served_twice_as_much() -> None:
    queue: FairQueue[Item] = FairQueue()
    queue.shares = {"big": 2.0}
    for tenant in ("big", "small"):
        for _ in range(30):
            queue.push(Item(tenant))
    served = [queue.pop().tenant for _ in range(30)]
    assert 19 <= served.count("big") <= 21
    assert {served[at : at + 6].count("big") for at in range(6, 30, 6)} <= {3, 4, 5}


@pytest.mark.parametrize("share", [0.25, 2.0, 8.0])
def test_whoever_is_offered_and_not_taken_is_charged_nothing_whatever_its_share(share: float) -> None:
    """As when Redis grants fewer than were asked for, again and again."""
    queue: FairQueue[Item] = FairQueue()
    queue.shares = {"big": share}
    for _ in range(400):
        queue.push(Item("big"))
        queue.push(Item("small"))
    served = []
    for _ in range(180):
        first = queue.in_turn(6)[0]
        assert queue.take(first)
        served.append(first.tenant)
    assert served.count("big") / 180 == pytest.approx(share / (share + 1), abs=0.05)


def test_who_has_a_large_share_is_told_of_fewer_that_go_first() -> None:
    queue: FairQueue[Item] = FairQueue()
    queue.shares = {"big": 4.0}
    for _ in range(40):
        queue.push(Item("small"))
    for _ in range(7):
        queue.push(Item("big"))
    assert queue.ahead("big", Cost(1)).requests == 7 + 2
    assert queue.ahead("newcomer", Cost(1)).requests == 1 + 4


def a_gate(own: dict[str, list[LimitRule]], **more: Any) -> TeamGate:
    return TeamGate([FREE], HandClock(), shares={}, own=own, **(BOUNDS | more))


async def ask(gate: TeamGate, tenant: str, key: str = "k1", seconds: float = 0.05, **route: Any) -> Permit | Refuse:
    call = a_call()
    asked = a_route(call, tenant=tenant, key=key, scope=key, **route)
    return await gate.acquire(asked, Live(call=call), deadline=gate.clock.now() + seconds, size_bytes=1)


async def test_a_tenants_own_limit_holds_over_all_its_keys_and_for_nobody_else() -> None:
    gate = a_gate({"alpha": [LimitRule(provider="openai", per_minute=2)]})
    permits = [await ask(gate, "alpha", key) for key in ("k1", "k2")]
    assert all(isinstance(permit, Permit) for permit in permits)
    refused = await ask(gate, "alpha", "k3")
    assert isinstance(refused, Refuse)
    assert "configured limit of 2" in refused.why
    assert isinstance(await ask(gate, "beta", "k1"), Permit)


async def test_both_permits_are_given_back_together() -> None:
    gate = a_gate({"alpha": [LimitRule(provider="openai", concurrency=1)]})
    first = await ask(gate, "alpha")
    assert isinstance(first, Permit)
    waiting = asyncio.ensure_future(ask(gate, "alpha", "k2", seconds=20.0))
    await asyncio.sleep(0)
    assert gate.own["alpha"].waiting == 1
    first.sent()
    first.settle(1, 1)
    first.release()
    second = await waiting
    assert isinstance(second, Permit)
    second.release()
    second.release()
    assert (gate.reservations, gate.own["alpha"].reservations) == (0, 0)


async def test_a_refusal_that_comes_late_is_the_providers_and_not_the_tenants_own() -> None:
    gate = a_gate({"alpha": [LimitRule(provider="openai", per_minute=100)]})
    permit = await ask(gate, "alpha")
    assert isinstance(permit, Permit)
    permit.sent()
    permit.answered(Answer(good=True))
    permit.refused_late(Refusal(cause=Cause.RATE_LIMIT_REQUESTS, wait_seconds=60.0))
    permit.release()
    (scope,), (own,) = gate.scopes.values(), gate.own["alpha"].scopes.values()
    assert scope.paused_until > gate.clock.now() + 50
    assert own.paused_until < gate.clock.now()


@pytest.mark.parametrize("how", ["refused", "cancelled"])
async def test_what_was_taken_of_ones_own_limit_is_given_back_when_there_is_no_turn(how: str) -> None:
    own = {"alpha": [LimitRule(provider="openai", concurrency=1)]}
    gate = TeamGate([LimitRule(provider="openai", concurrency=1)], HandClock(), shares={}, own=own, **BOUNDS)
    held = await ask(gate, "beta")
    assert isinstance(held, Permit)
    waiting = asyncio.ensure_future(ask(gate, "alpha", seconds=0.05 if how == "refused" else 20.0))
    await asyncio.sleep(0)
    if how == "cancelled":
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    else:
        assert isinstance(await waiting, Refuse)
    assert gate.own["alpha"].reservations == 0


async def test_nothing_has_to_be_found_out_about_a_limit_of_tokens() -> None:
    """A scope of which nothing is known begins with one call at a time; this one is known."""
    gate = a_gate({"alpha": [LimitRule(provider="openai", tokens_per_minute=1_000_000)]})
    assert all([isinstance(await ask(gate, "alpha"), Permit) for _ in range(5)])


async def test_a_gateway_that_ends_refuses_those_who_wait_for_their_own_limit() -> None:
    gate = a_gate({"alpha": [LimitRule(provider="openai", concurrency=1)]})
    held = await ask(gate, "alpha")
    assert isinstance(held, Permit)
    waiting = asyncio.ensure_future(ask(gate, "alpha", seconds=20.0))
    await asyncio.sleep(0)
    gate.drain()
    refused = await waiting
    assert isinstance(refused, Refuse)
    assert refused.cause == "proxy.draining"


async def test_the_limits_of_tenants_are_shown_under_their_names() -> None:
    gate = a_gate({"alpha": [LimitRule(provider="openai", per_minute=2)]})
    await ask(gate, "alpha")
    told = scopes_of(gate, lambda one: view(one, lambda _: None))
    assert [scope["account"] for scope in told["scopes"]] == ["alpha", "k1"]
