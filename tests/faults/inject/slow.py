"""Another fault, later: the request is taken, and for a while nothing is said."""

import asyncio

from tests.faults.upstream import Exchange, Fault


def slow(seconds: float, fault: Fault) -> Fault:
    """Wait with what is said; a client that leaves meanwhile is noticed when it is."""

    async def later(exchange: Exchange) -> None:
        await exchange.receive()
        await asyncio.sleep(seconds)
        await fault(exchange)

    return later
