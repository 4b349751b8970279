"""How a gateway ends: it takes nothing new, refuses who waits, and lets running answers end."""

import asyncio
import contextlib

from mitmproxy import master

from addons import Lanes
from gateway.limit.gate import Gate

GRACE_SECONDS = 1.0
"""How long connections may take to close once their answers are out."""


async def drain(proxy: master.Master, lanes: Lanes, gate: Gate, seconds: float, hurry: asyncio.Event) -> None:
    """Take no new connection, refuse who waits, let running answers end.

    Args:
        seconds: How long running answers may take; then they are cut, and say so.
        hurry: Set when they shall be cut now.
    """
    for instance in proxy.addons.get("proxyserver").servers:
        await instance.stop()
    gate.drain()
    for connection in list(lanes.state.connections):
        connection.shutdown()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while lanes.state.tasks and not hurry.is_set():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(hurry.wait(), 0.05)
    gate.cut = True
    for connection in list(lanes.state.connections):
        connection.transport.abort()
    lanes.tunnels.close()
    for task in list(lanes.handed_over):
        task.cancel()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(GRACE_SECONDS):
            while lanes.state.tasks:  # noqa: ASYNC110 - uvicorn's set of tasks has no event
                await asyncio.sleep(0.01)
