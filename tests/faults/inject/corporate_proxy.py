"""A company's proxy that says what its script tells it to say to CONNECT, by the host that is asked for."""

import contextlib
import socket
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tests.faults.inject.listener import GIVE_UP_SECONDS

HEAD_BYTES = 65_536

AUTH = (
    b'HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic realm="company"\r\n'
    b"content-type: text/plain\r\ncontent-length: 13\r\n\r\nwho are you?\n"
)
DENIED = b"HTTP/1.1 403 Forbidden\r\ncontent-type: text/plain\r\ncontent-length: 10\r\n\r\nForbidden\n"


def page(html: str, *headers: str) -> bytes:
    """Give a refusal of 403 with a page."""
    body = html.encode()
    fields = ("content-type: text/html", f"content-length: {len(body)}", "connection: close", *headers)
    return "\r\n".join(("HTTP/1.1 403 Forbidden", *fields, "", "")).encode() + body


@dataclass
class CorporateProxy:
    """The proxy, while it is up.

    Attributes:
        script: Host -> the bytes that answer CONNECT; other hosts are not found (502).
        asked: Hosts of each CONNECT, in their order.
    """

    port: int
    script: Mapping[str, bytes]
    asked: list[str] = field(default_factory=list)

    def tunnels(self, host: str) -> int:
        """Count how often a tunnel to a host was asked for."""
        return self.asked.count(host)

    @contextlib.contextmanager
    def up(self) -> Iterator[None]:
        """Listen for the length of the block; connections are refused before and after it."""
        with socket.create_server(("127.0.0.1", self.port), backlog=64) as server:
            server.settimeout(0.05)
            over = threading.Event()
            thread = threading.Thread(target=self._run, args=(server, over), daemon=True, name="proxy")
            thread.start()
            try:
                yield
            finally:
                over.set()
                thread.join(GIVE_UP_SECONDS)

    def _run(self, server: socket.socket, over: threading.Event) -> None:
        while not over.is_set():
            with contextlib.suppress(OSError):
                connection, _ = server.accept()
                with connection:
                    self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        connection.settimeout(5)
        head = b""
        while b"\r\n\r\n" not in head and len(head) < HEAD_BYTES and (more := connection.recv(4096)):
            head += more
        target = head.split(b" ", 2)[1].decode("latin-1") if head.count(b" ") >= 2 else ""
        host = target.rpartition(":")[0]
        self.asked.append(host)
        connection.sendall(self.script.get(host, b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n"))
