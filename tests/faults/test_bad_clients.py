"""F57 to F59: clients that drip, that talk nonsense, and that have said all they have to say."""

import asyncio
import contextlib
import threading
import time
from typing import Any

import pytest

from tests.faults.crowd import Crowd
from tests.faults.field import Case
from tests.faults.inject.answer import answer
from tests.faults.inject.held import held
from tests.faults.ledgers import Flow
from tests.faults.never_sent import SLACK_SECONDS
from tests.faults.wire import wire
from tests.running import GatewayProcess, lane, plain

HEAD_SECONDS = 30.0


def from_address(case: Case, writer: asyncio.StreamWriter, known: set[str]) -> list[Flow]:
    """Give the new flows of one connection; they have no key, and belong to no call."""
    host, port = writer.get_extra_info("sockname")[:2]
    found = [flow for flow in case.field.flows_after(case.newest_before) if flow["client"] == f"{host}:{port}"]
    case.acknowledged |= {flow["id"] for flow in found}
    return [flow for flow in found if flow["id"] not in known]


# F57


async def test_many_that_drip_hold_up_nobody(case: Case) -> None:
    """A byte of a head now and then on 100 connections (500 in a full run), and as many that never say a word behind CONNECT.

    A full run waits until each of those that drip is told why it is cut off, and the silent ones are.
    """
    many = 500 if case.full else 100
    head = b"POST /openai/v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nx-drip: "
    async with contextlib.AsyncExitStack() as stack:
        dripping = [await plain(case.field.gateway) for _ in range(many)]
        silent = [await plain(case.field.gateway) for _ in range(many)]
        for _, writer in (*dripping, *silent):
            stack.callback(writer.transport.abort)
        for _, writer in silent:
            writer.write(b"CONNECT api.openai.com:443 HTTP/1.1\r\nHost: api.openai.com:443\r\n\r\n")
        for _, writer in dripping:
            writer.write(head)
        began = time.monotonic()
        with case.bystander():
            async with Crowd(case, answer()) as crowd:
                for _ in range(20):
                    for _, writer in dripping:
                        writer.write(b"y")
                    await crowd.ask()
                assert [row.outcome for row in crowd.rows] == ["answer"] * 20
                assert max(row.seconds for row in crowd.rows) < SLACK_SECONDS
        if case.full:
            said = [await asyncio.wait_for(reader.read(), HEAD_SECONDS + 5) for reader, _ in dripping]
            assert {one.partition(b"\r\n")[0] for one in said} == {b"HTTP/1.1 400 Bad Request"}
            assert HEAD_SECONDS - 1 < time.monotonic() - began < HEAD_SECONDS + 5
            for reader, _ in silent:
                assert b" 200 " in await asyncio.wait_for(reader.read(), HEAD_SECONDS + 5)
        waited_for = {flow["id"] for flow in case.field.flows_after(case.newest_before) if not flow["key"]}
        case.acknowledged |= waited_for
    await asyncio.sleep(0)
    await asyncio.to_thread(GatewayProcess.until, lambda: case.field.watch.look().connections <= 1)
    case.acknowledged |= {flow["id"] for flow in case.field.flows_after(case.newest_before) if not flow["key"]}


# F58

POST = b"POST /openai/v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
SMUGGLED = b"GET /openai/v1/smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
MALFORMED = {
    "length and chunks": POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "an unknown coding": POST + b"Transfer-Encoding: xchunked\r\nContent-Length: 3\r\n\r\nabc",
    "chunks twice": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "two lengths": POST + b"Content-Length: 3\r\nContent-Length: 0\r\n\r\nabc",
    "a signed length": POST + b"Content-Length: +3\r\n\r\nabc",
    "a space before the colon": POST + b"Content-Length : 3\r\n\r\nabc",
    "line feeds alone": b"POST /openai/v1/x HTTP/1.1\nHost: localhost\nContent-Length: 3\n\nabc",
    "a carriage return alone": POST + b"X-A: a\rEvil: 1\r\nContent-Length: 3\r\n\r\nabc",
    "a NUL": POST + b"X-A: a\0b\r\nContent-Length: 3\r\n\r\nabc",
    "a folded header": POST + b"X-A: a\r\n b: c\r\nContent-Length: 3\r\n\r\nabc",
    "a line feed in a chunk's extension": CHUNKED + b"3;\nx\r\nabc\r\n0\r\n\r\n",
    "a chunk below zero": CHUNKED + b"-1\r\nabc\r\n0\r\n\r\n",
    "a chunk in another notation": CHUNKED + b"0x3\r\nabc\r\n0\r\n\r\n",
    "a chunk that is longer than it says": CHUNKED + b"3\r\nabcXX0\r\n\r\n",
    "two hosts": b"GET /openai/v1/models HTTP/1.1\r\nHost: localhost\r\nHost: b\r\n\r\n",
    "no host": b"GET /openai/v1/models HTTP/1.1\r\n\r\n",
    "no version": b"GET /openai/v1/models\r\n\r\n",
    "a control character in the path": b"GET /openai/v1/a\x01b HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a length that overflows": POST + b"Content-Length: 99999999999999999999999\r\n\r\nabc",
}


@pytest.mark.parametrize("way", ["plain", "lane"])
@pytest.mark.parametrize("name", MALFORMED)
async def test_what_is_not_valid_http_is_answered_with_400_and_never_sent_on(case: Case, name: str, way: str) -> None:
    known = {flow["id"] for flow in case.field.flows_after(case.newest_before)}
    text = MALFORMED[name]
    if way == "lane":
        text = text.replace(b" /openai/", b" /").replace(b"localhost", b"api.openai.com")
    reader, writer = await (lane if way == "lane" else plain)(case.field.gateway)
    writer.write(text)
    said = await asyncio.wait_for(reader.read(), 5)
    first: Any = await asyncio.to_thread(GatewayProcess.until, lambda: from_address(case, writer, known))
    assert {flow["cause"] for flow in first} == {"client.malformed_request"}
    assert {len(flow["attempts"]) for flow in first} == {0}
    assert said.startswith(b"HTTP/1.1 400 ")
    assert b"client.malformed_request" in said
    assert f"x-whygate-flow-id: {first[0]['id']}\r\n".encode() in said
    assert said.count(b"HTTP/1.1 ") == 1, "and nothing of what may follow it is answered"


# F59


@pytest.mark.parametrize("late", [False, True], ids=["with the request", "while it waits"])
async def test_a_client_that_has_ended_its_own_side_gets_its_answer(case: Case, late: bool) -> None:
    go = threading.Event()
    async with wire(case, case.plan(held(go, answer("words"))), "plain") as one:
        await one.send(one.request())
        if late:
            await asyncio.to_thread(GatewayProcess.until, lambda: case.received(one.row))
        one.writer.write_eof()
        if not late:
            await asyncio.to_thread(GatewayProcess.until, lambda: case.received(one.row))
        go.set()
        await one.answered()
    assert (one.row.outcome, one.row.status) == ("answer", 200)
    assert "words" in one.row.text
    assert len(case.received(one.row)) == 1
