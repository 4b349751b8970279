"""Serve a simulated provider on a socket, inside a running event loop."""

import asyncio
import ssl
from pathlib import Path
from types import TracebackType
from typing import Self

import uvicorn
from uvicorn.server import ServerState

from gateway.simulate.app import Simulator
from gateway.simulate.wire import SimulatorProtocol, SimulatorSocketProtocol

_BACKLOG = 2_048
_KEEP_ALIVE_SECONDS = 75
_STOP_SECONDS = 2.0


class ServerHandle:
    """A listening simulator. Also an async context manager that stops it."""

    def __init__(self, server: asyncio.Server, state: ServerState, *, host: str, tls: bool) -> None:
        """Wrap a server that already listens."""
        self._server = server
        self._state = state
        self.host = host
        self.port: int = server.sockets[0].getsockname()[1]
        authority = f"[{host}]" if ":" in host else host
        self.url = f"{'https' if tls else 'http'}://{authority}:{self.port}"

    async def stop(self) -> None:
        """Close the listener, cut all connections and end their tasks. Safe to call twice."""
        self._server.close()
        for connection in tuple(self._state.connections):
            connection.transport.abort()
        # To a running exchange this is a client that hung up, so it ends by itself and keeps its ledger row.
        tasks = tuple(self._state.tasks)
        if tasks:
            _, stuck = await asyncio.wait(tasks, timeout=_STOP_SECONDS)
            for task in stuck:
                task.cancel()
        await self._server.wait_closed()

    async def __aenter__(self) -> Self:
        """Return self."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        await self.stop()


async def serve(
    simulator: Simulator,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    ssl_certfile: Path | str | None = None,
    ssl_keyfile: Path | str | None = None,
) -> ServerHandle:
    """Listen and return at once. No signal handler is installed; the caller decides when to stop.

    Args:
        simulator: The application to serve.
        host: Address to bind; the default is reachable from this machine alone.
        port: TCP port; 0 takes a free one (see ``ServerHandle.port``).
        ssl_certfile: PEM chain; with it the listener speaks TLS.
        ssl_keyfile: PEM key, when it is not in ``ssl_certfile``.

    Raises:
        OSError: The address cannot be bound, or a PEM file cannot be read.
    """
    config = uvicorn.Config(
        simulator,
        http=SimulatorProtocol,
        ws=SimulatorSocketProtocol,
        ws_ping_interval=None,
        ws_per_message_deflate=False,
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
    )
    config.load()
    state = ServerState()
    context = None
    if ssl_certfile is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(ssl_certfile, ssl_keyfile)
        context.set_alpn_protocols(["http/1.1"])
    server = await asyncio.get_running_loop().create_server(
        lambda: SimulatorProtocol(config=config, server_state=state, app_state={}),
        host,
        port,
        ssl=context,
        backlog=_BACKLOG,
    )
    return ServerHandle(server, state, host=host, tls=context is not None)
