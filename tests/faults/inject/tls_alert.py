"""The server reads the ClientHello and refuses it with an alert (RFC 8446 section 6.2)."""

import contextlib
import socket
from collections.abc import Iterator

from tests.faults.inject.listener import Listener, listening

HANDSHAKE_FAILURE = 40
PROTOCOL_VERSION = 70
_FATAL = 2


@contextlib.contextmanager
def tls_alert(number: int) -> Iterator[Listener]:
    """Give a listener that answers every hello with this alert."""
    with listening(lambda one, listener: _refuse(one, listener, number)) as listener:
        yield listener


def _refuse(connection: socket.socket, listener: Listener, number: int) -> None:
    with connection, contextlib.suppress(OSError):
        listener.received.append(connection.recv(65_536))
        connection.sendall(bytes((0x15, 3, 3, 0, 2, _FATAL, number)))
        connection.shutdown(socket.SHUT_WR)
        connection.recv(65_536)
