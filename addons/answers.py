"""How answers go on the wire where uvicorn's own way does not fit."""

import socket
import struct
import sys
from collections.abc import Iterable

from uvicorn._types import ASGISendEvent
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle


def answer_head(status: int, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Give the head of an answer that is written at once."""
    lines = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
    return STATUS_LINE[status] + lines + b"\r\n"


class CloseDelimitedCycle(RequestResponseCycle):
    """Answers HTTP/1.0, which knows no chunks: without a length the end of the connection ends the body.

    A broken answer is ended by a reset, since a plain close would look finished: while the answer is under way the
    socket is set to reset when it is closed.
    """

    def _reset_on_close(self, *, on: bool) -> None:
        sock = self.transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", on, 0))

    async def send(self, message: ASGISendEvent) -> None:
        """Send without chunking."""
        if message["type"] == "http.response.start":
            named = any(name.lower() == b"content-length" for name, _ in message["headers"])
            if not named:
                self.chunked_encoding, self.expected_content_length = False, sys.maxsize
                self._reset_on_close(on=True)
        elif (
            message["type"] == "http.response.body"
            and self.expected_content_length > sys.maxsize // 2
            and not message.get("more_body", False)
        ):
            self.expected_content_length = len(message.get("body", b""))
            self._reset_on_close(on=False)
        await super().send(message)


def unreadable(why: str, flow_id: str) -> bytes:
    """Give the whole answer to a request that cannot be read."""
    text = why.replace("\\", "\\\\").replace('"', '\\"')
    text = "".join(c if c.isprintable() else "?" for c in text)
    body = (
        f'{{"error":{{"message":"whygate could not read this request: {text}. Nothing was sent on; '
        f'check what wrote it.","type":"whygate_error","param":null,"code":"client.malformed_request"}}}}'
    ).encode()
    return (
        b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\n"
        b"x-whygate-cause: client.malformed_request\r\n"
        b"x-whygate-flow-id: %b\r\nx-should-retry: false\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%b"
        % (flow_id.encode(), len(body), body)
    )
