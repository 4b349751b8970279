"""Turns a call, running or over, into its row. Pure: reads no clock, does no I/O."""

from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import lru_cache
from math import isfinite
from typing import Any

from gateway.excerpt import readable
from gateway.model.attempt import Attempt
from gateway.model.call import Call, Mode
from gateway.model.decision import Refuse
from gateway.model.diagnosis import Diagnosis
from gateway.model.event import Live
from gateway.model.exchange import Answered, Concluded, Outcome
from gateway.model.flow import FlowRow, State
from gateway.model.rhythm import Rhythm
from gateway.model.route import Route
from gateway.record.capture import BODY_BYTES
from gateway.record.redact import credentials_of, kept_headers, kept_target, scrub, scrubbed

REPLAY = b"x-whygate-replay"
"""The header in which a repetition names the call that it repeats."""


def utc_text(epoch_seconds: float) -> str:
    """Give ISO 8601 in UTC with milliseconds and ``Z``. Rows compare as text because all have this form."""
    seconds, milliseconds = divmod(round(epoch_seconds * 1000), 1000)
    return f"{_to_the_second(seconds)}.{milliseconds:03d}Z"


@lru_cache(maxsize=256)
def _to_the_second(epoch_seconds: int) -> str:
    return datetime.fromtimestamp(epoch_seconds, UTC).isoformat().removesuffix("+00:00")


def open_row(live: Live, app: str = "") -> FlowRow:
    """Give the row of a call that is still running, as it stands now. ``app`` is the program that made it."""
    return FlowRow(
        seq=live.seq,
        app=scrub(app),
        rev=live.rev,
        state=live.state,
        wait_reason=live.wait_reason and scrub(live.wait_reason),
        eta_ms=live.eta_ms,
        status=live.status,
        attempts=tuple(_unfinished(number) for number in range(1, live.attempts + 1)),
        request_headers=kept_headers(live.call.headers),
        **_who_and_what(live.call, live.route),
    )


def closed_row(
    live: Live, concluded: Concluded, app: str = "", *, captured: bool = False, request_bytes: int = 0
) -> FlowRow:
    """Give the row of a call that is over, with both bodies when it is ``captured``."""
    answered = concluded.answered
    call, outcome, diagnosis = live.call, answered.outcome, concluded.diagnosis
    careful = captured or diagnosis is not None or len(answered.attempts) > 1
    secrets = credentials_of(call.headers, call.target.decode("latin-1")) if careful else ()
    usage = outcome.usage
    return FlowRow(
        seq=live.seq,
        rev=live.rev + 1,
        app=scrub(app),
        state=State.DONE,
        ended_at=utc_text(call.arrived_at + concluded.ended - call.arrived),
        status=outcome.head.status if outcome.head else None,
        cause=diagnosis.cause.value if diagnosis else None,
        fault=diagnosis.fault.value if diagnosis and diagnosis.fault else None,
        precision=diagnosis.precision.value if diagnosis else None,
        attempts=tuple(_finished(attempt, secrets) for attempt in answered.attempts),
        tokens_in=usage.tokens_in if usage else None,
        tokens_out=usage.tokens_out if usage else None,
        tokens_estimated=outcome.estimated,
        events=_events(live.rhythm, call.arrived, outcome.bytes_out),
        cache=concluded.cache,
        possible_duplicate=answered.possible_duplicate,
        fallback=outcome.fallback,
        shadow=_shadow(answered),
        diagnosis=_diagnosis(diagnosis, secrets) if diagnosis else None,
        request_headers=kept_headers(call.headers),
        response_headers=kept_headers(outcome.head.headers) if outcome.head else (),
        body=_body(outcome, secrets, captured=captured and bool(outcome.body)) if captured or diagnosis else None,
        request_body=_request_body(call, secrets) if captured else None,
        request_bytes=request_bytes or len(call.body),
        **_times(call, concluded),
        **_who_and_what(call, answered.admitted.route),
    )


def _shadow(answered: Answered) -> dict[str, Any] | None:
    seconds = answered.would_wait_seconds
    if seconds is None:
        return None
    return {"wait_ms": round(seconds * 1000) if isfinite(seconds) else None, "reason": scrub(answered.would_wait_for)}


def foreign_row(row: FlowRow, seq: int, app: str = "") -> FlowRow:
    """Give a row that another part wrote, numbered, and without anything that a row must not hold."""
    return replace(
        row,
        seq=row.seq or seq,
        app=row.app or app,
        path=kept_target(row.path.encode()),
        wait_reason=row.wait_reason and scrub(row.wait_reason),
        attempts=tuple(scrubbed(row.attempts)),
        diagnosis=scrubbed(row.diagnosis),
        request_headers=_kept_again(row.request_headers),
        response_headers=_kept_again(row.response_headers),
        body=row.body and scrub(row.body[: 64 * 1024]),
        request_body=None,
    )


