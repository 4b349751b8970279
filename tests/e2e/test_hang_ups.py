"""Apps that vanish at any moment: nothing is kept of them, and whoever comes next is served."""

import asyncio
import contextlib
import random
from collections.abc import Iterator
from pathlib import Path

import httpx2
import psutil
import pytest

from tests.running import OPENED, GatewayProcess, RawUpstream, gateway_and_upstream, lane, read_answer

VANISHING, ROUNDS, AFTERWARDS = 40, 15, 20
LIMIT = '[[limits.rules]]\nprovider = "openai"\nconcurrency = 10\n'
EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":null}]}\n\n'


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def stream(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer with 20 events in a tenth of a second."""
    await reader.readexactly(14)
    await asyncio.sleep(0.02)
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
    for _ in range(20):
        writer.write(chunk(EVENT))
        await writer.drain()
        await asyncio.sleep(0.005)
    writer.write(chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")


@pytest.fixture
def both(tmp_path: Path) -> Iterator[tuple[GatewayProcess, RawUpstream]]:
    with gateway_and_upstream(tmp_path, LIMIT) as pair:
        yield pair


async def test_six_hundred_hang_ups_leave_nothing_behind(both: tuple[GatewayProcess, RawUpstream]) -> None:
    gateway, upstream = both
    process, dice = psutil.Process(gateway.process.pid), random.Random(7)
    request = b"POST %b HTTP/1.1\r\nHost: api.openai.com\r\nContent-Length: 14\r\n\r\n" % upstream.on(stream).encode()
    request += b'{"model":"m1"}'
    before = process.num_fds()

    async def vanish(cut: int, after_seconds: float) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            _, writer = await lane(gateway)
            writer.write(request[:cut])
            await writer.drain()
            await asyncio.sleep(after_seconds)  # the moment of the hang-up is what is varied
            writer.transport.abort()

    for _ in range(ROUNDS):
        cuts = [(dice.choice([5, 50, len(request), len(request)]), dice.random() * 0.15) for _ in range(VANISHING)]
        await asyncio.gather(*(vanish(*cut) for cut in cuts))
    for _ in range(AFTERWARDS):
        reader, writer = await lane(gateway)
        writer.write(request)
        assert (await read_answer(reader))[1] == EVENT * 20 + b"data: [DONE]\n\n"
        writer.transport.abort()
    for writer in OPENED:
        writer.transport.abort()
    OPENED.clear()

    def settled() -> bool:
        page = httpx2.get(
            f"http://{gateway.runtime['page']}/api/health",
            headers={"authorization": f"Bearer {gateway.runtime['token']}"},
            trust_env=False,
        ).json()
        held = (page["connections"], page["running"], page["waiting"])
        return held == (0, 0, 0) and process.num_fds() <= before + 8  # the page's own and idle upstream connections

    await asyncio.to_thread(gateway.until, lambda: settled() or None, 10)
