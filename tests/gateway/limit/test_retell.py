"""Those who wait hear what they wait for by now."""

import asyncio

import pytest

from gateway.limit.gate import Answer, Gate, Permit
from gateway.model.event import Live
from gateway.model.flow import State
from gateway.model.provider import StatedLimit
from tests.gateway.factories import a_call, a_route
from tests.gateway.limit.timed import TimedLoop, timed


def test_who_sat_down_before_the_limit_was_known_is_told_of_it_when_it_is() -> None:
    async def main(loop: TimedLoop) -> None:
        gate, route = Gate((), loop, queue_max=100, queue_max_bytes=1_000), a_route()
        lives = [Live(call=a_call()) for _ in range(6)]

        async def one(live: Live) -> None:
            permit = await gate.acquire(route, live, deadline=loop.now() + 100, size_bytes=1)
            assert isinstance(permit, Permit)
            live.enter(State.CONNECTING)
            permit.sent()
            await asyncio.sleep(0.1)
            permit.answered(Answer(good=True, stated=(StatedLimit("requests", 30, 0, 60.0),)))
            permit.release()

        tasks = [asyncio.ensure_future(one(live)) for live in lives]
        await asyncio.sleep(0.05)
        assert lives[-1].wait_reason is not None
        assert lives[-1].wait_reason.startswith("no limit is known yet")
        await asyncio.sleep(4)
        waiting = [live for live in lives if live.wait_reason is not None]
        assert waiting
        assert {live.wait_reason for live in waiting} == {"the provider's limit of 30 requests per minute"}
        etas = [live.eta_ms or 0 for live in waiting]
        assert etas == sorted(etas)
        assert etas[-1] - etas[0] == pytest.approx(2_000 * (len(waiting) - 1), abs=300)
        await asyncio.gather(*tasks)

    timed(main)
