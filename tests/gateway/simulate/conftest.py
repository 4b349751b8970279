"""Fixtures of the simulator's tests."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from gateway.simulate import SimulatorConfig, build, serve
from tests.gateway.simulate.world import HandClock, Start, World


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Give a function that starts a simulator with the given settings; all are stopped at the end."""
    async with AsyncExitStack() as stack:

        async def starter(**settings: object) -> World:
            simulator = build(SimulatorConfig(**settings))  # type: ignore[arg-type]
            handle = await stack.enter_async_context(await serve(simulator))
            return World(simulator, handle, stack)

        yield starter


@pytest.fixture
def clock() -> HandClock:
    """Give a clock moved by hand."""
    return HandClock()
