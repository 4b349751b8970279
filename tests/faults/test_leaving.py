"""F52, and hang-ups by the hundred: an app that leaves costs nobody anything from that moment on."""

import asyncio
import contextlib
import random
import time
from typing import Any

import pytest

from tests.faults.clients import ClientRow
from tests.faults.crowd import Crowd
from tests.faults.field import Case
from tests.faults.inject.answer import answer
from tests.faults.inject.full_backlog import full_backlog
from tests.faults.inject.refused import overloaded
from tests.faults.inject.silence import silence
from tests.faults.never_sent import SLACK_SECONDS
from tests.faults.upstream import Fault, Row
from tests.faults.wire import Wire, wire
from tests.running import GatewayProcess

CLOSED_SECONDS = 0.2
"""How much longer the upstream may have to do with a call whose app has left."""

GONE_SECONDS = 1.0
REPLAY_BYTES = 8 * 1024 * 1024
ENDLESS = answer(events=5_000, gap_seconds=0.01)


async def until(look: Any) -> Any:
    return await asyncio.to_thread(GatewayProcess.until, look)


def left(case: Case, call: ClientRow, attempts: int) -> dict[str, Any]:
    """See that the log tells of an app that left, and of so many attempts; give the flow."""
    flow = case.flow(call)
    assert flow["cause"] == "client.disconnected"
    assert len(flow["attempts"]) == attempts
    return flow


# F52


@pytest.mark.parametrize("twice", [False, True], ids=["reset", "end, then reset"])
async def test_who_leaves_while_we_wait_to_try_again_ends_the_wait(case: Case, twice: bool) -> None:
    """A client in plain may end its own half first and stay; with the reset it has left altogether."""
    mark = case.plan(overloaded(headers={"retry-after": "20"}), answer())
    async with wire(case, mark, "plain" if twice else "lane") as one:
        await one.send(one.request())
        await until(lambda: any(flow["state"] == "waiting" for flow in case.field.gateway.flows(limit=20)))
        if twice:
            one.writer.write_eof()
        await one.leave()
    began = time.monotonic()
    left(case, one.row, 1)
    assert time.monotonic() - began < GONE_SECONDS
    assert len(case.received(one.row)) == 1


async def test_who_leaves_while_we_connect_ends_that(case: Case) -> None:
    with full_backlog() as port:
        url = case.field.adopt(f"http://127.0.0.1:{port}/v1")
        call = await case.sdk(case.plan(), base_url=url, leave_after_seconds=0.4)
        began = time.monotonic()
        left(case, call, 1)
        assert time.monotonic() - began < GONE_SECONDS
    assert case.received(call) == []


@pytest.mark.parametrize("size_bytes", [1_000_000, 12_000_000], ids=["collected", "streamed"])
async def test_who_leaves_in_the_middle_of_an_upload_leaves_nothing_behind(case: Case, size_bytes: int) -> None:
    """What is small is not sent before it is whole; what is larger than the replay cap is under way by then."""
    is_streamed = size_bytes > REPLAY_BYTES
    async with wire(case, case.plan(answer())) as one:
        await one.send(one.head({"Content-Length": size_bytes, "Expect": "100-continue"}, path="/v1/files"))
        assert await asyncio.wait_for(one.reader.readuntil(b"\r\n\r\n"), 5) == b"HTTP/1.1 100 Continue\r\n\r\n"
        await one.send(b"x" * (size_bytes * 3 // 4))
        if is_streamed:
            await until(lambda: case.received(one.row))
        await one.leave()
    left(case, one.row, int(is_streamed))
    received = case.received(one.row)
    assert len(received) == int(is_streamed)
    for row in received:
        await until(lambda row=row: row.ended != "running")
        assert (row.whole, row.ended) == (False, "left")


# The price of leaving


async def test_the_upstream_is_left_at_once_when_the_app_leaves(case: Case) -> None:
    """At every stage of an answer; measured from the client's reset to the end of the upstream's connection."""
    faults: list[Fault] = [silence, ENDLESS] * (20 if case.full else 8)
    took: list[float] = []
    for number, fault in enumerate(faults):
        async with wire(case, case.plan(fault), "plain" if number % 4 < 2 else "lane") as one:
            await one.send(one.head({"Content-Length": len(STREAM)}) + STREAM)
            if fault is ENDLESS:
                await asyncio.wait_for(one.reader.readuntil(b"words"), 10)
            (received,) = await until(lambda one=one: case.received(one.row))
            await one.leave()
        await until(lambda received=received: received.ended_at)
        took.append(received.ended_at - (one.row.left_at or 0))
    print(
        f"\nthe upstream was left {max(took) * 1000:.1f} ms after the app at most, {sorted(took)[len(took) // 2] * 1000:.1f} ms in the median"
    )
    assert max(took) < CLOSED_SECONDS


STREAM = b'{"model":"gpt-4o-mini","stream":true,"messages":[{"role":"user","content":"hi"}]}'


async def test_hundreds_that_leave_at_any_moment_hurt_nobody_who_comes_next(case: Case) -> None:
    """Of 300 (1,000 in a full run) each leaves at a moment of its own: within its head, its body, before an answer, in it."""
    dice, doors = random.Random(39), asyncio.Semaphore(40)
    whole: list[Wire] = []
    rows_before = len(case.clients.rows)

    async def vanish(mark: str, share: float, after_seconds: float) -> None:
        async with doors, wire(case, mark, dice.choice(("plain", "lane"))) as one:
            request = one.head({"Content-Length": len(STREAM)}) + STREAM
            await one.send(request[: round(len(request) * min(1.0, share))])
            if share >= 1:
                whole.append(one)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(after_seconds):
                    while await one.reader.read(65_536):
                        pass
            await one.leave()

    plans: list[tuple[Fault, ...]] = [(ENDLESS,), (silence,), (overloaded(headers={"retry-after": "20"}), answer())]
    async with asyncio.TaskGroup() as tasks:
        for _ in range(1000 if case.full else 300):
            chosen = vanish(case.plan(*dice.choice(plans)), dice.choice((0.1, 0.8, 1, 1, 1)), dice.random() * 0.2)
            tasks.create_task(chosen)
    async with Crowd(case, answer()) as crowd:
        fresh = [await crowd.ask() for _ in range(20)]
    assert [call.outcome for call in fresh] == ["answer"] * 20
    assert max(call.seconds for call in fresh) < SLACK_SECONDS
    await until(lambda: case.field.watch.look().running == 0)
    settle(case, case.clients.rows[rows_before:-20])
    rows = case.field.upstream.rows_since(case.received_before)
    delays = sorted(_delays({one.row.mark: one.row for one in whole}, rows))
    print(f"\n{len(delays)} were under way; the upstream was left after {delays[-1] * 1000:.0f} ms at most")
    assert delays[len(delays) // 2] < CLOSED_SECONDS


def settle(case: Case, rows: list[ClientRow]) -> None:
    """Enter which requests became calls: a reset may overtake the last bytes, and what is not whole is none."""
    flows = case.field.flows_after(case.newest_before)
    for row in rows:
        row.requests = sum(flow["key"] == case.fingerprint(row.key) for flow in flows)
        assert row.requests <= 1


def _delays(clients: dict[str, ClientRow], rows: Any) -> Any:
    row: Row
    for row in rows:
        client = clients.get(row.mark)
        if client is not None and row.ended == "left":
            yield max(0.0, row.ended_at - (client.left_at or 0))
