"""Exactly these bytes in place of an answer, in parts that a reader gets one by one."""

import asyncio

from tests.faults.upstream import Exchange, Fault

GAP_SECONDS = 0.02


def parts(*written: bytes, status: int | None = None) -> Fault:
    """Write parts, with a pause behind each, and leave the connection open."""

    async def fault(exchange: Exchange) -> None:
        await exchange.receive()
        exchange.row.status = status
        for part in written:
            await exchange.write(part)
            await asyncio.sleep(GAP_SECONDS)
        await exchange.left()

    return fault
