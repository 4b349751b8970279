"""The lane: uvicorn's server protocol on a connection that the front accepted, the gateway's application behind it.

uvicorn does the reading and writing. This subclass adds what a gateway owes its clients: bounds on the head, one
strict look at it, the request target byte for byte, an answer that ends with the connection for HTTP/1.0, and a row
for what could not be read. `on_headers_complete` replaces uvicorn's own, because that one decodes the path as ASCII
and drops a bare ``?``; the exact version is pinned and the contract test covers it.
"""

import asyncio
import re
import socket
import sys
import time
from collections.abc import Callable, MutableMapping
from typing import TYPE_CHECKING, Any, cast

from httptools import HttpRequestParser
from mitmproxy import connection
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from addons.answers import CloseDelimitedCycle, answer_head, unreadable
from addons.crowd import Share
from addons.entrance import Denied
from addons.handover import give_request, give_websocket
from addons.head import HEAD_BYTES, HEAD_FIELDS, MalformedError, check_head
from addons.lanes import Lanes, Refusal
from gateway.asgi import call_of, new_id
from gateway.identify.credential import PRESENTING, without
from gateway.identify.locate import Place
from gateway.model.call import Origin
from gateway.model.cause import Cause
from gateway.model.tenant import DEFAULT
from gateway.upgrade import Declined

if TYPE_CHECKING:
    from addons.mode import GatewayInstance

HEAD_SECONDS = 30.0
RESET_LOOK_SECONDS = 0.1
WRITE_BUFFER_BYTES = 65_536
"""What may lie in one client's socket layer before the upstream is slowed down; asyncio's TLS default is 512 KiB."""

_ABOUT_UPGRADES = frozenset({b"upgrade", b"http2-settings"})
_ABSOLUTE = re.compile(rb"(https?)://(\[[0-9A-Fa-f:.]+\]|[^/:?#\[\]@]+)(?::(\d{1,5}))?(?=[/?#]|$)", re.IGNORECASE)


class EditedError(Exception):
    """The request is to be mitmproxy's."""

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place


