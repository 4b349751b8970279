"""F35, F36, F40: a stream that is odd, slow, silent or not kept is given on unchanged, as it comes."""

import asyncio
import contextlib
import hashlib
import random
import sqlite3
import statistics
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from gateway.egress.relay import SILENT_SECONDS
from gateway.egress.sse import HELD_BYTES
from tests.e2e.world import MIB, Memory
from tests.faults.field import Case
from tests.faults.inject.stream_of import in_order, stream_of
from tests.faults.listening import asking, listening_to
from tests.faults.never_sent import SLACK_SECONDS
from tests.faults.upstream import Exchange, Fault
from tests.faults.words import CHAT
from tests.running import GatewayProcess

DONE = b"data: [DONE]\n\n"
EVENT = CHAT.event("words").replace(b"words", "Gr\u00fc\u00dfe, \u4f60\u597d, \U0001f600 ".encode())


def _anywhere(stream: bytes, seed: int) -> list[bytes]:
    """Cut a stream at places that have nothing to do with its events."""
    dice, pieces = random.Random(seed), []
    while stream:
        cut = dice.choice([1, 2, 3, 7, 40, 200])
        pieces.append(stream[:cut])
        stream = stream[cut:]
    return pieces


def _in_characters(stream: bytes) -> list[bytes]:
    """Cut a stream inside every character of more than one byte."""
    cuts = [at for at, byte in enumerate(stream) if 0x80 <= byte < 0xC0]
    return [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]


def _mixed() -> bytes:
    """End each line of a few events in another way."""
    bodies = [EVENT.rstrip(b"\n")] * 6
    ends = (b"\n\n", b"\r\n\r\n", b"\r\r", b"\n\r\n", b"\r\n\n", b"\n\n\n")
    return b"".join(body + end for body, end in zip(bodies, ends, strict=True)) + DONE


COMMENTS = b": keep-alive\n\n" * 3 + EVENT + b":\n\n: OPENROUTER PROCESSING\n\n" + b"retry: 5\nid: 7\n" + EVENT + DONE
LARGE = b'data: {"x":"' + b"y" * 2 * MIB + b'"}\n\n'
STREAMS: dict[str, tuple[list[bytes], float]] = {
    "one byte at a time": ([bytes((byte,)) for byte in EVENT + DONE], 0.001),
    "characters cut in the middle": (_in_characters(EVENT * 3 + DONE), 0.001),
    "events cut anywhere": (_anywhere(EVENT * 20 + DONE, 2), 0.0005),
    "many events in one write": ([EVENT * 50 + DONE], 0.0),
    "every kind of line end": ([_mixed()], 0.0),
    "every kind of line end, one byte at a time": ([bytes((byte,)) for byte in _mixed()], 0.0),
    "comments": ([COMMENTS], 0.0),
    "comments, cut anywhere": (_anywhere(COMMENTS, 3), 0.001),
    "one event of 2 MiB": ([EVENT, LARGE, EVENT, DONE], 0.0),
    "one event of 2 MiB, cut anywhere": ([*(LARGE[at : at + 9973] for at in range(0, len(LARGE), 9973)), DONE], 0.0),
    "a last event without its blank line": ([EVENT, b"data: [DONE]\n"], 0.0),
    "a byte order mark": ([b"\xef\xbb\xbf" + EVENT, DONE], 0.0),
}


# F35


@pytest.mark.parametrize("name", STREAMS)
async def test_every_byte_of_a_stream_arrives_as_it_was_sent(case: Case, name: str) -> None:
    pieces, gap_seconds = STREAMS[name]
    async with listening_to(case, case.plan(stream_of(pieces, in_order, gap_seconds=gap_seconds))) as stream:
        heard = await stream.to_end()
    assert stream.whole
    assert hashlib.sha256(heard).hexdigest() == hashlib.sha256(b"".join(pieces)).hexdigest()
    flow = case.flow(stream.row)
    assert (flow["status"], flow["cause"], len(flow["attempts"])) == (200, None, 1)


async def test_an_event_is_held_until_it_is_whole_and_no_more_than_256_kib_of_it(case: Case) -> None:
    go_on = threading.Event()
    part = b'data: {"x":"' + b"y" * HELD_BYTES

    async def rest(exchange: Exchange) -> None:
        await asyncio.to_thread(go_on.wait, 30)
        await exchange.chunk(b'"}\n\n' + DONE)
        await in_order(exchange)

    pieces = [EVENT, *(part[at : at + 8192] for at in range(0, len(part), 8192))]
    async with listening_to(case, case.plan(stream_of(pieces, rest, gap_seconds=0.001))) as stream:
        await stream.heard(EVENT)
        await stream.heard(part)
        assert stream.body == EVENT + part
        go_on.set()
        await stream.to_end()
    assert stream.body == EVENT + part + b'"}\n\n' + DONE


async def test_forty_streams_of_endless_events_cost_no_more_than_their_buffers(case: Case) -> None:
    """All of them hold as much of an unfinished event as may be held, at the same time."""
    streams, go_on = 40, threading.Event()
    part = b'data: {"x":"' + b"y" * (HELD_BYTES - 4096)

    async def rest(exchange: Exchange) -> None:
        await asyncio.to_thread(go_on.wait, 30)
        await exchange.chunk(b'"}\n\n' + DONE)
        await in_order(exchange)

    async def one() -> bytes:
        async with listening_to(case, case.plan(stream_of([EVENT, part], rest)), way="plain", path=PLAIN) as stream:
            return await stream.to_end(30)

    with Memory(case.field.gateway.process.pid) as memory:
        tasks = [asyncio.create_task(one()) for _ in range(streams)]  # noqa: TID251 - ended below
        await asyncio.to_thread(_all_are_held, case, streams)
        go_on.set()
        bodies = await asyncio.gather(*tasks)
    assert set(bodies) == {EVENT + part + b'"}\n\n' + DONE}
    assert memory.growth < streams * 1.5 * HELD_BYTES / MIB + 8
    print(f"\n{streams} streams with {len(part)} bytes of an event each: memory grew by {memory.growth:.1f} MiB")


