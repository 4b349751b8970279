"""Ask the provider: ``(queue -> attempt)*`` until an answer is good, or trying again cannot help any more.

The one loop in which things are done in order: the gate gives a permit, `_try` makes one attempt, `next_step` decides,
we sleep. The permit is held until the answer has ended, so that concurrency counts what is really running.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from functools import partial

from gateway.diagnose.engine import diagnose
from gateway.diagnose.envelope import fails_inside
from gateway.diagnose.evidence import Evidence
from gateway.diagnose.say import say
from gateway.egress.classify import classify
from gateway.egress.headers import request_headers
from gateway.egress.opening import EXCERPT_BYTES, first_part, is_events, is_json
from gateway.egress.relay import ILL_END, Relayed, read_usage, relay_bytes, relay_events
from gateway.egress.resolve import BarredError, LoopError, NotAllowedError
from gateway.egress.retry import Retry, Stop, never_fits, next_step
from gateway.egress.send import Incoming, Outgoing
from gateway.egress.timeline import Timeline
from gateway.excerpt import readable
from gateway.identify.guard import hop_mark
from gateway.lessons import lesson, refusal_of
from gateway.limit.block import Block
from gateway.limit.gate import Permit
from gateway.model.attempt import Attempt, ReplyHead
from gateway.model.cause import Cause
from gateway.model.decision import Forward, Refuse
from gateway.model.diagnosis import Diagnosis
from gateway.model.event import Live
from gateway.model.exchange import Admitted, Answered, Outcome
from gateway.model.failure import NetFailure, Phase
from gateway.model.flow import State
from gateway.model.provider import StreamNews, Usage
from gateway.refusing import refuse
from gateway.reply import Reply, cache_status, failure_status, marks, own_error, passed_on, verdict
from gateway.stages import Stages
from gateway.testimony import evidence_of

KEEP_BYTES = 4_194_304
ANSWER_SECONDS, ANSWER_SHARE = 0.5, 0.05
"""A refusal that comes when the app's own time is up is not heard: so much earlier nobody waits any longer."""

logger = logging.getLogger("whygate.path")
_NOT_ALLOWED = {error.cause: error.status for error in (LoopError, BarredError)}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tried:
    """One attempt: an answer that may be given on, or a failure with its verdict."""

    incoming: Incoming | None
    head: ReplyHead | None
    body: bytes
    whole: bool
    failure: NetFailure | None
    diagnosis: Diagnosis | None


