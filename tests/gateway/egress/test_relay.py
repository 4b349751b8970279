"""Giving an answer on as it comes, and seeing how it ends."""

import asyncio
import itertools

import aiohttp
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.egress import sse
from gateway.egress.relay import Relayed, read_usage, relay_bytes, relay_events
from gateway.egress.send import RaggedEndError
from gateway.model.failure import NetCode, NetFailure
from gateway.model.provider import Provider, StreamShape, Usage
from gateway.providers.anthropic import MESSAGES_STREAM
from gateway.providers.anthropic import PROVIDER as ANTHROPIC
from gateway.providers.openai import CHAT_STREAM, RESPONSES_STREAM
from gateway.providers.openai import PROVIDER as OPENAI
from tests.gateway.factories import ScriptedIncoming, stream_answer

RESET = ConnectionResetError(104, "Connection reset by peer")
CUT = aiohttp.ClientPayloadError("Response payload is not completed")
CHAT = b'data: {"choices":[{"delta":{"content":"Hi"},"finish_reason":null}]}\n\n'
FINISH = b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n'
USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":8,"completion_tokens":2}}\n\n'
DONE = b"data: [DONE]\n\n"
DELTA = b'event: response.output_text.delta\ndata: {"sequence_number":0}\n\n'
COMPLETED = b'event: response.completed\ndata: {"response":{"usage":{"input_tokens":8,"output_tokens":2}}}\n\n'
STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
PING = b"event: ping\ndata: {}\n\n"

SHAPES = {
    "chat": (CHAT_STREAM, OPENAI, CHAT, DONE),
    "responses": (RESPONSES_STREAM, OPENAI, DELTA, COMPLETED),
    "messages": (MESSAGES_STREAM, ANTHROPIC, PING, STOP),
}


