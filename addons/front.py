"""The first bytes of a client connection: they decide between the lane and mitmproxy.

``CONNECT <provider>`` gets TLS with our certificate, then the lane; a path (``/openai/v1/...``) or a provider's
``http://`` URL goes to the lane as it is; what does not look like HTTP gets a plain word and a row; everything else
is mitmproxy's. Bytes that a client sends behind its CONNECT head, before our answer, are fed to the TLS layer.
"""

import asyncio
import contextlib
import re
import ssl
import time
from typing import TYPE_CHECKING, Any, cast

from mitmproxy import connection

from addons.lane import Lane
from addons.lanes import HANDSHAKE_SECONDS, Lanes, Refusal
from gateway.model.call import Origin
from gateway.model.cause import Cause

if TYPE_CHECKING:
    from addons.mode import GatewayInstance

HEAD_BYTES = 65_536
FIRST_BYTES_SECONDS = 60.0

_REQUEST_LINE = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32} ([^ \r\n]+) ")
_ABSOLUTE = re.compile(rb"http://(\[[0-9A-Fa-f:.]+\]|[^/:?#\[\]@]+)(?::(\d{1,5}))?(?=[/?#]|$)", re.IGNORECASE)
_CONNECT = re.compile(rb"CONNECT (\[[0-9A-Fa-f:.]+\]|[^ :]+):(\d{1,5}) HTTP/1\.[01]\r?\n")
_METHOD_START = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}( |$)")

NOT_TLS = frozenset({"HTTP_REQUEST", "HTTPS_PROXY_REQUEST", "WRONG_VERSION_NUMBER", "UNEXPECTED_MESSAGE"})
"""OpenSSL's reasons for bytes that are no handshake. Any other end of one is most often a client without our CA:
some send an alert, some just close."""

ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"


