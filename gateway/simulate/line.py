"""What an HTTP exchange and a WebSocket have in common: a request head, a client that may leave, a wire to break."""

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

from gateway.simulate.wire import EXTENSION, Wire

type Scope = MutableMapping[str, Any]
type Message = MutableMapping[str, Any]
type Receive = Callable[[], Awaitable[Message]]
type Send = Callable[[Message], Awaitable[None]]
type Headers = Iterable[tuple[str, str]]

# A closed TLS connection waits for the peer's farewell; past this it is cut.
_FAREWELL_SECONDS = 1.0


class ClientGoneError(Exception):
    """The client hung up. Ends the exchange; crosses no border."""


class ConnectionCut(ConnectionResetError):  # noqa: N818 - names what happened, like the builtin it refines
    """Stands for a broken connection where no transport can be broken (in-memory ASGI)."""


class Line(ABC):
    """One request and its answer, in whatever way they travel.

    Attributes:
        route_method: What a route is looked up by; differs from ``method`` for a WebSocket.
        query: Query as received, without the question mark.
        parameters: The query, decoded; of a repeated parameter the last.
        status: Status sent; ``None`` before the head.
        finished: The answer ended as it was meant to end, if only by being broken on purpose.
    """

    def __init__(self, scope: Scope, *, method: str, wall_clock: Callable[[], float]) -> None:
        """Read the head; nothing else is read yet."""
        self._wall_clock = wall_clock
        self._gone = asyncio.Event()
        self.wire: Wire | None = scope.get("extensions", {}).get(EXTENSION)
        self.method = self.route_method = method
        self.path: str = scope["path"]
        raw_path: bytes = scope.get("raw_path") or self.path.encode()
        self.raw_path = raw_path.decode("latin-1")
        self.query = scope.get("query_string", b"").decode("latin-1")
        self.parameters = dict(parse_qsl(self.query, keep_blank_values=True))
        pairs = self.wire.headers if self.wire and self.wire.headers else scope["headers"]
        self.header_list = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in pairs)
        self.headers: dict[str, str] = {name.lower(): value for name, value in self.header_list}
        self.started_at = wall_clock()
        self.body = b""
        self.body_bytes = 0
        self.body_complete = False
        self.body_sha256 = ""
        self.status: int | None = None
        self.response_bytes = 0
        self.finished = False
        self.aborted_by_client = False

    @abstractmethod
    async def start(self, status: int, headers: Headers) -> None:
        """Begin the answer."""

    @abstractmethod
    async def write(self, data: bytes) -> None:
        """Send a part of the answer."""

    @abstractmethod
    async def finish(self, data: bytes = b"") -> None:
        """Send the last part, and end the answer properly."""

    @abstractmethod
    async def give_up(self) -> None:
        """End in good form an answer that is not complete."""

    async def answer(self, status: int, headers: Headers, body: bytes) -> None:
        """Send a complete response with its length."""
        pairs = list(headers)
        if not (status < HTTPStatus.OK or status in {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}):
            pairs.append(("content-length", str(len(body))))
        await self.start(status, pairs)
        await self.finish(body)

    async def pause(self, seconds: float) -> None:
        """Wait, but not for a client that is gone."""
        if seconds > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._gone.wait(), seconds)
        self._check()

    async def reset(self) -> None:
        """Break the connection with a TCP reset."""
        await self._break("reset", Wire.reset)

    async def close(self) -> None:
        """End the connection with a TCP FIN, whatever was promised in the head."""
        await self._break("closed", Wire.close)

    async def write_raw(self, data: bytes) -> None:
        """Put bytes on the wire that need not be what the protocol allows, then close."""

        def write_and_close(wire: Wire) -> None:
            wire.write(data)
            wire.close()

        await self._break("closed after raw bytes", write_and_close)

    async def _break(self, what: str, action: Callable[[Wire], object]) -> None:
        self._check()
        self.finished = True
        if self.wire is None:
            message = f"simulated provider: connection {what}"
            raise ConnectionCut(message)
        action(self.wire)
        # Returning before the transport is closed would make uvicorn write a 500 of its own.
        try:
            await asyncio.wait_for(self._gone.wait(), _FAREWELL_SECONDS)
        except TimeoutError:
            self.wire.reset()
            await self._gone.wait()

    def _check(self) -> None:
        if self._gone.is_set():
            self.aborted_by_client = self.aborted_by_client or not self.finished
            raise ClientGoneError
