"""Hand-over: a connection of the front's or the lane's becomes mitmproxy's.

Three kinds: a WebSocket after the provider's 101 (both sides are given away); a client that speaks HTTP/2 alone (from
its first TLS byte on); and a request of a route that the user wants to edit (from its first byte on, decrypted).
What mitmproxy has to dial for the last two is dialled as everything else is.
"""

import asyncio
import time
from typing import TYPE_CHECKING, Any

from mitmproxy import ctx, http, websocket
from mitmproxy.connection import ConnectionState, Server
from mitmproxy.proxy import commands, events, layer, layers, mode_servers, server_hooks
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.websocket import WebsocketLayer
from mitmproxy.proxy.server import ConnectionIO
from mitmproxy.proxy.tunnel import LayerStack

from addons.interceptions import Asked
from addons.tunnels import keep_alive
from gateway.egress.classify import classify
from gateway.egress.connector import Stream
from gateway.egress.timeline import Timeline
from gateway.identify.locate import Place
from gateway.model.call import Call, Origin
from gateway.upgrade import Switched

if TYPE_CHECKING:
    from addons.lane import Lane
    from addons.lanes import Lanes
    from addons.mode import GatewayInstance

WEBSOCKET_SILENCE_SECONDS = 86_400
"""mitmproxy would cut after ten minutes; not every client pings, and the kernel notices who has vanished."""

_ABNORMAL = 1006
"""RFC 6455 section 7.1.5: what a close code is said to be where no close frame came."""

_TLS_FIELDS = ("tls", "alpn", "sni", "tls_version", "cipher", "timestamp_tls_setup")


def give_websocket(lane: "Lane", call: Call, found: Switched, early: bytes) -> None:
    """Give both sides of a WebSocket away. Call it without having awaited anything since the provider's 101."""
    for transport in (lane.transport, found.stream.transport):
        keep_alive(transport)
    handler = _take(lane.lanes, lane.instance, lane.transport, early, found.stream)
    handler.timeout_watchdog.timeout = WEBSOCKET_SILENCE_SECONDS
    _as_decrypted(handler, lane)
    context, upstream = handler.layer.context, found.route.upstream
    context.server.address = (upstream.host, upstream.port)
    context.server.tls = upstream.scheme == "https"
    flow = http.HTTPFlow(handler.client, context.server, live=True)
    flow.id, flow.timestamp_created = call.id, call.arrived_at
    flow.request = http.Request(
        upstream.host, upstream.port, call.method.encode(), upstream.scheme.encode(), b"", found.route.target,
        b"HTTP/1.1", http.Headers(call.headers), b"", None, call.arrived_at, call.arrived_at,
    )  # fmt: skip
    flow.response = http.Response(
        b"HTTP/1.1", 101, b"Switching Protocols", http.Headers(found.headers), b"", None, time.time(), time.time()
    )
    flow.websocket = websocket.WebSocketData()
    handler.layer = _Switched(context, flow)
    handler.flow = flow
    lane.lanes.websockets.begun(flow, call, found.route)


def give_request(lane: "Lane", data: bytes, place: Place, tenant: str) -> None:
    """Give a connection away at a request's first byte.

    Args:
        data: The request so far.
        place: Where it goes.
        tenant: Who asks.
    """
    handler = _take(lane.lanes, lane.instance, lane.transport, data, None)
    _as_decrypted(handler, lane)
    context = handler.layer.context
    _aim(context, place.upstream)
    handler.layer = lane.lanes.interceptions.speak_http(context)
    asked = Asked(
        tenant=tenant,
        place=place,
        origin=lane.origin,
        by_base_url=lane.origin is None and data.partition(b" ")[2].startswith(b"/"),
        signed_in=lane.lanes.entrance.is_locked,
        sni=lane.app_state.get("sni", ""),
    )
    lane.lanes.interceptions.begun(handler.client.id, asked)


def intercept(  # noqa: PLR0917
    lanes: "Lanes",
    instance: "GatewayInstance",
    transport: asyncio.Transport,
    data: bytes,
    origin: Origin,
    tenant: str,
    sni: str,
) -> None:
    """Give a connection away at its first TLS byte."""
    handler = _take(lanes, instance, transport, data, None)
    lanes.interceptions.begun(handler.client.id, Asked(tenant=tenant, origin=origin, sni=sni))
    context = handler.layer.context
    _aim(context, origin)
    stack = LayerStack()  # the client's side looks for the server's below it
    stack /= layers.ServerTLSLayer(context)
    stack /= layers.ClientTLSLayer(context)
    handler.layer = stack[0]


def _aim(context: Context, origin: Origin) -> None:
    context.server.address = (origin.host, origin.port)
    context.server.tls = origin.scheme == "https"
    context.server.sni = origin.host if context.server.tls else None


