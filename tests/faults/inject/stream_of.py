"""A stream of exactly these pieces, one write each, and an end of one's choice. Its head says chunks unless told not to."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from tests.faults.inject.answer import EVENTS
from tests.faults.upstream import Exchange, Fault

ARRIVE_SECONDS = 0.02
"""Between the last piece and a break: what was written before it has then been read."""

Ending = Callable[[Exchange], Awaitable[None]]


def stream_of(pieces: Iterable[bytes], ending: Ending, *, gap_seconds: float = 0.0, chunked: bool = True) -> Fault:
    """Write the pieces, with ``gap_seconds`` behind each, and end."""

    async def fault(exchange: Exchange) -> None:
        await exchange.receive()
        if chunked:
            await exchange.write_head(200, EVENTS)
        else:
            exchange.row.status = 200
            await exchange.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
        write = exchange.chunk if chunked else exchange.write
        for piece in pieces:
            await write(piece)
            await asyncio.sleep(gap_seconds)
        await ending(exchange)

    return fault


async def in_order(exchange: Exchange) -> None:
    """End as HTTP wants it, whether or not the protocol above it is at its end."""
    await exchange.chunk(b"")


async def inside_a_chunk(exchange: Exchange) -> None:
    """FIN after half of a chunk."""
    await asyncio.sleep(ARRIVE_SECONDS)
    await exchange.write(b"ff\r\n")
    exchange.fin()


async def by_reset(exchange: Exchange) -> None:
    """RST."""
    await asyncio.sleep(ARRIVE_SECONDS)
    exchange.reset()


async def by_fin(exchange: Exchange) -> None:
    """FIN, which is how a body without any length ends."""
    exchange.fin()
