"""What is not in the file yet, and what just got there. Written by the path and the writer, read by anyone."""

from collections import deque
from collections.abc import Callable
from typing import NamedTuple, Protocol

from gateway.model.event import Live
from gateway.model.exchange import Concluded
from gateway.model.flow import FlowRow
from gateway.record.backends.sqlite import Ready
from gateway.record.row import closed_row, foreign_row, open_row

RECENT_ROWS = 1000


class Finished(NamedTuple):
    """A call that is over and not yet a row. ``concluded`` is None when another part wrote the row itself.

    Attributes:
        captured: Its bodies are to be kept.
        request_bytes: Of the request's body, which is not held any more when it was long and is not to be kept.
        held_bytes: Of both bodies, as far as they are held to be kept.
        ended: Monotonic seconds.
    """

    seq: int
    live: Live | None
    concluded: Concluded | None
    row: FlowRow | None = None
    captured: bool = False
    request_bytes: int = 0
    held_bytes: int = 0
    ended: float = 0.0

    @property
    def client(self) -> str:
        """``address:port`` of the app."""
        return self.live.call.client if self.live is not None else self.row.client if self.row is not None else ""

    def as_row(self, name: Callable[[str], str | None]) -> FlowRow:
        """Give its row; ``name`` is as of `Names`."""
        if self.live is not None and self.concluded is not None:
            app = name(self.live.call.client) or ""
            return closed_row(self.live, self.concluded, app, captured=self.captured, request_bytes=self.request_bytes)
        if self.row is None:
            raise ValueError(f"flow {self.seq} has neither a call nor a row")
        return foreign_row(self.row, self.seq, name(self.row.client) or "")


class Recent(NamedTuple):
    """A finished row for those who follow live. ``number`` counts finished rows of this process from 1."""

    number: int
    id: str
    json: bytes
    tenant: str = ""


class Names(Protocol):
    """What runs at the other end of apps' connections. It takes a moment to find out, so the path does not ask."""

    def name(self, address: str, /) -> str | None:
        """Give what runs at ``address:port``; None while nobody knows."""

    def is_asked(self, address: str, /) -> bool:
        """Whether it may be known in a moment."""


class Nobody(Names):
    """Knows no app."""

    def name(self, _address: str, /) -> str | None:
        """See `Names`."""
        return None

    def is_asked(self, _address: str, /) -> bool:
        """See `Names`."""
        return False


NOBODY = Nobody()


class Ring:
    """Each place has one writer thread; readers copy a place in one step, which no other thread can interrupt.

    Attributes:
        running: By ``seq``; written by the path.
        finished: Appended by the path, taken from the left by the writer.
        ready: Owned by the writer.
        recent: The last thousand finished rows, committed or not; owned by the writer.
        names: Asked when a row is made.
    """

    def __init__(self, names: Names = NOBODY) -> None:
        """Begin empty."""
        self.names = names
        self.running: dict[int, Live] = {}
        self.finished: deque[Finished] = deque()
        self.ready: deque[Ready] = deque()
        self.recent: deque[Recent] = deque(maxlen=RECENT_ROWS)
        self.ready_bytes = 0
        self.recent_total = 0

    def __len__(self) -> int:
        """Give how many finished calls are not committed."""
        return len(self.finished) + len(self.ready)

    def rows(self) -> dict[int, FlowRow]:
        """Give a row for every call that is running or not committed; of two forms of one call, the later.

        The places are read in the order in which calls pass through them, so none is missed.
        """
        found = {live.seq: self.row_of(live) for live in tuple(self.running.values())}
        found.update((item.seq, item.as_row(self.names.name)) for item in tuple(self.finished))
        found.update((item.row.seq, item.row) for item in tuple(self.ready))
        return found

    def find(self, flow_id: str) -> FlowRow | None:
        """Give one row by its id, without making the others."""
        running = next((live for live in tuple(self.running.values()) if live.call.id == flow_id), None)
        for item in tuple(self.finished):
            known = item.live.call.id if item.live else item.row and item.row.id
            if known == flow_id:
                return item.as_row(self.names.name)
        done = next((item.row for item in tuple(self.ready) if item.row.id == flow_id), None)
        return done or (self.row_of(running) if running else None)

    def row_of(self, live: Live) -> FlowRow:
        """Give the row of a running call."""
        return open_row(live, self.names.name(live.call.client) or "")

    def keep_ready(self, item: Ready) -> None:
        """Add a row that waits for its commit, and show it to those who follow."""
        self.ready.append(item)
        self.ready_bytes += item.size_bytes
        self.recent_total += 1
        self.recent.append(Recent(self.recent_total, item.row.id, item.json, item.row.tenant))

    def forget_oldest_ready(self) -> None:
        """Take the oldest waiting row out: committed, or given up."""
        item = self.ready.popleft()
        self.ready_bytes -= item.size_bytes
