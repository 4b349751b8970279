"""The provider that misbehaves: raw HTTP/1.1 on loopback, one fault for each request, and a ledger of what came.

It runs on an event loop of its own, in a thread of its own, in plain and with TLS. A test registers a plan for its mark
(the header ``x-test-id`` of its requests): one fault for each attempt, the last one for all further ones. Marks with a
number behind a dot (``t1.5``) are calls of a crowd, and have the plan of what stands before it, each from its beginning.
"""

import asyncio
import contextlib
import hashlib
import itertools
import ssl
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import NoReturn, Protocol

from tests.running import reset

HEAD_BYTES = 1_048_576
KEPT_BODY_BYTES = 1_048_576
PIECE_BYTES = 65_536
LIFE_SECONDS = 120.0
"""No fault takes longer, also when its client never leaves."""

REFUSALS = frozenset({503, 521, 522, 523, 525, 529, *range(400, 500)})
"""Answers that say the work was not done, so that it is not billed; with the edge's that never reached the provider."""


class OverError(Exception):
    """The connection of an exchange has ended; a fault lets it pass."""


@dataclass(frozen=True)
class Request:
    """The head of a request, names of headers in lower case, and of its body what was kept once it has been read."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def mark(self) -> str:
        return self.headers.get("x-test-id", "")

    @property
    def has_credential(self) -> bool:
        return bool({"authorization", "x-api-key", "api-key"} & set(self.headers))

    @property
    def is_stream(self) -> bool:
        return b'"stream":true' in self.body.replace(b" ", b"")


@dataclass
class Row:
    """One request in the ledger.

    Attributes:
        attempt: 1 for the mark's first request.
        connection: The same number for requests on one connection.
        whole: Whether its body came to its end.
        status: Of the head that was written, None when none was.
        sent_bytes: What was written in answer, the head included.
        ended: running, answered (whole), reset (RST), closed (FIN too early), left (the client went).
        at: When its head had come, monotonic seconds.
        ended_at: When that was seen, the same; 0.0 while it runs.
    """

    mark: str
    attempt: int
    connection: int
    method: str
    target: str
    has_credential: bool
    body_bytes: int = 0
    sha256: str = ""
    whole: bool = False
    status: int | None = None
    sent_bytes: int = 0
    ended: str = "running"
    at: float = field(default_factory=time.monotonic)
    ended_at: float = 0.0

    @property
    def billable(self) -> bool:
        """Whether a provider would do the work, and have it paid."""
        return self.whole and self.status not in REFUSALS


@dataclass
class Exchange:
    """What a fault works on.

    Every helper raises `OverError` once the connection has ended, so a fault is written as if nothing could go wrong.
    """

    request: Request
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    row: Row
    extra: list[tuple[str, str]] = field(default_factory=list)
    """Headers that a wrapping fault wants in every head."""

    async def receive(self) -> bytes:
        """Read the body to its end, however it is framed; a second time gives the same."""
        if self.row.whole:
            return self.request.body
        digest, kept = hashlib.sha256(), bytearray()

        def take(data: bytes) -> None:
            digest.update(data)
            self.row.body_bytes += len(data)
            kept.extend(data[: KEPT_BODY_BYTES - len(kept)])

        headers = self.request.headers
        if "chunked" in headers.get("transfer-encoding", ""):
            while size := int((await self.reader.readline()).partition(b";")[0], 16):
                await self._exactly(size, take)
                await self.reader.readexactly(2)
            while (await self.reader.readline()).strip():
                pass
        else:
            await self._exactly(int(headers.get("content-length", "0")), take)
        self.row.whole, self.row.sha256 = True, digest.hexdigest()
        self.request = Request(self.request.method, self.request.target, headers, bytes(kept))
        return self.request.body

    async def write(self, data: bytes) -> None:
        """Write bytes as they are."""
        if self.writer.is_closing():
            self._over("left")
        self.writer.write(data)
        self.row.sent_bytes += len(data)
        await self.writer.drain()

    async def write_head(
        self, status: int, headers: Mapping[str, str] | None = None, length: int | None = None
    ) -> None:
        """Write a head; chunks follow when no length is given."""
        framing = ("transfer-encoding", "chunked") if length is None else ("content-length", str(length))
        fields = [*(headers or {}).items(), *self.extra, framing]
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
        self.row.status = status
        await self.write(f"HTTP/1.1 {status} Status\r\n{lines}\r\n".encode("latin-1"))

    async def chunk(self, data: bytes) -> None:
        """Write one chunk; an empty one ends the answer."""
        await self.write(b"%x\r\n%b\r\n" % (len(data), data))

    async def left(self, seconds: float = LIFE_SECONDS) -> None:
        """Wait until the client has left, at most so long; raises `OverError` then."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while await self.reader.read(PIECE_BYTES):
                    pass
                self._over("left")

    def reset(self) -> NoReturn:
        """End the connection with a RST."""
        with contextlib.suppress(OSError):
            reset(self.writer)
        self._over("reset")

    def fin(self) -> NoReturn:
        """End the connection in order, wherever the answer stands."""
        self.writer.close()
        self._over("closed")

    def _over(self, how: str) -> NoReturn:
        if self.row.ended == "running":
            self.row.ended = how
        raise OverError

    async def _exactly(self, size: int, take: Callable[[bytes], None]) -> None:
        while size:
            data = await self.reader.read(min(size, PIECE_BYTES))
            if not data:
                self._over("left")
            take(data)
            size -= len(data)


