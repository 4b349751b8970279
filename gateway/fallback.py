"""What answers when the provider did not: another upstream in the same protocol, or a fixed text.

Nobody has one who did not configure it. It is asked once, after the last attempt at the provider; what it says is
marked, is never cached, and is not counted as the provider's: no limit, breaker, budget or estimate hears of it. The
verdict on the provider stays in the row.

Only calls that are answered with text fall back. Vectors of two models do not mix, so embeddings never do.

What local servers have at the paths of `Endpoint.elsewhere` (read 2026-11): Ollama all four, ``/v1/responses`` from
0.13.3 and without state, ``/v1/messages`` from 0.14.0 of January 2026 (docs.ollama.com/api/openai-compatibility and
/api/anthropic-compatibility); LM Studio all four (lmstudio.ai/docs/developer/openai-compat, /anthropic-compat); vLLM
all four (docs.vllm.ai/en/stable/serving/online_serving). None of them asks for a key unless it is told to.
"""

import asyncio
import re
from collections.abc import Callable
from dataclasses import replace

import orjson

from gateway.delivery import Tried, Trip, hand_on, over, start
from gateway.diagnose.engine import diagnose
from gateway.diagnose.envelope import fails_inside
from gateway.diagnose.evidence import History
from gateway.diagnose.say import say
from gateway.egress.classify import classify
from gateway.egress.headers import request_headers
from gateway.egress.opening import EmptyStreamError, Opening, first_part, is_events, is_json, is_page
from gateway.egress.relay import Relayed
from gateway.egress.send import Incoming, Outgoing
from gateway.egress.timeline import Timeline
from gateway.excerpt import readable
from gateway.identify.guard import hop_mark
from gateway.identify.locate import below
from gateway.model.attempt import Attempt, ReplyHead
from gateway.model.call import Call, Headers
from gateway.model.cause import Cause
from gateway.model.diagnosis import Clue, Diagnosis
from gateway.model.exchange import Answered, Outcome
from gateway.model.failure import NetCode, NetFailure, Phase
from gateway.model.fallback import Fallback
from gateway.model.flow import State
from gateway.model.provider import StreamNews
from gateway.model.route import Route
from gateway.providers._envelope import read_any
from gateway.record.redact import credentials_of
from gateway.reply import instead, named

DETAIL_CHARS = 300

_SECRET_NAME = re.compile(rb"auth|cookie|credential|key|passw|secret|session|token|organi[sz]ation|project|account")
_HARMLESS = frozenset(
    {b"accept", b"accept-encoding", b"anthropic-version", b"content-type", b"host", b"idempotency-key"}
)
"""Kept whatever stands in them: without these the other server would not understand the request."""

_REFRAMED = frozenset({b"content-length", b"transfer-encoding"})
_CLUES = {
    "answered": "the fallback {name} answered in its place",
    "broke": "the fallback {name} answered in its place, and its answer broke off[: {detail}]",
    "silent": "the fallback {name} was asked, too, and gave no answer[: {detail}]",
    "refused": "the fallback {name} was asked, too, and answered with an error, status {status}[: {detail}]",
    "nameless": "the fallback {name} was not asked: the body of this call does not name its model",
    "unread": "the fallback {name} was not asked: the request was not kept as a whole, or could not be read",
    "acting": "the fallback {name} was not asked: this call acts, or continues what only the provider has kept",
    "unmapped": "the fallback {name} was not asked: it has no model that stands for {model}",
}
"""What the evidence says of a fallback."""

_KEPT_THERE = ("background", "conversation", "previous_response_id")
"""Fields of a Responses call that only the provider's own memory can serve."""


async def fall_back(trip: Trip, diagnosis: Diagnosis, *, rest: bool) -> Answered | None:
    """Answer in the provider's place, if somebody is there for it.

    Args:
        diagnosis: Why the provider gave no answer, after all attempts.
        rest: The request's body was streamed, and cannot be sent again.

    Returns:
        None when nobody is configured for this call, or that failed, too: the provider's failure is then to be given,
        and `gateway.delivery.over` adds to its evidence what happened here. Else the answer has been given.
    """
    fallback = _found(trip, diagnosis)
    if fallback is None or trip.reply.started:
        return None
    if trip.permit is not None:
        trip.permit.release()  # whoever waits for the provider does not wait for this answer
    model, why = _asked_there(trip, fallback, rest=rest)
    if why is not None:
        trip.also = (*trip.also, why)
        return None
    if fallback.text:
        return await _say_text(trip, fallback, diagnosis)
    return await _ask(trip, fallback, model, diagnosis)


