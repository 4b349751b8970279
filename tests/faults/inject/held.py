"""Another fault, once the test says so: the request is taken, and nothing is said until an event is set."""

import threading
import time

from tests.faults.upstream import LIFE_SECONDS, Exchange, Fault

LOOK_SECONDS = 0.01


def held(until: threading.Event, fault: Fault) -> Fault:
    """Wait for the event; the connection ends when the client leaves meanwhile."""

    async def later(exchange: Exchange) -> None:
        await exchange.receive()
        end = time.monotonic() + LIFE_SECONDS
        while not until.is_set() and time.monotonic() < end:
            await exchange.left(LOOK_SECONDS)
        await fault(exchange)

    return later
