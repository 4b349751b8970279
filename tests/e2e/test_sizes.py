"""Large bodies and many streams at once pass through without being collected on the way."""

import asyncio
import contextlib
import hashlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import psutil
import pytest

from tests.e2e.world import MIB, Memory, steady
from tests.running import (
    CLEAN,
    GatewayProcess,
    RawUpstream,
    close_opened,
    gateway_and_upstream,
    lane,
    plain,
    read_answer,
)
from tests.tools import require_tool

SIZE = 64 * MIB
GROWTH_MIB = 24
BLOCK = hashlib.shake_256(b"whygate").digest(MIB)
DIGEST = hashlib.sha256(BLOCK * 64).hexdigest()
IDLE_STREAMS = 500
EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":null}]}\n\n'
DONE = b"data: [DONE]\n\n"
SSE = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"


@dataclass
class Scale:
    """A gateway, and the provider behind it, which takes and gives large bodies."""

    gateway: GatewayProcess
    upstream: RawUpstream
    takes: str
    gives: str

    def url(self, target: str, way: str) -> str:
        return (
            f"https://api.openai.com{target}"
            if way == "proxy"
            else f"http://127.0.0.1:{self.gateway.port}/openai{target}"
        )

    def client(self, way: str) -> httpx2.Client:
        return self.gateway.client() if way == "proxy" else httpx2.Client(trust_env=False, timeout=20)

    def curl(self, way: str, *words: str) -> list[str]:
        curl = require_tool("curl", "apt-get install curl")
        proxy = ["--proxy", self.gateway.proxy, "--cacert", str(self.gateway.ca)] if way == "proxy" else []
        return [curl, "--silent", "--show-error", "--http1.1", "--max-time", "30", *proxy, *words]

    @contextlib.contextmanager
    def weighed(self, what: str) -> Iterator[None]:
        with Memory(self.gateway.process.pid) as memory:
            yield
        print(f"\n{what}: memory {memory.before:.0f} MiB, at most {memory.growth:.1f} MiB more")
        assert memory.growth < GROWTH_MIB


