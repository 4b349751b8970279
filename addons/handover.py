"""Hand-over: a WebSocket upgrade inside the lane becomes mitmproxy's, as a connection that is already decrypted.

uvicorn makes this class where it would make its own WebSocket protocol, feeds it the request's head, and sets it as
the transport's protocol *after* that; so the transport is taken in the next turn of the loop.
"""

import asyncio
from typing import TYPE_CHECKING, Any, cast

from mitmproxy import ctx
from mitmproxy.proxy import mode_servers
from mitmproxy.proxy.layers.http import HttpLayer, HTTPMode

if TYPE_CHECKING:
    from addons.lane import Lane

_TLS_FIELDS = ("tls", "alpn", "sni", "tls_version", "cipher", "timestamp_tls_setup")


class HandOver(asyncio.Protocol):
    """uvicorn's ``ws`` class."""

    def __init__(self, config: Any, server_state: Any, app_state: dict[str, Any]) -> None:
        self._lane: Lane = app_state["lane"]
        self._buffer = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember it."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Gather the head and whatever follows until mitmproxy reads."""
        if not self._buffer:
            asyncio.get_running_loop().call_soon(self._give)
        self._buffer += data

    def _give(self) -> None:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(loop=loop)
        protocol = asyncio.StreamReaderProtocol(reader, self._serve, loop=loop)
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)
        reader.feed_data(self._buffer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lane = self._lane
        handler = mode_servers.ProxyConnectionHandler(ctx.master, reader, writer, ctx.options, lane.instance.mode)
        context = handler.layer.context
        for field in _TLS_FIELDS:
            setattr(handler.client, field, getattr(lane.client_conn, field))
        target = lane.upgrade_to
        context.server.address = (target.host, target.port)
        context.server.tls = target.scheme == "https"
        if context.server.tls:
            context.server.sni = target.host
        handler.layer = HttpLayer(context, HTTPMode.transparent)
        lane.lanes.handed_over.add(handler.client.id)
        try:
            with lane.instance.manager.register_connection(handler.client.id, handler):
                await handler.handle_client()
        finally:
            lane.lanes.handed_over.discard(handler.client.id)
