"""One answer on its way to several readers: each gets all of it, in order, and none can hold up the others for ever."""

import asyncio
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.cache import single_flight
from gateway.cache.single_flight import KEEP_BYTES, WINDOW_BYTES, Flight, TooSlowError


@dataclass
class App:
    """Somebody who reads, once it may."""

    reading: asyncio.Event = field(default_factory=asyncio.Event)
    pieces: list[bytes] = field(default_factory=list)
    ended: bool = False
    cut: bool = False

    async def write(self, data: bytes) -> None:
        await self.reading.wait()
        self.pieces.append(data)

    async def end(self, data: bytes = b"") -> None:
        await self.write(data)
        self.ended = True

    def abort(self) -> None:
        self.cut = True

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)


def an_app(*, reading: bool = True) -> App:
    app = App()
    if reading:
        app.reading.set()
    return app


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_who_joins_late_gets_all_of_it_and_who_joins_early_gets_it_as_it_comes() -> None:
    flight, early, late = Flight(), an_app(), an_app()
    first = asyncio.ensure_future(flight.sit().pump(early))
    await flight.start(200, [(b"a", b"b")])
    await flight.write(b"one ")
    await settled()
    assert early.body == b"one "
    second = asyncio.ensure_future(flight.sit().pump(late))
    await flight.write(b"two ")
    await flight.end(b"three")
    await asyncio.gather(first, second)
    assert early.body == late.body == b"one two three"
    assert early.ended
    assert late.ended


async def test_the_head_is_waited_for() -> None:
    flight = Flight()
    waiting = asyncio.ensure_future(flight.sit().head())
    await settled()
    assert not waiting.done()
    await flight.start(201, [(b"x", b"y")])
    assert await waiting == (201, [(b"x", b"y")])


async def test_a_flight_that_ends_without_a_head_has_none() -> None:
    flight = Flight()
    waiting = asyncio.ensure_future(flight.sit().head())
    await settled()
    flight.close()
    assert await waiting is None


async def test_a_cut_answer_is_cut_for_everybody_behind_what_came() -> None:
    flight, app = Flight(), an_app()
    pumping = asyncio.ensure_future(flight.sit().pump(app))
    await flight.start(200, [])
    await flight.write(b"half")
    flight.abort()
    await pumping
    assert (app.body, app.ended, app.cut) == (b"half", False, True)


async def test_the_answer_does_not_run_ahead_of_its_only_reader() -> None:
    flight, app = Flight(), an_app(reading=False)
    pumping = asyncio.ensure_future(flight.sit().pump(app))
    writing = asyncio.ensure_future(_write(flight, WINDOW_BYTES * 4, 4096))
    await settled()
    assert not writing.done()
    assert flight.size <= WINDOW_BYTES * 2 + 4096  # one window ahead, one in the hands of the reader
    app.reading.set()
    await writing
    await flight.end()
    await pumping
    assert len(app.body) == WINDOW_BYTES * 4


async def test_a_reader_that_does_not_read_holds_nobody_up_while_what_it_misses_is_kept() -> None:
    flight, quick, stuck = Flight(), an_app(), an_app(reading=False)
    tasks = [asyncio.ensure_future(flight.sit().pump(app)) for app in (quick, stuck)]
    await _write(flight, KEEP_BYTES // 2, 16_384)
    await flight.end()
    await tasks[0]
    assert len(quick.body) == KEEP_BYTES // 2
    stuck.reading.set()
    await tasks[1]
    assert stuck.body == quick.body


async def test_a_reader_that_never_reads_is_cut_off_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(single_flight, "PATIENCE_SECONDS", 0.05)
    flight, quick, stuck = Flight(), an_app(), an_app(reading=False)
    pumping = asyncio.ensure_future(flight.sit().pump(quick))
    hanging = asyncio.ensure_future(flight.sit().pump(stuck))
    await _write(flight, KEEP_BYTES * 2, 65_536)
    await flight.end()
    await pumping
    assert len(quick.body) == KEEP_BYTES * 2
    stuck.reading.set()
    with pytest.raises(TooSlowError):
        await hanging
    assert not stuck.ended


async def test_past_what_is_kept_nobody_can_join_and_memory_stays_bounded() -> None:
    flight, app = Flight(), an_app()
    pumping = asyncio.ensure_future(flight.sit().pump(app))
    assert flight.joinable
    await _write(flight, KEEP_BYTES + WINDOW_BYTES * 8, 16_384)
    assert not flight.joinable
    assert sum(map(len, flight._parts)) <= WINDOW_BYTES * 2
    await flight.end()
    await pumping
    assert len(app.body) == KEEP_BYTES + WINDOW_BYTES * 8


async def test_a_flight_that_nobody_waits_for_can_only_be_joined_when_it_is_whole() -> None:
    flight = Flight()
    seat = flight.sit()
    await flight.start(200, [])
    flight.leave(seat)
    assert not flight.joinable
    await flight.end(b"x")
    assert flight.joinable


async def test_a_cut_flight_cannot_be_joined() -> None:
    flight = Flight()
    flight.sit()
    flight.abort()
    assert not flight.joinable


async def test_who_leaves_holds_nobody_up() -> None:
    flight, app = Flight(), an_app(reading=False)
    seat = flight.sit()
    pumping = asyncio.ensure_future(seat.pump(app))
    writing = asyncio.ensure_future(_write(flight, WINDOW_BYTES * 4, 4096))
    await settled()
    pumping.cancel()
    flight.leave(seat)
    await asyncio.wait_for(writing, 5)


@settings(max_examples=50, deadline=None)
@given(
    pieces=st.lists(st.binary(max_size=200), max_size=30),
    joins=st.lists(st.integers(0, 30), min_size=1, max_size=5),
    ends=st.booleans(),
)
async def test_whenever_somebody_joins_the_bytes_are_the_same(
    pieces: list[bytes], joins: list[int], *, ends: bool
) -> None:
    flight, apps, tasks = Flight(), [an_app() for _ in joins], []
    keeper = flight.sit()
    await flight.start(200, [])
    for number, piece in enumerate([*pieces, b""]):
        tasks += [
            asyncio.ensure_future(flight.sit().pump(app)) for app, at in zip(apps, joins, strict=True) if at == number
        ]
        if piece:
            flight.take(keeper)
            await flight.write(piece)
    late = [app for app, at in zip(apps, joins, strict=True) if at > len(pieces)]
    tasks += [asyncio.ensure_future(flight.sit().pump(app)) for app in late]
    if ends:
        await flight.end()
    else:
        flight.abort()
    await asyncio.wait_for(asyncio.gather(*tasks), 5)
    assert {app.body for app in apps} == {b"".join(pieces)}
    assert {(app.ended, app.cut) for app in apps} == {(ends, not ends)}


async def _write(flight: Flight, size: int, step: int) -> None:
    await flight.start(200, [])
    for _ in range(size // step):
        await flight.write(b"x" * step)
