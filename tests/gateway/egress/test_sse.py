"""The splitter: bytes in are bytes out, events whole and in order, whatever the sizes of the pieces."""

import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.egress import sse
from gateway.egress.sse import HELD_BYTES, EventSplitter, data_of

_TOKENS = st.sampled_from(
    [b"data: a", b"event: b", b"\n", b"\r\n", b"\r", b"\n\n", b"\r\n\r\n", b"\r\r", b":", b"\xff", b""]
)
_STREAMS = st.lists(_TOKENS, max_size=30).map(b"".join) | st.binary(max_size=80)


def _cut(stream: bytes, at: list[int]) -> list[bytes]:
    points = sorted({point % (len(stream) + 1) for point in at} | {0, len(stream)})
    return [stream[a:b] for a, b in itertools.pairwise(points)]


@given(stream=_STREAMS, at=st.lists(st.integers(0, 200), max_size=20))
@example(stream=b"a\r\n\r\nb\r\n\r\n", at=list(range(11)))
@example(stream=b"a\r\r\nb", at=[2])
def test_for_every_stream_and_every_cut_what_goes_in_comes_out(stream: bytes, at: list[int]) -> None:
    splitter, out = EventSplitter(), b""
    for piece in _cut(stream, at):
        ready, whole = splitter.feed(piece)
        assert ready.endswith((b"\n\n", b"\n\r\n", b"\r\r")) or not ready
        assert whole == ready
        out += ready
    assert out + splitter.rest() == stream
    assert splitter.rest() == b""
    assert not splitter.inside


@given(stream=_STREAMS, at=st.lists(st.integers(0, 200), max_size=20))
def test_events_leave_as_soon_as_their_last_byte_is_there(stream: bytes, at: list[int]) -> None:
    """Cut anywhere, as much has left as if it had come at once."""
    splitter, out, fed = EventSplitter(), b"", b""
    for piece in _cut(stream, at):
        out += splitter.feed(piece)[0]
        fed += piece
        borders = [fed.rfind(border) + len(border) for border in (b"\n\n", b"\n\r\n", b"\r\r") if border in fed]
        assert len(out) >= max(borders, default=0) - 2, "only a further empty line may be held"


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_one_byte_at_a_time_makes_no_difference(end: bytes) -> None:
    events = [b"event: a" + end + b"data: %d" % number + end + end for number in range(5)]
    splitter = EventSplitter()
    left = [ready for byte in b"".join(events) if (ready := splitter.feed(bytes([byte]))[0])]
    assert left == events
    assert splitter.rest() == b""


@given(
    sizes=st.lists(st.sampled_from([1, 20, 63, 64, 65, 150]), max_size=8),
    at=st.lists(st.integers(0, 900), max_size=12),
    end=st.sampled_from([b"\n", b"\r\n", b"\r"]),
)
def test_an_event_too_large_to_hold_goes_out_in_pieces_and_spoils_no_other(
    sizes: list[int], at: list[int], end: bytes
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sse, "HELD_BYTES", 64)
        events = [b"event: %d" % number + end + b"x" * size + end + end for number, size in enumerate(sizes)]
        stream = b"".join(events)
        splitter, out, read = EventSplitter(), b"", b""
        for piece in _cut(stream, at):
            ready, whole = splitter.feed(piece)
            out, read = out + ready, read + whole
            assert splitter._held <= 64
            assert splitter.inside == (len(out) not in _borders(events))
        assert out == stream
        for number, event in enumerate(events):
            assert (event if len(event) <= 64 else event[:9]) in read or number >= 10


def _borders(events: list[bytes]) -> set[int]:
    at, borders = 0, {0}
    for event in events:
        at += len(event)
        borders.add(at)
    return borders


def test_after_a_huge_event_the_next_in_the_same_piece_is_read() -> None:
    """The end mark often comes in one piece with the last of a large event."""
    splitter = EventSplitter()
    start = b"data: " + b"x" * HELD_BYTES
    assert splitter.feed(start) == (start, start)
    assert splitter.inside
    assert splitter.feed(b"x\n") == (b"x\n", b"")
    assert splitter.feed(b"\ndata: [DONE]\n\ndata") == (b"\ndata: [DONE]\n\n", b"data: [DONE]\n\n")
    assert not splitter.inside
    assert splitter.rest() == b"data"


def test_many_small_pieces_are_held_cheaply() -> None:
    splitter = EventSplitter()
    for _ in range(10_000):
        splitter.feed(b"x")
    assert len(splitter._parts) <= 65
    assert splitter.rest() == b"x" * 10_000


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_data_lines_are_given_one_by_one(end: bytes) -> None:
    events = end.join((b"event: a", b"data: 1", b"data:2", b"data:  3", b": data: 4", b"id: data:", b"data:", b"", b""))
    assert data_of(events) == [b"1", b"2", b" 3", b""]
