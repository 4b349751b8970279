"""Connections that were given to mitmproxy: whatever ends them, the other side is let go."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from mitmproxy.connection import Server
from mitmproxy.proxy import commands, server_hooks

from addons.handover import Handed


class Writer:
    """The side of the server."""

    def __init__(self) -> None:
        self.closed = False

    def get_extra_info(self, _name: str) -> tuple[str, int]:
        return ("127.0.0.1", 1)

    def close(self) -> None:
        self.closed = True


async def test_a_server_that_was_reached_as_the_client_left_is_let_go() -> None:
    writer = Writer()

    class Left(Handed):
        def __init__(self) -> None:
            self._far = None
            self.client: Any = SimpleNamespace()
            self.transports = {}

        async def _dial(self, server: Server) -> Any:
            return asyncio.StreamReader(), writer

        async def handle_hook(self, hook: Any) -> None:
            if isinstance(hook, server_hooks.ServerConnectedHook):
                raise asyncio.CancelledError

        async def server_event(self, event: Any) -> None:
            pass

    with pytest.raises(asyncio.CancelledError):
        await Left().open_connection(commands.OpenConnection(Server(address=("127.0.0.1", 1))))
    assert writer.closed
