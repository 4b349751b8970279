"""A body longer than its Content-Length: what comes too much looks like the next answer."""

import asyncio
import json

from tests.faults.inject.answer import JSON
from tests.faults.upstream import Exchange, Fault

POISON = b'{"poison":true}'
NEXT_ANSWER = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(POISON)
) + POISON
RAW = b" and some more, POISON\r\n\r\n"


def extra_bytes(extra: bytes, *, after_seconds: float | None = None, status: int | None = 200) -> Fault:
    """Answer with the mark as the text, and with more than was announced.

    Args:
        after_seconds: None sends all of it at once.
        status: What a reader will take the answer's to be.
    """

    async def fault(exchange: Exchange) -> None:
        await exchange.receive()
        body = json.dumps({"mark": exchange.request.mark}).encode()
        head = f"HTTP/1.1 200 OK\r\ncontent-type: {JSON['content-type']}\r\ncontent-length: {len(body)}\r\n\r\n"
        exchange.row.status = status
        if after_seconds is None:
            await exchange.write(head.encode() + body + extra)
        else:
            await exchange.write(head.encode() + body)
            await asyncio.sleep(after_seconds)
            await exchange.write(extra)

    return fault


async def own_mark(exchange: Exchange) -> None:
    """No fault: answer with the mark, and nothing more."""
    await extra_bytes(b"")(exchange)