class Sink:
    """The app's side, kept."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.ended = self.aborted = False
        self._more = asyncio.Event()

    async def has(self, pieces: int) -> None:
        """Wait until so many pieces went out."""
        while len(self.pieces) < pieces:
            self._more.clear()
            await asyncio.wait_for(self._more.wait(), 5)

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)

    async def write(self, data: bytes) -> None:
        assert not self.ended
        assert not self.aborted
        self.pieces.append(data)
        self._more.set()

    async def end(self, data: bytes = b"") -> None:
        await self.write(data)
        self.ended = True

    def abort(self) -> None:
        assert not self.ended
        self.aborted = True


def _incoming(*pieces: bytes | Exception | asyncio.Event) -> ScriptedIncoming:
    return ScriptedIncoming(stream_answer(*pieces))


async def _relay(
    *pieces: bytes | Exception | asyncio.Event,
    shape: StreamShape = CHAT_STREAM,
    provider: Provider = OPENAI,
    keep: int = 1_000_000,
) -> tuple[Sink, Relayed, list[NetFailure]]:
    sink, explained = Sink(), list[NetFailure]()

    def explain(failure: NetFailure) -> tuple[str, str]:
        explained.append(failure)
        return "the.cause", "the words"

    relayed = await relay_events(_incoming(*pieces), sink, shape, provider, explain, now=lambda: 7.0, keep_bytes=keep)
    assert sink.ended != sink.aborted, "every answer ends in one way"
    return sink, relayed, explained


# bodies


async def test_a_body_is_given_on_and_kept_as_far_as_wanted() -> None:
    sink = Sink()
    relayed = await relay_bytes(_incoming(b"ab", b"c"), sink, 3)
    assert (sink.pieces, sink.ended) == ([b"ab", b"c", b""], True)
    assert relayed == Relayed(body=b"abc", size_bytes=3)
    assert await relay_bytes(_incoming(b"ab", b"cd", b"e"), Sink(), 3) == Relayed(body=None, size_bytes=5)


async def test_a_body_that_breaks_is_cut_and_not_kept() -> None:
    sink = Sink()
    relayed = await relay_bytes(_incoming(b"ab", RESET), sink, 10)
    assert (sink.body, sink.aborted) == (b"ab", True)
    assert relayed.body is None
    assert relayed.failure is not None
    assert relayed.failure.code is NetCode.CONNECTION_RESET


# streams that are well


@pytest.mark.parametrize("name", SHAPES)
async def test_a_whole_stream_goes_through_unchanged(name: str) -> None:
    shape, provider, event, end = SHAPES[name]
    stream = event * 3 + end
    sink, relayed, _ = await _relay(stream[:7], stream[7:50], stream[50:], shape=shape, provider=provider)
    assert sink.body == relayed.body == stream
    assert sink.ended
    assert (relayed.failure, relayed.truncated, relayed.stream_error) == (None, False, b"")


@given(at=st.lists(st.integers(0, 400), max_size=12), name=st.sampled_from(list(SHAPES)))
def test_no_cut_changes_a_byte_or_the_verdict(at: list[int], name: str) -> None:
    shape, provider, event, end = SHAPES[name]
    stream = event * 2 + end
    points = sorted({point % len(stream) for point in at} | {0, len(stream)})
    pieces = [stream[a:b] for a, b in itertools.pairwise(points)]
    sink, relayed, _ = asyncio.run(_relay(*pieces, shape=shape, provider=provider))
    assert sink.body == stream
    assert sink.ended
    assert not relayed.truncated


async def test_events_go_out_whole() -> None:
    sink, _, _ = await _relay(CHAT[:10], CHAT[10:] + CHAT + CHAT[:5], CHAT[5:] + DONE)
    assert sink.pieces == [CHAT + CHAT, CHAT + DONE, b""]


async def test_a_finish_reason_is_an_end_where_the_mark_is_missing() -> None:
    sink, relayed, _ = await _relay(CHAT, FINISH)
    assert sink.ended
    assert not relayed.truncated


async def test_a_last_event_without_its_empty_line_counts() -> None:
    sink, relayed, _ = await _relay(CHAT, b"data: [DONE]\n")
    assert sink.body == CHAT + b"data: [DONE]\n"
    assert sink.ended
    assert not relayed.truncated


async def test_what_follows_the_end_goes_on_as_well() -> None:
    sink, _, _ = await _relay(CHAT + DONE, b": bye")
    assert sink.body == CHAT + DONE + b": bye"


async def test_usage_is_read_on_the_way_from_all_events_that_tell_it() -> None:
    assert (await _relay(CHAT, USAGE, DONE))[1].usage == Usage(8, 2)
    assert (await _relay(DELTA, COMPLETED, shape=RESPONSES_STREAM))[1].usage == Usage(8, 2)
    start = b'event: message_start\ndata: {"message":{"usage":{"input_tokens":25,"output_tokens":1}}}\n\n'
    late = b'event: message_delta\ndata: {"usage": {"output_tokens":15}}\n\n'
    _, relayed, _ = await _relay(start, late, STOP, shape=MESSAGES_STREAM, provider=ANTHROPIC)
    assert relayed.usage == Usage(25, 15)


async def test_a_stream_larger_than_wanted_is_not_kept() -> None:
    sink, relayed, _ = await _relay(CHAT * 10, DONE, keep=100)
    assert relayed.body is None
    assert relayed.size_bytes == len(sink.body)


async def test_an_end_mark_larger_than_what_is_held_is_still_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A completed response repeats the whole answer: pictures in it are megabytes."""
    monkeypatch.setattr(sse, "HELD_BYTES", 1_000)
    huge = b'event: response.completed\ndata: {"x":"' + b"x" * 5_000 + b'"}\n\n'
    pieces = [huge[at : at + 700] for at in range(0, len(huge), 700)]
    sink, relayed, _ = await _relay(DELTA, *pieces, shape=RESPONSES_STREAM)
    assert sink.body == DELTA + huge
    assert sink.ended
    assert not relayed.truncated


# streams that break


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("error", [RESET, CUT], ids=["reset", "cut"])
async def test_a_broken_stream_ends_with_one_error_event_and_a_cut(name: str, error: Exception) -> None:
    shape, provider, event, _ = SHAPES[name]
    sink, relayed, explained = await _relay(event, event + event[:9], error, shape=shape, provider=provider)
    assert sink.aborted
    assert sink.pieces == [event, event, shape.error_event("the.cause", "the words", 2)]
    assert relayed.failure == explained[0]
    assert relayed.body is None


@pytest.mark.parametrize("name", SHAPES)
async def test_a_clean_end_without_a_mark_is_broken_too(name: str) -> None:
    shape, provider, event, _ = SHAPES[name]
    sink, relayed, explained = await _relay(event, shape=shape, provider=provider)
    assert sink.aborted
    assert sink.body == event + shape.error_event("the.cause", "the words", 1)
    assert relayed.truncated
    assert relayed.failure is None
    assert [failure.code for failure in explained] == [NetCode.STREAM_TRUNCATED]


async def test_an_empty_stream_is_broken() -> None:
    sink, relayed, _ = await _relay()
    assert sink.aborted
    assert relayed.truncated


