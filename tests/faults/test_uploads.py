"""F56: bodies that are too large to be kept for a second try go through as they come."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from typing import Any, Literal

import pytest

from tests.e2e.world import Memory
from tests.faults.field import Case
from tests.faults.inject.answer import answer
from tests.faults.inject.refused import overloaded
from tests.faults.wire import Wire, wire
from tests.running import GatewayProcess

MIB = 1024 * 1024
REPLAY_BYTES = 8 * MIB
GROWTH_MIB = 24.0
"""The replay cap, and what the sockets and the allocator hold."""

START = b'{"model":"gpt-4o-mini","messages":[{"role":"user","content":"'
END = b'"}]}'


def size_of(case: Case) -> int:
    return (60 if case.full else 12) * 1_000_000


async def parts(size_bytes: int) -> AsyncIterator[bytes]:
    """Give a chat request of this size, 250 kB at a time."""
    left = size_bytes - len(START) - len(END)
    yield START
    while left:
        part = min(left, 250_000)
        left -= part
        yield b"x" * part
    yield END


async def upload(one: Wire, size_bytes: int, framing: Literal["length", "chunks"], *, expect: bool = False) -> str:
    """Send it, and give its SHA-256."""
    headers: dict[str, object] = (
        {"Content-Length": size_bytes} if framing == "length" else {"Transfer-Encoding": "chunked"}
    )
    digest = hashlib.sha256()
    await one.send(one.head({**headers, **({"Expect": "100-continue"} if expect else {})}))
    if expect:
        head = await asyncio.wait_for(one.reader.readuntil(b"\r\n\r\n"), 5)
        assert head.startswith(b"HTTP/1.1 100 ")
    async for part in parts(size_bytes):
        digest.update(part)
        await one.send(part if framing == "length" else b"%x\r\n%b\r\n" % (len(part), part))
    if framing == "chunks":
        await one.send(b"0\r\n\r\n")
    return digest.hexdigest()


@pytest.mark.parametrize("expect", [False, True], ids=["at once", "100-continue"])
@pytest.mark.parametrize("framing", ["length", "chunks"])
async def test_a_large_upload_goes_through_and_memory_stays_bounded(
    case: Case, framing: Literal["length", "chunks"], expect: bool
) -> None:
    size = size_of(case)
    with Memory(case.field.gateway.process.pid) as memory, case.bystander():
        async with wire(case, case.plan(answer())) as one:
            digest = await upload(one, size, framing, expect=expect)
            await one.answered()
    (received,) = case.received(one.row)
    print(f"\n{size / 1e6:.0f} MB in {framing}: {one.row.seconds:.2f} s, memory at most {memory.growth:.1f} MiB more")
    assert (one.row.outcome, received.body_bytes, received.sha256) == ("answer", size, digest)
    assert memory.growth < GROWTH_MIB


@pytest.mark.parametrize("framing", ["length", "chunks"])
async def test_what_is_too_large_to_be_kept_is_not_repeated(case: Case, framing: Literal["length", "chunks"]) -> None:
    async with wire(case, case.plan(overloaded(), answer())) as one:
        await upload(one, size_of(case), framing)
        await one.answered()
    flow = case.flow(one.row)
    assert (one.row.status, one.row.cause, len(flow["attempts"])) == (503, "service.overloaded", 1)
    assert len(case.received(one.row)) == 1


async def test_what_can_be_kept_is_repeated_with_the_very_same_bytes(case: Case) -> None:
    async with wire(case, case.plan(overloaded(), answer())) as one:
        digest = await upload(one, 2_000_000, "chunks")
        await one.answered()
    received = case.received(one.row)
    assert one.row.outcome == "answer"
    assert [(row.body_bytes, row.sha256) for row in received] == [(2_000_000, digest)] * 2


async def test_a_slow_upload_is_passed_on_as_it_comes(case: Case) -> None:
    """Past the replay cap the upstream has what the app has sent, though the app takes its time with the rest."""
    size = size_of(case)

    def has(size_bytes: int) -> Any:
        return lambda: [row for row in case.received(one.row) if row.body_bytes >= size_bytes]

    async with wire(case, case.plan(answer())) as one:
        await one.send(one.head({"Content-Length": size}))
        sent = 0
        async for part in parts(size):
            await one.send(part)
            sent += len(part)
            if sent > 10_000_000:
                break
        await asyncio.to_thread(GatewayProcess.until, has(sent - 2 * MIB))
        for _ in range(20):  # bytes one by one
            await one.send(b"y")
            sent += 1
        await asyncio.to_thread(GatewayProcess.until, has(sent))
        while sent < size:
            part = b"z" * min(250_000, size - sent)
            sent += len(part)
            await one.send(part)
        await one.answered()
    assert one.row.outcome == "answer"
    assert case.received(one.row)[0].body_bytes == size
