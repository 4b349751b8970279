"""Streams that flow and streams that are held back: by a server that sends with pauses, and by what the log tells."""

import asyncio
from typing import Any

import pytest

from gateway.doctor.case import Case, Target
from gateway.doctor.lists import Lists
from gateway.doctor.measured import Handshakes, Shaken, Streamed
from gateway.doctor.probe import Check, Done, Status
from gateway.doctor.probes.stream import PROBE
from gateway.doctor.wire import Answer, Served
from gateway.model.cause import Cause, Precision
from gateway.model.failure import NetCode, NetFailure, Phase
from tests.gateway.egress.wire import Connection, provider

HOST = "api.openai.com"
EVENTS = "data: 1\n\ndata: 2\n\ndata: 3\n\ndata: 4\n\n"
ANSWER = Answer(status=200, text=EVENTS)


def _row(**changes: Any) -> dict[str, Any]:
    events = {"bytes": 40_000, "began_ms": 9_000.0} | {k: changes.pop(k) for k in ("bytes", "began_ms") if k in changes}
    row = {"host": HOST, "cause": None, "total_ms": 9_001.0, "queue_ms": 0.0, "events": events}
    return row | changes


def _case(*rows: dict[str, Any], url: str = "") -> Case:
    return Case(target=Target(host=HOST), flows=rows, lists=Lists(stream_url=url))


def _check(seen: Streamed, *more: object) -> Check:
    [check] = PROBE.judge(_case(), Done(seen, *more))
    return check


def test_events_that_come_one_by_one_are_well() -> None:
    assert _check(Streamed(arrivals_ms=(120.0, 330.0, 540.0, 750.0), answer=ANSWER)).status is Status.OK


def test_events_that_come_at_once_after_a_wait_were_held_back() -> None:
    check = _check(Streamed(arrivals_ms=(930.0, 931.5), answer=ANSWER))
    assert check.status is Status.WARN
    assert check.diagnosis is not None
    assert (check.diagnosis.cause, check.diagnosis.precision) == (Cause.NETWORK_DEGRADED, Precision.CONFIRMED)
    assert any("4 events" in line for line in check.diagnosis.evidence)


def test_one_piece_is_at_once() -> None:
    assert _check(Streamed(arrivals_ms=(930.0,), answer=ANSWER)).status is Status.WARN


def test_a_server_that_is_done_at_once_was_not_held_back() -> None:
    assert _check(Streamed(arrivals_ms=(20.0, 21.0), answer=ANSWER)).status is Status.OK


def test_the_product_that_opens_the_traffic_is_named() -> None:
    served = Served(subject="CN=x", issuer="CN=Zscaler Intermediate Root CA,O=Zscaler Inc.", begins="", ends="")
    opened = Handshakes(each=(Shaken(address="192.0.2.1", name=HOST, served=served),))
    check = _check(Streamed(arrivals_ms=(930.0,), answer=ANSWER), opened)
    assert check.diagnosis is not None
    assert any("Zscaler" in line for line in check.diagnosis.evidence)


def test_the_log_alone_makes_it_likely_not_sure() -> None:
    check = _check(Streamed(held_back_seconds=9.0))
    assert check.diagnosis is not None
    assert check.diagnosis.precision is Precision.INFERRED
    assert any("9 s" in line for line in check.diagnosis.evidence)


def test_a_server_that_does_not_answer_or_sends_little_tells_nothing() -> None:
    gone = Answer(failure=NetFailure(phase=Phase.CONNECT, code=NetCode.CONNECT_TIMEOUT, detail="gone", sent=False))
    assert _check(Streamed(answer=gone)).status is Status.SKIPPED
    assert _check(Streamed(answer=Answer(status=404, text="no"))).status is Status.SKIPPED
    assert list(PROBE.judge(_case(), Done())) == []


def test_it_is_left_out_where_there_is_nothing_to_look_at() -> None:
    assert PROBE.leave_out(_case())
    assert PROBE.leave_out(_case(_row())) == ""
    assert PROBE.leave_out(_case(url="https://events.test/")) == ""
    assert list(PROBE.touches(_case(url="https://events.test/"))) == ["events.test:443"]
    assert list(PROBE.touches(_case())) == []


@pytest.mark.parametrize(
    ("row", "seconds"),
    [
        (_row(), 9.0),
        (_row(queue_ms=4_000.0), 5.0),
        (_row(upstream=HOST, host="127.0.0.1:8399"), 9.0),
        (_row(total_ms=15_000.0), 0.0),
        (_row(bytes=2_000), 0.0),
        (_row(began_ms=400.0, total_ms=401.0), 0.0),
        (_row(host="other.test"), 0.0),
        (_row(cause="network.read_timeout"), 0.0),
        (_row(events=None), 0.0),
    ],
)
async def test_the_log_is_read(row: dict[str, Any], seconds: float) -> None:
    assert await PROBE.measure(_case(row), Done()) == Streamed(held_back_seconds=seconds)


async def test_the_latest_stream_that_can_tell_decides() -> None:
    seen = await PROBE.measure(_case(_row(bytes=10), _row(total_ms=20_000.0), _row()), Done())
    assert seen == Streamed(held_back_seconds=0.0)


async def test_arrivals_are_timed() -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.say(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        for event in EVENTS.split("\n\n")[:-1]:
            await connection.say(f"{event}\n\n".encode())
            await asyncio.sleep(0.1)

    async with provider(script) as wire:
        seen = await PROBE.measure(_case(url=f"http://127.0.0.1:{wire.origin.port}/"), Done())
    assert isinstance(seen, Streamed)
    assert len(seen.arrivals_ms) == 4
    assert seen.answer is not None
    assert seen.answer.text == EVENTS
    assert _check(seen).status is Status.OK
