"""Connections are accepted, and nothing is ever said: no TLS, no HTTP."""

import contextlib
import socket
from collections.abc import Iterator

from tests.faults.inject.listener import Listener, listening


@contextlib.contextmanager
def accepted_silence() -> Iterator[Listener]:
    """Give a listener that keeps every connection until the block ends."""
    with contextlib.ExitStack() as stack, listening(lambda one, _: _keep(stack, one)) as listener:
        yield listener


def _keep(stack: contextlib.ExitStack, connection: socket.socket) -> None:
    stack.enter_context(connection)
