"""A WebSocket upgrade: sent to the provider like any call, so that it fails like one, quickly and with its cause.

An app that tries WebSockets first (Realtime, Responses) falls back to plain requests when it is refused; it can do so
only when the refusal comes soon. What happens on the connection after 101 is not our business here.
"""

import asyncio
from dataclasses import dataclass, replace

from gateway.diagnose.engine import diagnose
from gateway.egress.classify import classify
from gateway.egress.connector import Stream
from gateway.egress.headers import request_headers
from gateway.egress.resolve import NotAllowedError
from gateway.egress.send import Incoming, Outgoing
from gateway.egress.timeline import Timeline
from gateway.excerpt import MAX_BYTES
from gateway.identify.guard import hop_mark, refusal, refusal_abroad
from gateway.identify.nowhere import nowhere
from gateway.model.attempt import ReplyHead
from gateway.model.call import Call, Headers, Mode
from gateway.model.cause import Cause
from gateway.model.decision import Refuse
from gateway.model.diagnosis import Diagnosis
from gateway.model.failure import NetCode, NetFailure, Phase
from gateway.model.route import Route
from gateway.reply import failure_status, own_error, passed_on, verdict
from gateway.stages import Stages
from gateway.testimony import evidence_of

UPGRADE_SECONDS = 10.0
"""From the request to 101. Apps give up after 10 to 15 s themselves (websockets 10, codex 15)."""

BODY_SECONDS = 3.0
_RESET = frozenset({NetCode.CONNECTION_RESET, NetCode.READ_TIMEOUT, NetCode.PROTOCOL_ERROR})


@dataclass(frozen=True, slots=True, kw_only=True)
class Switched:
    """The provider said 101.

    Attributes:
        headers: Of its answer, as they go to the app.
        stream: The connection; whoever takes it sets its protocol before anything else.
    """

    route: Route
    headers: Headers
    stream: Stream


@dataclass(frozen=True, slots=True, kw_only=True)
class Declined:
    """It came to nothing: what the app is answered, and why."""

    route: Route
    status: int
    headers: Headers
    body: bytes
    diagnosis: Diagnosis


async def upgrade(stages: Stages, call: Call) -> Switched | Declined:
    """Ask for the upgrade. Cancelling it leaves nothing behind."""
    call = stages.tenancy.equip(call, stages.identifier.place)
    route = stages.identifier.route(call)
    refused = refusal(call, stages.instance)
    if route is None:
        route = nowhere(call)
        refused = refused or refusal_abroad(call, stages.barred)
        if refused is None and call.mode is Mode.BASE_URL:
            why = f"no provider is known for {call.path}"
            refused = Refuse(cause=Cause.REQUEST_INVALID_URL, status=404, why=why)
    refused = refused or await stages.tenancy.upgrade(call, route)
    if refused is not None:
        return _refused(stages, call, route, refused)
    timeline = Timeline()
    incoming: Incoming | None = None
    try:
        async with asyncio.timeout(UPGRADE_SECONDS):
            incoming = await stages.upstream.open(_outgoing(stages, call, route), timeline)
    except NotAllowedError as error:
        return _refused(stages, call, route, Refuse(cause=error.cause, status=error.status, why=str(error)))
    except Exception as error:  # noqa: BLE001 - every failure of the upstream becomes a value here
        failure = _named(classify(error, timeline.phase))
        return _failed(stages, call, route, await stages.upstream.look(route.upstream, failure))
    head = incoming.head
    if head.status == 101:
        return Switched(route=route, headers=_switching(head.headers), stream=incoming.detach())
    return await _answered(stages, call, route, head, incoming)


def _outgoing(stages: Stages, call: Call, route: Route) -> Outgoing:
    hop = hop_mark(call, route.upstream, stages.instance)
    return Outgoing(
        method=call.method,
        origin=route.upstream,
        target=route.target,
        headers=request_headers(call, route.upstream, hop=hop, upgrade=True),
        body=b"",
        ca_file=route.provider.upstream_ca_file,
        upgrade=True,
    )


def _switching(headers: Headers) -> Headers:
    """Give the headers of 101 for the app; those that make it a WebSocket are hop by hop."""
    kept = passed_on(ReplyHead(status=101, headers=headers), [])
    return (*kept, (b"connection", b"Upgrade"), (b"upgrade", b"websocket"))


def _named(failure: NetFailure) -> NetFailure:
    """Name a request that got through while its upgrade did not: plain requests may well work."""
    if failure.phase in {Phase.SEND, Phase.FIRST_BYTE} and failure.code in _RESET:
        words = f"the request for a WebSocket was sent, and then: {failure.detail or 'nothing came'}"
        return replace(failure, code=NetCode.UPGRADE_UNANSWERED, detail=words)
    return failure


async def _answered(stages: Stages, call: Call, route: Route, head: ReplyHead, incoming: Incoming) -> Declined:
    body = b""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            body = await incoming.all(MAX_BYTES)
    except Exception:  # noqa: BLE001 - the status is known; half a body says no less
        body = b""
    finally:
        incoming.abort()
    diagnosis = diagnose(evidence_of(stages, call, route, attempts=(), head=head, body=body))
    kept = [pair for pair in passed_on(head, verdict(diagnosis, spent=False)) if pair[0] != b"content-length"]
    headers = (*kept, (b"content-length", b"%d" % len(body)))
    return Declined(route=route, status=head.status, headers=headers, body=body, diagnosis=diagnosis)


def _refused(stages: Stages, call: Call, route: Route, refused: Refuse) -> Declined:
    return _ours(stages, route, diagnose(evidence_of(stages, call, route, refused=refused)), refused.status, ())


def _failed(stages: Stages, call: Call, route: Route, failure: NetFailure) -> Declined:
    status, named = failure_status(failure)
    return _ours(stages, route, diagnose(evidence_of(stages, call, route, failure=failure)), status, tuple(named))


def _ours(stages: Stages, route: Route, diagnosis: Diagnosis, status: int, named: Headers) -> Declined:
    body, headers = own_error(route.provider, status, diagnosis, stages.language)
    headers += verdict(diagnosis, spent=False) + list(named)
    return Declined(route=route, status=status, headers=tuple(headers), body=body, diagnosis=diagnosis)