class Asking:
    """One call on its way to the provider. Lives for one `ask`; holds what the loop carries from attempt to attempt."""

    def __init__(
        self, stages: Stages, admitted: Admitted, live: Live, reply: Reply, rest: AsyncIterator[bytes] | None
    ) -> None:
        self._stages, self._admitted, self._live, self._reply, self._rest = stages, admitted, live, reply, rest
        self._call, self._route = admitted.call, admitted.route
        self._deadline = self._call.arrived + self._route.timeout_seconds
        self.attempts: list[Attempt] = []
        self.queued_seconds = 0.0
        self._waited_seconds = 0.0
        self._permit: Permit | None = None
        self.shadow: Block | None = None
        self._upstream_seconds = 0.0
        self._timeline = Timeline()

    async def ask(self) -> Answered:
        """Run the loop; the answer has been given when this returns."""
        stages, live, waited, failures = self._stages, self._live, 0.0, 0
        account = (self._route.upstream.host, self._route.key, stages.clock.now())
        stages.budget.asked(*account)
        if self._route.retry_count:
            stages.budget.spend(*account)  # the SDK's own retry is one, too; it is charged, never refused
        tried: _Tried | None = None
        while True:
            permit = await stages.gate.acquire(
                self._route,
                live,
                deadline=self._deadline - min(ANSWER_SECONDS, ANSWER_SHARE * self._route.timeout_seconds),
                size_bytes=len(self._call.body),
                front=tried is not None,
            )
            self.queued_seconds += permit.queued_seconds
            if isinstance(permit, Refuse):
                return await self._turned_away(permit, tried)
            self._permit, self.shadow = permit, self.shadow or permit.shadow
            waited += permit.queued_seconds if tried is not None else 0.0
            tried = None
            try:
                tried = await self._try(waited, permit)
                if tried.diagnosis is None:
                    return await self._deliver(tried)
                failures += tried.head is None or tried.diagnosis.wait_seconds is None
                step = self._next(tried, tried.diagnosis, failures)
                if not isinstance(step, Retry):
                    return await self._give_up(tried, tried.diagnosis, spent=step.spent)
            except asyncio.CancelledError:
                self._retime(None)
                raise
            finally:
                permit.release()
                if tried is not None and tried.incoming is not None:
                    tried.incoming.abort()
            waited = 0.0
            if not self._is_held_by_the_gate(tried):
                waited = step.after_seconds
                reason = f"waiting to try again: {tried.diagnosis.title.lower()}"
                live.enter(State.WAITING, reason, round(waited * 1000))
                self._waited_seconds += waited
                await stages.sleep(waited)

    async def _turned_away(self, refused: Refuse, tried: _Tried | None) -> Answered:
        """Say that there was no turn in time; where the provider has spoken already, its own last word counts."""
        if tried is not None and tried.diagnosis is not None and tried.head is not None:
            return await self._give_up(tried, tried.diagnosis, spent=True)
        refused = replace(refused, queued_seconds=self.queued_seconds)
        return await refuse(self._stages, self._admitted, refused, self._reply, tuple(self.attempts))

    def _is_held_by_the_gate(self, tried: _Tried) -> bool:
        """Whether the gate holds everybody back now, this call first of all."""
        return refusal_of(tried.head, tried.diagnosis) is not None and not self._stages.gate.shadow

    # one attempt

    async def _try(self, waited_seconds: float, permit: Permit) -> _Tried:
        live, number = self._live, len(self.attempts) + 1
        live.attempts = number
        live.enter(State.CONNECTING)
        began, timeline = self._stages.clock.now(), Timeline(permit.sent)
        incoming: Incoming | None = None
        failure: NetFailure | None = None
        body, whole = b"", False
        try:
            incoming = await self._stages.upstream.open(self._outgoing(), timeline)
            timeline.enter(Phase.BODY)
            body, whole = await first_part(incoming)
        except asyncio.CancelledError:
            if incoming is not None:
                incoming.abort()
            self._note(number, waited_seconds, timeline, incoming, None)
            raise
        except NotAllowedError as error:
            return self._not_allowed(number, waited_seconds, timeline, error)
        except Exception as error:  # noqa: BLE001 - every failure of the upstream becomes a value here
            if incoming is not None:
                incoming.abort()
            failure = await self._stages.upstream.look(self._route.upstream, classify(error, timeline.phase))
        self._note(number, waited_seconds, timeline, incoming, failure)
        self._upstream_seconds += self._stages.clock.now() - began
        head = incoming.head if incoming is not None and failure is None else None
        tried = _Tried(incoming=incoming, head=head, body=body, whole=whole, failure=failure, diagnosis=None)
        good = failure is None and head is not None and (head.status < 400 or self._route.foreign)
        diagnosis = None if good else diagnose(self._evidence(head=head, body=body, failure=failure))
        if head is not None:
            self._teach(permit, head, body, diagnosis)
        return replace(tried, diagnosis=diagnosis)

    def _teach(self, permit: Permit, head: ReplyHead, body: bytes, diagnosis: Diagnosis | None) -> None:
        try:
            permit.answered(lesson(self._route.provider, self._stages.identifier, head, body, diagnosis))
        except Exception:
            logger.exception("call %s: nothing was learned from its answer", self._call.id)  # the app gets it

    def _note(
        self, number: int, waited: float, timeline: Timeline, incoming: Incoming | None, failure: NetFailure | None
    ) -> None:
        self._timeline = timeline
        marks_ = timeline.marks(ok=failure is None)
        head = incoming.head if incoming is not None else None
        self.attempts.append(Attempt(number=number, waited_seconds=waited, marks=marks_, head=head, failure=failure))

    def _not_allowed(self, number: int, waited: float, timeline: Timeline, error: NotAllowedError) -> _Tried:
        failure = replace(classify(error, Phase.CONNECT), detail=str(error))
        self._note(number, waited, timeline, None, failure)
        refused = Refuse(cause=error.cause, status=error.status, why=str(error))
        verdict_ = diagnose(self._evidence(refused=refused))
        return _Tried(incoming=None, head=None, body=b"", whole=False, failure=failure, diagnosis=verdict_)

    def _outgoing(self) -> Outgoing:
        call, route = self._call, self._route
        chunked = self._rest is not None and b"content-length" not in call.index
        return Outgoing(
            method=call.method,
            origin=route.upstream,
            target=route.target,
            headers=request_headers(
                call, route.upstream, chunked=chunked, hop=hop_mark(route.upstream, self._stages.instance)
            ),
            body=call.body,
            rest=self._rest,
            chunked=chunked,
            ca_file=route.provider.upstream_ca_file,
        )

    def _next(self, tried: _Tried, diagnosis: Diagnosis, failures: int) -> Retry | Stop:
        now = self._stages.clock.now()
        return next_step(
            number=len(self.attempts),
            failures=failures,
            head=tried.head,
            failure=tried.failure,
            cause=diagnosis.cause,
            stated_seconds=diagnosis.wait_seconds,
            can_repeat=self._rest is None and not never_fits(diagnosis.facts),
            left_seconds=self._deadline - now,
            may_spend=lambda: self._stages.budget.spend(self._route.upstream.host, self._route.key, now),
            policy=self._stages.policy,
            draw=self._stages.draw(),
        )

    # the answer

    async def _deliver(self, tried: _Tried) -> Answered:
        incoming, head, route = tried.incoming, tried.head, self._route
        assert incoming is not None
        assert head is not None
        inside = self._inside(head, tried.body) if tried.whole else None
        await self._start(head, [] if inside is None else verdict(inside, spent=True))
        first_byte_at = self._stages.clock.now()
        if tried.whole:
            await self._reply.end(tried.body)
            relayed = Relayed(body=tried.body, size_bytes=len(tried.body))
            return self._answered(head, relayed, first_byte_at, inside)
        if (shape := route.endpoint.stream) is not None and is_events(head):
            relayed = await relay_events(
                incoming,
                self._reply,
                shape,
                route.provider,
                partial(self._explain, head),
                now=self._stages.clock.now,
                keep_bytes=KEEP_BYTES,
            )
        else:
            plain = head.header(b"content-encoding") in {None, "identity"}
            last_byte = route.endpoint.last_byte if plain else b""
            relayed = await relay_bytes(incoming, self._reply, KEEP_BYTES, last_byte)
        self._retime(relayed.failure)
        whole = relayed.failure is None and not relayed.truncated and not is_events(head)
        inside = self._inside(head, relayed.body or b"") if whole else None
        return self._answered(head, relayed, first_byte_at, inside)

    def _inside(self, head: ReplyHead, body: bytes) -> Diagnosis | None:
        """Give the verdict on an answer that calls itself a success and says inside that it is none."""
        if self._route.foreign or not body or len(body) > EXCERPT_BYTES:
            return None
        shape = self._route.endpoint.stream
        if shape is not None and is_events(head):
            ill = shape.read(body) is StreamNews.FAILED or ILL_END.search(body)
            return diagnose(self._evidence(head=head, stream_error=body)) if ill else None
        if not is_json(head):
            return None
        if head.header(b"content-encoding") not in {None, "identity"}:
            body = (readable(body, head.header(b"content-encoding"), None) or "").encode()
        if not fails_inside(body, self._route.provider):
            return None
        found = diagnose(self._evidence(head=head, body=body))
        return found if found.cause is not Cause.UNKNOWN else None

    def _retime(self, failure: NetFailure | None) -> None:
        """Let the last attempt end now: its body took until here."""
        if self.attempts:
            last = self.attempts[-1]
            marks_ = self._timeline.marks(ok=failure is None)
            self.attempts[-1] = replace(last, marks=marks_, failure=failure or last.failure)

    async def _give_up(self, tried: _Tried, diagnosis: Diagnosis, *, spent: bool) -> Answered:
        ours = verdict(diagnosis, spent=spent)
        if tried.head is None:
            assert tried.failure is not None
            status, named = failure_status(tried.failure)
            status = _NOT_ALLOWED.get(diagnosis.cause, status)
            body, headers = own_error(self._route.provider, status, diagnosis, self._stages.language)
            head = ReplyHead(status=status, headers=tuple(headers))
            await self._start(head, ours + named)
            await self._reply.end(body)
            outcome = Outcome(head=head, complete=True, excerpt=body, bytes_out=len(body), diagnosis=diagnosis)
            return self._over(outcome)
        await self._start(tried.head, [*ours, (b"proxy-status", b"whygate; received-status=%d" % tried.head.status)])
        first_byte_at = self._stages.clock.now()
        if tried.whole or tried.incoming is None:
            await self._reply.end(tried.body)
            relayed = Relayed(body=tried.body, size_bytes=len(tried.body))
        else:
            if tried.body:
                await self._reply.write(tried.body)
            relayed = await relay_bytes(tried.incoming, self._reply, 0)
        answered = self._answered(tried.head, relayed, first_byte_at)
        return replace(
            answered, outcome=replace(answered.outcome, excerpt=tried.body[:EXCERPT_BYTES], diagnosis=diagnosis)
        )

    async def _start(self, head: ReplyHead, ours: list[tuple[bytes, bytes]]) -> None:
        spent = self._upstream_seconds + self.queued_seconds + self._waited_seconds
        overhead = max(0.0, self._stages.clock.now() - self._call.arrived - spent)
        if not self._route.foreign or ours:
            ours = ours + marks(self._call.id, len(self.attempts), self.queued_seconds, overhead)
        if self._wanted():
            ours.append(cache_status("fwd=miss"))
        self._live.status = head.status
        self._live.enter(State.STREAMING)
        await self._reply.start(head.status, passed_on(head, ours))

    def _answered(
        self, head: ReplyHead, relayed: Relayed, first_byte_at: float, diagnosis: Diagnosis | None = None
    ) -> Answered:
        usage = relayed.usage
        if usage is None and relayed.body and head.status == 200:
            encoding = head.header(b"content-encoding")
            text = relayed.body if encoding is None else (readable(relayed.body, encoding, None) or "").encode()
            usage = read_usage(self._route.provider, text)
        self._settle(head, relayed, usage)
        inside = diagnosis is not None
        events = relayed.stream_error or relayed.filtered
        if relayed.failure is not None or relayed.truncated or events:
            diagnosis = diagnose(
                self._evidence(
                    head=head,
                    failure=relayed.failure,
                    stream_truncated=relayed.truncated,
                    stream_error=events,
                )
            )
        outcome = Outcome(
            head=head,
            excerpt=(relayed.body or b"")[:EXCERPT_BYTES] if inside else events,
            complete=diagnosis is None,
            usage=usage,
            bytes_out=relayed.size_bytes,
            first_byte_at=first_byte_at if relayed.first_at is None else relayed.first_at,
            body=relayed.body if self._wanted() else None,
            diagnosis=diagnosis,
        )
        return self._over(outcome)

    def _settle(self, head: ReplyHead, relayed: Relayed, usage: Usage | None) -> None:
        """Count the tokens that were really taken: as the provider says, else those of a stream by its events."""
        if self._permit is None or head.status >= 400:
            return
        if usage is not None:
            self._permit.settle(usage.tokens_in, usage.tokens_out)
        elif relayed.events:
            self._permit.settle(None, relayed.events)

    def _over(self, outcome: Outcome) -> Answered:
        return Answered(
            admitted=self._admitted,
            attempts=tuple(self.attempts),
            outcome=outcome,
            queued_seconds=self.queued_seconds,
            would_wait_seconds=self.shadow.seconds if self.shadow is not None else None,
            would_wait_for=self.shadow.reason if self.shadow is not None else "",
        )

    def _wanted(self) -> bool:
        decision = self._admitted.decision
        return isinstance(decision, Forward) and decision.cache_key is not None

    def _explain(self, head: ReplyHead, failure: NetFailure) -> tuple[str, str]:
        found = diagnose(self._evidence(head=head, failure=failure))
        return found.cause.value, f"whygate: {say(found, self._stages.language).sentence()}"

    def _evidence(
        self,
        *,
        head: ReplyHead | None = None,
        body: bytes = b"",
        failure: NetFailure | None = None,
        refused: Refuse | None = None,
        stream_truncated: bool = False,
        stream_error: bytes = b"",
    ) -> Evidence:
        return evidence_of(
            self._stages,
            self._call,
            self._route,
            attempts=tuple(self.attempts),
            head=head,
            body=body,
            failure=failure,
            refused=refused,
            stream_truncated=stream_truncated,
            stream_error=stream_error,
            waited_seconds=self._stages.clock.now() - self._call.arrived,
        )
