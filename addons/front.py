"""The first bytes of a client connection: they decide where it belongs.

``CONNECT <provider>`` gets TLS with our certificate, then the lane; ``CONNECT`` to anyone else is a tunnel; a path
(``/openai/v1/...``) or a whole URL goes to the lane as it is; what does not look like HTTP gets a plain word and a row.

After CONNECT the client's first TLS message is looked at before it is answered: a client that offers HTTP/2 alone
(gRPC) goes to mitmproxy, since the lane speaks HTTP/1.1. Bytes that were read for that are fed to the TLS layer.
"""

import asyncio
import contextlib
import re
import ssl
import time
from typing import TYPE_CHECKING, Any, cast

from mitmproxy import connection
from mitmproxy.proxy.layers.tls import parse_client_hello

from addons.answers import answer_head
from addons.crowd import LINGERING_MAX, Share
from addons.entrance import Denied
from addons.handover import intercept
from addons.lane import Lane
from addons.lanes import HANDSHAKE_SECONDS, Lanes, Refusal
from addons.tunnels import ESTABLISHED
from gateway.identify.guard import HOP_HEADER
from gateway.model.call import Origin
from gateway.model.cause import Cause
from gateway.model.tenant import DEFAULT
from gateway.providers import openai
from gateway.rows import refused_verdict

if TYPE_CHECKING:
    from addons.mode import GatewayInstance

HEAD_BYTES = 65_536
FIRST_BYTES_SECONDS = 60.0
LINGERING_SECONDS = 1.0
"""How long a client for which there is no room may take to read that."""
DENIALS_MAX = 5
"""How often one connection may ask without the credential. A client that has it needs one refusal at most."""

_REQUEST_LINE = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32} ([^ \r\n]+) ")
_CONNECT = re.compile(rb"CONNECT (\[[0-9A-Fa-f:.]+\]|[^ :]+):(\d{1,5}) HTTP/1\.[01]\r?\n")
_METHOD_START = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}( |$)")

_HANDSHAKE_RECORD = 0x16
_RECORD_HEAD_BYTES = 5

NOT_TLS = frozenset({"HTTP_REQUEST", "HTTPS_PROXY_REQUEST", "WRONG_VERSION_NUMBER", "UNEXPECTED_MESSAGE"})
"""OpenSSL's reasons for bytes that are no handshake. Any other end of one is most often a client without our CA:
some send an alert, some just close."""


