"""A small answer that grows a thousandfold when it is unpacked, or calls itself packed and is not."""

import gzip
from functools import cache

from tests.faults.inject.answer import JSON
from tests.faults.upstream import Exchange, Fault

UNPACKED_BYTES = 200 * 1024 * 1024


@cache
def packed(times: int = 1) -> bytes:
    """Give 200 MiB of spaces inside a JSON object, packed so often."""
    return gzip.compress(packed(times - 1) if times > 1 else b'{"error":' + b" " * UNPACKED_BYTES + b"{}}")


def encoded(status: int, body: bytes, encoding: str) -> Fault:
    """Answer with these bytes, whatever they are, under that name."""

    async def fault(exchange: Exchange) -> None:
        await exchange.receive()
        await exchange.write_head(status, {**JSON, "content-encoding": encoding}, len(body))
        await exchange.write(body)

    return fault
