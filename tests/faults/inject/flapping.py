"""A port in front of a healthy one that comes and goes: up, it passes everything on; down, it refuses connections."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from tests.faults.inject.closed_port import closed_port

PIECE_BYTES = 65_536


@dataclass
class FlappingPort:
    """The port. What is under way when it goes down is finished.

    Attributes:
        port: Where it is.
        behind: The healthy one.
        dials: Connections that it took.
    """

    port: int
    behind: int
    dials: int = 0
    _server: asyncio.Server | None = None
    _under_way: set[asyncio.Task[None]] = field(default_factory=set)

    async def up(self) -> None:
        """Take connections from now on."""
        listening = socket.create_server(("127.0.0.1", self.port), backlog=256)
        self._server = await asyncio.start_server(self._pass_on, sock=listening)

    def down(self) -> None:
        """Refuse them from now on."""
        if self._server is not None:
            self._server.close()
            self._server = None

    async def end(self) -> None:
        """Go down, and wait for what is under way."""
        self.down()
        async with asyncio.timeout(10):
            await asyncio.gather(*self._under_way)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.dials += 1
        task = asyncio.current_task()
        assert task is not None
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        there, back = await asyncio.open_connection("127.0.0.1", self.behind)
        await asyncio.gather(_copy(reader, back), _copy(there, writer))


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(PIECE_BYTES):
            sink.write(data)
            await sink.drain()
    sink.close()


@contextlib.asynccontextmanager
async def flapping(behind: int) -> AsyncIterator[FlappingPort]:
    """Give a port that is down."""
    with closed_port() as port:
        made = FlappingPort(port, behind)
        try:
            yield made
        finally:
            await made.end()
