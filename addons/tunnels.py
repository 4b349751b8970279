"""Everything that is no provider: tunnelled untouched by mitmproxy, with a row, and a verdict when it fails.

mitmproxy dials at CONNECT (``connection_strategy=eager``) for these alone: the CONNECT answer then carries the verdict
instead of a connection that closes without a word. Calls to providers never come here, so nothing is dialled before
cache, limit and retry had their say.
"""

import asyncio
import ipaddress
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

from mitmproxy import connection, ctx, http
from mitmproxy.proxy import events, layer, layers
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import HTTPMode
from mitmproxy.proxy.server_hooks import ServerConnectionHookData

from addons.websocket import is_upgrade
from gateway.model.failure import NetCode

CONNECT_SECONDS = 10.0
"""mitmproxy itself waits as long as the kernel: over two minutes when packets are dropped."""

TUNNELS_MAX = 10_000


@dataclass(slots=True, kw_only=True)
class Tunnel:
    """A tunnel or a plain HTTP request to some other host, while it runs.

    Attributes:
        started: Monotonic seconds.
        code: Why it failed, None while nothing failed.
        kind: ``CONNECT`` or the method of a plain request.
    """

    client: str
    host: str
    port: int
    kind: str
    path: str
    started_at: float
    started: float
    code: NetCode | None = None
    loop: bool = False
    detail: str = ""
    status: int | None = None
    bytes_down: int = 0


class RawTunnel(layers.TCPLayer):
    """mitmproxy's raw tunnel, counting what comes back: a far side that closes without a byte is a finding."""

    def __init__(self, context: Context, tunnel: Tunnel | None) -> None:
        super().__init__(context, ignore=True)
        self._tunnel = tunnel

    def handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        """Count, then relay."""
        tunnel, server = self._tunnel, self.context.server
        if tunnel is not None and isinstance(event, events.ConnectionEvent) and event.connection is server:
            if isinstance(event, events.DataReceived):
                tunnel.bytes_down += len(event.data)
            elif isinstance(event, events.ConnectionClosed) and not tunnel.bytes_down and self._app_is_there():
                tunnel.code = NetCode.CONNECTION_RESET
                tunnel.detail = "the far side closed the tunnel without sending a byte"
        yield from super().handle_event(event)

    def _app_is_there(self) -> bool:
        return bool(self.context.client.state & connection.ConnectionState.CAN_READ)


