"""A TLS server with settings of one's own: certificate, versions, ciphers. It answers every request with 200."""

import contextlib
import socket
import ssl
from collections.abc import Iterator

from tests.faults.inject.listener import Listener, listening

_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}"


@contextlib.contextmanager
def tls_server(context: ssl.SSLContext) -> Iterator[Listener]:
    """Give a listener; ``received`` holds the first bytes inside TLS, nothing where the handshake failed."""
    with listening(lambda one, listener: _serve(one, listener, context)) as listener:
        yield listener


def _serve(connection: socket.socket, listener: Listener, context: ssl.SSLContext) -> None:
    with connection, contextlib.suppress(OSError):
        connection.settimeout(5)
        with context.wrap_socket(connection, server_side=True) as secured:
            if first := secured.recv(65_536):
                listener.received.append(first)
                secured.sendall(_ANSWER)
