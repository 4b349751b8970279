"""Ask the provider: ``(queue -> attempt)*`` until an answer is good, or trying again cannot help any more.

The one loop in which things are done in order: the breaker and the gate let the call through, `_try` makes one attempt,
`next_step` decides, we sleep; `gateway.delivery` gives the last answer. The permit is held until the answer has ended,
so that concurrency counts what is really running.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from dataclasses import replace

from gateway.delivery import Tried, Trip, deliver, give_up, over
from gateway.diagnose.engine import diagnose
from gateway.egress.breaker import is_owned
from gateway.egress.classify import classify
from gateway.egress.headers import request_headers
from gateway.egress.opening import EmptyStreamError, Opening, first_part, is_events
from gateway.egress.resolve import NotAllowedError
from gateway.egress.retry import Halt, Retry, Stop, never_fits, next_step
from gateway.egress.send import Incoming, Outgoing
from gateway.egress.timeline import Timeline
from gateway.fallback import fall_back
from gateway.identify.guard import hop_mark, marked
from gateway.lessons import lesson, refusal_of
from gateway.limit.gate import Permit
from gateway.model.attempt import Attempt, ReplyHead
from gateway.model.cause import Again, Cause
from gateway.model.decision import Refuse
from gateway.model.diagnosis import Clue, Diagnosis
from gateway.model.event import Live
from gateway.model.exchange import Admitted, Answered
from gateway.model.failure import NetCode, NetFailure, Phase
from gateway.model.flow import State
from gateway.model.provider import StreamNews, Usage
from gateway.refusing import refuse
from gateway.reply import Reply
from gateway.rescue import rescue
from gateway.stages import Stages, Surer

ANSWER_SECONDS, ANSWER_SHARE = 0.5, 0.05
"""A refusal that comes when the app's own time is up is not heard: so much earlier nobody waits any longer."""

LOOK_SECONDS = 2.0
"""For what a second look at the failing host may find out, before the app is told."""

USUAL_SHARE = 0.5
"""How much of the app's time may be kept free for the answer itself: what is usual is a guess, and may be wrong."""

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
"""Asking twice changes nothing and costs nothing (RFC 9110 section 9.2.1)."""

_NO_TURN = {Cause.PROXY_CIRCUIT_OPEN: Halt.BREAKER, Cause.PROXY_QUEUE_TIMEOUT: Halt.TIME}

logger = logging.getLogger("whygate.path")