class Front(asyncio.Protocol):
    """Holds a connection until its first bytes tell where it belongs."""

    def __init__(self, instance: "GatewayInstance", lanes: Lanes) -> None:
        self._instance, self._lanes = instance, lanes
        self._buffer = b""
        self._transport: asyncio.Transport
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._secure: Origin | None = None
        self._denials = 0
        self._tenant = DEFAULT
        self._share: Share
        self._no_room = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the first bytes, but not for ever."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's transports share the methods, not the class
        crowd = self._lanes.crowd
        self._share = crowd.share_of(transport)
        self._no_room = crowd.enter(transport, self._share)
        if not self._no_room:
            if peer := transport.get_extra_info("peername"):
                self._lanes.came(f"{peer[0]}:{peer[1]}")
            self._timer = asyncio.get_running_loop().call_later(FIRST_BYTES_SECONDS, self._transport.abort)
            return
        _turned_away(self._lanes, self._transport, self._no_room)
        if crowd.lingering >= LINGERING_MAX:
            self._transport.close()
        else:  # closed at once with bytes of its unread, a reset would overtake our words
            crowd.lingering += 1
            self._transport.write_eof()
            self._timer = asyncio.get_running_loop().call_later(LINGERING_SECONDS, self._transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it: nothing was asked, or what was asked is not wanted any more."""
        if self._no_room and self._timer is not None:
            self._lanes.crowd.lingering -= 1
        self._settle()
        if self._task is not None:
            self._task.cancel()
        elif self._secure is not None and self._buffer:
            self._handshake_failed(self._secure, ConnectionResetError("closed during the TLS handshake"))

    def data_received(self, data: bytes) -> None:
        """Decide as soon as the bytes allow."""
        if self._no_room:
            return
        self._buffer += data
        if self._task is not None:  # a tunnel is being dialled; reading goes on, so that a client that leaves is seen
            if len(self._buffer) > HEAD_BYTES:
                self._transport.pause_reading()
        elif self._secure is not None:
            self._look(self._secure)
        elif self._buffer.startswith(b"CONNECT "):
            if b"\r\n\r\n" in self._buffer or len(self._buffer) > HEAD_BYTES:
                self._connect()
        elif not _METHOD_START.match(self._buffer):
            self._settle()
            if self._denials:
                self._transport.abort()  # it went on as if it had been let in
            else:
                self._foreign()
        elif _REQUEST_LINE.match(self._buffer) or len(self._buffer) > HEAD_BYTES or b"\n" in self._buffer:
            self._to_lane()  # it answers what cannot be read with 400

    def _settle(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _connect(self) -> None:
        self._settle()
        request = _CONNECT.match(self._buffer)
        if request is None or len(self._buffer) > HEAD_BYTES or not 0 < int(request[2]) < 65_536:
            self._to_lane()
            return
        host, port = request[1].strip(b"[]").decode("latin-1").lower(), int(request[2])
        end = self._buffer.index(b"\r\n\r\n")
        head, self._buffer = self._buffer[:end], self._buffer[end + 4 :]
        if self._lanes.entrance.is_locked:
            found = self._lanes.entrance.of_proxy(_fields(head), host)
            if isinstance(found, Denied):
                self._deny(found, host, head)
                return
            self._tenant = found
        hops = tuple(field for field in _fields(head) if field[0] == HOP_HEADER) if HOP_HEADER in head.lower() else ()
        if not self._lanes.is_provider(host, port) or (hops and self._lanes.tunnels.refuses(hops)):
            client = name_of(self._transport)
            early = lambda: self._buffer  # noqa: E731
            self._task = self._lanes.tunnels.begin(self._transport, client, host, port, early, self._tenant, hops)
            return
        self._secure = Origin("https", host, port)
        self._transport.write(ESTABLISHED)
        self._timer = asyncio.get_running_loop().call_later(HANDSHAKE_SECONDS, self._transport.abort)
        if self._buffer:
            self._look(self._secure)

    def _deny(self, denied: Denied, host: str, head: bytes) -> None:
        """Ask for the credential. The connection stays, for those who send it only then."""
        self._denials += 1
        # What came behind the head was for the far side; and nobody needs many tries.
        last = bool(self._buffer) or self._denials >= DENIALS_MAX or not head.partition(b"\r\n")[0].endswith(b"/1.1")
        ends = ((b"connection", b"close"),) if last else ()
        self._transport.write(answer_head(denied.status, (*denied.headers, *ends)) + denied.body)
        self._lanes.refused(
            Refusal(
                at=time.time(),
                client=name_of(self._transport),
                host=host,
                cause=Cause.PROXY_UNAUTHORIZED,
                detail=denied.why,
                status=denied.status,
                method="CONNECT",
            )
        )
        if last:
            self._transport.close()
        else:
            self._timer = asyncio.get_running_loop().call_later(FIRST_BYTES_SECONDS, self._transport.abort)

    def _look(self, origin: Origin) -> None:
        """Look at the client's first TLS message once it is there."""
        hello = self._buffer
        if hello[0] == _HANDSHAKE_RECORD and (
            len(hello) < _RECORD_HEAD_BYTES or len(hello) < _RECORD_HEAD_BYTES + int.from_bytes(hello[3:5])
        ):
            return
        self._settle()
        self._transport.pause_reading()
        loop = asyncio.get_running_loop()
        if _offers_only_http2(hello):
            sni = _other_name(hello, origin.host)
            intercept(self._lanes, self._instance, self._transport, hello, origin, self._tenant, sni)
        else:
            self._task = loop.create_task(self._decrypt(origin, hello))

    def _to_lane(self) -> None:
        self._settle()
        lane = Lane(self._lanes, self._instance, None, self._client(), self._share)
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
        lane = Lane(self._lanes, self._instance, origin, client, self._share, self._tenant)
        lane.app_state["sni"] = _other_name(early, origin.host)
        # start_tls has set its protocol and begun the handshake by the next turn; what was read already belongs there.
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
                tenant=self._tenant,
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


def _fields(head: bytes) -> list[tuple[bytes, bytes]]:
    """Give the header fields of a request, names in lower case; what is none is left out."""
    lines = (line.partition(b":") for line in head.split(b"\r\n")[1:])
    return [(name.lower(), value.strip()) for name, colon, value in lines if colon]


def _offers_only_http2(hello: bytes) -> bool:
    """Whether a TLS ClientHello offers ``h2`` without ``http/1.1`` (RFC 7301). What cannot be read, does not."""
    if b"\x02h2" not in hello or b"\x08http/1.1" in hello:
        return False  # the common case, without reading it
    try:
        parsed = parse_client_hello(hello)
    except ValueError:
        return False
    return parsed is not None and b"h2" in parsed.alpn_protocols


def _other_name(hello: bytes, host: str) -> str:
    """Give the name that a TLS ClientHello asks for (RFC 6066 section 3) if it is not ``host``, else nothing."""
    name = host.encode("latin-1")
    if b"\x00%b%b" % (len(name).to_bytes(2), name) in hello:
        return ""  # the common case, without reading it
    try:
        parsed = parse_client_hello(hello)
    except ValueError:
        return ""  # the handshake will fail
    asked = (parsed.sni or "").lower() if parsed is not None else ""
    return "" if asked == host else asked


def _feed(transport: asyncio.Transport, data: bytes) -> None:
    protocol = cast("Any", transport.get_protocol())  # asyncio.BufferedProtocol, or uvloop's own of the same methods
    while data:
        space = protocol.get_buffer(len(data))
        size = min(len(space), len(data))
        space[:size] = data[:size]
        protocol.buffer_updated(size)
        data = data[size:]


def _turned_away(lanes: Lanes, transport: asyncio.Transport, why: str) -> None:
    """Say to a connection that there is no room for it: by a status, whatever it is about to ask, and in a row."""
    verdict = refused_verdict(Cause.PROXY_OVERLOADED, why, 503, "")
    body = openai.write_error(503, Cause.PROXY_OVERLOADED.value, f"whygate: {verdict.sentence()}")
    head = answer_head(
        503,
        (
            (b"content-type", b"application/json"),
            (b"x-whygate-cause", Cause.PROXY_OVERLOADED.encode()),
            (b"retry-after", b"1"),
            (b"connection", b"close"),
            (b"content-length", b"%d" % len(body)),
        ),
    )
    transport.write(head + body)
    peer = transport.get_extra_info("peername")
    client = f"{peer[0]}:{peer[1]}" if peer else "unknown"
    lanes.refused(Refusal(at=time.time(), client=client, host="", cause=Cause.PROXY_OVERLOADED, detail=why, status=503))