class Tunnels:
    """The addon.

    Args:
        closed: Told of each tunnel once, when it is over.
        refusal: A failed tunnel -> status and JSON body of our CONNECT answer.
        own_ports: Ports of our own listeners, which nothing may reach through us.
    """

    name = "tunnels"

    def __init__(
        self,
        closed: Callable[[Tunnel], None],
        refusal: Callable[[Tunnel], tuple[int, bytes]],
        own_ports: Callable[[], frozenset[int]],
    ) -> None:
        self._closed, self._refusal, self._own_ports = closed, refusal, own_ports
        self._open: dict[str, Tunnel] = {}

    # which layer

    def next_layer(self, nextlayer: layer.NextLayer) -> None:
        """Forward proxy first; whatever follows a CONNECT is relayed as it is."""
        if nextlayer.layer is not None:
            return
        context = nextlayer.context
        if len(context.layers) == 1:
            nextlayer.layer = layers.HttpLayer(context, HTTPMode.regular)
        else:
            nextlayer.layer = RawTunnel(context, self._open.get(context.client.id))

    # CONNECT

    def http_connect(self, flow: http.HTTPFlow) -> None:
        """Begin a row."""
        self._begin(flow, "CONNECT", "")

    def http_connect_error(self, flow: http.HTTPFlow) -> None:
        """Say in the CONNECT answer why there is no tunnel."""
        tunnel = self._open.get(flow.client_conn.id)
        if tunnel is None:
            return
        status, body = self._refusal(tunnel)
        tunnel.status = status
        flow.response = http.Response.make(status, body, {"content-type": "application/json", "connection": "close"})
        self._end(flow.client_conn)

    # plain http:// through the proxy

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Stream bodies both ways; a row for each request."""
        if flow.response is not None or is_upgrade(flow) or flow.request.scheme != "http" or flow.client_conn.tls:
            return
        flow.request.stream = True
        self._begin(flow, flow.request.method, flow.request.path)

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        """Stream the answer."""
        if flow.response is not None and not flow.client_conn.tls:
            flow.response.stream = True

    def response(self, flow: http.HTTPFlow) -> None:
        """End the row of a plain request."""
        tunnel = self._open.get(flow.client_conn.id)
        if tunnel is not None and tunnel.kind != "CONNECT" and flow.response is not None:
            tunnel.status = flow.response.status_code
            tunnel.bytes_down += 1
            self._end(flow.client_conn)

    def error(self, flow: http.HTTPFlow) -> None:
        """Name the failure of a plain request."""
        tunnel = self._open.get(flow.client_conn.id)
        if tunnel is not None and tunnel.kind != "CONNECT":
            if tunnel.code is None:
                tunnel.code, tunnel.detail = NetCode.CONNECTION_RESET, flow.error.msg if flow.error else ""
            tunnel.status = 502
            self._end(flow.client_conn)

    # the far side

    async def server_connect(self, data: ServerConnectionHookData) -> None:
        """Refuse our own listeners, by resolved address; give up on a silent host."""
        address = data.server.address
        if address is None:
            return
        tunnel = self._open.get(data.client.id)
        if address[1] in self._own_ports() and await _is_local(address[0], address[1]):
            data.server.error = "this address is the gateway itself"
            if tunnel is not None:
                tunnel.loop = True
            return
        asyncio.get_running_loop().call_later(CONNECT_SECONDS, self._give_up, data.client, data.server)

    def _give_up(self, client: connection.Client, server: connection.Server) -> None:
        if server.timestamp_tcp_setup is not None or server.error is not None:
            return
        handler = ctx.master.addons.get("proxyserver").connections.get(client.id)
        running = handler.transports.get(server) if handler is not None else None
        if running is not None and running.handler is not None:
            tunnel = self._open.get(client.id)
            if tunnel is not None:
                tunnel.code, tunnel.detail = NetCode.CONNECT_TIMEOUT, f"no answer within {CONNECT_SECONDS:.0f} s"
            running.handler.cancel("connect timeout")

    def server_connect_error(self, data: ServerConnectionHookData) -> None:
        """Classify; the hook that answers the client follows."""
        tunnel = self._open.get(data.client.id)
        if tunnel is not None and tunnel.code is None and not tunnel.loop:
            tunnel.detail = data.server.error or ""
            tunnel.code = classify(tunnel.detail)

    def client_disconnected(self, client: connection.Client) -> None:
        """The tunnel is over."""
        self._end(client)

    def _begin(self, flow: http.HTTPFlow, kind: str, path: str) -> None:
        if len(self._open) >= TUNNELS_MAX:
            return
        peer = flow.client_conn.peername
        self._open[flow.client_conn.id] = Tunnel(
            client=f"{peer[0]}:{peer[1]}",
            host=flow.request.host,
            port=flow.request.port,
            kind=kind,
            path=path,
            started_at=time.time(),
            started=time.monotonic(),
        )

    def _end(self, client: connection.Client) -> None:
        tunnel = self._open.pop(client.id, None)
        if tunnel is not None:
            self._closed(tunnel)


def classify(words: str) -> NetCode:
    """Name the failure of a connection that mitmproxy opened. It keeps only the words of the OSError.

    The number in ``[Errno N]`` decides; a message without one comes from several addresses that failed alike.
    """
    numbers = {
        "Errno 111": NetCode.CONNECTION_REFUSED,
        "Errno 61": NetCode.CONNECTION_REFUSED,
        "Connect call failed": NetCode.CONNECTION_REFUSED,
        "Errno 101": NetCode.NETWORK_UNREACHABLE,
        "Errno 113": NetCode.NETWORK_UNREACHABLE,
        "Errno 110": NetCode.CONNECT_TIMEOUT,
        "Errno 104": NetCode.CONNECTION_RESET,
        "Errno 24": NetCode.OUT_OF_DESCRIPTORS,
        "Errno -2": NetCode.DNS_FAILURE,
        "Errno -3": NetCode.DNS_FAILURE,
        "Errno -5": NetCode.DNS_FAILURE,
        "Name or service not known": NetCode.DNS_FAILURE,
        "nodename nor servname": NetCode.DNS_FAILURE,
        "getaddrinfo": NetCode.DNS_FAILURE,
        "label empty or too long": NetCode.DNS_FAILURE,
    }
    return next((code for mark, code in numbers.items() if mark in words), NetCode.UNKNOWN)


async def _is_local(host: str, port: int) -> bool:
    """Whether a name leads to this machine. A name that does not resolve is no danger."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        return False
    return any(_local_address(str(entry[4][0])) for entry in found)


def _local_address(text: str) -> bool:
    address = ipaddress.ip_address(text.partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    address = mapped or address
    return address.is_loopback or address.is_unspecified
