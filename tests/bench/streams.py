"""Streams: events per second, CPU for each event, added delay and memory, beside the same streams without the gateway.

Run: ``uv run python -m tests.bench.streams``
"""

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.bench.peers import wait_for
from tests.running import CLEAN, GatewayProcess, config_for, lane

STREAMS, EVENTS, PAUSE_SECONDS = 200, 100, 0.02
FULL_SPEED_EVENTS = 200
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
REQUEST = (
    b"POST /v1/chat/completions?%d HTTP/1.1\r\nHost: api.openai.com\r\nAuthorization: Bearer sk-bench\r\n"
    b"Content-Type: application/json\r\nContent-Length: 27\r\n\r\n" + b'{"model":"m","stream":true}'
)


@dataclass(frozen=True, slots=True)
class Seen:
    """What the clients saw. The delay of an event is from the provider's clock to ours, in milliseconds."""

    events: int
    seconds: float
    p50_ms: float
    p99_ms: float


def chunk(text: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(text), text)


async def provide(port: int) -> None:
    """Answer each request with events that carry the time at which they were written."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(27)
        paced = b"?1 " in head
        writer.write(HEAD)
        for _ in range(EVENTS if paced else FULL_SPEED_EVENTS):
            now = b"%.6f" % time.monotonic()
            writer.write(chunk(b'data: {"choices":[{"index":0,"delta":{"content":"word"}}],"t":' + now + b"}\n\n"))
            await writer.drain()
            await asyncio.sleep(PAUSE_SECONDS if paced else 0)
        writer.write(chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", port, backlog=1024) as server:
        await server.serve_forever()


async def read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, paced: bool, delays: list[float]) -> int:
    writer.write(REQUEST % paced)
    events = 0
    while True:
        line = await reader.readline()
        if b"[DONE]" in line or not line:
            writer.transport.abort()
            return events
        if line.startswith(b"data:"):
            events += 1
            delays.append((time.monotonic() - float(line.rpartition(b":")[2].strip(b"}\r\n "))) * 1000)


async def load(gateway: GatewayProcess | None, port: int, *, paced: bool) -> Seen:
    """Run all streams at once, through the gateway or straight."""
    delays: list[float] = []

    async def one() -> int:
        connection = await (lane(gateway) if gateway else asyncio.open_connection("127.0.0.1", port))
        return await read(*connection, paced=paced, delays=delays)

    began = time.monotonic()
    events = sum(await asyncio.gather(*(one() for _ in range(STREAMS if paced else 20))))
    cuts = statistics.quantiles(delays, n=100)
    return Seen(events, time.monotonic() - began, cuts[49], cuts[98])


def main() -> None:
    """Print the table."""
    if sys.argv[1:2] == ["provide"]:
        asyncio.run(provide(int(sys.argv[2])))
        return
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    provider = subprocess.Popen([sys.executable, "-m", "tests.bench.streams", "provide", str(port)], env=CLEAN)
    wait_for(port)
    with tempfile.TemporaryDirectory() as name:
        gateway = GatewayProcess(Path(name), config_for(port))
        process = psutil.Process(gateway.process.pid)
        try:
            idle = process.memory_info().rss
            for paced, words in (
                (True, f"{STREAMS} streams at {1 / PAUSE_SECONDS:.0f} events/s each"),
                (False, "20 streams, full speed"),
            ):
                direct = asyncio.run(load(None, port, paced=paced))
                cpu = sum(process.cpu_times()[:2])
                through = asyncio.run(load(gateway, port, paced=paced))
                cpu = (sum(process.cpu_times()[:2]) - cpu) / through.events * 1e6
                for who, seen in (("direct", direct), ("whygate", through)):
                    print(
                        f"{words:36} {who:8} {seen.events / seen.seconds:8.0f} events/s  delay p50 {seen.p50_ms:7.2f} ms  p99 {seen.p99_ms:7.2f} ms"
                    )
                print(
                    f"{'':36} CPU {cpu:.0f} us an event, memory {idle / 2**20:.0f} -> {process.memory_info().rss / 2**20:.0f} MiB"
                )
        finally:
            gateway.stop()
            provider.terminate()


if __name__ == "__main__":
    main()
