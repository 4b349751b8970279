"""What tests of the gate ask it, and how they answer for the provider."""

import asyncio
import itertools
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from gateway.limit.gate import Answer, Gate, LimitRule, Permit
from gateway.limit.refusal import Refusal
from gateway.model.cause import Cause
from gateway.model.decision import Refuse
from gateway.model.event import Live
from gateway.model.provider import StatedLimit
from gateway.model.route import Route
from tests.gateway.factories import a_call, a_route
from tests.gateway.limit.timed import TimedLoop

BEGAN = 1000.0
FAR = 1e6
GOOD = Answer(good=True)
LATE = 0.01
"""An alarm comes half a millisecond late; so do those that wait for it."""

_ROUTE = a_route(input_tokens=0, output_tokens=0)


def a_way(key: str = "key-a", model: str = "gpt-5", **changes: Any) -> Route:
    """Give the route of a key's call for a model; it costs no tokens."""
    return replace(_ROUTE, **({"key": key, "scope": key, "model_group": model} | changes))


ROUTE = a_way()


def a_gate(loop: TimedLoop, *rules: LimitRule, **changes: Any) -> Gate:
    return Gate(rules, loop, **({"queue_max": 10_000, "queue_max_bytes": 1_000_000} | changes))


async def ask(
    gate: Gate,
    route: Route = ROUTE,
    *,
    seconds: float = FAR,
    size: int = 1,
    live: Live | None = None,
    sends: bool = True,
    front: bool = False,
) -> Permit | Refuse:
    now = asyncio.get_running_loop().time()
    live = live or Live(call=a_call())
    given = await gate.acquire(route, live, deadline=now + seconds, size_bytes=size, front=front)
    if sends and isinstance(given, Permit):
        given.sent()
    return given


async def permitted(gate: Gate, route: Route = ROUTE, **how: Any) -> Permit:
    given = await ask(gate, route, **how)
    assert isinstance(given, Permit), given
    return given


async def turned_away(gate: Gate, route: Route = ROUTE, **how: Any) -> Refuse:
    given = await ask(gate, route, **how)
    assert isinstance(given, Refuse)
    return given


def asking(gate: Gate, route: Route = ROUTE, **how: Any) -> asyncio.Task[Permit | Refuse]:
    return asyncio.ensure_future(ask(gate, route, **how))


async def ticks(number: int = 5) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


async def answered(gate: Gate, answer: Answer = GOOD, route: Route = ROUTE, **how: Any) -> None:
    """Make one call that is answered at once."""
    permit = await permitted(gate, route, **how)
    permit.answered(answer)
    permit.release()


async def known(gate: Gate, *routes: Route) -> None:
    """Let the slow start of a scope be over, without any limit learned."""
    for route in routes or (ROUTE,):
        await answered(gate, route=route)
    await asyncio.sleep(4)


async def moments(
    gate: Gate, number: int, route: Route = ROUTE, *, runs: float = 0.0, answer: Answer = GOOD
) -> list[float]:
    """Ask so often at once; give when each went out, in seconds from now."""
    began = asyncio.get_running_loop().time()

    async def one() -> float:
        permit = await permitted(gate, route)
        at = asyncio.get_running_loop().time() - began
        await asyncio.sleep(runs)
        permit.answered(answer)
        permit.release()
        return at

    return sorted(await asyncio.gather(*(one() for _ in range(number))))


def refusal(
    wait: float | None = None, cause: Cause = Cause.RATE_LIMIT_REQUESTS, *stated: StatedLimit, **changes: Any
) -> Answer:
    return Answer(good=False, refusal=Refusal(cause=cause, wait_seconds=wait, stated=stated), **changes)


def stated(
    limit: int | None,
    remaining: int | None,
    reset: float | None = None,
    window: float | None = None,
    kind: str = "requests",
) -> StatedLimit:
    return StatedLimit(kind, limit, remaining, reset, window)


def states(*limits: StatedLimit, **changes: Any) -> Answer:
    return Answer(good=True, stated=limits, **changes)


def gaps(times: Iterable[float]) -> list[float]:
    return [later - earlier for earlier, later in itertools.pairwise(times)]


def is_at_rest(gate: Gate, loop: TimedLoop) -> bool:
    """Whether nothing is counted as under way or waiting any more, and no alarm is left but the test's own."""
    alarms = [handle for handle in loop._scheduled if not handle._cancelled and handle._when < 1e8]  # type: ignore[attr-defined]
    users = [use for scope in gate.scopes.values() for use in scope.users.uses.values()]
    return (
        not alarms
        and gate.waiting == gate.waiting_bytes == 0
        and not any(scope.in_flight or scope.queue for scope in gate.scopes.values())
        and not any(use.in_flight or use.queued for use in users)
    )
