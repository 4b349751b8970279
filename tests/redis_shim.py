"""What stands between a gateway and Redis in a test: a way that is long, holds answers back, cuts them off or spoils them."""

import asyncio
import contextlib
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable

Pipe = tuple[asyncio.StreamReader, asyncio.StreamWriter]
_BEGIN_OF_COMMAND = re.compile(rb"\*\d+\r\n\$\d+\r\n")
CHUNK_BYTES = 65_536


class RedisShim:
    """Passes on bytes to a server and back.

    Args:
        target: The server's port.

    Attributes:
        target: The port of the server to which new connections go.
        port: What to ask instead of the server's.
        there_seconds: How long every byte takes to the server.
        back_seconds: How long every byte takes back; a function is asked for each chunk.
        alter: Makes another answer of a chunk of one; None cuts the connection.
        drip_seconds: Passed between two bytes of an answer; none lets all of it go at once.
        instead: Answers each command in the server's place, which hears of none.
        open: Connections now.
        opened: Connections since the beginning.
        most: The most connections there were at the same time.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._free = asyncio.Event()
        self._free.set()
        self.port = 0
        self.there_seconds = 0.0
        self.back_seconds: Callable[[], float] = lambda: 0.0
        self.alter: Callable[[bytes], bytes | None] | None = None
        self._last = False
        self.instead: bytes | None = None
        self.drip_seconds = 0.0
        self.open = self.opened = self.most = 0

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def takes(self, seconds: float) -> None:
        """Let it take so long there and back together."""
        self.there_seconds, self.back_seconds = seconds / 2, lambda: seconds / 2

    def hold(self) -> None:
        """Let no answer through, whatever the server does meanwhile."""
        self._free.clear()

    def let_go(self) -> None:
        """Let through what was held, and all that follows."""
        self._free.set()

    def cut_next(self, *, half: bool) -> None:
        """Cut the connection on which the next answer comes; half of the answer goes through, or nothing."""

        def cut(chunk: bytes) -> bytes:
            self.alter = None
            self._last = True
            return chunk[: len(chunk) // 2] if half else b""

        self.alter = cut

    def fail_over(self, target: int) -> None:
        """Lead to another server from now on, and cut what leads to this one."""
        self.target = target
        for task in list(self._tasks):
            task.cancel()

    def well(self) -> None:
        """Be no more than a way."""
        self.takes(0.0)
        self.drip_seconds = 0.0
        self.alter = self.instead = None
        self.let_go()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._one, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self.open, self.opened = self.open + 1, self.opened + 1
        self.most = max(self.most, self.open)
        try:
            server = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            self.open -= 1
            writer.transport.abort()
            return
        there = asyncio.ensure_future(self._there(reader, server[1], writer))
        back = asyncio.ensure_future(self._back(server[0], writer))
        try:
            await asyncio.wait([there, back], return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.open -= 1
            for part in (there, back):
                part.cancel()
            server[1].close()  # what was asked is done, also where who asked has gone
            writer.close()
            await asyncio.gather(there, back, return_exceptions=True)
            for end in (writer, server[1]):
                with contextlib.suppress(OSError):
                    await end.wait_closed()

    async def _there(
        self, reader: asyncio.StreamReader, server: asyncio.StreamWriter, client: asyncio.StreamWriter
    ) -> None:
        async with contextlib.aclosing(_late(reader, lambda: self.there_seconds)) as chunks:
            async for chunk in chunks:
                if self.instead is not None:
                    client.write(self.instead * len(_BEGIN_OF_COMMAND.findall(chunk)))
                else:
                    server.write(chunk)

    async def _back(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        async with contextlib.aclosing(_late(reader, lambda: self.back_seconds())) as chunks:  # noqa: PLW0108 - may change
            async for chunk in chunks:
                await self._free.wait()
                made = chunk if self.alter is None else self.alter(chunk)
                if made is None:
                    return
                while made and self.drip_seconds:
                    client.write(made[:1])
                    made = made[1:]
                    await asyncio.sleep(self.drip_seconds)
                client.write(made)
                if self._last:
                    self._last = False
                    return


async def _late(reader: asyncio.StreamReader, seconds: Callable[[], float]) -> AsyncGenerator[bytes]:
    """Give what comes, each chunk so much later and in order; many may be on their way at the same time."""
    loop = asyncio.get_running_loop()
    way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(1_000)

    async def read() -> None:
        while True:
            try:
                chunk = await reader.read(CHUNK_BYTES)
            except OSError:
                chunk = b""
            await way.put((loop.time() + seconds(), chunk))
            if not chunk:
                return

    reading = asyncio.ensure_future(read())
    try:
        while True:
            at, chunk = await way.get()
            if (left := at - loop.time()) > 0:
                await asyncio.sleep(left)
            if not chunk:
                return
            yield chunk
    finally:
        reading.cancel()


@contextlib.asynccontextmanager
async def redis_shim(target: int) -> AsyncIterator[RedisShim]:
    """Give one before a server's port; its connections are closed at the end."""
    made = RedisShim(target)
    await made.start()
    try:
        yield made
    finally:
        await made.close()
