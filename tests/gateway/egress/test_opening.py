"""What is read of an answer before its head goes out."""

import asyncio
from typing import Any, cast

import pytest

from gateway.egress import opening
from gateway.egress.opening import EXCERPT_BYTES, SMALL_BYTES, first_part, is_events, is_json
from gateway.model.attempt import ReplyHead
from tests.gateway.factories import Answer, ScriptedIncoming
from tests.gateway.limit.timed import TimedLoop, timed


def _incoming(*pieces: bytes | Exception | asyncio.Event, status: int = 200, sized: bool = True) -> ScriptedIncoming:
    return ScriptedIncoming(Answer(status=status, pieces=pieces, sized=sized))


async def _first_part(incoming: ScriptedIncoming) -> tuple[bytes, bool]:
    return await first_part(cast("Any", incoming))  # it cannot be detached


def _head(**headers: str) -> ReplyHead:
    pairs = tuple((name.replace("_", "-").encode(), value.encode()) for name, value in headers.items())
    return ReplyHead(status=200, headers=pairs)


async def test_a_small_good_body_of_stated_length_is_read_whole() -> None:
    assert await _first_part(_incoming(b"abc", b"def")) == (b"abcdef", True)


async def test_an_empty_good_body_is_whole() -> None:
    assert await _first_part(_incoming()) == (b"", True)


@pytest.mark.parametrize(("size", "whole"), [(SMALL_BYTES, True), (SMALL_BYTES + 1, False)])
async def test_a_large_good_body_is_not_touched(size: int, *, whole: bool) -> None:
    incoming = _incoming(b"x" * size)
    body, is_whole = await _first_part(incoming)
    assert (len(body), is_whole) == ((size, True) if whole else (0, False))
    assert (incoming.taken > 0) is whole


async def test_a_good_body_of_unknown_length_is_not_touched() -> None:
    incoming = _incoming(b"data", sized=False)
    assert await _first_part(incoming) == (b"", False)
    assert incoming.taken == 0


@pytest.mark.parametrize("length", [b"", b"-1", b"1e3", b"12, 12"])
async def test_a_length_that_is_no_number_is_none(length: bytes) -> None:
    incoming = ScriptedIncoming(Answer(headers=((b"content-length", length),), pieces=(b"data",), sized=False))
    assert await _first_part(incoming) == (b"", False)


async def test_a_small_good_body_that_breaks_raises_what_broke_it() -> None:
    with pytest.raises(ConnectionResetError):
        await _first_part(_incoming(b"abc", ConnectionResetError()))


@pytest.mark.parametrize("sized", [True, False])
async def test_the_body_of_an_error_is_read_whatever_its_length(*, sized: bool) -> None:
    assert await _first_part(_incoming(b'{"error":', b"1}", status=429, sized=sized)) == (b'{"error":1}', True)


async def test_of_a_large_error_only_so_much_is_read_as_is_looked_at() -> None:
    piece = b"x" * 10_000
    incoming = _incoming(*[piece] * 100, status=500)
    body, whole = await _first_part(incoming)
    assert not whole
    assert EXCERPT_BYTES <= len(body) < EXCERPT_BYTES + len(piece)
    assert incoming.taken * len(piece) == len(body), "nothing was taken and thrown away"


async def test_an_error_that_breaks_raises_what_broke_it() -> None:
    with pytest.raises(ConnectionResetError):
        await _first_part(_incoming(b"abc", ConnectionResetError(), status=503))


def test_an_error_that_goes_on_without_end_is_given_on_after_ten_seconds_with_what_has_come() -> None:
    async def main(loop: TimedLoop) -> None:
        began = loop.now()
        incoming = _incoming(b"first", asyncio.Event(), b"never", status=500, sized=False)
        assert await _first_part(incoming) == (b"first", False)
        assert loop.now() - began == pytest.approx(opening.ERROR_BODY_SECONDS, abs=0.01)

    timed(main)


def test_an_app_that_leaves_while_an_error_is_read_is_not_taken_for_a_slow_provider() -> None:
    async def main(loop: TimedLoop) -> None:
        incoming = _incoming(b"first", asyncio.Event(), status=500, sized=False)
        reading = asyncio.ensure_future(_first_part(incoming))
        await asyncio.sleep(1)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading

    timed(main)


@pytest.mark.parametrize(
    ("kind", "json"),
    [(None, True), ("application/json", True), ("Application/JSON; charset=utf-8", True), ("application/problem+json", True),
     ("text/html", False), ("text/event-stream", False)],
)  # fmt: skip
def test_a_body_may_be_json_when_its_type_says_so_or_nothing(kind: str | None, *, json: bool) -> None:
    assert is_json(_head() if kind is None else _head(content_type=kind)) is json


@pytest.mark.parametrize(
    ("headers", "events"),
    [
        ({"content_type": "text/event-stream"}, True),
        ({"content_type": "Text/Event-Stream; charset=utf-8"}, True),
        ({"content_type": "text/event-stream", "content_encoding": "identity"}, True),
        ({"content_type": "text/event-stream", "content_encoding": "gzip"}, False),
        ({"content_type": "application/json"}, False),
        ({}, False),
    ],
)
def test_a_stream_of_events_is_one_that_can_be_read_as_it_is(headers: dict[str, str], *, events: bool) -> None:
    assert is_events(_head(**headers)) is events
