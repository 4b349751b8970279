"""WebSockets that the lane handed over: a row when one ends, and a word when the upgrade was refused."""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from mitmproxy import http


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedWebSocket:
    """What a row shows of a WebSocket.

    Attributes:
        status: Of the upgrade's answer; 101 when it became a WebSocket.
        error: The words of a failure, empty when there was none.
        close_code: RFC 6455 section 7.4, None without one.
    """

    client: str
    host: str
    path: str
    started_at: float
    seconds: float
    status: int | None
    error: str
    close_code: int | None
    messages: int


class WebSockets:
    """The addon. Keeps no messages: mitmproxy's list of them is emptied as they pass.

    Args:
        ended: Told of each WebSocket once, when it is over, and of each upgrade that failed.
        handed_over: The ids of clients whose connection the lane gave away.
    """

    name = "websockets"

    def __init__(self, ended: Callable[[EndedWebSocket], None], handed_over: Collection[str]) -> None:
        self._ended, self._handed_over = ended, handed_over
        self._counts: dict[str, int] = {}

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Refuse an ordinary call on a connection that was handed over: here it would pass no limit and no record."""
        if flow.client_conn.id in self._handed_over and not is_upgrade(flow):
            body = b"whygate: this connection was for a WebSocket; send this call on a new one.\n"
            flow.response = http.Response.make(421, body, {"content-type": "text/plain", "connection": "close"})

    def websocket_message(self, flow: http.HTTPFlow) -> None:
        """Count a message and let it go; mitmproxy would keep every one until the end."""
        assert flow.websocket is not None
        self._counts[flow.id] = self._counts.get(flow.id, 0) + 1
        del flow.websocket.messages[:-1]

    def websocket_end(self, flow: http.HTTPFlow) -> None:
        """Record it."""
        assert flow.websocket is not None
        self._report(flow, flow.websocket.close_code)

    def response(self, flow: http.HTTPFlow) -> None:
        """Record an upgrade that the far side refused."""
        if is_upgrade(flow) and flow.response is not None and flow.response.status_code != 101:
            flow.response.headers["connection"] = "close"
            self._report(flow, None)

    def error(self, flow: http.HTTPFlow) -> None:
        """Record an upgrade that could not be carried."""
        if is_upgrade(flow) and flow.websocket is None:
            self._report(flow, None)

    def _report(self, flow: http.HTTPFlow, close_code: int | None) -> None:
        peer = flow.client_conn.peername
        started = flow.request.timestamp_start
        self._ended(
            EndedWebSocket(
                client=f"{peer[0]}:{peer[1]}",
                host=flow.request.host,
                path=flow.request.path.partition("?")[0],
                started_at=started,
                seconds=max(0.0, time.time() - started),
                status=flow.response.status_code if flow.response else None,
                error=flow.error.msg if flow.error else "",
                close_code=close_code,
                messages=self._counts.pop(flow.id, 0),
            )
        )


def is_upgrade(flow: http.HTTPFlow) -> bool:
    """Whether a request asks for a WebSocket."""
    return bool(flow.request.headers.get("upgrade", "").lower() == "websocket")
