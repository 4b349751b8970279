"""SYN drop: the queue of a listening socket is full, so the kernel answers no further SYN (listen(2), Linux)."""

import contextlib
import socket
from collections.abc import Iterator

CONNECTIONS_MAX = 64
SETTLE_SECONDS = 0.2


@contextlib.contextmanager
def full_backlog(host: str = "127.0.0.1", port: int = 0) -> Iterator[int]:
    """Give a port at which connecting hangs."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.socket())
        server.bind((host, port))
        server.listen(0)
        address = server.getsockname()
        for _ in range(CONNECTIONS_MAX):
            filler = stack.enter_context(socket.socket())
            filler.settimeout(SETTLE_SECONDS)
            try:
                filler.connect(address)
            except TimeoutError:
                break
        else:
            raise AssertionError("the backlog never filled")
        yield address[1]