async def digest(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer with the SHA-256 of what came, and how it came."""
    lower, seen = head.lower(), hashlib.sha256()
    if b"transfer-encoding: chunked" in lower:
        framing = b"chunked"
        while size := int(await reader.readuntil(b"\r\n"), 16):
            seen.update(await reader.readexactly(size))
            await reader.readexactly(2)
        await reader.readexactly(2)
    else:
        framing = b"length"
        left = int(lower.split(b"content-length: ")[1].split(b"\r\n")[0])
        while left and (part := await reader.read(min(left, 1 << 18))):
            seen.update(part)
            left -= len(part)
    body = seen.hexdigest().encode() + b" " + framing
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))


async def pour(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer with 64 MiB."""
    chunked = b"chunks=1" in head
    framing = b"transfer-encoding: chunked" if chunked else b"content-length: %d" % SIZE
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\n" + framing + b"\r\n\r\n")
    for _ in range(64):
        writer.write(b"%x\r\n%b\r\n" % (MIB, BLOCK) if chunked else BLOCK)
        await writer.drain()
    if chunked:
        writer.write(b"0\r\n\r\n")


@pytest.fixture(scope="module")
def scale(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scale]:
    with gateway_and_upstream(tmp_path_factory.mktemp("sizes")) as (gateway, upstream):
        takes, gives = upstream.on(digest), upstream.on(pour)
        made = Scale(gateway, upstream, takes, gives)
        for way in ("proxy", "base URL"):  # what is loaded once is loaded now
            with made.client(way) as client:
                assert client.post(made.url(takes, way), content=b"x" * 100_000).status_code == 200
        yield made


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("file") / "large"
    path.write_bytes(BLOCK * 64)
    return path


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("way", ["proxy", "base URL"])
def test_64_mib_uploaded_by_curl_arrive_whole(scale: Scale, file: Path, way: str, framing: str) -> None:
    """It waits for ``100 Continue`` first, as it does with every large body."""
    chunks = ["--header", "Transfer-Encoding: chunked"] if framing == "chunked" else []
    command = scale.curl(
        way, "--verbose", "-X", "POST", "--upload-file", str(file), *chunks, scale.url(scale.takes, way)
    )
    with scale.weighed(f"upload, curl, {way}, {framing}"):
        done = subprocess.run(command, capture_output=True, env=CLEAN, check=True)
    assert done.stdout.decode() == f"{DIGEST} {framing}"
    said = done.stderr.decode("latin-1")
    assert "> Expect: 100-continue" in said
    assert "< HTTP/1.1 100 Continue" in said


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("way", ["proxy", "base URL"])
def test_64_mib_uploaded_by_httpx_arrive_whole(scale: Scale, way: str, framing: str) -> None:
    def blocks() -> Iterator[bytes]:
        for _ in range(64):
            yield BLOCK

    headers = {"content-length": str(SIZE)} if framing == "length" else {}
    with scale.weighed(f"upload, httpx, {way}, {framing}"), scale.client(way) as client:
        answer = client.post(scale.url(scale.takes, way), content=blocks(), headers=headers)
    assert answer.text == f"{DIGEST} {framing}"


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("way", ["proxy", "base URL"])
def test_64_mib_downloaded_by_curl_arrive_whole(scale: Scale, way: str, framing: str) -> None:
    url = scale.url(scale.gives, way) + ("&chunks=1" if framing == "chunked" else "")
    seen = hashlib.sha256()
    with (
        scale.weighed(f"download, curl, {way}, {framing}"),
        subprocess.Popen(scale.curl(way, url), stdout=subprocess.PIPE, env=CLEAN) as curl,
    ):
        assert curl.stdout is not None
        while part := curl.stdout.read(MIB):
            seen.update(part)
    assert (curl.returncode, seen.hexdigest()) == (0, DIGEST)


@pytest.mark.parametrize("way", ["proxy", "base URL"])
def test_64_mib_downloaded_by_httpx_arrive_whole(scale: Scale, way: str) -> None:
    seen = hashlib.sha256()
    with (
        scale.weighed(f"download, httpx, {way}"),
        scale.client(way) as client,
        client.stream("POST", scale.url(scale.gives, way), json={"model": "m"}) as answer,
    ):
        for part in answer.iter_raw():
            seen.update(part)
    assert seen.hexdigest() == DIGEST


class Waiting:
    """Streams whose provider says nothing until it is told to."""

    def __init__(self) -> None:
        self.count = 0
        self._released: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def __call__(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(2)
        writer.write(SSE)
        await writer.drain()
        release = asyncio.Event()
        self._released.append((asyncio.get_running_loop(), release))
        self.count += 1
        await release.wait()
        for data in (EVENT, DONE):
            writer.write(b"%x\r\n%b\r\n" % (len(data), data))
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        writer.close()

    def release(self) -> None:
        for loop, event in self._released:
            loop.call_soon_threadsafe(event.set)


async def open_stream(gateway: GatewayProcess, target: str, way: str, doors: asyncio.Semaphore) -> asyncio.StreamReader:
    """Ask for a stream; give its connection."""
    async with doors:
        reader, writer = await (lane(gateway) if way == "proxy" else plain(gateway))
        host, path = ("api.openai.com", target) if way == "proxy" else ("localhost", f"/openai{target}")
        writer.write(f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 2\r\n\r\n{{}}".encode())
    return reader


async def test_500_streams_that_wait_at_once_all_end_well_and_leave_nothing(scale: Scale) -> None:
    process, waiting, doors = psutil.Process(scale.gateway.process.pid), Waiting(), asyncio.Semaphore(20)
    target, before = scale.upstream.on(waiting), await asyncio.to_thread(steady, process.num_fds)
    with Memory(scale.gateway.process.pid) as memory:
        ways = ("proxy", "base URL") * (IDLE_STREAMS // 2)
        readers = await asyncio.gather(*(open_stream(scale.gateway, target, way, doors) for way in ways))
        await asyncio.to_thread(GatewayProcess.until, lambda: waiting.count == IDLE_STREAMS, 30)
        held, descriptors = memory.now() - memory.before, process.num_fds() - before
        waiting.release()
        answers = await asyncio.wait_for(asyncio.gather(*map(read_answer, readers)), 30)
    assert {body for _, body in answers} == {EVENT + DONE}
    print(f"\n{IDLE_STREAMS} streams that wait: {held:.1f} MiB and {descriptors} descriptors more")
    await close_opened()
    await asyncio.to_thread(GatewayProcess.until, lambda: process.num_fds() <= before + 2, 10)