def _found(trip: Trip, diagnosis: Diagnosis) -> Fallback | None:
    """Give the first that is for a call of this kind and failure; None for calls that are not answered with text."""
    call, route = trip.admitted.call, trip.admitted.route
    if not trip.stages.fallbacks or route.foreign or call.method != "POST" or route.endpoint.write_text is None:
        return None
    path = route.provider.name_target(route.target).path.rstrip("/")
    if route.provider.endpoints.get(path) is not route.endpoint:  # a longer path, which asks for something else
        return None
    causes: tuple[Cause, ...] = (diagnosis.cause,)
    if diagnosis.cause is Cause.PROXY_CIRCUIT_OPEN:
        causes = (diagnosis.cause, trip.stages.breaker.why(route.upstream.host, route.key)[1])
    return next((one for one in trip.stages.fallbacks if one.answers(route.provider.name, route.model, causes)), None)


def _asked_there(trip: Trip, fallback: Fallback, *, rest: bool) -> tuple[str, Clue | None]:
    """Give the model to ask for, or say why this call cannot be answered there."""
    route = trip.admitted.route
    document, endpoint = route.document, route.endpoint
    if fallback.text:
        knows_how = document is not None or endpoint.streams or endpoint.stream is None
        return "", None if knows_how else _clue("unread", fallback)
    if not endpoint.elsewhere or route.provider.name_target(route.target).model:
        return "", _clue("nameless", fallback)
    if rest or document is None:
        return "", _clue("unread", fallback)
    if not route.pure or any(document.get(field) for field in _KEPT_THERE):
        return "", _clue("acting", fallback)
    if not isinstance(document.get("model"), str):
        return "", _clue("nameless", fallback)
    model = fallback.model_for(route.model)
    return (model, None) if model is not None else ("", _clue("unmapped", fallback, model=route.model))


async def _say_text(trip: Trip, fallback: Fallback, diagnosis: Diagnosis) -> Answered:
    route = trip.admitted.route
    assert route.endpoint.write_text is not None
    kind, body = route.endpoint.write_text(fallback.text, route.model, route.stream)
    headers = ((b"content-type", kind.encode()), (b"content-length", b"%d" % len(body)))
    head = ReplyHead(status=200, headers=headers)
    trip.fallback = fallback.name
    await start(trip, head, [*named(diagnosis), instead(fallback.name)])
    first_byte_at = trip.stages.clock.now()
    await trip.reply.end(body)
    trip.also = (*trip.also, _clue("answered", fallback))
    return _answered(trip, head, diagnosis, Relayed(body=None, size_bytes=len(body)), first_byte_at)


async def _ask(trip: Trip, fallback: Fallback, model: str, diagnosis: Diagnosis) -> Answered | None:
    """Make the one attempt; None, and a line of evidence, when it gave no good answer."""
    stages, before = trip.stages, trip.timeline
    trip.fallback, trip.timeline = fallback.name, Timeline()
    trip.live.attempts = len(trip.attempts) + 1
    trip.live.enter(State.CONNECTING, f"asking the fallback {fallback.name}")
    began, incoming, failure = stages.clock.now(), None, None
    opening = Opening(b"", whole=False)
    try:
        try:
            incoming = await _open(trip, fallback, model)
            opening = await first_part(incoming, hold=trip.admitted.route.endpoint.stream is not None)
        except asyncio.CancelledError:
            _note(trip, incoming, None)
            raise
        except EmptyStreamError:
            failure = NetFailure(
                phase=Phase.BODY, code=NetCode.STREAM_TRUNCATED, detail="it ended before its first event", sent=True
            )
        except Exception as error:  # noqa: BLE001 - every failure of the upstream becomes a value here
            failure = classify(error, trip.timeline.phase)
        _note(trip, incoming, failure)
        trip.upstream_seconds += stages.clock.now() - began
        why = _fault(trip, fallback, incoming, opening, failure)
        if why is not None or incoming is None:
            trip.fallback, trip.timeline = "", before
            trip.also = (*trip.also, *((why,) if why is not None else ()))
            return None
        return await _give(trip, fallback, diagnosis, incoming, opening)
    finally:
        if incoming is not None:
            incoming.abort()


async def _open(trip: Trip, fallback: Fallback, model: str) -> Incoming:
    late = f"its answer did not begin within {fallback.timeout_seconds:g} s"
    try:
        async with asyncio.timeout(fallback.timeout_seconds) as patience:
            incoming = await trip.stages.upstream.open(_outgoing(trip, fallback, model), trip.timeline)
    except TimeoutError as error:
        if patience.expired():
            raise TimeoutError(late) from error
        raise
    trip.timeline.enter(Phase.BODY)
    return incoming


def _note(trip: Trip, incoming: Incoming | None, failure: NetFailure | None) -> None:
    trip.attempts.append(
        Attempt(
            number=len(trip.attempts) + 1,
            waited_seconds=0.0,
            marks=trip.timeline.marks(ok=failure is None),
            head=incoming.head if incoming is not None else None,
            failure=failure,
            fallback=trip.fallback,
        )
    )