class Asking:
    """One call on its way to the provider. Lives for one `ask`."""

    def __init__(
        self, stages: Stages, admitted: Admitted, live: Live, reply: Reply, rest: AsyncIterator[bytes] | None
    ) -> None:
        self._stages, self._live, self._rest = stages, live, rest
        self._call, self._route = admitted.call, admitted.route
        self._trip = Trip(stages=stages, admitted=admitted, live=live, reply=reply)
        self._account = (self._route.upstream.host, self._route.key)
        timeout = self._route.timeout_seconds
        usual = stages.first_bytes.usual(self._route.upstream.host, self._route.model_group, stream=self._route.stream)
        self._looking: Surer | None = None
        self._usual_seconds = min(usual, USUAL_SHARE * timeout)
        self._deadline = self._call.arrived + timeout
        self._last_start = self._deadline - max(self._usual_seconds, min(ANSWER_SECONDS, ANSWER_SHARE * timeout))

    @property
    def attempts(self) -> list[Attempt]:
        """Those made so far."""
        return self._trip.attempts

    @property
    def come(self) -> Usage | None:
        """What of a stream had come when the app hung up, by estimate."""
        return self._trip.come

    @property
    def queued_seconds(self) -> float:
        """Spent in our queue, over all attempts."""
        return self._trip.queued_seconds

    async def ask(self) -> Answered:
        """Run the loop; the answer has been given when this returns."""
        stages, trip, waited, failures, twice = self._stages, self._trip, 0.0, 0, False
        self._count()
        tried: Tried | None = None
        while True:
            permit = await self._let_through(again=tried is not None)
            if isinstance(permit, Refuse):
                return await self._turned_away(permit, tried)
            waited += permit.queued_seconds if tried is not None else 0.0
            trip.duplicate = trip.duplicate or twice  # now that it really is sent again
            tried = None
            try:
                tried = await self._try(waited, permit)
                if tried.diagnosis is None:
                    return await deliver(trip, tried)
                failures += not _is_a_stated_wait(tried.diagnosis)
                self._looking = self._looking or stages.look(self._route, tried.diagnosis, tried.failure)
                step = self._next(tried, tried.diagnosis, failures)
                if not isinstance(step, Retry):
                    return await self._end(tried, _with_reason(tried.diagnosis, step.why), spent=step.spent)
            except asyncio.CancelledError:
                trip.retime(None)
                raise
            finally:
                permit.release()
                if tried is not None and tried.incoming is not None:
                    tried.incoming.abort()
            twice = step.duplicate and self._call.method not in _SAFE
            waited = 0.0
            if not self._is_held_by_the_gate(tried):
                waited = step.after_seconds
                reason = f"waiting to try again: {tried.diagnosis.title.lower()}"
                self._live.enter(State.WAITING, reason, round(waited * 1000))
                trip.waited_seconds += waited
                await stages.sleep(waited)

    def _count(self) -> None:
        """Count the call; the retry of an SDK is one whoever makes it, and never refused."""
        count = self._stages.budget.charge if self._route.retry_count else self._stages.budget.asked
        count(*self._account, self._stages.clock.now())

    async def _let_through(self, *, again: bool) -> Permit | Refuse:
        """Wait for the call's turn, unless the host is not asked at all now."""
        stages, trip = self._stages, self._trip
        if (closed_for := stages.breaker.wait(*self._account, stages.clock.now())) > 0:
            return self._broken(closed_for)
        permit = await stages.gate.acquire(
            self._route, self._live, deadline=self._last_start, size_bytes=len(self._call.body), front=again
        )
        trip.queued_seconds += permit.queued_seconds
        if isinstance(permit, Refuse):
            return permit
        if (closed_for := stages.breaker.enter(*self._account, stages.clock.now())) > 0:
            permit.release()
            return self._broken(closed_for)
        trip.permit, trip.shadow = permit, trip.shadow or permit.shadow
        return permit

    def _broken(self, closed_for_seconds: float) -> Refuse:
        failures, cause = self._stages.breaker.why(*self._account)
        why = (
            f"{failures} attempts in a row failed, the last one with {cause.value}; "
            f"it is asked again in {closed_for_seconds:.1f} s"
        )
        return Refuse(
            cause=Cause.PROXY_CIRCUIT_OPEN, status=503, why=why, retry_after_seconds=max(0.001, closed_for_seconds)
        )

    async def _turned_away(self, refused: Refuse, tried: Tried | None) -> Answered:
        """Say that there was no turn in time; where the provider has spoken already, its own last word counts."""
        trip = self._trip
        if tried is not None and tried.diagnosis is not None:
            # The app may have more time than it said, or come when the host is asked again: it may well try.
            diagnosis = _with_reason(tried.diagnosis, _NO_TURN.get(refused.cause))
            return await self._end(tried, diagnosis, spent=False)
        if (instead := await self._instead(refused)) is not None:
            return instead
        refused = replace(refused, queued_seconds=trip.queued_seconds)
        answered = await refuse(self._stages, trip.admitted, refused, trip.reply, tuple(trip.attempts))
        return over(trip, answered.outcome) if trip.also else answered

    async def _end(self, tried: Tried, diagnosis: Diagnosis, *, spent: bool) -> Answered:
        """Give an older answer, else a fallback's, where the provider failed, else what the last attempt ended in."""
        status = None if tried.head is None else tried.head.status
        instead = await rescue(self._trip, diagnosis, status)
        instead = instead or await fall_back(self._trip, diagnosis, rest=self._rest is not None)
        if instead is not None:
            return instead
        return await give_up(self._trip, tried, await self._surer(diagnosis), spent=spent)

    async def _surer(self, diagnosis: Diagnosis) -> Diagnosis:
        """Give the verdict with what a second look found, if that is over before the app has waited too long."""
        left = min(LOOK_SECONDS, self._deadline - ANSWER_SECONDS - self._stages.clock.now())
        if self._looking is None or left <= 0:
            return diagnosis
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(left):
                return await self._looking(diagnosis)
        return diagnosis

    async def _instead(self, refused: Refuse) -> Answered | None:
        """Give an older answer, else a fallback's, to a call for a host that is not asked at all now."""
        if refused.cause is not Cause.PROXY_CIRCUIT_OPEN:
            return None
        diagnosis = diagnose(self._trip.evidence(refused=refused))
        instead = await rescue(self._trip, diagnosis, None)
        return instead or await fall_back(self._trip, diagnosis, rest=self._rest is not None)

    def _is_held_by_the_gate(self, tried: Tried) -> bool:
        """Whether the gate holds everybody back now, this call first of all."""
        return refusal_of(tried.head, tried.diagnosis) is not None and not self._stages.gate.shadow

    # one attempt

    async def _try(self, waited_seconds: float, permit: Permit) -> Tried:
        stages, route, number = self._stages, self._route, len(self.attempts) + 1
        self._live.attempts = number
        self._live.enter(State.CONNECTING)
        began, timeline = stages.clock.now(), Timeline(permit.sent)
        incoming: Incoming | None = None
        failure: NetFailure | None = None
        start = Opening(b"", whole=False)
        try:
            incoming = await stages.upstream.open(self._outgoing(), timeline)
            timeline.enter(Phase.BODY)
            start = await first_part(incoming, hold=route.endpoint.stream is not None and self._call.method == "POST")
        except asyncio.CancelledError:
            if incoming is not None:
                incoming.abort()
            self._note(waited_seconds, permit, timeline, incoming, None)
            raise
        except NotAllowedError as error:
            return self._not_allowed(waited_seconds, permit, timeline, error)
        except EmptyStreamError:
            failure = NetFailure(
                phase=Phase.BODY, code=NetCode.STREAM_TRUNCATED, detail="it ended before its first event", sent=True
            )
        except Exception as error:  # noqa: BLE001 - every failure of the upstream becomes a value here
            failure = classify(error, timeline.phase)
        if failure is not None:
            if incoming is not None:
                incoming.abort()
            failure = await stages.upstream.look(route.upstream, failure)
        self._note(waited_seconds, permit, timeline, incoming, failure)
        now = stages.clock.now()
        self._trip.upstream_seconds += now - began
        seen = incoming.head if incoming is not None else None
        diagnosis = self._verdict(seen, start, failure)
        if diagnosis is not None:
            self.attempts[-1] = replace(self.attempts[-1], cause=diagnosis.cause)
        head = seen if failure is None else None
        if head is not None:
            self._teach(permit, head, start.body, diagnosis)
        self._tell_the_breaker(head, diagnosis, now, now - began)
        return Tried(
            incoming=incoming, head=head, body=start.body, whole=start.whole, failure=failure, diagnosis=diagnosis
        )

    def _verdict(self, head: ReplyHead | None, start: Opening, failure: NetFailure | None) -> Diagnosis | None:
        """Give the verdict on a failure, with the head that came before it; None for what is good so far."""
        route, trip = self._route, self._trip
        if failure is None and head is not None and (head.status < 400 or route.foreign):
            shape = route.endpoint.stream
            if start.whole or not start.body or shape is None or not is_events(head):
                return None
            if shape.read(start.body) is not StreamNews.FAILED:
                return None
            return diagnose(trip.evidence(head=head, stream_error=start.body))
        return diagnose(trip.evidence(head=head, body=start.body, failure=failure))

    def _teach(self, permit: Permit, head: ReplyHead, body: bytes, diagnosis: Diagnosis | None) -> None:
        try:
            permit.answered(lesson(self._route.provider, self._stages.identifier, head, body, diagnosis))
        except Exception:
            logger.exception("call %s: nothing was learned from its answer", self._call.id)  # the app gets it

    def _tell_the_breaker(
        self, head: ReplyHead | None, diagnosis: Diagnosis | None, now: float, took_seconds: float
    ) -> None:
        stages, route = self._stages, self._route
        if diagnosis is not None and is_owned(diagnosis.cause):
            stages.breaker.failed(*self._account, now, diagnosis.cause)
        elif head is not None and head.status < 500:
            stages.breaker.answered(*self._account)
            if diagnosis is None:
                stages.first_bytes.note(route.upstream.host, route.model_group, took_seconds, stream=route.stream)

    def _note(
        self, waited: float, permit: Permit, timeline: Timeline, incoming: Incoming | None, failure: NetFailure | None
    ) -> None:
        self._trip.timeline = timeline
        marks_ = timeline.marks(ok=failure is None)
        head = incoming.head if incoming is not None else None
        self.attempts.append(
            Attempt(
                number=len(self.attempts) + 1,
                waited_seconds=waited,
                queued_seconds=permit.queued_seconds,
                marks=marks_,
                head=head,
                failure=failure,
                began=timeline.began,
            )
        )

    def _not_allowed(self, waited: float, permit: Permit, timeline: Timeline, error: NotAllowedError) -> Tried:
        failure = replace(classify(error, Phase.CONNECT), detail=str(error))
        self._note(waited, permit, timeline, None, failure)
        refused = Refuse(cause=error.cause, status=error.status, why=str(error))
        verdict = diagnose(self._trip.evidence(refused=refused))
        return Tried(incoming=None, head=None, body=b"", whole=False, failure=failure, diagnosis=verdict)

    def _outgoing(self) -> Outgoing:
        call, route = self._call, self._route
        chunked = self._rest is not None and b"content-length" not in call.index
        return Outgoing(
            method=call.method,
            origin=route.upstream,
            target=route.target,
            headers=request_headers(
                call, route.upstream, chunked=chunked, hop=hop_mark(call, route.upstream, self._stages.instance)
            ),
            hop=marked(call.headers, self._stages.instance),
            body=call.body,
            rest=self._rest,
            chunked=chunked,
            ca_file=route.provider.upstream_ca_file,
            idle_seconds=self._stages.idle_seconds(route),
        )

    def _next(self, tried: Tried, diagnosis: Diagnosis, failures: int) -> Retry | Stop:
        stages, route, now = self._stages, self._route, self._stages.clock.now()
        return next_step(
            number=len(self.attempts),
            failures=failures,
            head=tried.head,
            failure=tried.failure,
            cause=diagnosis.cause,
            stated_seconds=diagnosis.wait_seconds,
            can_repeat=self._rest is None and not never_fits(diagnosis.facts),
            harmless=route.pure or (self._call.method in _SAFE and not route.foreign),
            left_seconds=self._deadline - now,
            usual_seconds=self._usual_seconds,
            may_try=lambda: stages.breaker.wait(*self._account, now) == 0,
            may_spend=lambda: stages.budget.spend(*self._account, now),
            policy=stages.policy,
            draw=stages.draw(),
        )


def _with_reason(diagnosis: Diagnosis, why: Halt | None) -> Diagnosis:
    """Say with the evidence why there was no further attempt."""
    if why is None:
        return diagnosis
    return replace(diagnosis, clues=(*diagnosis.clues, Clue(why.value)), evidence=(*diagnosis.evidence, why.value))


def _is_a_stated_wait(diagnosis: Diagnosis) -> bool:
    """Whether the provider only asks for patience; anything else is a failure, whatever wait it names."""
    return diagnosis.cause.again is not Again.WITHIN_BUDGET and bool(diagnosis.wait_seconds)
