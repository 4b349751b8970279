"""Rows of what never was a call: tunnels, WebSockets, and requests that could not be read. Pure."""

from dataclasses import asdict
from typing import Any

from gateway.diagnose.engine import diagnose
from gateway.diagnose.evidence import Evidence
from gateway.egress.resolve import NotAllowedError
from gateway.model.cause import Cause
from gateway.model.decision import Refuse
from gateway.model.diagnosis import Diagnosis
from gateway.model.failure import NetFailure
from gateway.model.flow import FlowRow, Kind, State
from gateway.model.tenant import DEFAULT
from gateway.record.row import utc_text
from gateway.testimony import surroundings

_BY_CLOSE_CODE = {
    1006: Cause.NETWORK_STREAM_INTERRUPTED,
    1009: Cause.REQUEST_PAYLOAD_TOO_LARGE,
    1011: Cause.SERVICE_SERVER_ERROR,
    1012: Cause.SERVICE_UNAVAILABLE,
    1013: Cause.SERVICE_OVERLOADED,
    1014: Cause.SERVICE_UNAVAILABLE,
}
"""What the provider's close code of a WebSocket means (RFC 6455 section 7.4.1; iana.org/assignments/websocket, read
2026-11). Others are a proper end, or a code of the provider's own that only its events explain."""


def tunnel_verdict(
    host: str, failure: NetFailure | None, *, refused: NotAllowedError | None, client_left: bool
) -> Diagnosis | None:
    """Name why a tunnel failed, None when it did not."""
    if refused is not None:
        why = Refuse(cause=refused.cause, status=refused.status, why=str(refused))
        return diagnose(Evidence(provider=None, host=host, refused=why))
    if failure is not None:
        around = surroundings(failure.around, answered=False)
        return diagnose(Evidence(provider=None, host=host, failure=failure, attempts=1, **around))
    return diagnose(Evidence(provider=None, host=host, client_left=True)) if client_left else None


def websocket_verdict(
    host: str, status: int | None, close_code: int | None, *, by_client: bool, seconds: float
) -> Diagnosis | None:
    """Name why a WebSocket broke off, None when it did not."""
    if status is None:
        return diagnose(Evidence(provider=None, host=host, client_left=True, waited_seconds=seconds, attempts=1))
    cause = None if by_client else _BY_CLOSE_CODE.get(close_code or 0)
    if cause is None:
        return None
    why = "it ended without a close frame" if close_code == 1006 else f"it was closed with {close_code}"
    return diagnose(Evidence(provider=None, host=host, refused=Refuse(cause=cause, status=0, why=why)))


def refused_verdict(cause: Cause, why: str, status: int | None, host: str) -> Diagnosis:
    """Give the verdict on a request that could not be read."""
    return diagnose(Evidence(provider=None, host=host, refused=Refuse(cause=cause, status=status or 0, why=why)))


def foreign_row(
    *,
    flow_id: str,
    kind: Kind,
    started_at: float,
    seconds: float,
    client: str,
    method: str,
    host: str,
    path: str,
    status: int | None,
    diagnosis: Diagnosis | None,
    tenant: str = DEFAULT,
) -> FlowRow:
    """Give the finished row of something that the path did not carry; its ``seq`` is given by the record."""
    words: dict[str, Any] | None = asdict(diagnosis) if diagnosis is not None else None
    return FlowRow(
        id=flow_id,
        seq=0,
        rev=1,
        state=State.DONE,
        kind=kind,
        started_at=utc_text(started_at),
        ended_at=utc_text(started_at + seconds),
        client=client,
        tenant=tenant,
        method=method,
        host=host,
        path=path,
        status=status,
        cause=diagnosis.cause.value if diagnosis is not None else None,
        fault=diagnosis.fault.value if diagnosis is not None and diagnosis.fault is not None else None,
        precision=diagnosis.precision.value if diagnosis is not None else None,
        total_ms=seconds * 1000,
        diagnosis=words,
    )