class Front(asyncio.Protocol):
    """Holds a connection until its first bytes tell where it belongs."""

    def __init__(self, instance: "GatewayInstance", lanes: Lanes) -> None:
        self._instance, self._lanes = instance, lanes
        self._buffer = b""
        self._transport: asyncio.Transport
        self._timer: asyncio.TimerHandle | None = None
        self._upgrade: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the first bytes, but not for ever."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's transports share the methods, not the class
        self._timer = asyncio.get_running_loop().call_later(FIRST_BYTES_SECONDS, self._transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it: nothing was asked."""
        self._settle()

    def data_received(self, data: bytes) -> None:
        """Decide as soon as the bytes allow."""
        self._buffer += data
        if self._buffer.startswith(b"CONNECT "):
            if b"\r\n\r\n" in self._buffer or len(self._buffer) > HEAD_BYTES:
                self._connect()
            return
        if not _METHOD_START.match(self._buffer):
            self._settle()
            self._foreign()
            return
        line = _REQUEST_LINE.match(self._buffer)
        if line is None:
            if len(self._buffer) > HEAD_BYTES or b"\n" in self._buffer:
                self._to_lane(None)  # it answers what cannot be read with 400
            return
        absolute = _ABSOLUTE.match(line[1])
        if absolute is None:
            self._to_lane(None)
            return
        host = absolute[1].strip(b"[]").decode("latin-1").lower()
        origin = Origin("http", host, int(absolute[2] or 80))
        if self._lanes.is_provider(host, origin.port) or self._lanes.is_provider(host, 443):
            self._to_lane(origin)
        else:
            self._to_mitmproxy()

    def _settle(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _connect(self) -> None:
        self._settle()
        request = _CONNECT.match(self._buffer)
        if request is None or len(self._buffer) > HEAD_BYTES:
            self._to_lane(None)
            return
        host, port = request[1].strip(b"[]").decode("latin-1").lower(), int(request[2])
        if not self._lanes.is_provider(host, port):
            self._to_mitmproxy()
            return
        early = self._buffer[self._buffer.index(b"\r\n\r\n") + 4 :]
        self._transport.pause_reading()
        self._upgrade = asyncio.get_running_loop().create_task(self._decrypt(Origin("https", host, port), early))

    def _to_mitmproxy(self) -> None:
        self._settle()
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(loop=loop)
        protocol = asyncio.StreamReaderProtocol(reader, self._instance.handle_stream, loop=loop)
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)
        reader.feed_data(self._buffer)

    def _to_lane(self, origin: Origin | None) -> None:
        self._settle()
        lane = Lane(self._lanes, self._instance, origin, self._client())
        self._transport.set_protocol(lane)
        lane.connection_made(self._transport)
        lane.data_received(self._buffer)

    def _client(self) -> connection.Client:
        transport = self._transport
        return connection.Client(
            peername=transport.get_extra_info("peername"),
            sockname=transport.get_extra_info("sockname"),
            timestamp_start=time.time(),
            proxy_mode=self._instance.mode,
        )

    async def _decrypt(self, origin: Origin, early: bytes) -> None:
        loop = asyncio.get_running_loop()
        client, transport = self._client(), self._transport
        transport.write(ESTABLISHED)
        lane = Lane(self._lanes, self._instance, origin, client)
        if early:
            # start_tls has set its protocol and begun the handshake by the next turn; what came early belongs there.
            loop.call_soon(_feed, transport, early)
        try:
            secure = await loop.start_tls(
                transport,
                lane,
                self._lanes.context(origin.host),
                server_side=True,
                ssl_handshake_timeout=HANDSHAKE_SECONDS,
            )
        except (OSError, ssl.SSLError, asyncio.CancelledError) as error:
            self._handshake_failed(origin, error)
            return
        if secure is None:  # the client left during the handshake
            self._handshake_failed(origin, ConnectionResetError("closed during the TLS handshake"))
            return
        lane.secured(secure)

    def _handshake_failed(self, origin: Origin, error: BaseException) -> None:
        self._transport.abort()
        reason = getattr(error, "reason", None) or ""
        words = (reason or str(error) or type(error).__name__).replace("_", " ").lower()
        self._lanes.refused(
            Refusal(
                at=time.time(),
                client=name_of(self._transport),
                host=origin.host,
                cause=Cause.CLIENT_MALFORMED_REQUEST if reason in NOT_TLS else Cause.CLIENT_CA_NOT_TRUSTED,
                detail=words,
                status=None,
            )
        )

    def _foreign(self) -> None:
        """Say to a client that speaks another protocol what this port is."""
        first = self._buffer[0]
        protocol = {0x16: "TLS", 0x04: "SOCKS4", 0x05: "SOCKS5"}.get(first, "something that is not HTTP")
        known = first in {0x16, 0x04, 0x05}
        status = None
        if not known:
            status = 400
            body = b"whygate: this port speaks HTTP (proxy or base URL).\n"
            with contextlib.suppress(OSError):
                self._transport.write(
                    b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\nconnection: close\r\n"
                    b"content-length: %d\r\n\r\n%b" % (len(body), body)
                )
        self._transport.close()
        self._lanes.refused(
            Refusal(
                at=time.time(),
                client=name_of(self._transport),
                host="",
                cause=Cause.CLIENT_PROXY_UNSUPPORTED_SCHEME if known else Cause.CLIENT_MALFORMED_REQUEST,
                detail=f"the first bytes are {protocol}; this port takes an http:// proxy or base URL",
                status=status,
            )
        )


def name_of(transport: asyncio.BaseTransport) -> str:
    """Give ``address:port`` of the other side."""
    peer = transport.get_extra_info("peername")
    return f"{peer[0]}:{peer[1]}" if peer else "unknown"


def _feed(transport: asyncio.Transport, data: bytes) -> None:
    protocol = cast("Any", transport.get_protocol())  # asyncio.BufferedProtocol, or uvloop's own of the same methods
    while data:
        space = protocol.get_buffer(len(data))
        size = min(len(space), len(data))
        space[:size] = data[:size]
        protocol.buffer_updated(size)
        data = data[size:]
