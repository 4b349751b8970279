"""What mitmproxy's own UIs show of this gateway, while one is open: calls of the lane beside what mitmproxy carries.

The path knows nothing of it. `Feed` stands before the application and hears what each app gets; it stands before the
record and hears how each call ended. Then the call waits in a bounded ring, is made a flow in another thread, and is
put into the view a few at a time: making a flow costs some 100 µs, showing it as much again, and the loop belongs to
the calls. Without a UI there is no `Feed`, and nothing is kept.

Flows that mitmproxy carries (edited routes, clients of HTTP/2 alone, WebSockets) are in the view from their beginning,
with stand-ins for their credentials, and get their verdict when they end.
"""

import asyncio
import contextlib
import logging
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from contextvars import ContextVar
from datetime import datetime
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from mitmproxy import flow, http
from mitmproxy.addons.view import View
from mitmproxy.net.http.url import hostport
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import HTTPMode

from addons.shown import ANSWER_BYTES, Seen, flow_of, flow_of_row, judge, size_of
from addons.veil import Veil, VeiledHttp, covered
from gateway.model.event import EventSink, Live
from gateway.model.exchange import Concluded
from gateway.model.flow import FlowRow
from gateway.record.redact import kept_target

logger = logging.getLogger("whygate.feed")

RING_CALLS = 1000
RING_BYTES = 64 * 1024 * 1024
VIEW_FLOWS = 2000
VIEW_BYTES = 256 * 1024 * 1024
BATCH = 5
PAUSE_SECONDS = 0.005
SHARE = 3
"""After each batch the loop has three times as long for everything else."""

SOCKET_MESSAGES = 1000
SOCKET_BYTES = 8 * 1024 * 1024

App = Callable[..., Awaitable[Any]]
Stream = Callable[[bytes], Iterable[bytes] | bytes]
_SEEN: ContextVar[Seen | None] = ContextVar("seen", default=None)


class Waiting(NamedTuple):
    """A call that is over and not yet in the view; ``live`` is None for what never was a call."""

    live: Live | None
    concluded: Concluded | None
    seen: Seen
    row: FlowRow | None
    size: int


