"""RST once the first bytes are there: of a TLS client, its ClientHello."""

import contextlib
import socket
from collections.abc import Iterator

from tests.faults.inject.listener import Listener, listening, rst


@contextlib.contextmanager
def reset_after_hello() -> Iterator[Listener]:
    """Give a listener that reads once and throws the connection away."""
    with listening(_read_and_reset) as listener:
        yield listener


def _read_and_reset(connection: socket.socket, listener: Listener) -> None:
    with contextlib.suppress(OSError):
        listener.received.append(connection.recv(65_536))
    rst(connection)
