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
from gateway.cache.shelf import Counted
from gateway.diagnose.engine import diagnose
from gateway.diagnose.evidence import Evidence
from gateway.identify.guard import refusal, refusal_abroad
from gateway.identify.nowhere import nowhere
from gateway.model.attempt import ReplyHead
from gateway.model.call import Call, Mode
from gateway.model.cause import Cause
from gateway.model.decision import Forward, Refuse, ServeCached
from gateway.model.diagnosis import Diagnosis
from gateway.model.event import Live
from gateway.model.exchange import Admitted, Answered, Concluded, Outcome
from gateway.model.flow import State
from gateway.model.provider import Usage
from gateway.refusing import refuse
from gateway.reply import Reply, cache_status, marks, passed_on
from gateway.stages import Stages
from gateway.testimony import evidence_of, happened
from gateway.together import Together

logger = logging.getLogger("whygate.path")


async def serve(stages: Stages, call: Call, reply: Reply, rest: AsyncIterator[bytes] | None = None) -> Concluded:
    """Take a call from its arrival to its row.

    Args:
        rest: What follows ``call.body`` of an upload that is still coming, None when the body is all there.

    Raises:
        asyncio.CancelledError: The app left, and its task was cancelled; the row is written before it is raised.
    """
    call = stages.tenancy.equip(call, stages.identifier.place)
    live = Live(call=call)
    stages.sink.opened(live)
    admitted: Admitted | None = None
    asking: Asking | Together | None = None
    try:
        admitted = await admit(stages, call)
        live.route = admitted.route
        if isinstance(admitted.decision, Forward):
            kept = admitted.decision.plan is not None
            asking = Together(stages, admitted, live, reply) if kept else Asking(stages, admitted, live, reply, rest)
        answered = await forward(stages, admitted, live, reply, asking)
    except asyncio.CancelledError:
        conclude(stages, live, _interrupted(admitted or _unknown(call), asking, _cut_off(stages, live)))
        raise
    except Exception as error:
        logger.exception("call %s", call.id)
        answered = await _broke(stages, admitted or _unknown(call), asking, reply, error)
    return conclude(stages, live, answered)


def abandoned(stages: Stages, call: Call) -> None:
    """Write the row of a call whose app left before it had asked all of it."""
    call = stages.tenancy.equip(call, stages.identifier.place)
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
    refused = refused or stages.tenancy.refusal(call, route)
    if refused is not None:
        return Admitted(call=call, route=route, decision=refused)
    decision: Forward | ServeCached = Forward()
    if stages.cache is not None:
        try:
            decision = await stages.cache.decide(call, route)
        except Exception:
            logger.exception("call %s: the cache cannot say anything about it", call.id)  # so it is asked
    over = await stages.tenancy.reserve(call, route, asks=isinstance(decision, Forward))
    return Admitted(call=call, route=route, decision=over or decision)


async def forward(
    stages: Stages, admitted: Admitted, live: Live, reply: Reply, asking: Asking | Together | None
) -> Answered:
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
    stages.tenancy.settle(answered)
    if answered.attempts:
        stages.recent.note(happened(answered, diagnosis.cause.value if diagnosis is not None else None, now))
    word = _cache_word(stages, answered, diagnosis)
    concluded = Concluded(answered=answered, diagnosis=diagnosis, ended=now, cache=word)
    live.enter(State.DONE)
    stages.sink.closed(live, concluded)
    return concluded


async def _replay(stages: Stages, admitted: Admitted, hit: ServeCached, live: Live, reply: Reply) -> Answered:
    call, stored = admitted.call, hit.reply
    head = ReplyHead(status=stored.status, headers=stored.headers)
    live.status = stored.status
    live.enter(State.STREAMING)
    ours = [
        cache_status("hit", hit.age_seconds, hit.fresh_seconds),
        *marks(call.id, 0, 0.0, stages.clock.now() - call.arrived),
    ]
    headers = passed_on(head, ours)
    await reply.start(stored.status, [*headers, (b"content-length", b"%d" % len(stored.body))])
    first_byte_at = stages.clock.now()
    await reply.end(stored.body)
    saved = Usage(stored.tokens_in, stored.tokens_out)
    outcome = Outcome(head=head, complete=True, bytes_out=len(stored.body), first_byte_at=first_byte_at, usage=saved)
    return Answered(admitted=admitted, attempts=(), outcome=replace(outcome, cache="hit"))


def _cache_word(stages: Stages, answered: Answered, diagnosis: Diagnosis | None) -> str:
    """Say what the cache had to do with a call, and let it and the estimates learn from the call."""
    admitted, outcome, cache = answered.admitted, answered.outcome, stages.cache
    route, decision, usage = admitted.route, admitted.decision, outcome.usage
    if answered.attempts and usage is not None and not outcome.estimated and outcome.cache != "stale":
        stages.estimates.learn(route.model_group, route.input_tokens, usage.tokens_in, usage.tokens_out)
    if cache is None or not isinstance(decision, Forward | ServeCached):
        return "none"
    asked = [attempt for attempt in answered.attempts if not attempt.fallback]
    if asked and (head := asked[-1].head) is not None:
        cache.heard(route, head.status, None if diagnosis is None else diagnosis.cause.value)
    if isinstance(decision, Forward) and decision.plan is not None and outcome.client_left:
        cache.left(decision.plan, admitted.call)
    bypassed = isinstance(decision, Forward) and bool(decision.bypass)
    word = outcome.cache or ("bypass" if bypassed else "none")
    good = outcome.complete and diagnosis is None and outcome.head is not None and outcome.head.status == 200
    try:
        cache.count(admitted.call, route, decision, Counted(word, usage, outcome.bytes_out if good else 0))
    except Exception:
        logger.exception("call %s: the cache did not count it", admitted.call.id)  # and its row is written
    return word


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


def _interrupted(admitted: Admitted, asking: Asking | Together | None, outcome: Outcome) -> Answered:
    if asking is None:
        return Answered(admitted=admitted, attempts=(), outcome=outcome)
    if asking.come is not None:
        outcome = replace(outcome, usage=asking.come, estimated=True)
    return Answered(
        admitted=admitted, attempts=tuple(asking.attempts), outcome=outcome, queued_seconds=asking.queued_seconds
    )


async def _broke(
    stages: Stages, admitted: Admitted, asking: Asking | Together | None, reply: Reply, error: Exception
) -> Answered:
    """A bug of ours: say so, never let the call slip past a limit, never end an answer as if it were whole."""
    words = f"{type(error).__name__} in whygate itself"
    answered = _interrupted(admitted, asking, Outcome(internal_error=words))
    if reply.started:
        reply.abort()
        return answered
    refused = Refuse(cause=Cause.PROXY_INTERNAL_ERROR, status=500, why=words)
    return await refuse(stages, admitted, refused, reply, answered.attempts)
