"""Equal calls that are under way at the same time make one request: what comes is given to each as it comes.

A flight is an answer on its way. Whoever writes it does not know who reads it, and is held back when even the fastest
reader has not kept up; a reader that is far behind the others is waited for, though not for ever.
"""

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Protocol

WINDOW_BYTES = 65_536
"""How far the answer may be ahead of its fastest reader."""

KEEP_BYTES = 4_194_304
"""How much of an answer is kept, so that who comes later has all of it, and for those that are behind."""

PATIENCE_SECONDS = 10.0
"""How long a reader that is `KEEP_BYTES` behind may hold up the others without reading anything."""

HeaderList = list[tuple[bytes, bytes]]


class TooSlowError(Exception):
    """A reader did not read while the others waited for it: the rest of the answer is not kept for it."""


class Out(Protocol):
    """Where one reader's answer goes."""

    async def write(self, data: bytes) -> None:
        """Give bytes; waits while the app does not read."""
        ...

    async def end(self, data: bytes = b"") -> None:
        """Give the last bytes."""
        ...

    def abort(self) -> None:
        """Cut it off."""
        ...


class Seat:
    """One reader's place in a flight.

    Attributes:
        at: How many bytes it has taken.
        part: The number of the part that it takes next.
        cut: It was not waited for any longer.
    """

    __slots__ = ("_changed", "_flight", "at", "cut", "part")

    def __init__(self, flight: "Flight") -> None:
        self._flight = flight
        self._changed = asyncio.Event()
        self.at = self.part = 0
        self.cut = False

    async def head(self) -> tuple[int, HeaderList] | None:
        """Wait for the head; None when the flight is over without one."""
        while self._flight.head is None and not self._flight.over:
            await self._change()
        return self._flight.head

    async def pump(self, out: Out) -> None:
        """Give the body on until its end; a cut one is cut here, too.

        Raises:
            TooSlowError: See there.
        """
        flight = self._flight
        while True:
            if self.cut:
                raise TooSlowError
            data = flight.take(self)
            if flight.ended and self.at == flight.size:
                await out.end(data)
                return
            if data:
                await out.write(data)
            elif flight.over:
                out.abort()
                return
            else:
                await self._change()

    def wake(self) -> None:
        """Something is new."""
        self._changed.set()

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()


class Flight:
    """One answer on its way to several readers; the `gateway.reply.Reply` of whoever asks for it.

    Attributes:
        size: Bytes of the body so far.
        ended: The body has its proper end.
        over: Nothing more comes, whether ended, cut, or broken off.
    """

    def __init__(self) -> None:
        self.head: tuple[int, HeaderList] | None = None
        self.seats: list[Seat] = []
        self.size = 0
        self.ended = self.over = False
        self._parts: deque[bytes] = deque()
        self._gone = 0  # how many parts are not kept any more
        self._read = asyncio.Event()

    @property
    def joinable(self) -> bool:
        """Whether who comes now would have all of it."""
        return self.size <= KEEP_BYTES and (self.ended or (bool(self.seats) and not self.over))

    @property
    def started(self) -> bool:
        """Whether the head is out."""
        return self.head is not None

    def sit(self) -> Seat:
        """Take a place; give it back with `leave`."""
        seat = Seat(self)
        self.seats.append(seat)
        return seat

    def leave(self, seat: Seat) -> None:
        """Give a place back; who waited for it waits no longer."""
        if seat in self.seats:
            self.seats.remove(seat)
            self._read.set()

    async def start(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Take the head."""
        self.head = status, list(headers)
        self._tell()

    async def write(self, data: bytes) -> None:
        """Take bytes; waits while they are not read."""
        self._add(data)
        while (slow := self._hinders()) is not None:
            await self._wait_for(slow)

    async def end(self, data: bytes = b"") -> None:
        """Take the last bytes. Nobody is waited for: there is nothing more to hold back."""
        self.ended = True
        self._add(data)
        self.close()

    def abort(self) -> None:
        """Cut it off."""
        self.close()

    def close(self) -> None:
        """Nothing more comes."""
        self.over = True
        self._tell()

    def take(self, seat: Seat) -> bytes:
        """Give some of what a reader has not had yet, and count it as read."""
        taken: list[bytes] = []
        size = 0
        while seat.part - self._gone < len(self._parts) and size < WINDOW_BYTES:
            taken.append(self._parts[seat.part - self._gone])
            size += len(taken[-1])
            seat.part += 1
        seat.at += size
        self._read.set()
        return taken[0] if len(taken) == 1 else b"".join(taken)

    def _add(self, data: bytes) -> None:
        if data:
            self._parts.append(data)
            self.size += len(data)
        if self.size > KEEP_BYTES:
            # Nobody can join any more, so only what somebody has yet to read is of use.
            least = min((seat.part for seat in self.seats), default=self._gone)
            while self._gone < least:
                self._parts.popleft()
                self._gone += 1
        self._tell()

    def _hinders(self) -> Seat | None:
        """Give the reader that must read before more is taken; None when there is room."""
        if not self.seats or self.over:
            return None
        fastest, slowest = (pick(self.seats, key=lambda seat: seat.at) for pick in (max, min))
        if self.size - fastest.at > WINDOW_BYTES:
            return fastest
        return slowest if self.size - slowest.at > KEEP_BYTES else None

    async def _wait_for(self, slow: Seat) -> None:
        """Wait until a reader has read: as long as it takes where all are behind, for a while where one is."""
        at, all_behind = slow.at, all(self.size - seat.at > WINDOW_BYTES for seat in self.seats)
        try:
            async with asyncio.timeout(None if all_behind else PATIENCE_SECONDS):
                while slow.at == at and slow in self.seats:
                    self._read.clear()
                    await self._read.wait()
        except TimeoutError:
            slow.cut = True
            self.leave(slow)
            slow.wake()

    def _tell(self) -> None:
        for seat in self.seats:
            seat.wake()
