"""One HTTP call on the wire: its request, what was sent back, and whether the client is still there."""

import asyncio
import hashlib
from collections.abc import Callable
from email.utils import formatdate
from types import TracebackType
from typing import Self

from gateway.simulate.line import ClientGoneError, Headers, Line, Receive, Scope, Send


class BodyTooLargeError(Exception):
    """The request body is over the limit; answered with 413."""


class Exchange(Line):
    """Reads one request and writes one response, noticing at once when the client leaves.

    A task listens for ``http.disconnect`` from the end of the request body to the end of the response. Every write
    and every pause raises :class:`ClientGoneError` once it was heard.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send, *, wall_clock: Callable[[], float]) -> None:
        """Take over an ASGI call; nothing is read yet."""
        super().__init__(scope, method=scope["method"], wall_clock=wall_clock)
        self._receive = receive
        self._send = send
        self._watcher: asyncio.Task[None] | None = None

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

    async def give_up(self) -> None:
        """End the body: nothing on the wire says that something is missing."""
        await self.finish()

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.aborted_by_client = not self.finished
        self._gone.set()
