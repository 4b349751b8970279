"""The listener inside mitmproxy: a proxy mode of our own. Subclassing registers both classes, nothing is patched."""

import asyncio

from mitmproxy import ctx
from mitmproxy.proxy import layers, mode_servers, mode_specs
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layer import Layer

from addons.front import Front
from addons.lanes import Lanes

BACKLOG = 1024
"""Connections that may wait to be accepted; a burst of workers starts hundreds at once."""


class GatewayMode(mode_specs.ProxyMode):
    """``mode=["gateway"]``: forward proxy and base URLs on one port."""

    type_name = "gateway"
    description = "whygate"
    transport_protocol = "tcp"
    default_port = 8080

    def __post_init__(self) -> None:
        """Take no data after the mode's name."""
        if self.data:
            message = "the gateway mode takes no arguments"
            raise ValueError(message)


class GatewayInstance(mode_servers.AsyncioServerInstance[GatewayMode]):
    """Accepts connections and gives each a `Front`."""

    def make_top_layer(self, context: Context) -> Layer:
        """Never asked: what is handed over brings its layer with it."""
        return layers.modes.HttpProxy(context)

    async def listen(self, host: str, port: int) -> list[asyncio.Server]:  # type: ignore[override]
        """Bind the port; OSError when it is taken."""
        lanes = ctx.master.addons.get("lanes")
        assert isinstance(lanes, Lanes)
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Front(self, lanes), host, port, backlog=BACKLOG, reuse_address=True)
        return [server]
