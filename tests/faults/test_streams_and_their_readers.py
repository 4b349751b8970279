"""F37 to F39: apps that read slowly, or hang up in the middle. The provider is stopped, and nothing is left behind."""

import asyncio
import itertools
import socket
import threading
from collections.abc import Iterator
from typing import Literal, Self

import pytest

from tests.e2e.world import MIB, Memory, steady
from tests.faults.clients import ClientRow, Style, new_key
from tests.faults.field import Case, Field, open_field
from tests.faults.inject.answer import JSON, answer
from tests.faults.inject.burst import burst
from tests.faults.inject.noted_leaving import Leaving, head_alone, stream_head_alone
from tests.faults.listening import CHAT_STREAM, listening_to
from tests.faults.never_sent import SLACK_SECONDS
from tests.faults.upstream import Exchange
from tests.running import GatewayProcess

LIMIT = '[[limits.rules]]\nprovider = "openai"\nconcurrency = 10\n'
CLOSED_SECONDS = 0.2
"""By then the provider has to see that nobody listens any more."""

RECEIVE_BYTES = 4_096
TAKEN_BYTES = 16 * MIB
"""What sockets may hold on their own between the provider and the app, on both sides of the gateway."""

GROWTH_MIB = 6.0
PLAIN = "/openai/v1/chat/completions"


# F37


async def test_an_app_that_reads_slowly_stops_the_provider_and_costs_no_memory(case: Case) -> None:
    total = (100 if case.full else 30) * MIB
    pid = case.field.gateway.process.pid
    await case.sdk(case.plan(answer()), stream=True)  # what is loaded once is loaded now
    mark, row = case.plan(burst(total)), ClientRow("", new_key())
    row.mark = mark
    case.clients.rows.append(row)
    with Memory(pid) as memory, _SlowReader(case, row) as reader:
        await asyncio.to_thread(reader.begin)
        (received,) = case.received(row)
        taken = await asyncio.to_thread(steady, lambda: received.sent_bytes, 1.0, 20.0)
        with case.bystander():  # not before: the provider that fills the sockets shares our interpreter with it
            await asyncio.to_thread(reader.read_for, 2.0)
        later = received.sent_bytes
    print(
        f"\na slow reader: {taken / MIB:.1f} of {total / MIB:.0f} MiB taken, {later - taken} bytes in two seconds more;"
        f" memory grew by {memory.growth:.1f} MiB"
    )
    assert 0 < taken < TAKEN_BYTES
    assert later - taken < MIB
    assert memory.growth < GROWTH_MIB
    row.outcome = "left"
    flow = case.flow(row)
    assert flow["cause"].startswith("client.")
    assert (flow["status"], len(flow["attempts"])) == (200, 1)
    assert received.ended == "left"


class _SlowReader:
    """An app with a small receive buffer that reads 1 KB in a second."""

    def __init__(self, case: Case, row: ClientRow) -> None:
        self._case, self._row = case, row
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
        self._socket.settimeout(10)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def begin(self) -> None:
        """Ask, and read the first bytes of the answer."""
        self._socket.connect(("127.0.0.1", self._case.field.gateway.port))
        head = (
            f"POST /openai/v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {self._row.key}\r\n"
            f"x-test-id: {self._row.mark}\r\ncontent-length: {len(CHAT_STREAM)}\r\n\r\n"
        )
        self._socket.sendall(head.encode() + CHAT_STREAM)
        self._row.requests += 1
        assert b" 200 " in self._socket.recv(64)

    def read_for(self, seconds: float) -> None:
        for _ in range(round(seconds * 10)):
            assert self._socket.recv(100)
            threading.Event().wait(0.1)


# F38


@pytest.mark.parametrize("style", ["async", "sync"])
@pytest.mark.parametrize(("sdk", "api"), [("openai", "chat"), ("openai", "responses"), ("anthropic", "messages")])
async def test_the_provider_is_told_at_once_that_an_app_hung_up(
    case: Case,
    sdk: Literal["openai", "anthropic"],
    api: Literal["chat", "responses", "messages"],
    style: Style,
) -> None:
    leaving = Leaving()
    call = await case.sdk(case.plan(leaving.after(6)), sdk=sdk, api=api, style=style, stream=True, leave_after_events=5)
    assert call.outcome == "left"
    assert call.left_at is not None
    assert await asyncio.to_thread(leaving.wait, SLACK_SECONDS) - call.left_at < CLOSED_SECONDS
    flow = case.flow(call)
    assert (flow["status"], flow["cause"], len(flow["attempts"])) == (200, "client.disconnected", 1)


