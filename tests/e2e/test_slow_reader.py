"""A reader that stalls holds up its own stream and nothing else."""

import asyncio
import json
from collections.abc import Iterator

import pytest

from tests.e2e.world import MIB, Memory, Provider, job, steady
from tests.running import GatewayProcess, RawUpstream, lane

TOTAL = 100 * MIB
EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"' + b"x" * 8000 + b'"},"finish_reason":null}]}\n\n'


class Fountain:
    """Writes 100 MB of events as fast as they are taken, and counts what was taken."""

    def __init__(self) -> None:
        self.taken = 0

    async def __call__(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        chunk = b"%x\r\n%b\r\n" % (len(EVENT), EVENT)
        while self.taken < TOTAL:
            writer.write(chunk)
            await writer.drain()
            self.taken += len(EVENT)
        writer.write(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")


@pytest.fixture(scope="module")
def fountain() -> Iterator[RawUpstream]:
    upstream = RawUpstream()
    yield upstream
    upstream.close()


async def test_a_client_that_stops_reading_stops_the_provider_and_costs_no_memory(
    fountain: RawUpstream, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """What lies between is the sockets' own buffers; another call meanwhile gets its answer."""
    water = Fountain()
    target = fountain.on(water)
    provider = Provider()
    config = f'[[providers]]\nname = "openai"\nupstream = "http://127.0.0.1:{fountain.port}"\n'
    config += f'[[providers]]\nname = "anthropic"\nupstream = "http://127.0.0.1:{provider.port}"\n'
    gateway = await asyncio.to_thread(GatewayProcess, tmp_path_factory.mktemp("slow"), config)
    try:
        await asyncio.to_thread(_anthropic_answers, gateway)  # what is loaded once is loaded now
        body = json.dumps({"model": "gpt-4o", "stream": True, "messages": [{"role": "user", "content": "x"}]}).encode()
        reader, writer = await lane(gateway)
        writer.write(
            f"POST {target} HTTP/1.1\r\nHost: api.openai.com\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
        )
        with Memory(gateway.process.pid) as memory:
            await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            taken = await asyncio.to_thread(steady, lambda: water.taken)
            await asyncio.to_thread(_anthropic_answers, gateway)
            assert water.taken == taken
        print(f"\na stalled reader: {taken / MIB:.1f} of 100 MiB taken; memory grew by {memory.growth:.1f} MiB")
        assert 0 < taken < 32 * MIB
        assert memory.growth < 24
        (row,) = [row for row in gateway.flows() if row["provider"] == "openai"]
        assert row["state"] == "streaming"
        writer.transport.abort()
        await asyncio.to_thread(gateway.until, lambda: gateway.flows(cause="client.disconnected"))
    finally:
        await asyncio.to_thread(gateway.stop)
        provider.close()


def _anthropic_answers(gateway: GatewayProcess) -> None:
    asked = job("messages")
    with gateway.client() as client:
        answer = client.post(
            "https://api.anthropic.com/v1/messages",
            json={"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]},
            headers={"x-api-key": asked["key"], "anthropic-version": "2023-06-01"},
        )
    assert answer.json()["content"][0]["text"] == "Echo: hi"
