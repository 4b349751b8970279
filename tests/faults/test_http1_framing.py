"""F21 to F23: answers that break HTTP/1.1, and heads without measure. They are refused, and hold nothing up."""

from collections.abc import Callable, Iterator

import psutil
import pytest

from tests.faults.clients import ClientRow
from tests.faults.field import Case, Field, open_field
from tests.faults.inject.answer import answer
from tests.faults.inject.drip import drip
from tests.faults.inject.endless import LIMIT_BYTES, endless
from tests.faults.inject.parts import parts
from tests.faults.inject.raw import raw
from tests.faults.ledgers import Flow
from tests.faults.never_sent import AT_ONCE_SECONDS, SLACK_SECONDS
from tests.faults.upstream import Fault

BODY = b'{"id":"x"}'
LENGTH = b"content-length: 10"
CHUNKED = b"transfer-encoding: chunked"
WHOLE = b"a\r\n" + BODY + b"\r\n"
LAST = b"0\r\n\r\n"
GROWTH_BYTES = 8_388_608
"""So much more memory a gateway may hold after such an answer; it is asked for in pieces of up to a megabyte."""


def head(*fields: bytes, first: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return b"\r\n".join((first, b"content-type: application/json", *fields, b"", b""))


def numbered(count: int, value: bytes) -> list[bytes]:
    return [b"x-%d: %b" % (number, value) for number in range(count)]


def memory_bytes(case: Case) -> int:
    return int(psutil.Process(case.field.gateway.process.pid).memory_info().rss)


def refused_as_broken(case: Case, call: ClientRow) -> Flow:
    """See that nobody tried again and the connection is gone; give the flow."""
    flow = case.flow(call)
    assert flow["cause"] == "service.protocol_error"
    assert [attempt["failure"]["code"] for attempt in flow["attempts"]] == ["protocol_error"]
    assert not flow["possible_duplicate"]
    assert call.seconds < AT_ONCE_SECONDS
    (row,) = case.received(call)
    case.field.gateway.until(lambda: row.ended != "running")
    return flow


async def refused_at_once(case: Case, fault: Fault) -> None:
    """See that the app gets a clear 502, and the next call a connection of its own."""
    call = await case.sdk(case.plan(fault))
    assert (call.outcome, call.status, call.cause) == ("error", 502, "service.protocol_error")
    assert refused_as_broken(case, call)["status"] == 502
    then = await case.raw(case.plan(answer()))
    assert then.outcome == "answer"
    assert case.received(then)[0].connection != case.received(call)[0].connection


# F21


@pytest.mark.parametrize(
    "answered",
    [
        head(LENGTH, b"content-length: 11") + BODY + b"x",
        head(LENGTH, CHUNKED) + WHOLE + LAST,
        head(CHUNKED, LENGTH) + WHOLE + LAST,
        head(b"content-length: -10") + BODY,
        head(b"content-length: 1e1") + BODY,
        head(CHUNKED) + b"zz\r\n" + BODY + b"\r\n" + LAST,
        head(CHUNKED) + b"-a\r\n" + BODY + b"\r\n" + LAST,
        head(CHUNKED) + b"f" * 17 + b"\r\n" + BODY + b"\r\n" + LAST,
    ],
    ids=["two lengths", "length and chunks", "chunks and length", "a length below 0", "an odd length",
         "no size", "a size below 0", "a size over 64 bits"],
)  # fmt: skip
async def test_an_answer_whose_end_is_in_doubt_is_refused_as_a_whole(case: Case, answered: bytes) -> None:
    await refused_at_once(case, raw(answered, then_close=False))


@pytest.mark.parametrize(
    "rest",
    [b"zz\r\n", b"-a\r\n", b"f" * 17 + b"\r\n", b"a\r\n" + BODY + b"more\r\n", b"0\r\nno trailer\r\n\r\n"],
    ids=["no size", "a size below 0", "a size over 64 bits", "a chunk over its size", "a bad trailer"],
)
async def test_a_chunk_that_breaks_http_halfway_cuts_the_app_at_once(case: Case, rest: bytes) -> None:
    """Its connection stays open, so that nothing but the fault itself can end it."""
    call = await case.sdk(case.plan(parts(head(CHUNKED), WHOLE, rest, status=200)))
    assert (call.outcome, "APIConnectionError" in call.exception) == ("exception", True)
    assert refused_as_broken(case, call)["status"] == 200


@pytest.mark.parametrize("rest", [b"zz\r\n", b"-a\r\n"], ids=["no size", "a size below 0"])
async def test_a_chunk_that_breaks_http_in_a_stream_raises_with_the_verdict(case: Case, rest: bytes) -> None:
    event = b'data: {"choices":[{"index":0,"delta":{"content":"words"}}]}\n\n'
    first = head(CHUNKED).replace(b"application/json", b"text/event-stream") + b"%x\r\n%b\r\n" % (len(event), event)
    call = await case.sdk(case.plan(parts(first, rest, status=200)), stream=True)
    assert (call.exception[0], call.cause, call.text) == ("APIError", "service.protocol_error", "words")
    assert refused_as_broken(case, call)["status"] == 200


@pytest.mark.xfail(strict=True, reason="aiohttp's parser takes a bare LF for the end of a chunk's extension")
async def test_a_line_feed_in_a_chunks_extension_is_refused(case: Case) -> None:
    answered = head(CHUNKED) + b"a;x=y\n" + BODY + b"\r\n" + LAST
    call = await case.raw(case.plan(raw(answered, status=200, then_close=False)))
    assert call.cause == "service.protocol_error"


async def test_trailers_without_end_are_cut_and_kept_nowhere(case: Case) -> None:
    before = memory_bytes(case)
    trailer = b"x-trailer: " + b"y" * 1_000 + b"\r\n"
    call = await case.sdk(case.plan(endless(head(CHUNKED) + WHOLE + b"0\r\n", trailer, status=200)))
    assert call.outcome in {"exception", "error"}
    assert refused_as_broken(case, call)["status"] in {200, 502}
    assert case.received(call)[0].sent_bytes < LIMIT_BYTES / 2
    assert memory_bytes(case) - before < GROWTH_BYTES


# F22


@pytest.mark.parametrize(
    "answered",
    [
        b"\x00\x01\x02 nothing\r\n\r\n",
        head(LENGTH, first=b"HTTP/1.1 2x0 OK") + BODY,
        head(LENGTH, first=b"HTTP/0.9 200 OK") + BODY,
        BODY,
        b"<html><body>old</body></html>",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n\x81\x00",
        head(first=b"HTTP/1.1 204 No Content") + BODY,
        head(LENGTH, first=b"HTTP/1.1 204 No Content") + BODY,
    ],
    ids=["junk", "no status", "HTTP/0.9 by name", "HTTP/0.9, JSON", "HTTP/0.9, HTML", "101 unasked",
         "204 with a body", "204 with a body and its length"],
)  # fmt: skip
async def test_what_is_no_answer_to_this_request_is_refused(case: Case, answered: bytes) -> None:
    await refused_at_once(case, raw(answered, then_close=False))


async def test_a_body_behind_a_204_that_comes_later_reaches_nobody(case: Case) -> None:
    call = await case.raw(case.plan(parts(head(first=b"HTTP/1.1 204 No Content"), BODY, status=204)))
    assert (call.status, call.text) == (204, "")
    row = case.received(call)[0]
    case.field.gateway.until(lambda: row.ended == "left")
    then = await case.raw(case.plan(answer()))
    assert then.outcome == "answer"
    assert BODY.decode() not in then.text


async def test_a_few_interim_answers_are_read_over(case: Case) -> None:
    hint = b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"
    call = await case.raw(case.plan(raw(hint * 9 + head(LENGTH) + BODY, status=200)))
    assert (call.outcome, call.text) == ("answer", BODY.decode())


@pytest.mark.parametrize("at_once", [True, False])
async def test_ten_thousand_interim_answers_are_stopped_early(case: Case, *, at_once: bool) -> None:
    interim, before = b"HTTP/1.1 102 Processing\r\n\r\n", memory_bytes(case)
    call = await case.sdk(case.plan(raw(interim * 10_000) if at_once else endless(b"", interim)))
    assert (call.outcome, call.status, call.cause) == ("error", 502, "service.protocol_error")
    assert refused_as_broken(case, call)["status"] == 502
    assert case.received(call)[0].sent_bytes < LIMIT_BYTES / 2
    assert memory_bytes(case) - before < GROWTH_BYTES


# F23


@pytest.mark.parametrize(
    "answered",
    [
        head(b"x-long: " + b"y" * 200_000, LENGTH) + BODY,
        head(*numbered(10_000, b"y"), LENGTH) + BODY,
        head(*numbered(99, b"y"), LENGTH) + BODY,
        head(*numbered(20, b"y" * 60_000), LENGTH) + BODY,
    ],
    ids=["a line of 200 kB", "10,000 fields", "101 fields", "20 lines of 60 kB"],
)
async def test_a_head_over_64_kib_or_100_fields_is_refused(case: Case, answered: bytes) -> None:
    before = memory_bytes(case)
    await refused_at_once(case, raw(answered))
    assert memory_bytes(case) - before < GROWTH_BYTES


async def test_a_head_just_below_the_bounds_is_given_on(case: Case) -> None:
    call = await case.raw(case.plan(raw(head(*numbered(97, b"y" * 600), LENGTH) + BODY, status=200)))
    assert (call.outcome, call.text) == ("answer", BODY.decode())
    assert call.answers[0].headers["x-96"] == "y" * 600


@pytest.mark.parametrize(
    "start",
    [b"HTTP/1.1 200 ", b"HTTP/1.1 200 OK\r\nx-long: ", b"HTTP/1.1 200 OK\r\nx-"],
    ids=["reason", "value", "name"],
)
async def test_a_line_of_a_head_without_end_is_stopped_early(case: Case, start: bytes) -> None:
    before = memory_bytes(case)
    call = await case.sdk(case.plan(endless(start, b"y" * 16_384)))
    assert (call.outcome, call.status, call.cause) == ("error", 502, "service.protocol_error")
    refused_as_broken(case, call)
    assert case.received(call)[0].sent_bytes < LIMIT_BYTES / 2
    assert memory_bytes(case) - before < GROWTH_BYTES


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Field]:
    """A field whose gateway bears less silence: 30 s in a full run, else one."""
    seconds = 30 if request.config.getoption("full", default=False) else 1
    with open_field(tmp_path_factory.mktemp("impatient"), f"[network]\nidle_seconds = {seconds}\n") as made:
        yield made


