"""A flow as rows, pages and terminals show it: the stored form of one exchange, tunnel or WebSocket."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Literal


class State(StrEnum):
    """Where a flow stands. States only move forward."""

    QUEUED = "queued"
    WAITING = "waiting"
    CONNECTING = "connecting"
    STREAMING = "streaming"
    DONE = "done"


Kind = Literal["api", "tunnel", "websocket"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowRow:
    """One line of the log.

    Attributes:
        seq: Strictly increasing in the order of arrival.
        rev: Increases with each change of this row.
        wait_reason: Why it is queued or waiting, in words; None when it is not.
        started_at: ISO 8601, UTC, milliseconds, ``Z``.
        ended_at: The same, None while it runs.
        cause: None on success.
        attempts: ``{n, waited_ms, phases: [{name, start_ms, end_ms, ok}], status, failure}``.
        cache: none, hit, stored, collapsed, stale or bypass.
        shadow: ``{wait_ms, reason}`` of a call that would have waited, were limits not only watched; None otherwise.
            ``wait_ms`` is None where nobody can tell.
        diagnosis: ``{cause, fault, precision, title, what_happened, evidence, ruled_out, alternatives, what_to_do}``.
        request_headers: Kept headers only, as ``[name, value]``.
        body: The start of a failed answer, redacted, at most 64 KiB; None when not kept.
    """

    id: str
    seq: int
    rev: int
    state: State
    started_at: str
    kind: Kind = "api"
    wait_reason: str | None = None
    eta_ms: int | None = None
    ended_at: str | None = None
    client: str = ""
    tenant: str = ""
    key: str = ""
    provider: str = ""
    method: str = ""
    host: str = ""
    path: str = ""
    endpoint: str = ""
    model: str = ""
    stream: bool = False
    status: int | None = None
    cause: str | None = None
    fault: str | None = None
    precision: str | None = None
    attempts: tuple[dict[str, Any], ...] = ()
    queue_ms: float = 0.0
    overhead_ms: float | None = None
    ttft_ms: float | None = None
    total_ms: float | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    tokens_estimated: bool = False
    cache: str = "none"
    possible_duplicate: bool = False
    shadow: dict[str, Any] | None = None
    diagnosis: dict[str, Any] | None = None
    request_headers: tuple[tuple[str, str], ...] = ()
    response_headers: tuple[tuple[str, str], ...] = ()
    body: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Give the row as JSON-ready values."""
        return asdict(self)