def _fault(
    trip: Trip, fallback: Fallback, incoming: Incoming | None, opening: Opening, failure: NetFailure | None
) -> Clue | None:
    """Say why nothing of this is given to the app; None for an answer that is good as far as it was seen."""
    if failure is not None or incoming is None:
        detail = failure.detail[:DETAIL_CHARS] if failure is not None else ""
        return _clue("silent", fallback, detail=detail)
    head, endpoint = incoming.head, trip.admitted.route.endpoint
    good = 200 <= head.status < 300 and not is_page(head)
    if good and opening.body:
        if endpoint.stream is not None and is_events(head):
            good = endpoint.stream.read(opening.body) is not StreamNews.FAILED
        elif opening.whole and is_json(head):
            good = not fails_inside(_text(head, opening).encode(), trip.admitted.route.provider)
    if good:
        return None
    text = _text(head, opening)
    declared = read_any(text.encode())
    detail = declared.message if declared is not None else "" if is_page(head) else text
    detail = " ".join(detail.split())[:DETAIL_CHARS]
    return _clue("refused", fallback, status=str(head.status), detail=detail)


def _clue(seen: str, fallback: Fallback, **facts: str) -> Clue:
    return Clue(_CLUES[seen], (("name", fallback.name), *facts.items()))


def _text(head: ReplyHead, opening: Opening) -> str:
    return readable(opening.body, head.header(b"content-encoding"), head.header(b"content-type")) or ""


async def _give(trip: Trip, fallback: Fallback, diagnosis: Diagnosis, incoming: Incoming, opening: Opening) -> Answered:
    head = incoming.head
    await start(trip, head, [*named(diagnosis), instead(fallback.name)])
    first_byte_at = trip.stages.clock.now()
    tried = Tried(incoming=incoming, head=head, body=opening.body, whole=opening.whole, failure=None, diagnosis=None)
    relayed = await hand_on(trip, tried, _explaining(trip, fallback, head))
    if relayed.failure is not None or relayed.truncated or relayed.stream_error:
        detail = relayed.failure.detail[:DETAIL_CHARS] if relayed.failure is not None else ""
        trip.also = (*trip.also, _clue("broke", fallback, detail=detail))
        return _answered(trip, head, diagnosis, relayed, first_byte_at, complete=False)
    trip.also = (*trip.also, _clue("answered", fallback))
    return _answered(trip, head, diagnosis, relayed, first_byte_at)


def _explaining(trip: Trip, fallback: Fallback, head: ReplyHead) -> Callable[[NetFailure], tuple[str, str]]:
    """Give what the error event of a broken stream says: it is the fallback's fault, not the provider's."""

    def explain(failure: NetFailure) -> tuple[str, str]:
        assert fallback.origin is not None
        evidence = trip.evidence(head=head, failure=failure)
        found = diagnose(replace(evidence, provider=None, host=fallback.origin.host, history=History()))
        words = say(found, trip.stages.language).sentence()
        return found.cause.value, f"whygate: {fallback.name}: {words}"

    return explain


def _answered(
    trip: Trip, head: ReplyHead, diagnosis: Diagnosis, relayed: Relayed, first_byte_at: float, *, complete: bool = True
) -> Answered:
    outcome = Outcome(
        head=head,
        complete=complete,
        bytes_out=relayed.size_bytes,
        first_byte_at=first_byte_at if relayed.first_at is None else relayed.first_at,
        diagnosis=diagnosis,
        fallback=trip.fallback,
    )
    return over(trip, outcome)


# the request


def _outgoing(trip: Trip, fallback: Fallback, model: str) -> Outgoing:
    """Give the app's request as it goes to somebody else: without what is the provider's business alone."""
    stages, call, route = trip.stages, trip.admitted.call, trip.admitted.route
    origin = fallback.origin
    assert origin is not None
    assert route.document is not None
    body = call.body
    if model != route.document.get("model"):
        body = orjson.dumps({**route.document, "model": model})
    query = _public_query(call, route)
    sent = replace(call, headers=_public_headers(call), body=body)
    return Outgoing(
        method=call.method,
        origin=origin,
        target=below(fallback.prefix, route.endpoint.elsewhere.encode()) + (b"?" + query if query else b""),
        headers=request_headers(sent, origin, hop=hop_mark(call, origin, stages.instance)),
        body=body,
        idle_seconds=stages.idle_seconds(route),
    )


def _public_headers(call: Call) -> Headers:
    """Give the headers that name no account and hold no credential, whatever they are called."""
    secrets = [secret.encode("latin-1") for secret in credentials_of(call.headers, call.target.decode("latin-1"))]
    return tuple(
        (name, value)
        for name, value in call.headers
        if name in _HARMLESS
        or not (name in _REFRAMED or _SECRET_NAME.search(name) or any(secret in value for secret in secrets))
    )


def _public_query(call: Call, route: Route) -> bytes:
    pairs = route.target.partition(b"?")[2].split(b"&")
    secrets = [secret.encode("latin-1") for secret in credentials_of(call.headers)]
    return b"&".join(
        pair
        for pair in pairs
        if (name := pair.partition(b"=")[0].lower()) not in route.provider.key_query
        and not _SECRET_NAME.search(name)
        and not any(secret in pair for secret in secrets)
    )
