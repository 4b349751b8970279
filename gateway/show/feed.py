"""The live feed: what changed since the last look, to everyone who watches. Costs nothing while nobody does.

The path never calls in here. A poller compares the ring with what it saw before, so a call that changes ten times
between two looks is sent once, and the cost is bounded by the number of looks, not of calls.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, NamedTuple

import orjson

from gateway.model.flow import FlowRow
from gateway.record.query import without_body
from gateway.record.recorder import Recorder
from gateway.record.ring import RECENT_ROWS
from gateway.show.viewer import ADMIN, Viewer, health_for

LOOK_SECONDS = 0.2
HEALTH_SECONDS = 5.0
QUEUE_EVENTS = 1000
KEPT_EVENTS = 2000
RUNNING_PER_LOOK = 200
"""At most this many running calls are sent a look; at 20 us each that holds the event loop for 4 ms."""
FORGET_SECONDS = 300.0


class Event(NamedTuple):
    """One event. ``number`` strictly increases, also across restarts, and is what a browser resumes from."""

    number: int
    name: str
    data: str
    tenant: str = ""
    """Whose flow it is."""


class Watcher:
    """One subscriber with a bounded queue. Falling behind empties it and leaves one `gap`."""

    def __init__(self, viewer: Viewer = ADMIN) -> None:
        """Begin with nothing to read."""
        self._viewer = viewer
        self._events: deque[Event] = deque()
        self._news = asyncio.Event()
        self._closed = False

    def put(self, event: Event) -> None:
        """Add an event, if it is for this subscriber; never waits."""
        if self._viewer.tenant is not None:
            if event.name == "flow" and event.tenant != self._viewer.tenant:
                return
            if event.name == "health":
                health = health_for(self._viewer, orjson.loads(event.data))
                event = event._replace(data=orjson.dumps(health).decode())
        if len(self._events) >= QUEUE_EVENTS:
            self._events.clear()
            event = Event(event.number, "gap", '{"reason":"slow"}')
        self._events.append(event)
        self._news.set()

    def end(self) -> None:
        """Let the reader finish after what it has."""
        self._closed = True
        self._news.set()

    async def __aiter__(self) -> AsyncIterator[Event]:
        """Give events as they come, until `end`."""
        while True:
            while self._events:
                yield self._events.popleft()
            if self._closed:
                return
            self._news.clear()
            await self._news.wait()


class Feed:
    """Polls a recorder for all watchers at once. Belongs to one event loop."""

    def __init__(self, recorder: Recorder, health: Callable[[], dict[str, Any]]) -> None:
        """Prepare; the first watcher starts the poller."""
        self._ring = recorder.ring
        self._recorder = recorder
        self._health = health
        self._watchers: set[Watcher] = set()
        self._poller: asyncio.Task[None] | None = None
        # Wall-clock milliseconds, so that an id from before a restart is recognised as too old.
        self._number = int(time.time() * 1000)
        self._kept: deque[Event] = deque(maxlen=KEPT_EVENTS)
        self._seen: dict[int, int] = {}
        self._recent_seen = 0
        self._dropped_seen = 0
        self._stopped_at: float | None = None
        self._health_text = ""
        self._health_at = 0.0

    @contextlib.contextmanager
    def watch(self, last_number: int | None = None, viewer: Viewer = ADMIN) -> Iterator[Watcher]:
        """Follow from now on, or from an event number when what came after it is still known, else with a `gap`."""
        watcher = Watcher(viewer)
        if not self._watchers:
            self._resume()
        self._replay(watcher, last_number)
        watcher.put(Event(self._number, "health", self._health_now()))
        self._watchers.add(watcher)
        if self._poller is None:
            self._poller = asyncio.get_running_loop().create_task(self._poll(), name="whygate-feed")
        try:
            yield watcher
        finally:
            self._watchers.discard(watcher)
            if not self._watchers and self._poller is not None:
                self._poller.cancel()
                self._poller = None
                self._stopped_at = time.monotonic()

    def close(self) -> None:
        """End every stream, so that a server can shut down."""
        for watcher in tuple(self._watchers):
            watcher.end()

    def _resume(self) -> None:
        """Look again after a pause; what happened meanwhile is replayed, or lost when it was long."""
        if self._stopped_at is None or time.monotonic() - self._stopped_at > FORGET_SECONDS:
            self._kept.clear()
            self._seen.clear()
            self._recent_seen = self._ring.recent_total
            self._dropped_seen = self._dropped()
            self._number += 1
        else:
            self._look()

    def _replay(self, watcher: Watcher, last_number: int | None) -> None:
        if last_number is None:
            for live in tuple(self._ring.running.values()):
                row = self._ring.row_of(live)
                watcher.put(Event(self._number, "flow", _text(row), row.tenant))
            return
        oldest = self._kept[0].number if self._kept else self._number + 1
        if oldest - 1 <= last_number <= self._number:
            for event in tuple(self._kept):
                if event.number > last_number:
                    watcher.put(event)
        else:
            watcher.put(Event(self._number, "gap", '{"reason":"too_old"}'))

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self._look()

    def _look(self) -> None:
        """Send what changed since the last look."""
        self._look_at_running()
        self._look_at_finished()
        if (dropped := self._dropped()) != self._dropped_seen:
            self._dropped_seen = dropped
            self._send("gap", '{"reason":"dropped"}')
        now = time.monotonic()
        if (text := self._health_now()) != self._health_text or now - self._health_at >= HEALTH_SECONDS:
            self._health_text, self._health_at = text, now
            for watcher in self._watchers:
                watcher.put(Event(self._number, "health", text))

    def _look_at_running(self) -> None:
        running, seen = self._ring.running, self._seen
        sent = 0
        for live in tuple(running.values()):
            if seen.get(live.seq) == live.rev:
                continue
            seen[live.seq] = live.rev
            row = self._ring.row_of(live)
            self._send("flow", _text(row), row.tenant)
            sent += 1
            if sent == RUNNING_PER_LOOK:
                break
        if len(seen) > 2 * len(running) + 100:
            self._seen = {seq: rev for seq, rev in seen.items() if seq in running}

    def _look_at_finished(self) -> None:
        missed = self._ring.recent_total - self._recent_seen
        if not missed:
            return
        if missed > RECENT_ROWS:
            self._send("gap", '{"reason":"fast"}')
        for item in tuple(self._ring.recent):
            if item.number > self._recent_seen:
                self._recent_seen = item.number
                self._send("flow", item.json.decode(), item.tenant)

    def _send(self, name: str, data: str, tenant: str = "") -> None:
        self._number += 1
        event = Event(self._number, name, data, tenant)
        self._kept.append(event)
        for watcher in self._watchers:
            watcher.put(event)

    def _dropped(self) -> int:
        return int(self._recorder.health()["dropped"])

    def _health_now(self) -> str:
        return orjson.dumps(self._health(), default=str).decode()


def _text(row: FlowRow) -> str:
    return orjson.dumps(without_body(row)).decode()
