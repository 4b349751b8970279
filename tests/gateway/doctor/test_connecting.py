"""Many connections at once: what is counted, what is given up, and that nothing is left open."""

import asyncio
import contextlib
import errno
import socket
import sys
import threading
import time
from collections.abc import Iterator

import psutil
import pytest

from gateway.doctor.connecting import Line, connect_all, hops, in_thread


@contextlib.contextmanager
def listener(backlog: int = 64) -> Iterator[tuple[str, int]]:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        made.listen(backlog)
        yield made.getsockname()


@contextlib.contextmanager
def silence() -> Iterator[tuple[str, int]]:
    """A queue that is full: the kernel drops every further SYN."""
    with listener(0) as place, contextlib.ExitStack() as stack:
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(place)
        yield place


def line(place: tuple[str, int], tries: int = 10, about: str = "target") -> Line:
    return Line(address=place[0], port=place[1], about=about, place=place, tries=tries)


def test_every_connection_that_comes_about_is_timed() -> None:
    with listener() as place:
        one = line(place)
        connect_all([one], 1.0, 2.0)
    assert len(one.connect_ms) == 10
    assert not one.errors
    assert all(0 <= ms < 1000 for ms in one.connect_ms)


def test_a_refusal_is_known_at_once_and_not_asked_for_again() -> None:
    with listener() as place:
        pass
    one = line(place)
    began = time.monotonic()
    connect_all([one], 1.0, 2.0)
    assert time.monotonic() - began < 0.9
    assert {error.errno for error in one.errors} == {errno.ECONNREFUSED}
    assert 1 <= len(one.errors) <= 10
    assert one.dead


@pytest.mark.skipif(sys.platform != "linux", reason="a full queue drops SYNs on Linux alone")
def test_silence_costs_one_round_however_many_tries_were_asked_for() -> None:
    with silence() as place, listener() as good:
        dead, alive = line(place), line(good)
        began = time.monotonic()
        connect_all([dead, alive], 0.4, 2.0)
        took = time.monotonic() - began
    assert took < 0.9
    assert len(dead.errors) == 3
    assert all(isinstance(error, TimeoutError) for error in dead.errors)
    assert len(alive.connect_ms) == 10


@pytest.mark.skipif(sys.platform != "linux", reason="a full queue drops SYNs on Linux alone")
def test_the_whole_ends_in_its_time_and_leaves_nothing_open() -> None:
    before = psutil.Process().num_fds()
    with silence() as place:
        one = line(place)
        began = time.monotonic()
        connect_all([one], 30.0, 0.2)
        assert time.monotonic() - began < 1.0
    assert one.dead
    assert psutil.Process().num_fds() == before


def test_an_address_family_that_is_not_there_is_a_failure_like_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> socket.socket:
        raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")

    monkeypatch.setattr(socket, "socket", none)
    one = line(("::1", 443))
    connect_all([one], 0.2, 0.5)
    assert one.dead
    assert {error.errno for error in one.errors} == {errno.EAFNOSUPPORT}


async def test_what_blocks_runs_beside_the_loop_and_raises_where_it_is_waited_for() -> None:
    assert await in_thread(lambda: threading.current_thread().daemon)

    def broken() -> None:
        raise ValueError("bad")

    with pytest.raises(ValueError, match="bad"):
        await in_thread(broken)


async def test_what_hangs_is_given_up_by_whoever_waits() -> None:
    let_go = threading.Event()
    try:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await in_thread(lambda: let_go.wait(10))
    finally:
        let_go.set()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells")
def test_the_address_itself_may_be_the_first_to_answer() -> None:
    found, why = hops("127.0.0.1", 0.5)
    assert (found, why) in {(("127.0.0.1",), ""), ((), "no router on the way says anything")}


def test_other_systems_show_no_routers_and_say_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    assert hops("127.0.0.1", 0.5) == ((), "this system shows routers only to an administrator")
