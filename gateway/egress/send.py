"""The HTTP client of the hot path: four methods (`open`, then `next`, `all`, `abort`), bytes in, bytes out.

aiohttp's connector gives connections (pool, DNS, happy eyeballs, TLS) and its parser reads answers; the request is
written here as the bytes that it shall be. Going round `ClientSession` is deliberate: a session adds and reorders
headers, re-encodes non-ASCII ones as UTF-8, keeps cookies and follows redirects, none of which a gateway may do. The
version of aiohttp is pinned exactly, and ``tests/gateway/egress`` runs against real sockets.

The pool: idle connections are kept `KEEP_ALIVE_SECONDS`; a connection goes back only after a whole answer whose
request was written whole. Cancelling `open` closes the connection at once; after `next` or `all`, `abort` does.
"""

import asyncio
import functools
import ipaddress
import re
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Protocol, cast

import aiohttp
import truststore
import yarl
from aiohttp import abc as aiohttp_abc
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.connector import Connection
from aiohttp.helpers import TimerNoop
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.streams import StreamReader

from gateway.egress.timeline import Timeline
from gateway.model.attempt import ReplyHead
from gateway.model.call import Headers, Origin
from gateway.model.failure import Phase

CONNECT_SECONDS = 5.0
"""For one connection, TLS included. The official SDKs use the same."""

RESOLVE_SECONDS = 5.0
IDLE_SECONDS = 600.0
"""Silence before the head and between bytes; the official SDKs' own timeout."""

KEEP_ALIVE_SECONDS = 15.0
"""Shorter than any provider's own idle limit, so that a connection rarely closes while a request is on its way."""

HEAD_BYTES = 65_536
HEAD_FIELDS = 128
INTERIM_MAX = 10
READ_BYTES = 65_536
KEYS_MAX = 1_000

_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
_BAD_VALUE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_NO_BODY = frozenset({204, 304})


class LoopError(OSError):
    """The request would reach the gateway itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A request as it goes out.

    Attributes:
        headers: All of them, Host and length included, in the order in which they are written.
        rest: What follows ``body`` of an upload that is streamed; None when ``body`` is all.
        chunked: Whether a streamed upload goes out in chunks (no Content-Length stood in the request).
        ca_file: A PEM file to trust for this origin alone, or None.
    """

    method: str
    origin: Origin
    target: bytes
    headers: Headers
    body: bytes
    rest: AsyncIterator[bytes] | None = None
    chunked: bool = False
    ca_file: str | None = None

    def head(self) -> bytes:
        """Give the request's head as it goes on the wire."""
        lines = [self.method.encode("ascii"), b" ", self.target, b" HTTP/1.1\r\n"]
        for name, value in self.headers:
            lines += (name, b": ", value, b"\r\n")
        lines.append(b"\r\n")
        return b"".join(lines)


class Incoming(Protocol):
    """An answer whose head has come."""

    @property
    def head(self) -> ReplyHead:
        """Status and headers."""
        ...

    async def next(self) -> bytes:
        """Give the next bytes of the body, as they came; empty at its proper end. Raises what `classify` names."""
        ...

    async def all(self, limit_bytes: int) -> bytes:
        """Give the rest of the body; stops after ``limit_bytes`` (then `next` goes on)."""
        ...

    def abort(self) -> None:
        """Let go, whatever state it is in: a whole answer's connection goes back, any other is closed."""
        ...


