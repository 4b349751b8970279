"""The HTTP client of the hot path: four methods (`open`, then `next`, `all`, `abort`), bytes in, bytes out.

`gateway.egress.dial` gives connections and aiohttp's parser reads answers; the request is written here as the bytes
that it shall be. Going round `ClientSession` is deliberate: a session adds and reorders headers, re-encodes non-ASCII
ones as UTF-8, keeps cookies and follows redirects, none of which a gateway may do. The version of aiohttp is pinned
exactly, and ``tests/gateway/egress`` runs against real sockets.

A connection goes back to the pool only after a whole answer whose request was written whole. Cancelling `open` closes
it at once; after `next` or `all`, `abort` does.
"""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any, Protocol

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.helpers import TimerNoop
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.streams import StreamReader

from gateway.egress.connector import Pool, Stream
from gateway.egress.dial import Dialer
from gateway.egress.look import around
from gateway.egress.network import Via
from gateway.egress.timeline import Timeline
from gateway.egress.tunnel import ProxyProtocolError, ProxyRefusedError
from gateway.model.attempt import ReplyHead
from gateway.model.call import Header, Headers, Origin
from gateway.model.failure import NetFailure, Phase

IDLE_SECONDS = 600.0
"""Silence before the head and between bytes; the official SDKs' own timeout."""

HEAD_BYTES = 65_536
HEAD_FIELDS = 100
"""As Envoy's default (max_headers_count, envoyproxy.io, read 2026-11)."""

INTERIM_MAX = 10
READ_BYTES = 65_536
PROXY_AUTHENTICATION_REQUIRED = 407

_BAD_VALUE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_QUOTES_SOCKS = re.compile(r"b'\\x0[045]")
"""aiohttp quotes the bytes that are no status line; those of a SOCKS proxy begin so."""

_NO_BODY = frozenset({204, 304})


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A request as it goes out.

    Attributes:
        headers: All of them, Host and length included, in the order in which they are written.
        rest: What follows ``body`` of an upload that is streamed; None when ``body`` is all.
        chunked: Whether a streamed upload goes out in chunks (no Content-Length stood in the request).
        ca_file: A PEM file to trust for this origin alone, or None.
        upgrade: It asks for another protocol; an answer of 101 is then a proper one, and `detach` gives the connection.
        idle_seconds: The longest silence before the head, and between bytes.
        hop: A mark against circles, for a proxy alone (RFC 9110 section 7.6.1) that is asked for the whole URL.
    """

    method: str
    origin: Origin
    target: bytes
    headers: Headers
    body: bytes
    rest: AsyncIterator[bytes] | None = None
    chunked: bool = False
    ca_file: str | None = None
    upgrade: bool = False
    idle_seconds: float = IDLE_SECONDS
    hop: Header | None = None

    def head(self, forward: Via | None = None) -> bytes:
        """Give the request's head as it goes on the wire.

        Args:
            forward: The proxy that is asked for the whole URL (RFC 9112 section 3.2.2), None when there is none.
        """
        whole = b"" if forward is None else str(self.origin).encode()
        lines = [self.method.encode("ascii"), b" ", whole, self.target, b" HTTP/1.1\r\n"]
        for name, value in self.headers:
            lines += (name, b": ", value, b"\r\n")
        if forward is not None and self.hop is not None and self.hop not in self.headers:
            lines += (self.hop[0], b": ", self.hop[1], b"\r\nconnection: ", self.hop[0], b"\r\n")
        if forward is not None and forward.authorization is not None:
            lines += (b"proxy-authorization: ", forward.authorization, b"\r\n")
        lines.append(b"\r\n")
        return b"".join(lines)


class Body(Protocol):
    """What can be read piece by piece."""

    async def next(self) -> bytes:
        """Give the next bytes, as they came; empty at their proper end. Raises what `classify` names."""
        ...


class Incoming(Body, Protocol):
    """An answer whose head has come."""

    @property
    def head(self) -> ReplyHead:
        """Status and headers."""
        ...

    async def all(self, limit_bytes: int) -> bytes:
        """Give the rest of the body; stops after ``limit_bytes`` (then `next` goes on)."""
        ...

    def detach(self) -> Stream:
        """Give the connection away, after 101."""
        ...

    def abort(self) -> None:
        """Let go, whatever state it is in: a whole answer's connection goes back, any other is closed."""
        ...


