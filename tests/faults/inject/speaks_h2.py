"""A server that speaks HTTP/2 and nothing else: to a request of HTTP/1.1 it says SETTINGS and GOAWAY, and ends."""

import contextlib
import socket
import ssl
from collections.abc import Iterator

import h2.config
import h2.connection
import h2.exceptions

from tests.faults.inject.listener import Listener, listening
from tests.faults.upstream import Exchange

NO_APPLICATION_PROTOCOL = b"\x15\x03\x03\x00\x02\x02\x78"
"""TLS alert 120 (RFC 7301 section 3.2), as servers write it before there are keys."""


def _server() -> h2.connection.H2Connection:
    made = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
    made.initiate_connection()
    return made


async def speaks_h2(exchange: Exchange) -> None:
    """Take the request for what it is not, as an HTTP/2 server does (RFC 9113 section 3.4)."""
    body = await exchange.receive()
    server = _server()
    with contextlib.suppress(h2.exceptions.ProtocolError):
        server.receive_data(f"{exchange.request.method} {exchange.request.target} HTTP/1.1\r\n\r\n".encode() + body)
    await exchange.write(server.data_to_send())
    exchange.fin()


@contextlib.contextmanager
def speaks_h2_first(context: ssl.SSLContext) -> Iterator[Listener]:
    """Give a TLS listener that does not wait for the request."""
    with listening(lambda one, listener: _say_settings(one, listener, context)) as listener:
        yield listener


def _say_settings(connection: socket.socket, listener: Listener, context: ssl.SSLContext) -> None:
    with connection, contextlib.suppress(OSError):
        connection.settimeout(5)
        with context.wrap_socket(connection, server_side=True) as secured:
            secured.sendall(_server().data_to_send())
            listener.received.append(secured.recv(65_536))


@contextlib.contextmanager
def refuses_alpn() -> Iterator[Listener]:
    """Give a listener that refuses every handshake, because what is offered is not h2."""
    with listening(_refuse) as listener:
        yield listener


def _refuse(connection: socket.socket, listener: Listener) -> None:
    with connection, contextlib.suppress(OSError):
        listener.received.append(connection.recv(65_536))
        connection.sendall(NO_APPLICATION_PROTOCOL)
