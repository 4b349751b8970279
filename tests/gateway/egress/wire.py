"""A provider of raw bytes on a real socket: it answers by script, byte for byte, and breaks as it is told."""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import Any

from gateway.egress.dial import Dialer
from gateway.egress.lookups import LookUp, ask_system
from gateway.egress.network import Ways
from gateway.egress.send import AiohttpUpstream, Outgoing
from gateway.model.call import Headers, Origin


class Connection:
    """One connection as the provider sees it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, wire: "Wire") -> None:
        self.reader, self.writer, self.wire = reader, writer, wire
        self.ended = asyncio.Event()

    async def request(self) -> bytes:
        """Read one request, whose body has a stated length or comes in chunks, and keep its bytes."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        lowered = head.lower()
        body = b""
        if b"transfer-encoding: chunked" in lowered:
            body = await self.reader.readuntil(b"0\r\n\r\n")
        elif b"content-length: " in lowered:
            body = await self.reader.readexactly(int(lowered.partition(b"content-length: ")[2].partition(b"\r\n")[0]))
        self.wire.requests.append(head + body)
        return head + body

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    def reset(self) -> None:
        """End with RST instead of FIN."""
        sock: socket.socket = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def until_closed(self) -> None:
        """Wait until the other side has closed."""
        try:
            while await self.reader.read(65_536):
                pass
        except ConnectionError:
            pass
        self.ended.set()


Script = Callable[[Connection], Awaitable[None]]


@contextmanager
def deaf_port(host: str = "127.0.0.1", port: int = 0) -> Iterator[int]:
    """A port whose queue is full: further SYNs are dropped."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as listener, ExitStack() as stack:
        listener.bind((host, port))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket(listener.family))
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


class Wire:
    """The server, and what reached it."""

    def __init__(self, host: str, port: int, *, tls: bool) -> None:
        self.origin = Origin("https" if tls else "http", host, port)
        self.requests: list[bytes] = []
        self.connections: list[Connection] = []


@asynccontextmanager
async def provider(
    script: Script, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1", **how: Any
) -> AsyncIterator[Wire]:
    """Serve every connection with ``script``; a script that returns closes its connection."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        connection = Connection(reader, writer, wire)
        wire.connections.append(connection)
        try:
            await script(connection)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        except asyncio.CancelledError:
            writer.transport.abort()
            return
        finally:
            tasks.discard(task)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls, **how)
    wire = Wire(host, server.sockets[0].getsockname()[1], tls=tls is not None)
    try:
        yield wire
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for connection in wire.connections:
            connection.writer.transport.abort()
        await asyncio.sleep(0)


@asynccontextmanager
async def client(
    ca_file: str | None = None,
    own: Callable[[str, int], bool] | None = None,
    ways: Ways | None = None,
    look_up: LookUp = ask_system,
) -> AsyncIterator[AiohttpUpstream]:
    own = own or (lambda _host, _port: False)
    dialer = Dialer(ca_file=ca_file, own_address=own, ways=ways or Ways(), look_up=look_up)
    upstream = AiohttpUpstream(dialer)
    try:
        yield upstream
    finally:
        await upstream.close()


def a_request(origin: Origin, **changes: Any) -> Outgoing:
    method, body = changes.get("method", "GET"), changes.get("body", b"")
    headers: Headers = ((b"host", b"provider.test"),)
    if body and not changes.get("chunked"):
        headers += ((b"content-length", b"%d" % len(body)),)
    values: dict[str, Any] = {"method": method, "origin": origin, "target": b"/v1/x", "headers": headers, "body": body}
    return Outgoing(**(values | changes))


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def forever(*answers: bytes) -> Script:
    """Answer each request with the next of ``answers``, the last one again and again."""

    async def script(connection: Connection) -> None:
        for turn in range(1_000_000):
            await connection.request()
            await connection.say(answers[min(turn, len(answers) - 1)])

    return script


def once(answer: bytes, *, reset: bool = False) -> Script:
    """Answer one request and end."""

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.say(answer)
        if reset:
            await asyncio.sleep(0.02)  # let the answer leave before the reset takes it back
            connection.reset()

    return script
