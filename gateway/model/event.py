"""How the path tells others what happens, without knowing who listens."""

from dataclasses import dataclass
from typing import Protocol

from gateway.model.call import Call
from gateway.model.exchange import Concluded
from gateway.model.flow import FlowRow, State
from gateway.model.rhythm import Rhythm
from gateway.model.route import Route


@dataclass(slots=True, kw_only=True)
class Live:
    """A call on its way. The one mutable noun: the path writes it in place, readers take snapshots.

    Attributes:
        call: None only for a request that could not be read.
        eta_ms: When the wait is expected to end, milliseconds from when it was written.
        rhythm: When the events of its stream came; None where there is none.
    """

    call: Call
    seq: int = 0
    rev: int = 0
    state: State = State.QUEUED
    route: Route | None = None
    wait_reason: str | None = None
    eta_ms: int | None = None
    status: int | None = None
    attempts: int = 0
    rhythm: Rhythm | None = None

    def enter(self, state: State, wait_reason: str | None = None, eta_ms: int | None = None) -> None:
        """Move on; readers see it at their next look."""
        self.state, self.wait_reason, self.eta_ms = state, wait_reason, eta_ms
        self.rev += 1


class EventSink(Protocol):
    """Who keeps the record. No method blocks, and none may raise into the path."""

    def opened(self, live: Live) -> None:
        """A call came in; gives it its ``seq``."""
        ...

    def closed(self, live: Live, concluded: Concluded) -> None:
        """It is over, exactly once a call."""
        ...

    def recorded(self, row: FlowRow) -> None:
        """A tunnel or WebSocket is over: its row as it stands, ``seq`` 0 to be given one."""
        ...
