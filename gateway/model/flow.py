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
        attempts: ``{n, waited_ms, queued_ms, phases: [{name, start_ms, end_ms, ok}], status, failure}``, and
            ``fallback``, a name, of one that did not go to the provider.
        upstream: The host that a call by base URL went to: ``host`` is then our own address. Empty for all others.
        app: The program behind ``client`` and its process id, where it runs on this machine and could be found out.
        events: When the events of a stream came: ``{count, bytes, began_ms, bucket_ms, counts, gap_ms, gap_at_ms}``, in
            milliseconds from the call's arrival; ``counts`` of slots of ``bucket_ms`` each from ``began_ms`` on, and
            the longest silence. None where there was no stream of events.
        cache: none, hit, stored, collapsed, stale or bypass.
        fallback: Who answered in the provider's place, empty when nobody did; ``cause`` says why the provider did not.
        shadow: ``{wait_ms, reason}`` of a call that would have waited, were limits not only watched; None otherwise.
            ``wait_ms`` is None where nobody can tell.
        diagnosis: ``{cause, fault, precision, title, what_happened, evidence, ruled_out, alternatives, what_to_do}``.
        request_headers: Kept headers only, as ``[name, value]``.
        body: The start of a failed answer, redacted, at most 64 KiB, and of a captured call that of any answer, at most
            256 KiB; None when not kept.
        request_body: Of a captured call, redacted, at most 256 KiB; None when not kept.
        request_bytes: The length of the request's body.
        replay_of: The id of the call of which this one is a repetition that somebody asked for.
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
    app: str = ""
    tenant: str = ""
    key: str = ""
    provider: str = ""
    method: str = ""
    host: str = ""
    upstream: str = ""
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
    events: dict[str, Any] | None = None
    cache: str = "none"
    possible_duplicate: bool = False
    fallback: str = ""
    shadow: dict[str, Any] | None = None
    diagnosis: dict[str, Any] | None = None
    request_headers: tuple[tuple[str, str], ...] = ()
    response_headers: tuple[tuple[str, str], ...] = ()
    body: str | None = None
    request_body: str | None = None
    request_bytes: int = 0
    replay_of: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Give the row as JSON-ready values."""
        return asdict(self)