def _as_decrypted(handler: "Handed", lane: "Lane") -> None:
    for field in _TLS_FIELDS:
        setattr(handler.client, field, getattr(lane.client_conn, field))


def _take(
    lanes: "Lanes", instance: "GatewayInstance", transport: asyncio.Transport, data: bytes, far: Stream | None
) -> "Handed":
    """Make the connection mitmproxy's; it is served from the next turn of the loop on."""
    far_streams = None if far is None else _streams(far.transport, far.early)
    reader, writer = _streams(transport, data)
    transport.resume_reading()
    handler = Handed(lanes, instance, reader, writer, far_streams)
    task = asyncio.get_running_loop().create_task(handler.serve())
    lanes.handed_over.add(task)
    task.add_done_callback(lanes.handed_over.discard)
    return handler


def _streams(transport: asyncio.Transport, data: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(loop=loop)
    protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
    reader.feed_data(data)
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


class Handed(mode_servers.ProxyConnectionHandler):
    """mitmproxy's handler of one connection, dialling as everything else here does."""

    def __init__(
        self,
        lanes: "Lanes",
        instance: "GatewayInstance",
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        far: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None,
    ) -> None:
        super().__init__(ctx.master, reader, writer, ctx.options, instance.mode)  # type: ignore[no-untyped-call]
        self._lanes, self._instance, self._far = lanes, instance, far
        self.flow: http.HTTPFlow | None = None

    async def serve(self) -> None:
        """Serve it to its end."""
        await asyncio.sleep(0)  # whoever made it sets its layer first; tasks are eager here
        try:
            with self._instance.manager.register_connection(self.client.id, self):
                await self.handle_client()
        finally:
            if self.flow is not None:
                self._lanes.websockets.over(self.flow, 1006, by_client=True)  # unless its end was told before
            if self._far is not None:
                self._far[1].close()

    async def open_connection(self, command: commands.OpenConnection) -> None:
        """Dial (`mitmproxy.proxy.server`, 12.2), or take the connection that is there already."""
        server = command.connection
        data = server_hooks.ServerConnectionHookData(client=self.client, server=server)
        await asyncio.sleep(0)  # tasks are eager: whoever made this one notes it first
        await self.handle_hook(server_hooks.ServerConnectHook(data))
        server.timestamp_start = time.time()
        try:
            reader, writer = self._far or await self._dial(server)
        except (Exception, asyncio.CancelledError) as error:
            cancelled = isinstance(error, asyncio.CancelledError)
            server.error = "connection cancelled" if cancelled else _words(error)
            await self.handle_hook(server_hooks.ServerConnectErrorHook(data))
            await self.server_event(events.OpenConnectionCompleted(command, server.error))
            if cancelled:
                raise
            return
        server.timestamp_tcp_setup = time.time()
        server.state = ConnectionState.OPEN
        server.peername = writer.get_extra_info("peername")
        server.sockname = writer.get_extra_info("sockname")
        self.transports[server] = ConnectionIO(handler=asyncio.current_task(), reader=reader, writer=writer)
        try:
            await self.handle_hook(server_hooks.ServerConnectedHook(data))
            await self.server_event(events.OpenConnectionCompleted(command, None))
            await self.handle_connection(server)
        finally:
            writer.close()  # whoever was cancelled on the way has not
            server.timestamp_end = time.time()
            await self.handle_hook(server_hooks.ServerDisconnectedHook(data))

    async def _dial(self, server: Server) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        assert server.address is not None
        stream = await self._lanes.dial(server.address[0], server.address[1], Timeline())
        found = _streams(stream.transport, stream.early)
        stream.transport.resume_reading()
        return found


def _words(error: BaseException) -> str:
    failure = classify(error, Timeline().phase)
    return f"{failure.code.value}: {failure.detail}"


class _Switched(layer.Layer):
    """A WebSocket whose two sides are connected already."""

    def __init__(self, context: Context, flow: http.HTTPFlow) -> None:
        super().__init__(context)
        self._flow = flow

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        assert isinstance(event, events.Start)
        yield commands.OpenConnection(self.context.server)
        child: Any = _Relay(self.context, self._flow)
        self._handle_event = child.handle_event  # type: ignore[method-assign]
        yield from child.handle_event(event)


class _Relay(WebsocketLayer):
    """mitmproxy's, without a proper close frame for a side whose other side broke off: wsproto writes 1000 there."""

    def relay_messages(self, event: events.Event) -> layer.CommandGenerator[None]:
        """Relay; what ended without a close frame (1006) ends without one on both sides."""
        assert self.flow.websocket is not None
        for command in super().relay_messages(event):
            if not (isinstance(command, commands.SendData) and self.flow.websocket.close_code == _ABNORMAL):
                yield command