class Lane(HttpToolsProtocol):
    """One client connection.

    Args:
        lanes: What all lanes share.
        origin: The provider that the client asked for by CONNECT; None where each request names its own.
        client: mitmproxy's view of this client, for a hand-over.
        share: What its client has of the gateway.
        tenant: Who asked by CONNECT; without an origin each request says for itself who asks.
    """

    def __init__(  # noqa: PLR0917
        self, lanes: Lanes, instance: "GatewayInstance", origin: Origin | None, client: connection.Client,
        share: Share, tenant: str = DEFAULT,
    ) -> None:  # fmt: skip
        state = {"origin": origin, "lane": self, "watch": self.watch, "unwatch": self.unwatch, "share": share}
        super().__init__(lanes.config, lanes.state, state)
        self.lanes, self.instance, self.origin, self.client_conn = lanes, instance, origin, client
        self._open, self._in_head = False, True
        self._early = b""
        self._head_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._broken = False
        self._watcher: Callable[[], None] | None = None
        self._raw_target = self._last = self._raw = self._again = self._ignored_target = b""
        self._messages = 0
        self._switching: asyncio.Task[None] | None = None
        self._denied: Denied | None = None
        self._tenant = tenant

    def secured(self, transport: asyncio.Transport) -> None:
        """Begin, after TLS: ``start_tls`` calls no connection_made, and data may have come before it returned."""
        tls = transport.get_extra_info("ssl_object")
        client = self.client_conn
        client.tls = True
        client.alpn = (tls.selected_alpn_protocol() or "").encode() or None
        client.tls_version = tls.version()
        client.cipher = tls.cipher()[0]
        client.sni = self.origin.host if self.origin else None
        client.timestamp_tls_setup = time.time()
        if not self._open:
            self.connection_made(transport)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start reading."""
        self._open = True
        transport.set_write_buffer_limits(WRITE_BUFFER_BYTES)
        super().connection_made(transport)
        if self._early:
            early, self._early = self._early, b""
            self.data_received(early)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the application that the client left."""
        if self._head_timer is not None:
            self._head_timer.cancel()
        if self._open:
            super().connection_lost(exc)
        if self._switching is not None:
            self._switching.cancel()
        if self._watcher is not None:
            self._watcher()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Go on with the answer for a client that has only ended its own side, as ``nc -N`` and some tools do.

        One that has closed altogether looks the same; an interim answer, which every client has to read over (RFC 9110
        section 15.2), makes its system answer with a reset. Inside TLS there is no such half. Once the answer has
        begun nothing can tell the two apart; tools end their side with the request, so who does it then has left.
        """
        cycle = self.cycle
        if self.client_conn.tls or cycle is None or cycle.response_started or cycle.more_body:
            return False
        cycle.keep_alive = False
        if cycle.scope["http_version"] == "1.1":
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.loop.call_later(RESET_LOOK_SECONDS, self._look_for_reset)
        return True

    def _look_for_reset(self) -> None:
        """See whether that was met with a reset: the loop reads no more by now, and would tell at the next write."""
        sock, cycle = self.transport.get_extra_info("socket"), self.cycle
        if self.transport.is_closing() or sock is None or cycle is None or cycle.response_started:
            return
        if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self.transport.abort()
        else:
            self.loop.call_later(RESET_LOOK_SECONDS, self._look_for_reset)

    def watch(self, left: Callable[[], None]) -> None:
        """Call back when the client leaves."""
        self._watcher = left
        if self.transport.is_closing():
            left()

    def unwatch(self, left: Callable[[], None]) -> None:
        """Stop that, unless the next exchange of this connection watches by now."""
        if self._watcher == left:
            self._watcher = None

    def data_received(self, data: bytes) -> None:
        """Parse, within bounds."""
        if not self._open:
            self._early += data  # bounded by what one read of the TLS layer brings: the next turn opens the lane
            return
        if self._switching is not None:  # reading goes on, so that a client that leaves is seen
            self._early += data
            if len(self._early) > HEAD_BYTES:
                self.flow.pause_reading()
        while data and not self._broken:
            if self._in_head:
                if not self._head_bytes:
                    data = self._in_ascii(data)
                    self._raw, self._messages = b"", 0
                self._head_bytes += len(data)
                self._raw += data
            self._last = data
            super().data_received(data)
            data, self._again = self._again, b""
        if not self._broken and self.parser is not None:
            self._watch_head()

    def _watch_head(self) -> None:
        """Bound a head that has begun and not ended, in size and in time."""
        if self._in_head and self._head_bytes:
            if self._head_bytes > HEAD_BYTES:
                self.send_400_response(f"the request's head is over {HEAD_BYTES} bytes")
            elif self._head_timer is None:
                self._head_timer = self.loop.call_later(HEAD_SECONDS, self._head_too_slow)
        elif self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _in_ascii(self, data: bytes) -> bytes:
        """Escape a request line with bytes outside ASCII for the parser, which refuses them; curl sends such URLs."""
        end = data.find(b"\n")
        line = data[: end if end >= 0 else len(data)]
        if line.isascii() or line.count(b" ") < 2:
            return data
        self._raw_target = line[line.index(b" ") + 1 : line.rindex(b" ")]
        return b"".join(b"%%%02X" % byte if byte > 0x7F else bytes((byte,)) for byte in line) + data[len(line) :]

    def _head_too_slow(self) -> None:
        self.send_400_response(f"the request's head did not arrive within {HEAD_SECONDS:.0f} s")

    # Parser callbacks

    def on_message_begin(self) -> None:
        """Start a head."""
        super().on_message_begin()
        self._in_head = True
        self._messages += 1

    def on_message_complete(self) -> None:
        """The next byte begins a head."""
        self._in_head, self._head_bytes = True, 0
        if self.parser.should_upgrade() and not self._should_upgrade():
            return  # it is read again
        super().on_message_complete()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header, within bounds. A trailer is none (RFC 9110 section 6.5.1): it may name another host."""
        if not self._in_head:
            return
        if len(self.headers) >= HEAD_FIELDS:
            message = f"more than {HEAD_FIELDS} header fields"
            raise MalformedError(message)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Check the head and start the application's task, or queue it behind the one that runs (pipelining)."""
        self._in_head, self._head_bytes = False, 0
        parser, scope = self.parser, self.scope
        target, self._raw_target = self._raw_target or self.url, b""
        version = parser.get_http_version()
        scope["method"] = parser.get_method().decode("ascii")
        if version != "1.1":
            scope["http_version"] = version
        check_head(scope["method"], version, target, self.headers)
        if parser.should_upgrade() and not self._should_upgrade():
            self._ignored_target = target  # read again without the word
            return
        state: dict[str, Any] = scope["state"]
        target, origin = self._aim(target)
        target, denied = self._let_in(target, origin)
        state["origin"], state["signed_in"] = origin, self.lanes.entrance.is_locked
        tenant = state["tenant"] = self._tenant
        if (
            denied is None
            and self._messages == 1
            and not parser.should_upgrade()
            and self.lanes.interceptions.may_carry(tenant)
        ):
            place = self.lanes.edited(origin, target)
            if place is not None and (self.cycle is None or self.cycle.response_complete):
                raise EditedError(place)
        path, _, query = target.partition(b"?")
        scope["path"] = path.decode("latin-1")
        scope["raw_path"], scope["query_string"] = path, query
        state["target"] = target
        if parser.should_upgrade() and self._should_upgrade():
            self._denied = denied
            return
        app = denied or self.app
        cycle_type = RequestResponseCycle if version == "1.1" else CloseDelimitedCycle
        before, self.cycle = (
            self.cycle,
            cycle_type(
                scope=scope,
                transport=self.transport,
                flow=self.flow,
                logger=self.lanes.logger,
                access_logger=self.lanes.logger,
                access_log=False,
                default_headers=[],
                message_event=asyncio.Event(),
                expect_100_continue=self.expect_100_continue,
                keep_alive=version != "1.0" and parser.should_keep_alive(),
                on_response=self.on_response_complete,
            ),
        )
        if before is None or before.response_complete:
            self._start_asgi_task(self.cycle, app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, app))

    def _let_in(self, target: bytes, origin: Origin | None) -> tuple[bytes, Denied | None]:
        """Ask for the credential where CONNECT has not, and take it out, so that nothing behind the lane holds it."""
        found: str | Denied = self._tenant
        if origin is None:
            target, found = self.lanes.entrance.of_base_url(self.headers, target)
        elif self.origin is None:
            found = self.lanes.entrance.of_proxy(self.headers, origin.host)
        self.headers[:] = [field for field in self.headers if field[0] not in PRESENTING]
        if isinstance(found, Denied):
            host = origin.host if origin is not None else ""
            self._tenant = DEFAULT
            self._refused(host, Cause.PROXY_UNAUTHORIZED, found.why, found.status)
            return target, found
        self._tenant = found
        return target, None

    def _refused(self, host: str, cause: Cause, why: str, status: int) -> str:
        at, client = time.time(), f"{self.client[0]}:{self.client[1]}" if self.client else "unknown"
        flow_id = new_id(at)
        tenant = DEFAULT if self.origin is None else self._tenant  # by a base URL, that of the request before
        refusal = Refusal(
            at=at, client=client, host=host, cause=cause, detail=why, status=status, flow_id=flow_id, tenant=tenant
        )
        self.lanes.refused(refusal)
        return flow_id

    def _aim(self, target: bytes) -> tuple[bytes, Origin | None]:
        """Give path and query, and who is asked: by CONNECT, else by a whole URL (RFC 9112 section 3.2.2)."""
        whole = None if target.startswith(b"/") else _ABSOLUTE.match(target)
        if whole is None:
            return target, self.origin
        rest = target[whole.end() :]
        rest = rest if rest.startswith(b"/") else b"/" + rest
        if self.origin is not None:
            return rest, self.origin
        scheme, host, port = whole[1].decode().lower(), whole[2].strip(b"[]").decode("latin-1").lower(), whole[3]
        if port is not None and not 0 < int(port) < 65_536:
            message = "a port that is none in the request's URL"
            raise MalformedError(message)
        # The URL's authority counts, whatever Host says.
        authority = whole[2] + (b"" if port is None else b":" + port)
        self.headers[:] = [(name, authority if name == b"host" else value) for name, value in self.headers]
        return rest, Origin(scheme, host, int(port) if port else {"http": 80, "https": 443}[scheme])

    def send_400_response(self, msg: str) -> None:
        """Answer what cannot be read, once, and close; a response that is under way is finished first."""
        self._broken = True
        error = sys.exception()
        edited = error.__context__ if error is not None else None
        if isinstance(edited, EditedError):
            self.connections.discard(self)
            if self._head_timer is not None:
                self._head_timer.cancel()
            give_request(self, without(self._raw), edited.place, self._tenant)
            return
        while error is not None and not isinstance(error, MalformedError):
            error = error.__context__
        if error is not None:
            msg = str(error)
        elif msg.startswith("Invalid HTTP"):
            msg = f"not valid HTTP: {sys.exception()}"
        flow_id = self._refused(self.origin.host if self.origin else "", Cause.CLIENT_MALFORMED_REQUEST, msg, 400)
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete and not cycle.more_body:
            cycle.keep_alive = False
        elif cycle is not None and cycle.response_started and not cycle.response_complete:
            self.transport.abort()
        else:
            if cycle is not None and not cycle.response_complete:
                # Its request will never be whole: the application is told that the client left, and that it has a row.
                cycle.disconnected = cycle.scope["state"]["malformed"] = True
                cycle.message_event.set()
            self.transport.write(unreadable(msg, flow_id))
            self.transport.close()

    def handle_websocket_upgrade(self) -> None:
        """Ask the provider for it; when it says yes, the connection becomes mitmproxy's."""
        found = sys.exception()
        offset = found.args[0] if found is not None and found.args else len(self._last)
        self._broken = True  # whatever follows is no HTTP
        if (denied := self._denied) is not None:
            self.transport.write(answer_head(denied.status, (*denied.headers, (b"connection", b"close"))) + denied.body)
            self.transport.close()
            return
        self._early = self._last[offset:]
        self._switching = self.loop.create_task(self._switch())

    async def _switch(self) -> None:
        call = call_of(cast("MutableMapping[str, Any]", self.scope), time.time(), time.monotonic(), b"")
        try:
            found = await self.lanes.upgrade(call)
        except asyncio.CancelledError:
            self.lanes.websockets.left(call)
            raise
        if isinstance(found, Declined):
            self.lanes.websockets.declined(call, found)
            self.transport.write(answer_head(found.status, (*found.headers, (b"connection", b"close"))) + found.body)
            self.transport.close()
            return
        self._switching = None
        self.connections.discard(self)
        self.transport.write(answer_head(101, found.headers))
        give_websocket(self, call, found, self._early)

    def _unsupported_upgrade_warning(self) -> None:
        """Ignore upgrades other than WebSocket, as RFC 9110 section 7.8 allows: Java's HttpClient always asks for h2c.

        The parser takes what follows such a head for another protocol, and never gives the body; a new one is fed the
        head without that word.
        """
        found = sys.exception()
        rest = self._last[found.args[0] :] if found is not None and found.args else b""
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        fields = [b"%b: %b\r\n" % field for field in self.headers if field[0] not in _ABOUT_UPGRADES]
        self._raw_target, line = self._ignored_target, b"%b %b HTTP/%b\r\n" % (method, self.url, version)
        self.parser = HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._in_head, self._head_bytes = True, 0
        self._again = b"".join((line, *fields, b"\r\n", rest))
