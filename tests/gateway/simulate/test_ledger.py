"""The ledger knows what happened, also when the client left."""

import asyncio
import hashlib
import time

import pytest

from gateway.simulate.ledger import is_billable
from tests.gateway.simulate.world import KEY, Start, chat_body


async def test_a_row_says_what_arrived_and_what_was_sent(start: Start) -> None:
    """Every field of a simple call is what the client knows it to be."""
    world = await start()
    http = await world.http()
    answer = await http.post(
        "/v1/chat/completions?beta=%41", json=chat_body(), headers={"x-stainless-retry-count": "2"}
    )
    (row,) = world.simulator.ledger.rows
    assert (row.number, row.method, row.path, row.query) == (1, "POST", "/v1/chat/completions", "beta=%41")
    assert row.key_hash == hashlib.sha256(KEY.encode()).hexdigest()[:16]
    assert (row.model, row.status, row.retry_count) == ("gpt-4o", 200, 2)
    assert row.body_sha256 == hashlib.sha256(answer.request.content).hexdigest()
    assert (row.body_bytes, row.response_bytes) == (len(answer.request.content), len(answer.content))
    assert row.billable
    assert not row.aborted_by_client
    assert row.started_at <= row.ended_at


@pytest.mark.parametrize(
    ("status", "billable"),
    [(200, True), (400, False), (429, False), (503, False), (529, False), (500, True), (502, True), (None, True)],
)
def test_only_a_definite_refusal_is_free(status: int | None, billable: bool) -> None:
    """What may have been computed counts as charged; a body that never arrived does not."""
    assert is_billable(method="POST", body_complete=True, status=status) is billable
    assert not is_billable(method="POST", body_complete=False, status=status)
    assert not is_billable(method="GET", body_complete=True, status=status)


async def test_a_hang_up_in_the_middle_of_a_stream_is_noticed_at_once(start: Start) -> None:
    """The stream stops within 100 ms of the client's leaving, although its next event is a minute away."""
    world = await start()
    http = await world.http()
    headers = {"x-simulate-interval-ms": "60000"}
    async with http.stream("POST", "/v1/chat/completions", json=chat_body(stream=True), headers=headers) as answer:
        parts = answer.aiter_bytes()
        await anext(parts)
        assert world.simulator.ledger.in_flight == 1
    left_at = time.monotonic()
    await world.simulator.ledger.settled()
    assert time.monotonic() - left_at < 0.1
    (row,) = world.simulator.ledger.rows
    assert (row.status, row.billable, row.aborted_by_client) == (200, True, True)


async def test_a_hang_up_before_the_answer_is_noticed(start: Start) -> None:
    """A client that gives up waiting leaves a row without a status."""
    world = await start(first_byte_seconds=60)
    _, writer = await asyncio.open_connection("127.0.0.1", world.handle.port)
    body = b'{"model":"m","messages":[1]}'
    writer.write(
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer k\r\n"
        b"content-length: %d\r\n\r\n%s" % (len(body), body)
    )
    await writer.drain()
    await world.until_a_call_is_running()
    writer.close()
    await world.simulator.ledger.settled()
    (row,) = world.simulator.ledger.rows
    assert (row.status, row.billable, row.aborted_by_client) == (None, True, True)


async def test_half_a_body_is_not_billable(start: Start) -> None:
    """A client that leaves while it sends has bought nothing."""
    world = await start()
    _, writer = await asyncio.open_connection("127.0.0.1", world.handle.port)
    writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nhalf")
    await writer.drain()
    await world.until_a_call_is_running()
    writer.close()
    await world.simulator.ledger.settled()
    (row,) = world.simulator.ledger.rows
    assert (row.status, row.billable, row.aborted_by_client, row.body_bytes) == (None, False, True, 4)


async def test_the_ledger_can_be_read_and_cleared_over_http(start: Start) -> None:
    """The control routes show the rows, leave none of their own, and clear them."""
    world = await start()
    http = await world.http()
    await http.post("/v1/chat/completions", json=chat_body())
    await http.get("/v1/models", headers={"authorization": ""})
    ledger = (await http.get("/_simulate/ledger")).json()
    assert [row["status"] for row in ledger["rows"]] == [200, 401]
    assert ledger["counters"]["by_status"] == {"200": 1, "401": 1}
    assert (ledger["counters"]["calls"], ledger["counters"]["billable"]) == (2, 1)
    assert (await http.post("/_simulate/reset")).json() == {"reset": True}
    assert (await http.get("/_simulate/ledger")).json()["rows"] == []
    assert (await http.get("/_simulate/nothing")).status_code == 404
    assert "quota.exhausted" in (await http.get("/_simulate/failures")).json()["failures"]
