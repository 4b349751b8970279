"""One call on the wire: its request, what was sent back, and whether the client is still there."""

import asyncio
import contextlib
import hashlib
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from email.utils import formatdate
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

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


class BodyTooLargeError(Exception):
    """The request body is over the limit; answered with 413."""


class ConnectionCut(ConnectionResetError):  # noqa: N818 - names what happened, like the builtin it refines
    """Stands for a broken connection where no transport can be broken (in-memory ASGI)."""


class Exchange:
    """Reads one request and writes one response, noticing at once when the client leaves.

    A task listens for ``http.disconnect`` from the end of the request body to the end of the response. Every write
    and every pause raises :class:`ClientGoneError` once it was heard.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send, *, wall_clock: Callable[[], float]) -> None:
        """Take over an ASGI call; nothing is read yet."""
        self._receive = receive
        self._send = send
        self._wall_clock = wall_clock
        self._gone = asyncio.Event()
        self._watcher: asyncio.Task[None] | None = None
        self.wire: Wire | None = scope.get("extensions", {}).get(EXTENSION)
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        raw_path: bytes = scope.get("raw_path") or self.path.encode()
        self.raw_path = raw_path.decode("latin-1")
        self.query = scope.get("query_string", b"").decode("latin-1")
        pairs = self.wire.headers if self.wire else scope["headers"]
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

    async def __aenter__(self) -> Self:
        """Return self."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the watcher.

        It is not awaited: the ledger's row must be written in the same turn of the loop as the last bytes, or a client
        could read the ledger before its own call is in it.
        """
        if self._watcher:
            self._watcher.cancel()

    @property
    def target(self) -> str:
        """Path and query exactly as they came."""
        if self.wire:
            return self.wire.target.decode("latin-1")
        return f"{self.raw_path}?{self.query}" if self.query else self.raw_path

    async def read_body(self, max_bytes: int) -> bytes:
        """Return the whole request body and start to watch the client.

        Raises:
            ClientGoneError: The client left in the middle of its body.
            BodyTooLargeError: More than ``max_bytes`` arrived.
        """
        digest = hashlib.sha256()
        parts: list[bytes] = []
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self.aborted_by_client = True
                raise ClientGoneError
            part: bytes = message.get("body", b"")
            self.body_bytes += len(part)
            if self.body_bytes > max_bytes:
                raise BodyTooLargeError
            digest.update(part)
            parts.append(part)
            more = message.get("more_body", False)
        self.body = b"".join(parts)
        self.body_sha256 = digest.hexdigest()
        self.body_complete = True
        self._watcher = asyncio.get_running_loop().create_task(self._watch())
        return self.body

    async def start(self, status: int, headers: Headers) -> None:
        """Send the head. A ``date`` is added where none is given."""
        self._check()
        pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        if not any(name.lower() == b"date" for name, _ in pairs):
            pairs.append((b"date", formatdate(self._wall_clock(), usegmt=True).encode()))
        self.status = status
        await self._send({"type": "http.response.start", "status": status, "headers": pairs})

    async def write(self, data: bytes) -> None:
        """Send a part of the body as one write."""
        self._check()
        await self._send({"type": "http.response.body", "body": data, "more_body": True})
        self.response_bytes += len(data)
        # One turn of the loop lets the watcher hear a hang-up between two writes that never block.
        await asyncio.sleep(0)
        self._check()

    async def finish(self, data: bytes = b"") -> None:
        """Send the last part of the body and end the response properly."""
        self._check()
        self.finished = True
        await self._send({"type": "http.response.body", "body": data, "more_body": False})
        self.response_bytes += len(data)

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
        """Put bytes on the wire that need not be HTTP, then close."""

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

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.aborted_by_client = not self.finished
        self._gone.set()

    def _check(self) -> None:
        if self._gone.is_set():
            raise ClientGoneError
