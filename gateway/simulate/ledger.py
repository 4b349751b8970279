"""What really arrived and what was really sent back."""

import asyncio
from collections import Counter, deque
from dataclasses import asdict, dataclass
from typing import Any

MAX_ROWS = 100_000

# A refusal proves that nothing was computed. 408 is missing on purpose: a provider that timed out may have worked.
# 511 is written by the network in front of it (RFC 6585 section 6).
_REFUSALS = frozenset(range(400, 500)) - {408} | {503, 511, 529}
_FREE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerRow:
    """One call that ended. A WebSocket has a row for its upgrade, and one for every request in it.

    Attributes:
        number: Order of arrival, from 1.
        method: Of the request line; ``WEBSOCKET`` for a request that came as a message.
        path: Path as received, still percent-encoded.
        query: Query as received, without the question mark.
        key_hash: First 16 hex digits of SHA-256 of the credential; empty without one.
        model: The ``model`` of a JSON body, or of the path or the query where it stands there; empty without one.
        status: Status sent; ``None`` when no head was sent. The upgrade to a WebSocket ends with 101, when the
            connection does; a request in it has the status that it would have had over HTTP.
        billable: The whole body arrived and the answer was not a definite refusal.
        response_bytes: Body bytes handed to the transport, before transfer coding.
        retry_count: Value of ``x-stainless-retry-count``; ``None`` without it.
        started_at: Seconds since 1970 (UTC), when the head of the request was read.
        ended_at: Seconds since 1970 (UTC).
    """

    number: int
    method: str
    path: str
    query: str
    key_hash: str
    model: str
    body_sha256: str
    body_bytes: int
    status: int | None
    billable: bool
    response_bytes: int
    aborted_by_client: bool
    retry_count: int | None
    started_at: float
    ended_at: float


def is_billable(*, method: str, body_complete: bool, status: int | None) -> bool:
    """Say whether a provider could have charged for the call. No answer at all counts as yes."""
    return body_complete and method not in _FREE_METHODS and status not in _REFUSALS


class Ledger:
    """The last ``MAX_ROWS`` calls, and counters over all calls since the last reset."""

    def __init__(self) -> None:
        """Start empty."""
        self._rows: deque[LedgerRow] = deque(maxlen=MAX_ROWS)
        self._next_number = 1
        self._in_flight = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self.clear()

    def clear(self) -> None:
        """Forget all ended calls. Calls in progress will still get their row."""
        self._rows.clear()
        self.calls = 0
        self.billable = 0
        self.aborted_by_client = 0
        self.by_status: Counter[int | None] = Counter()
        self.max_in_flight = self._in_flight

    @property
    def rows(self) -> tuple[LedgerRow, ...]:
        """Ended calls, in the order they ended."""
        return tuple(self._rows)

    @property
    def in_flight(self) -> int:
        """Calls that arrived and have not ended."""
        return self._in_flight

    async def settled(self, timeout_seconds: float = 5.0) -> None:
        """Wait until no call is in progress; to be used in the loop that serves.

        An answered call has its row before its last byte can be read. A broken one gets it a moment after the client
        sees the break, so a test that counts rows waits here first.

        Raises:
            TimeoutError: A call is still in progress after so many seconds.
        """
        async with asyncio.timeout(timeout_seconds):
            await self._idle.wait()

    def arrive(self) -> int:
        """Count a call in and return its number."""
        number = self._next_number
        self._next_number += 1
        self._in_flight += 1
        self._idle.clear()
        self.max_in_flight = max(self.max_in_flight, self._in_flight)
        return number

    def depart(self, row: LedgerRow | None) -> None:
        """Count a call out; ``None`` leaves no row (the simulator's own routes)."""
        self._in_flight -= 1
        if not self._in_flight:
            self._idle.set()
        if row is None:
            return
        self._rows.append(row)
        self.calls += 1
        self.billable += row.billable
        self.aborted_by_client += row.aborted_by_client
        self.by_status[row.status] += 1

    def as_json(self) -> dict[str, Any]:
        """Return counters and rows as plain data."""
        return {
            "counters": {
                "calls": self.calls,
                "billable": self.billable,
                "aborted_by_client": self.aborted_by_client,
                "in_flight": self._in_flight,
                "max_in_flight": self.max_in_flight,
                "by_status": {str(status): count for status, count in self.by_status.items()},
            },
            "rows": [asdict(row) for row in self._rows],
        }
