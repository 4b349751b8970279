"""The event loop gives back what is given up, once."""

import asyncio
import gc
import os
import socket
import ssl
from collections.abc import Iterator

import pytest

from gateway.loop import run


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Takes connections, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


async def _connected(listener: socket.socket) -> socket.socket:
    made = socket.socket()
    made.setblocking(False)
    await asyncio.get_running_loop().sock_connect(made, listener.getsockname())
    return made


async def _given_up(sock: socket.socket, *, tls: bool) -> None:
    """Begin with a connection, and think better of it before the loop has turned once."""
    how = {"ssl": ssl.create_default_context(), "server_hostname": "api.test"} if tls else {}
    begun = asyncio.ensure_future(asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=sock, **how))  # type: ignore[call-overload]
    await asyncio.sleep(0)
    begun.cancel()
    with pytest.raises(asyncio.CancelledError):
        await begun


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("eager", [False, True], ids=["", "eager"])
def test_a_connection_that_is_given_up_closes_no_other_later(listener: socket.socket, tls: bool, eager: bool) -> None:
    """Its number is another's by then."""

    async def main() -> int:
        if eager:
            asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        held = await _connected(listener)
        number = held.fileno()
        await _given_up(held, tls=tls)
        await asyncio.sleep(0.01)
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(number)
        others = [os.open(os.devnull, os.O_RDONLY)]
        while others[-1] < number:
            others.append(os.open(os.devnull, os.O_RDONLY))
        del held
        gc.collect()
        for other in others:
            os.close(other)  # fails where it is closed already
        return others[-1] - number

    assert run(main()) == 0