class Fault(Protocol):
    """What happens to one request. Returning means that the answer is whole and the connection may go on."""

    def __call__(self, exchange: Exchange) -> Awaitable[None]: ...


class Upstream:
    """Serves plans; its rows are the upstream's ledger.

    Args:
        tls: Served on `tls_port`.
        otherwise: For requests whose mark has no plan.
    """

    def __init__(self, tls: ssl.SSLContext, otherwise: Fault) -> None:
        self._tls, self._otherwise = tls, otherwise
        self._plans: dict[str, list[Fault]] = {}
        self._attempts: dict[str, int] = {}
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._open: set[asyncio.Task[None]] = set()
        self.rows: list[Row] = []
        self.dials = {"plain": 0, "tls": 0}
        """Connections that came: all of them in plain, with TLS those whose handshake succeeded."""
        self.port = self.tls_port = 0
        self.loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="upstream")
        self._thread.start()
        assert self._ready.wait(5)

    def plan(self, mark: str, *faults: Fault) -> None:
        """Say what happens to the attempts of a mark, in their order; the last one also to all further ones."""
        assert faults
        with self._lock:
            self._plans[mark] = list(faults)

    def rows_since(self, number: int) -> list[Row]:
        """Give the requests that came after the first ``number``."""
        with self._lock:
            return self.rows[number:]

    @property
    def open_connections(self) -> int:
        return len(self._open)

    def close(self) -> None:
        """End the thread, whatever runs in it."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(5)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        servers = [self.loop.run_until_complete(self._listen(kind)) for kind in ("plain", "tls")]
        self.port, self.tls_port = (server.sockets[0].getsockname()[1] for server in servers)
        self._ready.set()
        self.loop.run_forever()
        for server in servers:
            server.close()
        for task in self._open:
            task.cancel()
        self.loop.run_until_complete(asyncio.gather(*self._open, return_exceptions=True))
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.close()

    async def _listen(self, kind: str) -> asyncio.Server:
        def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.dials[kind] += 1
            task = self.loop.create_task(self._serve(reader, writer))
            self._open.add(task)
            task.add_done_callback(self._open.discard)

        return await asyncio.start_server(
            accepted, "127.0.0.1", 0, ssl=self._tls if kind == "tls" else None, limit=HEAD_BYTES
        )

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = next(self._numbers)
        try:
            while not writer.is_closing() and (request := await _head(reader)) is not None:
                await self._answer(Exchange(request, reader, writer, self._enter(request, connection)))
        except (OSError, ValueError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _answer(self, exchange: Exchange) -> None:
        row = exchange.row
        try:
            async with asyncio.timeout(LIFE_SECONDS):
                await self._fault(row)(exchange)
            if row.ended == "running":
                row.ended = "answered"
            if not row.whole:
                exchange.writer.close()  # half a request stands on the connection
        except (OverError, TimeoutError):
            exchange.writer.close()
        finally:
            if row.ended == "running":
                row.ended = "left"
            row.ended_at = time.monotonic()

    def _enter(self, request: Request, connection: int) -> Row:
        with self._lock:
            mark = request.mark
            self._attempts[mark] = attempt = self._attempts.get(mark, 0) + 1
            row = Row(mark, attempt, connection, request.method, request.target, request.has_credential)
            self.rows.append(row)
        return row

    def _fault(self, row: Row) -> Fault:
        with self._lock:
            faults = self._plans.get(row.mark) or self._plans.get(row.mark.partition(".")[0]) or [self._otherwise]
            return faults[min(row.attempt, len(faults)) - 1]


async def _head(reader: asyncio.StreamReader) -> Request | None:
    try:
        raw = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    first, *lines = raw.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Request(method, target, headers)