class Feed(EventSink):
    """Event sink, application and addon in one: the three places from which a call is seen.

    Args:
        sink: The record.
    """

    name = "feed"

    def __init__(self, sink: EventSink) -> None:
        self._veil = Veil()
        self._sink = sink
        self._view: View | None = None
        self._ring: deque[Waiting] = deque()
        self._ring_bytes = 0
        self._arrived = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._held: OrderedDict[str, int] = OrderedDict()
        self._held_bytes = 0
        self._sockets: dict[str, int] = {}
        self._passed: WeakKeyDictionary[http.Message, list[bytes]] = WeakKeyDictionary()
        self.left_out = 0

    def attach(self, view: View) -> None:
        """Show everything there from now on."""
        self._view = view
        view.sig_store_remove.connect(self._removed)
        view.sig_store_refresh.connect(self._refreshed)

    def speak_http(self, context: Context, mode: HTTPMode) -> VeiledHttp:
        """Give the layer that speaks HTTP for what mitmproxy carries."""
        return VeiledHttp(self._veil, context, mode)

    # Before the application

    def hearing(self, app: App) -> App:
        """Give the application with an ear at its mouth."""

        async def heard(scope: MutableMapping[str, Any], receive: App, send: App) -> None:
            lane = (scope.get("state") or {}).get("lane")
            seen = Seen(client=getattr(lane, "client_conn", None))

            async def hear() -> Any:
                message: Any = await receive()
                seen.read_at = seen.read_at if seen.status else time.time()
                return message

            async def tell(message: MutableMapping[str, Any]) -> None:
                if message["type"] == "http.response.start":
                    seen.status, seen.headers, seen.started_at = message["status"], message["headers"], time.time()
                else:
                    seen.keep(message.get("body", b""))
                    seen.ended_at = time.time()
                await send(message)

            _SEEN.set(seen)  # the task is this exchange's own
            await app(scope, hear, tell)

        return heard

    # Before the record

    def opened(self, live: Live) -> None:
        """See `EventSink`."""
        self._sink.opened(live)

    def closed(self, live: Live, concluded: Concluded) -> None:
        """See `EventSink`."""
        self._sink.closed(live, concluded)
        seen = _SEEN.get() or Seen()
        size = len(live.call.body) + min(seen.size, ANSWER_BYTES)
        self._wait(Waiting(live, concluded, seen, None, size))

    def recorded(self, row: FlowRow) -> None:
        """See `EventSink`. Its flow is in the view when mitmproxy carried it: both have one id."""
        self._sink.recorded(row)
        shown = self._view.get_by_id(row.id) if self._view is not None else None
        if isinstance(shown, http.HTTPFlow):
            judge(shown, row, self._veil.strike)
            if row.kind == "websocket":
                shown.live = False
                self._sockets.pop(shown.id, None)
            self._changed(shown)
        elif row.kind == "tunnel":
            if row.cause is not None:
                words = row.diagnosis or {}
                logger.info("%s: %s: %s", row.host, row.cause, words.get("what_happened", ""))
        else:
            self._wait(Waiting(None, None, Seen(), row, 0))

    def _wait(self, item: Waiting) -> None:
        self._ring.append(item)
        self._ring_bytes += item.size
        while len(self._ring) > RING_CALLS or (self._ring_bytes > RING_BYTES and len(self._ring) > 1):
            self._ring_bytes -= self._ring.popleft().size  # whoever looks wants to see what happens now
            if not self.left_out:
                logger.warning("More calls end than mitmproxy's UI can show; some are in whygate's page only.")
            self.left_out += 1
        self._arrived.set()

    # Into the view

    def running(self) -> None:
        """Begin to show."""
        self._task = asyncio.get_running_loop().create_task(self._show())

    async def done(self) -> None:
        """Stop."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _show(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._ring:
                batch = [self._ring.popleft() for _ in range(min(BATCH, len(self._ring)))]
                self._ring_bytes -= sum(item.size for item in batch)
                flows = await asyncio.to_thread(_made, batch)
                began = time.monotonic()
                for shown in flows:
                    self._add(shown)
                await asyncio.sleep(max(PAUSE_SECONDS, SHARE * (time.monotonic() - began)))

    def _add(self, shown: http.HTTPFlow) -> None:
        assert self._view is not None
        self._hold(shown)
        self._view.add([shown])

    def _changed(self, shown: http.HTTPFlow) -> None:
        assert self._view is not None
        self._hold(shown)
        self._view.update([shown])

    def _hold(self, shown: flow.Flow) -> None:
        """Count a flow, and make room for it: the oldest that is over goes."""
        view = self._view
        assert view is not None
        size = size_of(shown)
        self._held_bytes += size - self._held.pop(shown.id, 0)
        self._held[shown.id] = size
        look = len(self._held) - 1
        while look > 0 and (len(self._held) > VIEW_FLOWS or self._held_bytes > VIEW_BYTES):
            look -= 1
            oldest = next(iter(self._held))
            other = view.get_by_id(oldest)
            if other is not None and (other.live or other.intercepted):
                self._held.move_to_end(oldest)
            elif other is None:
                self._forget(oldest)
            else:
                view.remove([other])

    def _forget(self, flow_id: str) -> None:
        self._held_bytes -= self._held.pop(flow_id, 0)

    def _removed(self, flow: flow.Flow) -> None:
        self._forget(flow.id)

    def _refreshed(self) -> None:
        """The user cleared the view."""
        for flow_id in [name for name in self._held if self._view is None or self._view.get_by_id(name) is None]:
            self._forget(flow_id)

    # What mitmproxy carries: its hooks. The view's own come after these, so it never sees a secret.

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Cover what the app signs in with; listen where the body goes through without stopping."""
        self._veil.cover(flow.request)
        self._hold(flow)
        if flow.request.stream:
            flow.request.stream = self._tap(flow.request, flow.request.stream)

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        """Cover what the provider sets; listen as well."""
        assert flow.response is not None
        self._veil.cover(flow.response)
        if flow.response.stream:
            flow.response.stream = self._tap(flow.response, flow.response.stream)

    def request(self, flow: http.HTTPFlow) -> None:
        """Show what went through."""
        self._settle(flow.request)

    def response(self, flow: http.HTTPFlow) -> None:
        """Show what went through."""
        if flow.response is not None:
            self._settle(flow.response)
        self._hold(flow)

    def websocket_start(self, flow: http.HTTPFlow) -> None:
        """Show it from now on: its request went by the lane, where there are no hooks."""
        assert flow.response is not None
        flow.request.headers.fields = covered(flow.request.headers.fields)
        flow.request.host_header = hostport(flow.request.scheme, flow.request.host, flow.request.port)  # as sent on
        flow.response.headers.fields = covered(flow.response.headers.fields)
        flow.request.data.path = kept_target(flow.request.data.path).encode("latin-1", "replace")
        self._sockets[flow.id] = 0
        self._add(flow)

    def websocket_message(self, flow: http.HTTPFlow) -> None:
        """Keep the last messages only: a voice goes on for hours."""
        assert flow.websocket is not None
        messages = flow.websocket.messages
        kept = self._sockets.get(flow.id, 0) + len(messages[-1].content)
        while len(messages) > 1 and (len(messages) > SOCKET_MESSAGES or kept > SOCKET_BYTES):
            kept -= len(messages[0].content)
            del messages[0]
        self._sockets[flow.id] = max(kept, 0)
        self._hold(flow)

    def _tap(self, message: http.Message, before: Stream | bool) -> Stream:  # noqa: FBT001 - what stood there
        """Give a function for mitmproxy's streaming that keeps the start of what passes."""
        kept = self._passed[message] = []
        size = 0

        def passed(data: bytes) -> Iterable[bytes] | bytes:
            nonlocal size
            if size < ANSWER_BYTES:
                kept.append(data[: ANSWER_BYTES - size])
            size += len(data)
            return data if isinstance(before, bool) else before(data)

        return passed

    def _settle(self, message: http.Message) -> None:
        """Put what passed where the UIs look for it; mitmproxy has sent it by now and looks there no more."""
        kept = self._passed.pop(message, None)
        if kept is not None:
            message.raw_content = b"".join(kept)


def _made(batch: list[Waiting]) -> list[http.HTTPFlow]:
    """Make flows. Runs in another thread: striking out what must not be shown takes a while."""
    made = []
    for item in batch:
        try:
            if item.live is not None and item.concluded is not None:
                made.append(flow_of(item.live, item.concluded, item.seen))
            elif item.row is not None:
                made.append(flow_of_row(item.row, datetime.fromisoformat(item.row.started_at).timestamp()))
        except Exception:
            logger.exception("a call cannot be shown in mitmproxy's UI")
    return made
