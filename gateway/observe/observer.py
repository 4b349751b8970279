"""The event sink that tells figures, spans and log lines of calls that are over: one entry in a queue on the path."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable

from gateway.model.event import EventSink, Live
from gateway.model.exchange import Concluded
from gateway.model.flow import FlowRow
from gateway.observe.ended import Ended, of_call, of_row

logger = logging.getLogger("whygate.observe")

QUEUE_MAX = 20_000
GATHER_SECONDS = 0.2
CLOSE_SECONDS = 1.0
WORK_SECONDS, BREATH_SECONDS = 0.0005, 0.00005
"""After half a millisecond of work others get their turn: the event loop waits for whoever computes."""

Hearer = Callable[[Ended], None]


class Observer(EventSink):
    """Passes everything on to the record, and what is over to whoever wants to hear of it, in a thread of its own.

    Args:
        sink: The record.
        hearers: Called one after the other for each flow, never two at a time.

    Attributes:
        lost: Flows of which nobody was told, since too many waited.
    """

    def __init__(self, sink: EventSink, hearers: tuple[Hearer, ...]) -> None:
        self._sink, self._hearers = sink, hearers
        self._waiting: deque[Ended | FlowRow] = deque()
        self._wake, self._stop = threading.Event(), threading.Event()
        self._turn = threading.Lock()
        self._thread: threading.Thread | None = None
        self._complained: set[Hearer] = set()
        self.lost = 0

    def start(self) -> None:
        """Begin."""
        self._thread = threading.Thread(target=self._run, name="whygate-observe", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Tell what is left, within a second."""
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(CLOSE_SECONDS)

    def opened(self, live: Live) -> None:
        """See `EventSink`."""
        self._sink.opened(live)

    def closed(self, live: Live, concluded: Concluded) -> None:
        """See `EventSink`."""
        self._sink.closed(live, concluded)
        self._wait(of_call(live, concluded))

    def recorded(self, row: FlowRow) -> None:
        """See `EventSink`."""
        self._sink.recorded(row)
        self._wait(row)

    def with_all_told[T](self, read: Callable[[], T]) -> T:
        """Tell what waits, then read in peace. From any thread but the event loop's."""
        with self._turn:
            self._tell()
            return read()

    def _wait(self, item: Ended | FlowRow) -> None:
        if len(self._waiting) >= QUEUE_MAX:
            self.lost += 1
            return
        self._waiting.append(item)
        if not self._wake.is_set():
            self._wake.set()

    # From here on: the observer's thread, or that of somebody who reads.

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.wait()
            self._stop.wait(GATHER_SECONDS)
            self._wake.clear()
            with self._turn:
                self._tell()

    def _tell(self) -> None:
        """Tell what waits now; what comes meanwhile is for the next time."""
        since = time.monotonic()
        for _ in range(len(self._waiting)):
            item = self._waiting.popleft()
            for hearer in self._hearers:
                try:
                    hearer(item if isinstance(item, Ended) else of_row(item))
                except Exception:
                    if hearer not in self._complained:
                        self._complained.add(hearer)
                        logger.exception("a finished call could not be counted; it is told once")
            if time.monotonic() - since > WORK_SECONDS:
                time.sleep(BREATH_SECONDS)  # noqa: TID251 - not the event loop's thread
                since = time.monotonic()
