"""Asks the system's resolver in threads of its own: few, one question once at a time, and nobody waits without end.

``getaddrinfo`` has no deadline and cannot be ended. On the event loop's shared threads one resolver that hangs would
stop every other name; here it costs one of a few daemon threads until the system gives it up.
"""

import asyncio
import contextlib
import errno
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

LOOKUP_SECONDS = 2.0
"""For one caller. A resolver that is well answers in milliseconds, from afar in a few hundred."""

THREADS_MAX = 16
QUEUE_MAX = 256
STALE_SECONDS = 30.0
"""A lookup that has hung for so long is not joined any more: the network may be another one by now."""


class Question(NamedTuple):
    """What is looked up: a host, a port, and an address family (``AF_UNSPEC`` for both)."""

    host: str
    port: int
    family: int


class Found(NamedTuple):
    """One address of a host, as numbers."""

    family: int
    address: str


type LookUp = Callable[[Question], tuple[Found, ...]]
"""Blocks. Raises OSError (``socket.gaierror``)."""


def ask_system(question: Question) -> tuple[Found, ...]:
    """Ask the system, in its own order of addresses (RFC 6724). Raises ``socket.gaierror``."""
    try:
        answer = socket.getaddrinfo(question.host, question.port, type=socket.SOCK_STREAM, family=question.family)
    except UnicodeError:
        raise socket.gaierror(socket.EAI_NONAME, "no host can have this name") from None
    return tuple(dict.fromkeys(Found(int(family), str(address[0])) for family, *_, address in answer))


@dataclass(slots=True, eq=False)
class _Flight:
    """A lookup under way.

    Attributes:
        outcome: What was found, or the error: an exception that nobody fetches would be complained of.
        waiting: How many want to know.
        began_at: On the monotonic clock; None while it waits for a thread.
    """

    question: Question
    outcome: "asyncio.Future[tuple[Found, ...] | OSError]"
    waiting: int = 0
    began_at: float | None = None


class Lookups:
    """The threads, and what they are asked. Belongs to one event loop.

    Args:
        look_up: Called in a thread.
    """

    def __init__(self, look_up: LookUp = ask_system) -> None:
        self._look_up = look_up
        self._flights: dict[Question, _Flight] = {}
        self._running: set[_Flight] = set()
        self._queue: deque[_Flight] = deque()
        self._closed = False

    async def find(self, question: Question) -> tuple[Found, ...]:
        """Give the addresses. Whoever asks what is being asked already joins in, with a deadline of their own.

        Raises:
            TimeoutError: There was no answer within `LOOKUP_SECONDS`, or no thread that is not stuck.
            OSError: What the system said.
        """
        flight = self._flights.get(question)
        if flight is None or self._age(flight) > STALE_SECONDS:
            flight = self._begin(question)
        flight.waiting += 1
        try:
            await asyncio.wait((flight.outcome,), timeout=LOOKUP_SECONDS)
        finally:
            flight.waiting -= 1
            if not flight.waiting and flight.began_at is None:
                self._give_up(flight)
        if not flight.outcome.done():
            message = f"the system's resolver has not answered for {question.host} within {LOOKUP_SECONDS:g} s"
            raise TimeoutError(message)
        outcome = flight.outcome.result()
        if isinstance(outcome, OSError):
            raise type(outcome)(*outcome.args)
        return outcome

    def close(self) -> None:
        """Let go of all callers. Threads that hang hold nothing up: they are daemons and bring nothing back."""
        self._closed = True
        for flight in (*self._running, *self._queue):
            self._settle(flight, OSError(errno.ECANCELED, "the gateway is ending"))
        self._queue.clear()

    def _begin(self, question: Question) -> _Flight:
        if self._closed:
            raise OSError(errno.ECANCELED, "the gateway is ending")
        flight = _Flight(question, asyncio.get_running_loop().create_future())
        if len(self._running) < THREADS_MAX:
            self._start(flight)
        elif len(self._queue) >= QUEUE_MAX or all(self._age(other) >= LOOKUP_SECONDS for other in self._running):
            message = f"the system's resolver hangs: {THREADS_MAX} lookups are without an answer"
            raise TimeoutError(message)
        else:
            self._queue.append(flight)
        if not flight.outcome.done():
            self._flights[question] = flight
        return flight

    def _start(self, flight: _Flight) -> None:
        flight.began_at = time.monotonic()
        self._running.add(flight)
        loop = asyncio.get_running_loop()
        thread = threading.Thread(target=self._work, args=(flight, loop), name="whygate-lookup", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            self._running.discard(flight)
            self._settle(flight, OSError(errno.EAGAIN, "this machine has no thread left to look a name up"))

    def _work(self, flight: _Flight, loop: asyncio.AbstractEventLoop) -> None:
        outcome: tuple[Found, ...] | OSError
        try:
            outcome = self._look_up(flight.question)
        except OSError as error:
            outcome = error
        except Exception as error:  # noqa: BLE001 - a thread's own exception would reach nobody
            outcome = OSError(errno.EIO, f"the lookup failed: {error!r}")
        with contextlib.suppress(RuntimeError):  # the loop has ended, and with it all who wanted to know
            loop.call_soon_threadsafe(self._landed, flight, outcome)

    def _landed(self, flight: _Flight, outcome: Any) -> None:
        self._running.discard(flight)
        self._settle(flight, outcome)
        while self._queue and not self._closed and len(self._running) < THREADS_MAX:
            self._start(self._queue.popleft())

    def _settle(self, flight: _Flight, outcome: Any) -> None:
        if self._flights.get(flight.question) is flight:
            del self._flights[flight.question]
        if not flight.outcome.done():
            flight.outcome.set_result(outcome)

    def _give_up(self, flight: _Flight) -> None:
        if flight in self._queue:
            self._queue.remove(flight)
        if self._flights.get(flight.question) is flight:
            del self._flights[flight.question]

    @staticmethod
    def _age(flight: _Flight) -> float:
        return 0.0 if flight.began_at is None else time.monotonic() - flight.began_at