def _kept_again(headers: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    return kept_headers(tuple((name.lower().encode(), value.encode("utf-8", "replace")) for name, value in headers))


def _who_and_what(call: Call, route: Route | None) -> dict[str, Any]:
    """Give what a row says from its first moment on."""
    known: dict[str, Any] = {
        "id": call.id,
        "started_at": utc_text(call.arrived_at),
        "client": call.client,
        "method": call.method,
        "host": str(call.origin).partition("://")[2],
        "path": kept_target(call.target),
        "replay_of": scrub((call.header(REPLAY) or "")[:64]),
    }
    if route is not None:
        if call.mode is Mode.BASE_URL and not route.foreign:
            known["upstream"] = str(route.upstream).partition("://")[2]
        known |= {
            "kind": "tunnel" if route.foreign and call.mode is Mode.PROXY else "api",
            "tenant": route.tenant,
            "key": route.key,
            "provider": route.provider.name,
            "endpoint": route.endpoint.name,
            "model": scrub(route.model[:256]),
            "stream": route.stream,
        }
    return known


def _times(call: Call, concluded: Concluded) -> dict[str, Any]:
    answered = concluded.answered
    decision = answered.admitted.decision
    queued_seconds = answered.queued_seconds or (decision.queued_seconds if isinstance(decision, Refuse) else 0.0)
    return times_of(call.arrived, concluded.ended, queued_seconds, answered.attempts, answered.outcome.first_byte_at)


def times_of(
    arrived: float, ended: float, queued_seconds: float, attempts: tuple[Attempt, ...], first_byte_at: float | None
) -> dict[str, Any]:
    """Give the durations in milliseconds. Overhead is what remains when attempts, queue and waits are taken off.

    A retry's time in the queue is part of the queue's and of the wait before it, and counts once.
    """
    total_ms = (ended - arrived) * 1000
    elsewhere_ms = queued_seconds * 1000 + sum(
        max(0.0, attempt.waited_seconds - attempt.queued_seconds) * 1000
        + max((mark.end_ms for mark in attempt.marks), default=0.0)
        for attempt in attempts
    )
    return {
        "queue_ms": round(queued_seconds * 1000, 1),
        "overhead_ms": round(max(0.0, total_ms - elsewhere_ms), 2),
        "ttft_ms": None if first_byte_at is None else round((first_byte_at - arrived) * 1000, 1),
        "total_ms": round(total_ms, 1),
    }


def _events(rhythm: Rhythm | None, arrived: float, size_bytes: int) -> dict[str, Any] | None:
    if rhythm is None or rhythm.began_at is None:
        return None
    return {
        "count": rhythm.count,
        "bytes": size_bytes,
        "began_ms": round((rhythm.began_at - arrived) * 1000, 1),
        "bucket_ms": round(rhythm.slot_seconds * 1000),
        "counts": list(rhythm.counts),
        "gap_ms": round(rhythm.gap_seconds * 1000, 1),
        "gap_at_ms": round((rhythm.gap_at - arrived) * 1000, 1) if rhythm.gap_seconds else None,
    }


def _unfinished(number: int) -> dict[str, Any]:
    return {"n": number, "waited_ms": 0.0, "phases": [], "status": None, "failure": None}


def _finished(attempt: Attempt, secrets: tuple[str, ...]) -> dict[str, Any]:
    failure = attempt.failure
    told = {
        "n": attempt.number,
        "waited_ms": round(attempt.waited_seconds * 1000, 1),
        "queued_ms": round(attempt.queued_seconds * 1000, 1),
        "phases": [
            {"name": phase.value, "start_ms": round(start, 2), "end_ms": round(end, 2), "ok": ok}
            for phase, start, end, ok in attempt.marks
        ],
        "status": attempt.head.status if attempt.head else None,
        "failure": failure
        and {
            "phase": failure.phase.value,
            "code": failure.code.value,
            "detail": scrub(failure.detail[:500], secrets),
            "sent": failure.sent,
        },
    }
    return told | {"fallback": attempt.fallback} if attempt.fallback else told


def _diagnosis(diagnosis: Diagnosis, secrets: tuple[str, ...]) -> dict[str, Any]:
    plain: dict[str, Any] = scrubbed(asdict(diagnosis), secrets)
    return plain


def _body(outcome: Outcome, secrets: tuple[str, ...], *, captured: bool) -> str | None:
    head = outcome.head
    encoding, kind = (head.header(b"content-encoding"), head.header(b"content-type")) if head else (None, None)
    if captured:
        text = readable(outcome.body or b"", encoding, kind, BODY_BYTES)
    else:
        text = readable(outcome.excerpt, encoding, kind)
    return None if text is None else scrub(text, secrets)


def _request_body(call: Call, secrets: tuple[str, ...]) -> str | None:
    text = readable(call.body, call.header(b"content-encoding"), call.header(b"content-type"), BODY_BYTES)
    return None if text is None else scrub(text, secrets)