async def test_what_had_come_when_an_app_hung_up_is_estimated_in_its_row(case: Case) -> None:
    call = await case.sdk(case.plan(Leaving().after(6)), stream=True, leave_after_events=5)
    assert call.outcome == "left"
    flow = case.flow(call)
    assert flow["tokens_out"] in {5, 6, 7}
    assert flow["tokens_estimated"]


# F39


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Field]:
    """A field where ten calls may be under way at the same time."""
    with open_field(tmp_path_factory.mktemp("narrow"), LIMIT) as made:
        yield made


@pytest.fixture
def ten(narrow: Field, *, full: bool) -> Iterator[Case]:
    made = Case(narrow, full=full)
    yield made
    made.finish()


async def test_hundreds_that_hang_up_between_head_and_body_leave_every_slot_free(ten: Case) -> None:
    """They are of one account, so that its ten slots are what they could wear out."""
    turns = (1_000 if ten.full else 200) // 20
    for _ in range(turns):
        await asyncio.gather(*(_hang_up(ten, way) for way in ("lane", "plain") for _ in range(10)))
    for turn in itertools.batched(range(20), 10, strict=True):
        calls = await asyncio.gather(*(ten.raw(ten.plan(), way="plain", path=PLAIN) for _ in turn))
        assert {(call.outcome, call.text.count("words")) for call in calls} == {("answer", 1)}
    rows = await asyncio.to_thread(ten.flows)
    left = [flow for flow in rows if flow["cause"] is not None]
    assert {(flow["cause"], flow["status"], len(flow["attempts"])) for flow in left} == {
        ("client.disconnected", 200, 1)
    }
    assert len(left) == turns * 20


async def _hang_up(case: Case, way: Literal["lane", "plain"]) -> None:
    path = PLAIN if way == "plain" else "/v1/chat/completions"
    async with listening_to(case, case.plan(head_alone), way=way, path=path) as stream:
        assert stream.head.status == 200


async def test_an_app_in_plain_that_closes_while_the_provider_is_silent_is_seen_to_have_left(case: Case) -> None:
    """Until then its place is held for nobody: with a limit on concurrency, others wait for it."""

    async def silent_for_a_while(exchange: Exchange) -> None:
        await exchange.receive()
        await exchange.write_head(200, JSON)
        await exchange.left(1.5)
        while True:
            await exchange.chunk(b" ")
            await exchange.left(0.05)

    mark = case.plan(silent_for_a_while)
    async with listening_to(case, mark, way="plain", path=PLAIN, softly=True) as stream:
        flow_id = stream.head.flow_id

    def done() -> bool:
        return any(flow["id"] == flow_id and flow["state"] == "done" for flow in case.field.gateway.flows())

    await asyncio.to_thread(GatewayProcess.until, done, 1.0)


async def test_those_that_hang_up_before_the_first_event_of_a_stream_leave_every_slot_free(ten: Case) -> None:
    """Its head is held back meanwhile, for a second at most."""
    for leave in (0.3, 1.3):
        calls = await asyncio.gather(
            *(
                ten.raw(ten.plan(stream_head_alone), body=CHAT_STREAM, leave_after_seconds=leave, way="plain",
                        path=PLAIN)
                for _ in range(10)
            )
        )  # fmt: skip
        assert {call.outcome for call in calls} == {"left"}
    fresh = await asyncio.gather(*(ten.sdk(ten.plan(), stream=True) for _ in range(10)))
    assert {call.outcome for call in fresh} == {"answer"}
    causes = [flow["cause"] for flow in await asyncio.to_thread(ten.flows) if flow["cause"] is not None]
    assert len(causes) == 20
    assert {cause.partition(".")[0] for cause in causes} == {"client"}