PLAIN = "/openai/v1/chat/completions"


def _all_are_held(case: Case, streams: int) -> None:
    def look() -> bool:
        going = [flow for flow in case.field.gateway.flows() if flow["state"] == "streaming"]
        sent = sum(row.sent_bytes for row in case.field.upstream.rows_since(case.received_before))
        return len(going) == streams and sent > streams * (HELD_BYTES - 8192)

    GatewayProcess.until(look, 20)


async def test_an_event_is_given_on_at_once(case: Case) -> None:
    """All of it is on this machine; a tenth of the events tells what the gateway adds when nobody else is busy."""

    def timed() -> Iterator[bytes]:
        for _ in range(100):
            yield CHAT.event(f"at {time.monotonic()!r} ")
        yield DONE

    late: list[float] = []
    async with listening_to(case, case.plan(stream_of(timed(), in_order, gap_seconds=0.01))) as stream:
        while piece := await stream.next():
            now = time.monotonic()
            late += [now - float(one.split(b" ", 1)[0]) for one in piece.split(b'"at ')[1:]]
    assert len(late) == 100
    assert stream.whole
    fast, usual, slow = statistics.quantiles(late, n=10)[0], statistics.median(late), statistics.quantiles(late)[-1]
    print(f"\nan event comes {usual * 1000:.2f} ms after it was sent; {fast * 1000:.2f} ms when the machine is free")
    assert fast < 0.005
    assert slow < 0.1


# F36


async def test_a_stream_that_goes_silent_stays_open_says_so_in_its_row_and_goes_on(case: Case) -> None:
    silent_seconds = 120.0 if case.full else SILENT_SECONDS + 1.5

    async def later(exchange: Exchange) -> None:
        await asyncio.sleep(silent_seconds)
        await exchange.chunk(EVENT + DONE)
        await in_order(exchange)

    async with listening_to(case, case.plan(stream_of([EVENT] * 3, later))) as stream:
        await stream.heard(EVENT * 3)
        reason = await asyncio.to_thread(_reason_of, case, stream.head.flow_id)
        heard = await stream.to_end(silent_seconds + SLACK_SECONDS)
    assert "sent nothing for 10 s" in reason
    assert stream.whole
    assert heard == EVENT * 4 + DONE
    flow = case.flow(stream.row)
    assert (flow["cause"], flow["wait_reason"], len(flow["attempts"])) == (None, None, 1)
    assert flow["total_ms"] >= silent_seconds * 1000


def _reason_of(case: Case, flow_id: str) -> str:
    def look() -> str | None:
        (flow,) = [one for one in case.field.gateway.flows() if one["id"] == flow_id]
        assert flow["state"] == "streaming"
        reason: str | None = flow["wait_reason"]
        return reason

    return GatewayProcess.until(look, SILENT_SECONDS + 2 * SLACK_SECONDS)


# F40


@contextlib.contextmanager
def _locked(case: Case) -> Iterator[None]:
    """Hold the log locked as another program may."""
    with contextlib.closing(sqlite3.connect(case.field.gateway.state / "flows.db", isolation_level=None)) as log:
        log.execute("BEGIN EXCLUSIVE")
        yield
        log.execute("ROLLBACK")


def _health(case: Case) -> dict[str, Any]:
    runtime = case.field.gateway.runtime
    headers = {"authorization": f"Bearer {runtime['token']}"}
    answered = httpx2.get(f"http://{runtime['page']}/api/health", headers=headers, trust_env=False)
    document: dict[str, Any] = answered.raise_for_status().json()
    return document


async def test_a_stream_does_not_notice_that_the_log_cannot_be_written(case: Case) -> None:
    """The row of a short call is waiting to be written all the while, and both are there once the log is free."""
    pieces = [*(EVENT for _ in range(60)), DONE]
    fault: Fault = stream_of(pieces, in_order, gap_seconds=0.02)
    with case.bystander(), _locked(case):
        short = await case.raw(case.plan())
        async with listening_to(case, case.plan(fault)) as stream:
            heard = await stream.to_end()
    assert short.outcome == "answer"
    assert stream.whole
    assert heard == b"".join(pieces)
    assert case.flow(stream.row)["cause"] is None
    await asyncio.to_thread(
        GatewayProcess.until, lambda: (now := _health(case)["log"])["degraded"] is None and not now["queued"], 5
    )
    assert _health(case)["log"]["dropped"] == 0


@pytest.mark.parametrize(("events", "cache"), [(100, "none"), (2, "stored")], ids=["5 MB", "100 kB"])
async def test_a_stream_larger_than_what_may_be_kept_is_given_on_whole_and_not_kept(
    case: Case, events: int, cache: str
) -> None:
    pieces = [CHAT.event("y" * 50_000)] * events + [*CHAT.closing]
    async with listening_to(case, case.plan(stream_of(pieces, in_order)), body=asking(temperature=0)) as stream:
        heard = await stream.to_end()
    assert hashlib.sha256(heard).digest() == hashlib.sha256(b"".join(pieces)).digest()
    flow = case.flow(stream.row)
    assert (flow["cause"], flow["cache"]) == (None, cache)
