"""One WebSocket on the wire: the upgrade, and each request that comes as a message."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from email.utils import formatdate
from types import TracebackType
from typing import Self

import orjson

from gateway.simulate.face import WEBSOCKET, Json, Session
from gateway.simulate.line import ClientGoneError, Headers, Line, Receive, Scope, Send
from gateway.simulate.provider import KEY_SUBPROTOCOL

INTERNAL_ERROR = 1011
"""Close code of a server that met a condition it did not expect (RFC 6455 section 7.4.1)."""

SWITCHED = 101


class Socket(Line):
    """Accepts or refuses an upgrade, then reads and writes messages.

    A task reads all the time, so that a client that leaves is noticed in the middle of an answer.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send, *, wall_clock: Callable[[], float]) -> None:
        """Take over an ASGI connection; nothing is read yet."""
        super().__init__(scope, method="GET", wall_clock=wall_clock)
        self.route_method = WEBSOCKET
        self.subprotocols: list[str] = scope.get("subprotocols", [])
        if self.subprotocols:
            # ASGI tells them apart from the headers.
            self.headers["sec-websocket-protocol"] = ", ".join(self.subprotocols)
        self.body_complete = True
        self.body_sha256 = hashlib.sha256().hexdigest()
        self.scope = scope
        self.wall_clock = wall_clock
        self._receive = receive
        self._send = send
        self._inbox: asyncio.Queue[str | bytes | None] = asyncio.Queue()
        self._reader: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Read the upgrade and begin to watch the client."""
        await self._receive()
        self._reader = asyncio.get_running_loop().create_task(self._read())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the reader; as with an exchange it is not awaited."""
        if self._reader:
            self._reader.cancel()

    @property
    def gone(self) -> asyncio.Event:
        """Set when the connection has ended, whoever ended it."""
        return self._gone

    async def accept(self, headers: Headers) -> None:
        """Switch protocols. Of the offered subprotocols the first without a key in it is taken."""
        self._check()
        chosen = next((name for name in self.subprotocols if not name.startswith(KEY_SUBPROTOCOL)), None)
        pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        self.status = SWITCHED
        # The upgrade is answered with this; who leaves later aborts a request in the conversation, or none.
        self.finished = True
        await self._hand_over({"type": "websocket.accept", "subprotocol": chosen, "headers": pairs})

    async def messages(self) -> AsyncIterator[str | bytes]:
        """Yield what the client says until the connection ends."""
        while (text := await self._inbox.get()) is not None:
            yield text

    async def say(self, text: str) -> None:
        """Send one text message."""
        self._check()
        await self._hand_over({"type": "websocket.send", "text": text})
        # One turn of the loop lets the reader hear a hang-up between two messages that never block.
        await asyncio.sleep(0)
        self._check()

    async def start(self, status: int, headers: Headers) -> None:
        """Refuse the upgrade with the head of an ordinary response."""
        self._check()
        pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        pairs.append((b"date", formatdate(self._wall_clock(), usegmt=True).encode()))
        pairs.append((b"connection", b"close"))
        self.status = status
        await self._hand_over({"type": "websocket.http.response.start", "status": status, "headers": pairs})

    async def write(self, data: bytes) -> None:
        """Send a part of the body of a refusal."""
        self._check()
        await self._hand_over({"type": "websocket.http.response.body", "body": data, "more_body": True})
        self.response_bytes += len(data)

    async def finish(self, data: bytes = b"") -> None:
        """End the body of a refusal."""
        self._check()
        self.finished = True
        await self._hand_over({"type": "websocket.http.response.body", "body": data, "more_body": False})
        self.response_bytes += len(data)

    async def give_up(self) -> None:
        """Close with 1011; a refusal that has begun just ends."""
        if self.status not in {None, SWITCHED}:
            await self.finish()
            return
        self._check()
        self.finished = True
        await self._hand_over({"type": "websocket.close", "code": INTERNAL_ERROR, "reason": "simulated"})

    async def _hand_over(self, message: Json) -> None:
        try:
            await self._send(message)
        except OSError as exc:
            raise ClientGoneError from exc

    async def _read(self) -> None:
        while True:
            message = await self._receive()
            if message["type"] == "websocket.disconnect":
                break
            text = message.get("text")
            self._inbox.put_nowait(message["bytes"] if text is None else text)
        self._gone.set()
        self._inbox.put_nowait(None)


class Turn(Line):
    """One request inside a WebSocket, answered by messages. To all that serves it, it is a call like any other."""

    def __init__(self, socket: Socket, body: bytes, session: Session) -> None:
        """Take a message that asks for an answer."""
        super().__init__(socket.scope, method=WEBSOCKET, wall_clock=socket.wall_clock)
        self._socket = socket
        self._session = session
        self._gone = socket.gone
        self._headers: Headers = ()
        self.body = body
        self.body_bytes = len(body)
        self.body_complete = True
        self.body_sha256 = hashlib.sha256(body).hexdigest()

    async def start(self, status: int, headers: Headers) -> None:
        """Note the status; there is no head within a conversation."""
        self._check()
        self.status = status

    async def write(self, data: bytes) -> None:
        """Send one event as one message."""
        try:
            await self._socket.say(data.decode())
        except ClientGoneError:
            self._check()
            raise
        self.response_bytes += len(data)

    async def finish(self, data: bytes = b"") -> None:
        """End the turn. The connection stays."""
        self._check()
        self.finished = True

    async def give_up(self) -> None:
        """Close the connection with 1011."""
        self._check()
        self.finished = True
        await self._socket.give_up()

    async def answer(self, status: int, headers: Headers, body: bytes) -> None:
        """Tell of an error as an event. What has no error object in it cannot be told, so the connection closes."""
        await self.start(status, headers)
        try:
            error = orjson.loads(body)["error"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            await self.give_up()
            return
        for event in self._session.refusal(status, error, dict(headers)):
            await self.write(orjson.dumps(event))
        await self.finish()
