"""What uvicorn's protocol hides and a simulated provider needs: the raw request head, and the transport."""

import asyncio
import socket
import struct
from dataclasses import dataclass

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.wsproto_impl import WSProtocol

EXTENSION = "simulate.wire"

# l_onoff = 1, l_linger = 0 seconds: closing discards what is unsent and sends RST instead of FIN (socket(7)).
_LINGER_RESET = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """The connection under one exchange; found in ``scope["extensions"][EXTENSION]``.

    Attributes:
        headers: As they were spelled; empty for a WebSocket, whose head is read elsewhere.
    """

    transport: asyncio.Transport
    target: bytes = b""
    headers: tuple[tuple[bytes, bytes], ...] = ()

    def reset(self) -> None:
        """End the connection with RST."""
        sock = self.transport.get_extra_info("socket")
        if sock is not None and not self.transport.is_closing():
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_RESET)
        self.transport.abort()

    def close(self) -> None:
        """End the connection with FIN, after what was already written."""
        self.transport.close()

    def write(self, data: bytes) -> None:
        """Write bytes past all framing."""
        self.transport.write(data)


class SimulatorProtocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 protocol, with a :class:`Wire` in each scope."""

    def on_message_begin(self) -> None:
        """Begin a request head."""
        super().on_message_begin()
        self._raw_headers: list[tuple[bytes, bytes]] = []

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep the header as it was spelled."""
        self._raw_headers.append((name, value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Add the wire to the scope before the application starts."""
        wire = Wire(transport=self.transport, target=self.url, headers=tuple(self._raw_headers))
        self.scope["extensions"] = {EXTENSION: wire}  # type: ignore[dict-item]
        super().on_headers_complete()


class SimulatorSocketProtocol(WSProtocol):
    """uvicorn's WebSocket protocol on wsproto, with a :class:`Wire` in each scope."""

    async def run_asgi(self) -> None:
        """Add the wire, then run the application. It is late enough to have a scope, and early enough for all tasks."""
        self.scope["extensions"][EXTENSION] = Wire(transport=self.transport)  # type: ignore[assignment]
        await super().run_asgi()
