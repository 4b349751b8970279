"""What the cache costs and gives: hits beside misses, answers on disk, and many equal calls at once.

Run: ``uv run python -m tests.bench.cache`` (needs Debian's ``nginx`` and ``hey``)

The peer of the same run is the provider itself, an nginx on loopback that answers at once: no real one is as near. Where
the provider takes a second, a hit saves that second.
"""

import asyncio
import os
import tempfile
import time
from pathlib import Path

import psutil

from gateway.cache.backend import Place
from gateway.cache.backends.sqlite import BACKEND
from gateway.model.decision import Label, StoredReply
from tests.bench.peers import REQUEST, gateway, hey, need, nginx
from tests.bench.requests import show
from tests.running import GatewayProcess, RawUpstream, config_for, lane, read_answer

CALLS, WORKERS = 8_000, 16
STEADY = {"calls": 300, "workers": 4, "rate": 50.0}
STATIC = REQUEST.replace("{", '{"temperature":0,', 1)
ENTRIES, ENTRY_BYTES = 10_000, 4_096
CROWD = 500
ANSWER_SECONDS = 0.5


def hits(directory: Path, backend: str) -> None:
    with nginx(directory) as (port, ca):
        ours = gateway(directory / backend, port, ca, f'[cache]\nbackend = "{backend}"\n')
        process = psutil.Process(ours.process.pid)
        target = f"https://localhost:{port}/v1/chat/completions"
        try:
            for body in (STATIC, REQUEST):
                hey(target, ours.proxy, calls=500, workers=WORKERS, process=process, body=body)
            hit = hey(target, ours.proxy, calls=CALLS, workers=WORKERS, process=process, body=STATIC)
            miss = hey(target, ours.proxy, calls=CALLS, workers=WORKERS, process=process)
            show(f"hits ({backend})", hit)
            show("asked each time", miss)
            print(f"{'ratio':34} {hit.per_second / miss.per_second:9.2f} x calls/s")
            show("hits, 50 calls/s", hey(target, ours.proxy, process=process, body=STATIC, **STEADY))  # type: ignore[arg-type]
            show("asked each time, 50 calls/s", hey(target, ours.proxy, process=process, **STEADY))  # type: ignore[arg-type]
            show("the provider itself, 50 calls/s", hey(target, "", process=process, **STEADY))  # type: ignore[arg-type]
        finally:
            ours.stop()


async def alone(directory: Path) -> None:
    """One hit after the other over one connection, beside the same to a server that does nothing else."""
    upstream = RawUpstream()
    given = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 11\r\n\r\n" + b'{"ok":true}'

    async def answer(_head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(len(STATIC))
        writer.write(given)

    request = _request(upstream.on(answer))
    ours = GatewayProcess(directory, config_for(upstream.port))
    try:
        straight = await asyncio.open_connection("127.0.0.1", upstream.port)
        for name, (reader, writer), count, rate in (
            ("hits, one by one, at once", await lane(ours), 3_000, 1e9),
            ("hits, one by one, 50 calls/s", await lane(ours), 500, 50.0),
            ("a bare server, 50 calls/s", straight, 500, 50.0),
        ):
            times, start = [], time.perf_counter()
            for number in range(count):
                await asyncio.sleep(max(0.0, start + number / rate - time.perf_counter()))
                began = time.perf_counter()
                writer.write(request)
                await read_answer(reader)
                times.append((time.perf_counter() - began) * 1000)
            times.sort()
            print(f"{name:34} p50 {times[count // 2]:.2f} ms  p99 {times[count * 99 // 100]:.2f} ms")
            writer.close()
    finally:
        ours.stop()
        upstream.close()


def _request(path: str) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nhost: api.openai.com\r\nauthorization: Bearer sk-bench\r\n"
    return f"{head}content-type: application/json\r\ncontent-length: {len(STATIC)}\r\n\r\n{STATIC}".encode()


async def disk(directory: Path) -> None:
    store = BACKEND.open(Place(2**30, directory, os.urandom(32)))
    headers = ((b"content-type", b"application/json"), (b"content-encoding", b"br"), (b"vary", b"origin"))
    label = Label(provider="openai", endpoint="chat.completions", model="gpt-4o-mini", key="ab12cd34", rule="built-in")
    began = time.perf_counter()
    for number in range(ENTRIES):
        stored = StoredReply(
            status=200,
            headers=headers,
            body=os.urandom(ENTRY_BYTES),
            stored_at=float(number),
            fresh_until=number + 3_600.0,
            kept_until=number + 90_000.0,
            label=label,
            tokens_in=500,
            tokens_out=250,
        )
        await store.put(number.to_bytes(32), stored)
    put_seconds = time.perf_counter() - began
    size = (await store.contents()).disk_bytes
    bare = ENTRIES * ENTRY_BYTES
    print(
        f"{ENTRIES:,} answers of 4 KiB:  {size / 2**20:.1f} MiB on disk, {size / bare:.2f} x the bare bodies;"
        f" {ENTRIES / put_seconds:,.0f} stored/s"
    )
    await store.close()


async def crowd(directory: Path) -> None:
    """Many equal calls while the first is under way."""
    upstream = RawUpstream()
    asked = 0

    async def answer(_head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        await reader.readexactly(len(STATIC))
        await asyncio.sleep(ANSWER_SECONDS)
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 11\r\n\r\n" + b'{"ok":true}'
        )

    path = upstream.on(answer)
    ours = GatewayProcess(directory, config_for(upstream.port))
    request = _request(path)
    try:
        opened = [await lane(ours) for _ in range(CROWD)]
        began = time.perf_counter()
        for _, writer in opened:
            writer.write(request)
        answers = [await read_answer(reader) for reader, _ in opened]
        took = time.perf_counter() - began
        good = sum(b" 200 " in head and body == b'{"ok":true}' for head, body in answers)
        print(
            f"{CROWD} equal calls at once:      {asked} asked, {good} answered, {took:.2f} s; one takes {ANSWER_SECONDS} s"
        )
        for _, writer in opened:
            writer.close()
    finally:
        ours.stop()
        upstream.close()


def main() -> None:
    """Print the figures."""
    need("nginx", "hey")
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        for backend in ("sqlite", "memory"):
            (directory / backend).mkdir()
            hits(directory, backend)
        asyncio.run(alone(directory / "alone"))
        (directory / "disk").mkdir()
        asyncio.run(disk(directory / "disk"))
        asyncio.run(crowd(directory / "crowd"))


if __name__ == "__main__":
    main()