async def test_a_server_that_never_ends_tls_in_order_is_believed_behind_the_end_mark_and_not_before() -> None:
    ragged = RaggedEndError("the connection was closed without the end that TLS demands")
    sink, relayed, explained = await _relay(CHAT + DONE, ragged)
    assert (sink.body, sink.ended, relayed.failure, explained) == (CHAT + DONE, True, None, [])
    sink, relayed, explained = await _relay(CHAT, ragged)
    assert sink.aborted
    assert [failure.code for failure in explained] == [NetCode.TRUNCATED]


async def test_after_the_end_mark_a_break_needs_no_words() -> None:
    """The app has all it wanted; only the end of the connection is not proper."""
    sink, relayed, explained = await _relay(CHAT + DONE, RESET)
    assert sink.body == CHAT + DONE
    assert sink.aborted
    assert relayed.failure is not None
    assert explained == []


@pytest.mark.parametrize("end", [(), (RESET,)], ids=["clean", "reset"])
async def test_inside_an_event_that_is_half_out_only_a_cut_is_left(
    end: tuple[Exception, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "HELD_BYTES", 100)
    half = b'event: response.completed\ndata: {"x":"' + b"x" * 500
    sink, relayed, explained = await _relay(DELTA, half, *end, shape=RESPONSES_STREAM)
    assert sink.body == DELTA + half
    assert sink.aborted
    assert explained == []
    assert relayed.truncated == (not end)


@pytest.mark.parametrize(
    ("name", "event"),
    [
        ("chat", b'data: {"error":{"message":"The server had an error","type":"server_error"}}\n\n'),
        ("responses", b'event: response.failed\ndata: {"response":{"error":{"code":"server_error"}}}\n\n'),
        ("messages", b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error"}}\n\n'),
    ],
)
async def test_an_error_of_the_providers_own_goes_through_and_is_no_break(name: str, event: bytes) -> None:
    shape, provider, before, _ = SHAPES[name]
    sink, relayed, explained = await _relay(before, event, shape=shape, provider=provider)
    assert sink.body == before + event
    assert sink.ended
    assert relayed.stream_error == event
    assert explained == []


@given(
    stream=st.lists(
        st.sampled_from([CHAT, FINISH, DONE, b"data: x", b"\n", b"\r\n\r\n", b'data: {"error":1}\n\n']), max_size=8
    ),
    broken=st.booleans(),
)
def test_whatever_comes_ends_once_and_nothing_is_invented_before_the_end(stream: list[bytes], broken: bool) -> None:
    sink, relayed, explained = asyncio.run(_relay(*stream, *([RESET] if broken else [])))
    whole = b"".join(stream)
    ours = CHAT_STREAM.error_event("the.cause", "the words", 0) if explained else b""
    assert whole.startswith(sink.body.removesuffix(ours))
    assert len(explained) <= 1
    if sink.ended:
        assert sink.body == whole
        assert not broken
    assert (relayed.failure is not None) == broken


# usage


@pytest.mark.parametrize("body", [b"", b"[1]", b"{", b'{"usage":1}', b"\x1f\x8b", b" {}"])
def test_a_body_without_usage_tells_none(body: bytes) -> None:
    assert read_usage(OPENAI, body) is None


def test_usage_of_a_huge_body_is_not_looked_for() -> None:
    body = orjson.dumps({"usage": {"prompt_tokens": 1}, "x": "x" * 1_100_000})
    assert read_usage(OPENAI, body) is None


# an app that hangs up


@pytest.mark.parametrize("shape", SHAPES)
async def test_an_app_that_hangs_up_behind_the_end_mark_has_its_answer(shape: str) -> None:
    protocol, provider, event, end = SHAPES[shape]
    never, sink = asyncio.Event(), Sink()
    incoming = _incoming(event, end, never)
    task = asyncio.ensure_future(
        relay_events(incoming, sink, protocol, provider, lambda _: ("", ""), now=lambda: 7.0, keep_bytes=1_000_000)
    )
    await sink.has(2)
    task.cancel()
    relayed = await task
    assert (relayed.failure, relayed.truncated, relayed.body) == (None, False, None)


@pytest.mark.parametrize("shape", SHAPES)
async def test_an_app_that_hangs_up_before_the_end_mark_cancels(shape: str) -> None:
    protocol, provider, event, _ = SHAPES[shape]
    never, sink = asyncio.Event(), Sink()
    task = asyncio.ensure_future(
        relay_events(
            _incoming(event, never), sink, protocol, provider, lambda _: ("", ""), now=lambda: 7.0, keep_bytes=1_000_000
        )
    )
    await sink.has(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