class Upstream(Protocol):
    """Who can send a request."""

    async def open(self, request: Outgoing, timeline: Timeline) -> Incoming:
        """Send, and give the answer once its head is there. Raises what `classify` names."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...


class TruncatedError(aiohttp.ClientPayloadError):
    """The body ended before its end."""


class AiohttpUpstream:
    """The real one.

    Args:
        ca_file: A PEM file to trust besides the system's store, or None.
        own_address: Whether an address and port is one of our own listeners.
    """

    def __init__(self, *, ca_file: str | None, own_address: Callable[[str, int], bool]) -> None:
        self._ca_file, self._own_address = ca_file, own_address
        self._contexts: dict[str | None, ssl.SSLContext] = {}
        self._keys: dict[tuple[Origin, str | None], _Key] = {}
        self._connector = aiohttp.TCPConnector(
            limit=0,
            keepalive_timeout=KEEP_ALIVE_SECONDS,
            resolver=_Resolver(own_address),
            ttl_dns_cache=30,
            ssl=self._context(None),
        )

    async def open(self, request: Outgoing, timeline: Timeline) -> "AiohttpIncoming":
        """Connect, send, and wait for the head."""
        key = self._key(request.origin, request.ca_file)
        if key.is_address and self._own_address(key.host, key.port):
            message = f"{request.origin} is the gateway itself"
            raise LoopError(message)
        try:
            connection = await self._connector.connect(cast("Any", key), [cast("Any", timeline)], _TIMEOUT)
        except aiohttp.ClientConnectorDNSError as error:
            if isinstance(error.os_error, LoopError):  # our resolver's refusal in the connector's wrapping
                raise error.os_error from error
            raise
        incoming = AiohttpIncoming(connection, request.method)
        try:
            timeline.enter(Phase.SEND)
            await incoming.send(request)
            timeline.enter(Phase.FIRST_BYTE)
            await incoming.receive_head()
        except BaseException:
            incoming.abort()
            raise
        return incoming

    async def close(self) -> None:
        """Close all connections."""
        await self._connector.close()

    def _key(self, origin: Origin, ca_file: str | None) -> "_Key":
        key = self._keys.get((origin, ca_file))
        if key is None:
            if len(self._keys) >= KEYS_MAX:
                self._keys.clear()
            key = self._keys[origin, ca_file] = _Key(origin, self._context(ca_file))
        return key

    def _context(self, ca_file: str | None) -> ssl.SSLContext:
        context = self._contexts.get(ca_file)
        if context is None:
            context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            for extra in (self._ca_file, ca_file):
                if extra is not None:
                    context.load_verify_locations(extra)
            context.set_alpn_protocols(["http/1.1"])
            self._contexts[ca_file] = context
        return context


class AiohttpIncoming:
    """One answer on one connection."""

    def __init__(self, connection: Connection, method: str) -> None:
        protocol = connection.protocol
        assert isinstance(protocol, ResponseHandler)
        self._connection, self._protocol = connection, protocol
        self._method = method
        self._payload: StreamReader
        self._upload: asyncio.Task[None] | None = None
        self._open_ended = False
        self._done = False
        self.head: ReplyHead = ReplyHead(status=0, headers=())
        protocol.set_response_params(
            timer=TimerNoop(),
            skip_payload=method == "HEAD",
            read_until_eof=True,
            auto_decompress=False,
            read_timeout=IDLE_SECONDS,
            read_bufsize=READ_BYTES,
            max_line_size=HEAD_BYTES,
            max_field_size=HEAD_BYTES,
            max_headers=HEAD_FIELDS,
        )

    async def send(self, request: Outgoing) -> None:
        """Write the request; an upload of unknown size goes on beside the answer."""
        transport = self._connection.transport
        if transport is None:
            raise aiohttp.ServerDisconnectedError
        head = request.head()
        if request.rest is None:
            transport.write(head + request.body)
            await self._protocol._drain_helper()  # noqa: SLF001 - aiohttp's own writer does the same
        else:
            transport.write(head)
            self._upload = asyncio.get_running_loop().create_task(self._write(transport, request))
        self._protocol.start_timeout()

    async def _write(self, transport: asyncio.WriteTransport, request: Outgoing) -> None:
        assert request.rest is not None
        frame = _chunk if request.chunked else bytes
        if request.body:
            transport.write(frame(request.body))
        async for part in request.rest:
            if part:
                await self._protocol._drain_helper()  # noqa: SLF001 - the same
                self._protocol.start_timeout()  # silence counts from the last byte that we wrote
                transport.write(frame(part))
        if request.chunked:
            transport.write(b"0\r\n\r\n")

    async def receive_head(self) -> None:
        """Wait for the final head; interim ones (1xx, RFC 9110 section 15.2) are read over, within reason."""
        for _ in range(INTERIM_MAX):
            message, payload = await self._read_message()
            if message.code >= 200 or message.code == 101:
                break
        if message.code < 200:
            words = "it switched to another protocol unasked" if message.code == 101 else "endless interim answers"
            raise HttpProcessingError(message=words)
        headers = tuple((name.lower(), value) for name, value in message.raw_headers)
        if not 200 <= message.code <= 599 or any(_BAD_VALUE.search(value) for _, value in headers):
            # No server may write these (RFC 9110 sections 5.5 and 15), and ours will not.
            raise HttpProcessingError(message="an impossible status or header")
        self.head = ReplyHead(status=message.code, headers=headers)
        self._payload = payload
        names = {name for name, _ in headers}
        framed = b"content-length" in names or message.chunked
        self._open_ended = not (framed or self._method == "HEAD" or message.code in _NO_BODY)

    async def _read_message(self) -> tuple[Any, StreamReader]:
        read = self._protocol.read()
        if self._upload is None or self._upload.done():
            return await read
        # A failing upload must not leave us waiting for an answer to half a request.
        waiting = asyncio.ensure_future(read)
        try:
            await asyncio.wait({waiting, self._upload}, return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done() and self._upload.exception() is not None:
                self._upload.result()
            return await waiting
        finally:
            waiting.cancel()

    async def next(self) -> bytes:
        """Give the next bytes; a connection whose answer is whole goes back to the pool by itself."""
        data = await self._payload.readany()
        if not data:
            self._finish()
        return data

    async def all(self, limit_bytes: int) -> bytes:
        """Give the rest of the body, or more than ``limit_bytes`` of it."""
        parts, size = [], 0
        while size <= limit_bytes and (part := await self.next()):
            parts.append(part)
            size += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    @property
    def ended(self) -> bool:
        """Whether the body was read to its proper end."""
        return self._done

    def abort(self) -> None:
        """Let go."""
        if self._upload is not None:
            self._upload.cancel()
        if not self._done:
            self._done = True
            self._connection.close()

    def _finish(self) -> None:
        if self._done:
            return
        self._done = True
        if self._open_ended and isinstance(self._protocol.exception(), aiohttp.ClientOSError):
            # Without a length only the way in which the connection ended tells a whole body from a cut one.
            self._connection.close()
            message = "the connection was reset in the middle of the body"
            raise TruncatedError(message)
        upload = self._upload
        if upload is None or (upload.done() and not upload.cancelled() and upload.exception() is None):
            self._connection.release()
        else:  # half a request stands on it: the next one would be read as the other half
            upload.cancel()
            self._connection.close()


class _Key:
    """What the connector asks of a request. A whole `ClientRequest` costs more than the connection."""

    proxy = None
    proxy_auth = None
    proxy_headers = None
    server_hostname = None

    __slots__ = ("connection_key", "host", "is_address", "port", "ssl", "url")

    def __init__(self, origin: Origin, context: ssl.SSLContext) -> None:
        self.host, self.port = origin.host, origin.port
        self.is_address = _is_address(origin.host)
        self.ssl = context
        self.url = yarl.URL.build(scheme=origin.scheme, host=origin.host, port=origin.port)
        self.connection_key = ConnectionKey(
            origin.host, origin.port, origin.scheme == "https", context, None, None, None, None
        )

    def is_ssl(self) -> bool:
        """Whether TLS is spoken."""
        return self.connection_key.is_ssl


class _Resolver(aiohttp_abc.AbstractResolver):
    """The system's resolver, off the event loop, with a deadline, refusing our own listeners."""

    def __init__(self, own_address: Callable[[str, int], bool]) -> None:
        self._own_address = own_address

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[aiohttp_abc.ResolveResult]:
        """Look a name up; both families, in the system's order."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(RESOLVE_SECONDS):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, family=family)
        results: list[aiohttp_abc.ResolveResult] = []
        for kind, _, proto, _, address in found:
            if self._own_address(str(address[0]), port):
                message = f"{host}:{port} is the gateway itself"
                raise LoopError(message)
            results.append(
                {
                    "hostname": host,
                    "host": str(address[0]),
                    "port": port,
                    "family": kind,
                    "proto": proto,
                    "flags": socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
                }
            )
        return results

    async def close(self) -> None:
        """Nothing is held."""


@functools.lru_cache(maxsize=256)
def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""
