"""The path of a call, on one screen: admit, forward, conclude.

    app -> listener -> identify -> cache -> limit -> egress (retry) -> diagnose -> record -> show

Each step takes the fact of the one before and returns one that contains it; to skip a step is a type error. Whatever
happens, `serve` ends with exactly one `Concluded` given to the sink: an answer, an error with its cause, or an app
that left.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import assert_never

from gateway.attempts import Asking
from gateway.cache.freshness import NO_USE, kept_headers, may_store, use_of
from gateway.cache.key import cache_key
from gateway.diagnose.engine import diagnose
from gateway.diagnose.evidence import Evidence
from gateway.excerpt import MAX_BYTES, readable
from gateway.identify.guard import refusal, refusal_abroad
from gateway.identify.nowhere import nowhere
from gateway.model.attempt import ReplyHead
from gateway.model.call import Call, Mode
from gateway.model.cause import Cause
from gateway.model.decision import Forward, Refuse, ServeCached, StoredReply
from gateway.model.event import Live
from gateway.model.exchange import Admitted, Answered, Concluded, Outcome
from gateway.model.flow import State
from gateway.model.provider import Usage
from gateway.refusing import refuse
from gateway.reply import Reply, cache_status, marks, passed_on
from gateway.stages import Stages
from gateway.testimony import evidence_of, happened

logger = logging.getLogger("whygate.path")


async def serve(stages: Stages, call: Call, reply: Reply, rest: AsyncIterator[bytes] | None = None) -> Concluded:
    """Take a call from its arrival to its row.

    Args:
        rest: What follows ``call.body`` of an upload that is still coming, None when the body is all there.

    Raises:
        asyncio.CancelledError: The app left, and its task was cancelled; the row is written before it is raised.
    """
    live = Live(call=call)
    stages.sink.opened(live)
    admitted: Admitted | None = None
    asking: Asking | None = None
    try:
        admitted = await admit(stages, call)
        live.route = admitted.route
        if isinstance(admitted.decision, Forward):
            asking = Asking(stages, admitted, live, reply, rest)
        answered = await forward(stages, admitted, live, reply, asking)
    except asyncio.CancelledError:
        conclude(stages, live, _interrupted(admitted or _unknown(call), asking, _cut_off(stages, live)))
        raise
    except Exception as error:
        logger.exception("call %s", call.id)
        answered = await _broke(stages, admitted or _unknown(call), asking, reply, error)
    concluded = conclude(stages, live, answered)
    try:
        await keep(stages, answered)
    except Exception:
        logger.exception("call %s: its answer was not kept", call.id)
    return concluded


def abandoned(stages: Stages, call: Call) -> None:
    """Write the row of a call whose app left before it had asked all of it."""
    live = Live(call=call)
    stages.sink.opened(live)
    admitted = _unknown(call)
    live.route = stages.identifier.route(call) or admitted.route
    conclude(stages, live, _interrupted(replace(admitted, route=live.route), None, Outcome(client_left=True)))


async def admit(stages: Stages, call: Call) -> Admitted:
    """Give the call its meaning and decide: forward, answer from the cache, or refuse."""
    refused = refusal(call, stages.instance)
    route = stages.identifier.route(call)
    if route is None:
        unknown = _unknown(call)
        carried = Forward() if call.mode is Mode.PROXY else unknown.decision  # a forward proxy serves every host
        return replace(unknown, decision=refused or refusal_abroad(call, stages.barred) or carried)
    if refused is not None:
        return Admitted(call=call, route=route, decision=refused)
    use = use_of(call, route, stages.cache_ttl_seconds) if stages.store is not None else NO_USE
    if not use.store or stages.store is None:
        return Admitted(call=call, route=route, decision=Forward())
    key, now = cache_key(call, route, stages.secret), stages.clock.now()
    stored = await stages.store.get(key, now) if use.read else None
    if stored is not None:
        return Admitted(call=call, route=route, decision=ServeCached(reply=stored, age_seconds=now - stored.stored_at))
    return Admitted(call=call, route=route, decision=Forward(cache_key=key, ttl_seconds=use.ttl_seconds))


async def forward(stages: Stages, admitted: Admitted, live: Live, reply: Reply, asking: Asking | None) -> Answered:
    """Act on the decision. The answer has been given when this returns."""
    match admitted.decision:
        case Refuse() as refused:
            return await refuse(stages, admitted, refused, reply)
        case ServeCached() as hit:
            return await _replay(stages, admitted, hit, live, reply)
        case Forward():
            assert asking is not None
            return await asking.ask()
        case other:
            assert_never(other)


async def keep(stages: Stages, answered: Answered) -> None:
    """Store a good answer, and learn from what the provider counted. A store that fails stops nothing."""
    admitted, outcome = answered.admitted, answered.outcome
    decision, route, usage = admitted.decision, admitted.route, outcome.usage
    if usage is not None and answered.attempts:
        stages.estimates.learn(route.model_group, route.input_tokens, usage.tokens_in, usage.tokens_out)
    if stages.store is None or not _is_kept(admitted, outcome):
        return
    assert isinstance(decision, Forward)
    assert decision.cache_key is not None
    assert outcome.head is not None
    now = stages.clock.now()
    tokens = usage or (None, None)
    stored = StoredReply(
        status=outcome.head.status,
        headers=kept_headers(outcome.head.headers),
        body=outcome.body or b"",
        stored_at=now,
        tokens_in=tokens[0],
        tokens_out=tokens[1],
    )
    await stages.store.put(decision.cache_key, stored, now + decision.ttl_seconds)


def conclude(stages: Stages, live: Live, answered: Answered) -> Concluded:
    """Name the cause when something failed, and give the exchange to the record. Called once a call."""
    now, outcome, admitted = stages.clock.now(), answered.outcome, answered.admitted
    diagnosis = outcome.diagnosis
    if diagnosis is None and (outcome.client_left or outcome.internal_error is not None):
        diagnosis = diagnose(
            evidence_of(
                stages,
                admitted.call,
                admitted.route,
                attempts=answered.attempts,
                head=outcome.head,
                client_left=outcome.client_left,
                waited_seconds=now - admitted.call.arrived,
                internal_error=outcome.internal_error,
            )
        )
    if answered.attempts:
        stages.recent.note(happened(answered, diagnosis.cause.value if diagnosis is not None else None, now))
    word = _cache_word(admitted, outcome)
    if outcome.body is not None:
        answered = replace(answered, outcome=replace(outcome, body=None))  # the record does not keep it in memory
    concluded = Concluded(answered=answered, diagnosis=diagnosis, ended=now, cache=word)
    live.enter(State.DONE)
    stages.sink.closed(live, concluded)
    return concluded


async def _replay(stages: Stages, admitted: Admitted, hit: ServeCached, live: Live, reply: Reply) -> Answered:
    call, stored = admitted.call, hit.reply
    head = ReplyHead(status=stored.status, headers=stored.headers)
    live.status = stored.status
    live.enter(State.STREAMING)
    ours = [cache_status("hit", hit.age_seconds), *marks(call.id, 0, 0.0, stages.clock.now() - call.arrived)]
    headers = passed_on(head, ours)
    await reply.start(stored.status, [*headers, (b"content-length", b"%d" % len(stored.body))])
    first_byte_at = stages.clock.now()
    await reply.end(stored.body)
    saved = Usage(stored.tokens_in, stored.tokens_out)
    outcome = Outcome(head=head, complete=True, bytes_out=len(stored.body), first_byte_at=first_byte_at, usage=saved)
    return Answered(admitted=admitted, attempts=(), outcome=outcome)


def _cache_word(admitted: Admitted, outcome: Outcome) -> str:
    if isinstance(admitted.decision, ServeCached):
        return "hit"
    return "stored" if _is_kept(admitted, outcome) else "none"


def _is_kept(admitted: Admitted, outcome: Outcome) -> bool:
    decision, head, body = admitted.decision, outcome.head, outcome.body
    if not isinstance(decision, Forward) or decision.cache_key is None:
        return False
    if not outcome.complete or head is None or body is None:
        return False
    encoding = head.header(b"content-encoding")
    if encoding is None:
        return may_store(head, body)
    # A refusal inside must be seen: what cannot be unpacked as a whole is not kept.
    text = (readable(body, encoding, None) or "").encode()
    return 0 < len(text) < MAX_BYTES and may_store(head, text)


def _unknown(call: Call) -> Admitted:
    why = f"no provider is known for {call.origin.host}{call.path}"
    return Admitted(
        call=call, route=nowhere(call), decision=Refuse(cause=Cause.REQUEST_INVALID_URL, status=404, why=why)
    )


def _cut_off(stages: Stages, live: Live) -> Outcome:
    """Say who ended a call before its end: the app, or the gateway that was told to stop."""
    head = _head(live)
    if not stages.gate.cut:
        return Outcome(head=head, client_left=True)
    why = "the gateway was stopped before the answer had ended"
    refused = Refuse(cause=Cause.PROXY_DRAINING, status=503, why=why)
    host = live.route.upstream.host if live.route is not None else live.call.origin.host
    return Outcome(head=head, diagnosis=diagnose(Evidence(provider=None, host=host, refused=refused)))


def _head(live: Live) -> ReplyHead | None:
    return None if live.status is None else ReplyHead(status=live.status, headers=())


def _interrupted(admitted: Admitted, asking: Asking | None, outcome: Outcome) -> Answered:
    if asking is None:
        return Answered(admitted=admitted, attempts=(), outcome=outcome)
    if asking.come is not None:
        outcome = replace(outcome, usage=asking.come, estimated=True)
    return Answered(
        admitted=admitted, attempts=tuple(asking.attempts), outcome=outcome, queued_seconds=asking.queued_seconds
    )


async def _broke(stages: Stages, admitted: Admitted, asking: Asking | None, reply: Reply, error: Exception) -> Answered:
    """A bug of ours: say so, never let the call slip past a limit, never end an answer as if it were whole."""
    words = f"{type(error).__name__} in whygate itself"
    answered = _interrupted(admitted, asking, Outcome(internal_error=words))
    if reply.started:
        reply.abort()
        return answered
    refused = Refuse(cause=Cause.PROXY_INTERNAL_ERROR, status=500, why=words)
    return await refuse(stages, admitted, refused, reply, answered.attempts)
