"""Rows of what never was a call: tunnels, WebSockets, and requests that could not be read. Pure."""

from dataclasses import asdict
from typing import Any

from gateway.diagnose.engine import diagnose
from gateway.diagnose.evidence import Evidence
from gateway.model.attempt import ReplyHead
from gateway.model.cause import Cause
from gateway.model.decision import Refuse
from gateway.model.diagnosis import Diagnosis
from gateway.model.failure import NetCode, NetFailure, Phase
from gateway.model.flow import FlowRow, Kind, State
from gateway.record.row import utc_text

_PHASES = {
    NetCode.DNS_FAILURE: Phase.DNS,
    NetCode.CONNECTION_RESET: Phase.FIRST_BYTE,
}


def tunnel_verdict(host: str, code: NetCode | None, detail: str, *, loop: bool) -> Diagnosis | None:
    """Name why a tunnel failed, None when it did not."""
    if loop:
        why = f"{host} is an address of this gateway"
        return diagnose(
            Evidence(provider=None, host=host, refused=Refuse(cause=Cause.PROXY_LOOP_DETECTED, status=508, why=why))
        )
    if code is None:
        return None
    phase = _PHASES.get(code, Phase.CONNECT)
    failure = NetFailure(phase=phase, code=code, detail=detail, sent=phase is Phase.FIRST_BYTE)
    return diagnose(Evidence(provider=None, host=host, failure=failure, attempts=1))


def websocket_verdict(host: str, status: int | None, error: str) -> Diagnosis | None:
    """Name why an upgrade failed, None when it did not."""
    switched = 101
    if status == switched or (status is None and not error):
        return None
    if status is not None:
        return diagnose(Evidence(provider=None, host=host, head=ReplyHead(status=status, headers=()), attempts=1))
    failure = NetFailure(phase=Phase.CONNECT, code=NetCode.UNKNOWN, detail=error, sent=True)
    return diagnose(Evidence(provider=None, host=host, failure=failure, attempts=1))


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
        tenant="default",
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