@pytest.fixture
def hurried(impatient: Field, full: bool) -> Iterator[Case]:
    made = Case(impatient, full=full)
    yield made
    made.finish()


DRIPPING: dict[str, Callable[[float], Fault]] = {
    "field": lambda gap: drip(b"HTTP/1.1 200 OK\r\nx-long: ", gap),
    "after an interim one": lambda gap: drip(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nx-long: ", gap),
}


@pytest.mark.parametrize("what", DRIPPING)
async def test_a_head_that_comes_byte_by_byte_is_given_the_time_of_a_silence(hurried: Case, what: str) -> None:
    seconds = 30 if hurried.full else 1
    call = await hurried.raw(hurried.plan(DRIPPING[what](1.0 if hurried.full else 0.05)), path="/v1/files")
    flow = hurried.flow(call)
    assert (call.outcome, call.status, call.cause) == ("error", 504, "network.read_timeout")
    assert [attempt["failure"]["code"] for attempt in flow["attempts"]] == ["read_timeout"]
    assert f"not whole within {seconds} s" in str(flow["attempts"][0]["failure"]["detail"])
    assert seconds - 0.1 < call.seconds < seconds + SLACK_SECONDS
    (row,) = hurried.received(call)
    hurried.field.gateway.until(lambda: row.ended == "left")
