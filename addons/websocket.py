"""WebSockets: a row for each, when it is over or when it was refused."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from mitmproxy import http

from gateway.model.call import Call
from gateway.model.diagnosis import Diagnosis
from gateway.model.route import Route
from gateway.upgrade import Declined


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedWebSocket:
    """What a row shows of a WebSocket.

    Attributes:
        route: None when the app left before there was one.
        status: Of the upgrade's answer; 101 when it became a WebSocket, None when the app left first.
        close_code: RFC 6455 section 7.4; 1006 when it was cut, None when it never began.
        by_client: Whether the app closed it.
        diagnosis: Why it was refused, None when it was not.
    """

    call: Call
    route: Route | None
    seconds: float
    status: int | None
    close_code: int | None = None
    by_client: bool = False
    messages: int = 0
    diagnosis: Diagnosis | None = None


class WebSockets:
    """The addon. Keeps no messages, unless a user looks at them: mitmproxy's list of them is emptied as they pass.

    Args:
        ended: Told of each WebSocket once, when it is over, and of each upgrade that failed.
        keep_messages: Leave the messages to mitmproxy's own pages.
    """

    name = "websockets"

    def __init__(self, ended: Callable[[EndedWebSocket], None], *, keep_messages: bool = False) -> None:
        self._ended, self._keep_messages = ended, keep_messages
        self._running: dict[str, tuple[Call, Route]] = {}
        self._counts: dict[str, int] = {}

    def begun(self, flow: http.HTTPFlow, call: Call, route: Route) -> None:
        """Remember whose it is."""
        self._running[flow.id] = (call, route)

    def declined(self, call: Call, found: Declined) -> None:
        """Record an upgrade that came to nothing."""
        ended = EndedWebSocket(
            call=call,
            route=found.route,
            seconds=time.monotonic() - call.arrived,
            status=found.status,
            diagnosis=found.diagnosis,
        )
        self._ended(ended)

    def left(self, call: Call) -> None:
        """Record an upgrade whose app did not wait for the answer."""
        ended = EndedWebSocket(
            call=call, route=None, seconds=time.monotonic() - call.arrived, status=None, by_client=True
        )
        self._ended(ended)

    def websocket_message(self, flow: http.HTTPFlow) -> None:
        """Count a message and let it go; mitmproxy would keep every one until the end."""
        assert flow.websocket is not None
        self._counts[flow.id] = self._counts.get(flow.id, 0) + 1
        if not self._keep_messages:
            del flow.websocket.messages[:-1]

    def websocket_end(self, flow: http.HTTPFlow) -> None:
        """Record it."""
        assert flow.websocket is not None
        self.over(flow, flow.websocket.close_code, by_client=bool(flow.websocket.closed_by_client))

    def over(self, flow: http.HTTPFlow, close_code: int | None, *, by_client: bool) -> None:
        """Record it, once."""
        call, route = self._running.pop(flow.id, (None, None))
        messages = self._counts.pop(flow.id, 0)
        if call is not None:
            ended = EndedWebSocket(
                call=call,
                route=route,
                seconds=time.monotonic() - call.arrived,
                status=101,
                close_code=close_code,
                by_client=by_client,
                messages=messages,
            )
            self._ended(ended)
