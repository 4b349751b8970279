"""What the listeners that never reach HTTP have in common: a socket of 127.0.0.1, a thread, and a count."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

GIVE_UP_SECONDS = 30.0
"""No connection is held longer by a listener whose test has forgotten it."""


@dataclass
class Listener:
    """A port that can be connected to.

    Attributes:
        dials: Connections that were accepted.
        received: The first bytes of each that was read from.
    """

    port: int
    dials: int = 0
    received: list[bytes] = field(default_factory=list)


@contextlib.contextmanager
def listening(handle: Callable[[socket.socket, Listener], None]) -> Iterator[Listener]:
    """Accept connections and give each to ``handle``, one after the other, in a thread that ends with the block."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        listener = Listener(server.getsockname()[1])
        server.settimeout(0.05)
        over = threading.Event()

        def run() -> None:
            while not over.is_set():
                with contextlib.suppress(TimeoutError, OSError):
                    connection, _ = server.accept()
                    connection.settimeout(GIVE_UP_SECONDS)
                    listener.dials += 1
                    handle(connection, listener)

        thread = threading.Thread(target=run, daemon=True, name="listener")
        thread.start()
        try:
            yield listener
        finally:
            over.set()
            thread.join(GIVE_UP_SECONDS)


def rst(connection: socket.socket) -> None:
    """Close with a RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    connection.close()
