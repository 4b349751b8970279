"""A whole answer on a connection that promises to stay, and is then closed."""

import asyncio

from tests.faults.upstream import Exchange, Fault


def then_close(fault: Fault, *, after_seconds: float = 0.0) -> Fault:
    """Do the other fault to its end, then close in order."""

    async def closing(exchange: Exchange) -> None:
        await fault(exchange)
        exchange.row.ended = "answered"
        await asyncio.sleep(after_seconds)
        exchange.fin()

    return closing
