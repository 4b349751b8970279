"""What is told of a call that is over: who was asked for what, how it went and how long it took. No content, no key."""

from datetime import datetime
from typing import NamedTuple

from gateway.model.attempt import Attempt
from gateway.model.cause import Cause, Fault
from gateway.model.decision import Forward
from gateway.model.event import Live
from gateway.model.exchange import Concluded
from gateway.model.flow import FlowRow
from gateway.model.provider import Usage
from gateway.model.secret import scrub
from gateway.record.row import times_of

MODEL_CHARS = 128


class Ended(NamedTuple):
    """A finished flow.

    Attributes:
        kind: ``api``, ``tunnel`` or ``websocket``.
        arrived_at: Seconds since the epoch.
        arrived: Monotonic seconds; so is ``ended``.
        provider: Its name, empty where no provider was asked.
        operation: The endpoint's name, empty where none is known.
        model: As asked for; it may hold anything, so take `model_of`.
        host: Of the upstream, with ``port``.
        status: What the app got, None when it left before.
        cause: None when nothing failed.
        queued_seconds: In our queue, over all attempts.
        total_seconds: Of flows that have no attempts and came as a row; None for calls.
        cache: ``none``, ``hit``, ``stored``, ``collapsed``, ``stale`` or ``bypass``.
        could_be_cached: The cache was looked at, or would have kept the answer.
        traceparent: As the app sent it, None when it sent none; so is ``tracestate``.
    """

    id: str
    kind: str
    arrived_at: float
    arrived: float
    ended: float
    tenant: str
    provider: str
    operation: str
    model: str
    stream: bool = False
    host: str = ""
    port: int = 0
    status: int | None = None
    cause: Cause | None = None
    fault: Fault | None = None
    title: str = ""
    attempts: tuple[Attempt, ...] = ()
    queued_seconds: float = 0.0
    first_byte_at: float | None = None
    total_seconds: float | None = None
    usage: Usage | None = None
    cache: str = "none"
    could_be_cached: bool = False
    fallback: str = ""
    client_left: bool = False
    possible_duplicate: bool = False
    traceparent: bytes | None = None
    tracestate: bytes | None = None


class Spans(NamedTuple):
    """How long a call took, in seconds; None where it cannot be told."""

    total: float
    overhead: float | None
    first_byte: float | None


def of_call(live: Live, concluded: Concluded) -> Ended:
    """Give what is told of a call. On the path: takes references only."""
    answered = concluded.answered
    call, outcome, diagnosis = live.call, answered.outcome, concluded.diagnosis
    admitted, head = answered.admitted, outcome.head
    route, decision = admitted.route, admitted.decision
    return Ended(
        call.id,
        "api",
        call.arrived_at,
        call.arrived,
        concluded.ended,
        route.tenant,
        route.provider.name,
        route.endpoint.name,
        route.model,
        route.stream,
        route.upstream.host,
        route.upstream.port,
        head.status if head is not None else None,
        diagnosis.cause if diagnosis is not None else None,
        diagnosis.fault if diagnosis is not None else None,
        diagnosis.title if diagnosis is not None else "",
        answered.attempts,
        answered.queued_seconds or getattr(decision, "queued_seconds", 0.0),
        outcome.first_byte_at,
        None,
        outcome.usage,
        concluded.cache,
        isinstance(decision, Forward) and decision.plan is not None,
        outcome.fallback,
        outcome.client_left,
        answered.possible_duplicate,
        call.index.get(b"traceparent"),
        call.index.get(b"tracestate"),
    )


def of_row(row: FlowRow) -> Ended:
    """Give what is told of a tunnel or a WebSocket. Not on the path."""
    total_seconds = (row.total_ms or 0.0) / 1000
    return Ended(
        id=row.id,
        kind=row.kind,
        arrived_at=datetime.fromisoformat(row.started_at).timestamp(),
        arrived=0.0,
        ended=total_seconds,
        tenant=row.tenant,
        provider=row.provider,
        operation=row.endpoint or (row.kind if row.kind != "api" else ""),
        model=row.model,
        host=row.host.rpartition(":")[0] or row.host,
        status=row.status,
        cause=None if row.cause is None else Cause(row.cause),
        fault=None if row.fault is None else Fault(row.fault),
        title=str((row.diagnosis or {}).get("title", "")),
        total_seconds=total_seconds,
    )


def model_of(ended: Ended) -> str:
    """Give the model as it may be shown: short, of characters that can be seen, and no credential in its place."""
    model = scrub(ended.model[:MODEL_CHARS])
    return model if model.isprintable() else "".join(one if one.isprintable() else "?" for one in model)


def spans_of(ended: Ended) -> Spans:
    """Give the durations, as the log has them."""
    if ended.total_seconds is not None:
        return Spans(ended.total_seconds, None, None)
    times = times_of(ended.arrived, ended.ended, ended.queued_seconds, ended.attempts, ended.first_byte_at)
    return Spans(
        times["total_ms"] / 1000,
        times["overhead_ms"] / 1000,
        None if times["ttft_ms"] is None else times["ttft_ms"] / 1000,
    )


def seconds_of(attempt: Attempt) -> float:
    """Give how long an attempt took at the upstream."""
    return max((mark.end_ms for mark in attempt.marks), default=0.0) / 1000
