"""A WebSocket client on wsproto and a raw socket, which sees exactly how a connection ends."""

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import orjson
from wsproto import ConnectionType, WSConnection, events
from wsproto.utilities import RemoteProtocolError

from tests.gateway.simulate.world import KEY, World

PATIENCE_SECONDS = 10
BEARER = {"authorization": f"Bearer {KEY}"}


@dataclass
class SocketClient:
    """One attempt to open a WebSocket, and what came of it.

    ``status`` is 101 or that of the refusal. ``end`` is the close code, or ``fin``, ``rst`` or ``malformed`` when
    the connection ended without one.
    """

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    subprotocol: str | None = None
    body: bytes = b""
    end: int | str | None = None

    def __post_init__(self) -> None:
        """Begin on the client's side."""
        self._connection = WSConnection(ConnectionType.CLIENT)
        self._messages: list[str] = []

    @classmethod
    async def open(
        cls,
        world: World,
        target: str,
        headers: Mapping[str, str] = BEARER,
        subprotocols: Sequence[str] = (),
        tls: ssl.SSLContext | None = None,
    ) -> Self:
        """Ask for an upgrade and wait until it is decided."""
        self = cls(*await asyncio.open_connection("127.0.0.1", world.handle.port, ssl=tls))
        world.stack.callback(self.writer.close)
        pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
        self._send(events.Request(host="x", target=target, extra_headers=pairs, subprotocols=list(subprotocols)))
        while self.status is None and self.end is None:
            await self._read()
        while self.status != 101 and self.end is None:
            await self._read()
        return self

    async def say(self, kind: str, **fields: object) -> None:
        """Send one event."""
        self._send(events.TextMessage(data=orjson.dumps({"type": kind, **fields}).decode()))

    async def hear(self, until: str = "") -> list[dict[str, Any]]:
        """Return the events up to one of this type, or to the end of the connection."""
        heard: list[dict[str, Any]] = []
        while True:
            while self._messages:
                heard.append(orjson.loads(self._messages.pop(0)))
                if heard[-1]["type"] == until:
                    return heard
            if self.end is not None:
                return heard
            await self._read()

    def leave(self) -> None:
        """Close as a client does that has what it wanted."""
        self._send(events.CloseConnection(code=1000))
        self.writer.close()

    def _send(self, event: events.Event) -> None:
        self.writer.write(self._connection.send(event))

    async def _read(self) -> None:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                data = await self.reader.read(65_536)
        except ConnectionResetError:
            self.end = self.end or "rst"
            return
        if not data:
            self.end = self.end or "fin"
            return
        try:
            self._connection.receive_data(data)
        except RemoteProtocolError:
            self.end = "malformed"
            return
        for event in self._connection.events():
            match event:
                case events.AcceptConnection():
                    self.status, self.subprotocol = 101, event.subprotocol
                    self.headers = {name.decode(): value.decode() for name, value in event.extra_headers}
                case events.RejectConnection():
                    self.status = event.status_code
                    self.headers = {name.decode(): value.decode() for name, value in event.headers}
                case events.RejectData():
                    self.body += event.data
                case events.TextMessage():
                    self._messages.append(event.data)
                case events.CloseConnection():
                    self.end = int(event.code)
                    self._send(event.response())