class Upstream(Protocol):
    """Who can send a request."""

    async def open(self, request: Outgoing, timeline: Timeline) -> Incoming:
        """Send, and give the answer once its head is there. Raises what `classify` names."""
        ...

    async def stream(self, host: str, port: int, timeline: Timeline, hop: Header | None = None) -> Stream:
        """Give a new connection that bytes can be sent on. Raises what `classify` names."""
        ...

    async def look(self, origin: Origin, failure: NetFailure) -> NetFailure:
        """Give a failure with what stood around it. Raises nothing."""
        ...

    def pool(self) -> Pool:
        """Count the connections to providers."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...


class TruncatedError(aiohttp.ClientPayloadError):
    """The body ended before its end."""


class RaggedEndError(TruncatedError):
    """The connection that alone ends the body was closed, and TLS had not said so: anybody on the way can do that."""


class AiohttpUpstream:
    """The real one."""

    def __init__(self, dialer: Dialer, *, probes: bool = True) -> None:
        self._dialer, self._probes = dialer, probes

    async def open(self, request: Outgoing, timeline: Timeline) -> "AiohttpIncoming":
        """Connect, send, and wait for the head."""
        origin = request.origin
        forward = None
        if origin.scheme == "http" and not request.upgrade:
            via = self._dialer.way_to(origin)
            forward = None if via is None or via.is_socks else via
        connection = await self._dialer.connect(origin, request.ca_file, timeline, raw=request.upgrade)
        incoming = AiohttpIncoming(connection, request)
        try:
            timeline.enter(Phase.SEND)
            await incoming.send(request, forward)
            timeline.enter(Phase.FIRST_BYTE)
            await incoming.receive_head()
        except HttpProcessingError as error:
            incoming.abort()
            if forward is None or not _QUOTES_SOCKS.search(str(error)):
                raise
            message = f"what is at {forward} speaks SOCKS: is it a socks5:// proxy?"
            raise ProxyProtocolError(message) from error
        except BaseException:
            incoming.abort()
            raise
        if forward is not None and incoming.head.status == PROXY_AUTHENTICATION_REQUIRED:  # only a proxy says that
            incoming.abort()
            raise ProxyRefusedError(forward, incoming.head.status, list(incoming.head.headers), b"")
        return incoming

    async def stream(self, host: str, port: int, timeline: Timeline, hop: Header | None = None) -> Stream:
        """See `Dialer.stream`."""
        return await self._dialer.stream(host, port, timeline, hop)

    async def look(self, origin: Origin, failure: NetFailure) -> NetFailure:
        """See `look.around`."""
        return replace(failure, around=await around(self._dialer, origin, failure, probes=self._probes))

    def pool(self) -> Pool:
        """See `Dialer.pool`."""
        return self._dialer.pool()

    async def close(self) -> None:
        """Close all connections."""
        await self._dialer.close()


class AiohttpIncoming:
    """One answer on one connection."""

    def __init__(self, connection: Connection, request: Outgoing) -> None:
        protocol = connection.protocol
        assert isinstance(protocol, ResponseHandler)
        self._connection, self._protocol = connection, protocol
        self._method, self._upgrade = request.method, request.upgrade
        self._payload: StreamReader
        self._upload: asyncio.Task[None] | None = None
        self._idle_seconds = request.idle_seconds
        self._patience: asyncio.TimerHandle | None = None
        self._open_ended = False
        self._tls: ssl.SSLObject | None = None
        self._done = False
        self.head: ReplyHead = ReplyHead(status=0, headers=())
        protocol.set_response_params(
            timer=TimerNoop(),
            skip_payload=request.method == "HEAD",
            read_until_eof=True,
            auto_decompress=False,
            read_timeout=request.idle_seconds,
            read_bufsize=READ_BYTES,
            max_line_size=HEAD_BYTES,
            max_field_size=HEAD_BYTES,
            max_headers=HEAD_FIELDS,
        )

    async def send(self, request: Outgoing, forward: Via | None) -> None:
        """Write the request; an upload of unknown size goes on beside the answer."""
        transport = self._connection.transport
        if transport is None:
            raise aiohttp.ServerDisconnectedError
        head = request.head(forward)
        if request.rest is None:
            transport.write(head + request.body)
            await self._protocol._drain_helper()  # noqa: SLF001 - aiohttp's own writer does the same
            self._be_patient()
        else:
            transport.write(head)
            self._upload = asyncio.get_running_loop().create_task(self._write(transport, request))
        self._protocol.start_timeout()

    async def _write(self, transport: asyncio.WriteTransport, request: Outgoing) -> None:
        assert request.rest is not None
        frame = _chunk if request.chunked else bytes
        async for part in _and_then(request.body, request.rest):
            if part:
                await self._protocol._drain_helper()  # noqa: SLF001 - the same
                self._protocol.start_timeout()  # silence counts from the last byte that we wrote
                transport.write(frame(part))
        if request.chunked:
            transport.write(b"0\r\n\r\n")
        if not self.head.status:
            self._be_patient()

    def _be_patient(self) -> None:
        """Give the answer's head its time: of one that comes in drops, each ends a silence, and no other bound does."""
        words = f"the answer's head was not whole within {self._idle_seconds:g} s"
        late = aiohttp.SocketTimeoutError(words)
        loop = asyncio.get_running_loop()
        self._patience = loop.call_later(self._idle_seconds, self._protocol.set_exception, late)

    async def receive_head(self) -> None:
        """Wait for the final head; interim ones (1xx, RFC 9110 section 15.2) are read over, within reason."""
        for _ in range(INTERIM_MAX):
            message, payload = await self._read_message()
            if message.code >= 200 or message.code == 101:
                break
        self._wait_no_longer()
        if message.code < 200 and not (message.code == 101 and self._upgrade):
            words = "it switched to another protocol unasked" if message.code == 101 else "endless interim answers"
            raise HttpProcessingError(message=words)
        if message.version.major != 1:
            raise HttpProcessingError(message=f"a status line of HTTP/{message.version.major}.{message.version.minor}")
        headers = tuple((name.lower(), value) for name, value in message.raw_headers)
        if sum(len(name) + len(value) for name, value in headers) > HEAD_BYTES:
            raise HttpProcessingError(message=f"a head of more than {HEAD_BYTES} bytes")
        if message.code > 599 or any(_BAD_VALUE.search(value) for _, value in headers):
            # No server may write these (RFC 9110 sections 5.5 and 15), and ours will not.
            raise HttpProcessingError(message="an impossible status or header")
        self.head = ReplyHead(status=message.code, headers=headers)
        self._payload = payload
        names = {name for name, _ in headers}
        framed = b"content-length" in names or message.chunked
        self._open_ended = not (framed or self._method == "HEAD" or message.code in _NO_BODY)
        if self._open_ended and self._protocol.transport is not None:
            self._tls = self._protocol.transport.get_extra_info("ssl_object")

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

    def detach(self) -> Stream:
        """Give the connection away; the pool forgets it. The caller sets its protocol before it awaits anything."""
        connection, protocol = self._connection, self._protocol
        transport = protocol.transport
        assert transport is not None
        self._done = True
        connection._connector._release_acquired(connection._key, protocol)  # noqa: SLF001 - it has no public form
        connection._protocol = None  # noqa: SLF001 - else it would close what is no longer its own
        protocol._drop_timeout()  # noqa: SLF001 - the same
        early, protocol._tail = protocol._tail, b""  # noqa: SLF001 - kept there for whoever switches protocols
        transport.resume_reading()  # the protocol pauses while much waits to be taken
        return Stream(transport, early)

    def abort(self) -> None:
        """Let go."""
        self._wait_no_longer()
        if self._upload is not None:
            self._upload.cancel()
        if not self._done:
            self._done = True
            self._connection.close()

    def _wait_no_longer(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _finish(self) -> None:
        if self._done:
            return
        self._done = True
        if self._open_ended and isinstance(self._protocol.exception(), aiohttp.ClientOSError):
            # Without a length only the way in which the connection ended tells a whole body from a cut one.
            self._connection.close()
            message = "the connection was reset in the middle of the body"
            raise TruncatedError(message)
        if self._open_ended and self._tls is not None and not _has_said_its_end(self._tls):
            self._connection.close()
            message = "the connection was closed without the end that TLS demands"
            raise RaggedEndError(message)
        upload = self._upload
        if upload is None or (upload.done() and not upload.cancelled() and upload.exception() is None):
            self._connection.release()
        else:  # half a request stands on it: the next one would be read as the other half
            upload.cancel()
            self._connection.close()


async def _and_then(body: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Give what was read first in pieces, too: written at once it would lie in the transport a second time."""
    for start in range(0, len(body), READ_BYTES):
        yield body[start : start + READ_BYTES]
    async for part in rest:
        yield part


def _has_said_its_end(connection: ssl.SSLObject) -> bool:
    """Whether the other side's close_notify has come (RFC 8446 section 6.1). OpenSSL ignores reads behind it."""
    try:
        return not connection.read(1)
    except ssl.SSLZeroReturnError:
        return True
    except (ssl.SSLError, OSError, ValueError):
        return False


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""
