"""A body longer than its Content-Length: what comes too much looks like the next answer."""

import asyncio
import json
import threading
import time

from tests.faults.inject.answer import JSON
from tests.faults.upstream import LIFE_SECONDS, Exchange, Fault

POISON = b'{"poison":true}'
NEXT_ANSWER = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(POISON)
) + POISON
RAW = b" and some more, POISON\r\n\r\n"


def extra_bytes(extra: bytes, *, go: threading.Event | None = None, status: int | None = 200) -> Fault:
    """Answer with the mark as the text, and with more than was announced.

    Args:
        go: The rest waits for it; None sends all of it at once.
        status: What a reader will take the answer's to be.
    """

    async def fault(exchange: Exchange) -> None:
        await exchange.receive()
        body = json.dumps({"mark": exchange.request.mark}).encode()
        head = f"HTTP/1.1 200 OK\r\ncontent-type: {JSON['content-type']}\r\ncontent-length: {len(body)}\r\n\r\n"
        exchange.row.status = status
        if go is None:
            await exchange.write(head.encode() + body + extra)
            return
        await exchange.write(head.encode() + body)
        end = time.monotonic() + LIFE_SECONDS
        while not go.is_set() and time.monotonic() < end:  # noqa: ASYNC110 - it is set in another thread
            await asyncio.sleep(0.001)
        await exchange.write(extra)

    return fault


async def own_mark(exchange: Exchange) -> None:
    """No fault: answer with the mark, and nothing more."""
    await extra_bytes(b"")(exchange)
