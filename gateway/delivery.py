"""Give the answer of the last attempt to the app, and say how that went.

What comes here is decided: `gateway.attempts` makes no further attempt once something of an answer was given.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

from gateway.cache.freshness import may_store
from gateway.diagnose.engine import diagnose
from gateway.diagnose.envelope import fails_inside
from gateway.diagnose.evidence import Evidence
from gateway.diagnose.remedy import fill
from gateway.diagnose.say import say
from gateway.egress.opening import EXCERPT_BYTES, is_events, is_json, is_page
from gateway.egress.relay import ILL_END, Relayed, read_usage, relay_bytes, relay_events
from gateway.egress.resolve import BarredError, LoopError
from gateway.egress.retry import Fate, fate_of
from gateway.egress.send import Incoming
from gateway.egress.timeline import Timeline
from gateway.excerpt import readable
from gateway.lessons import refusal_in
from gateway.limit.block import Block
from gateway.limit.gate import Permit
from gateway.model.attempt import Attempt, ReplyHead
from gateway.model.cause import Cause
from gateway.model.decision import Forward, Refuse
from gateway.model.diagnosis import Clue, Diagnosis
from gateway.model.event import Live
from gateway.model.exchange import Admitted, Answered, Outcome
from gateway.model.failure import NetFailure
from gateway.model.flow import State
from gateway.model.provider import StreamNews, Usage
from gateway.model.rhythm import Rhythm
from gateway.reply import HeaderList, Reply, cache_status, failure_status, marks, own_error, passed_on, verdict
from gateway.stages import Stages
from gateway.testimony import evidence_of

KEEP_BYTES = 4_194_304

logger = logging.getLogger("whygate.path")

_NOT_ALLOWED = {error.cause: error.status for error in (LoopError, BarredError)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One attempt: an answer that may be given on, or a failure with its verdict.

    Attributes:
        body: What of the answer's body has been read.
        whole: That is all of it.
        failure: What went wrong below HTTP.
        diagnosis: None for an answer that is good as far as it was seen.
    """

    incoming: Incoming | None
    head: ReplyHead | None
    body: bytes
    whole: bool
    failure: NetFailure | None
    diagnosis: Diagnosis | None


@dataclass(slots=True, kw_only=True)
class Trip:
    """One call on its way to the provider and back: what is carried from attempt to attempt.

    Attributes:
        duplicate: An attempt that may have been worked on was followed by another.
        come: What of a stream had come when the app hung up, by estimate.
        fallback: Who answers in the provider's place, by name; empty when the provider does.
        also: What the verdict tells besides what its rules saw.
        shadow: Where limits are only watched: what it would have waited for.
    """

    stages: Stages
    admitted: Admitted
    live: Live
    reply: Reply
    attempts: list[Attempt] = field(default_factory=list)
    queued_seconds: float = 0.0
    waited_seconds: float = 0.0
    upstream_seconds: float = 0.0
    permit: Permit | None = None
    shadow: Block | None = None
    timeline: Timeline = field(default_factory=Timeline)
    duplicate: bool = False
    come: Usage | None = None
    fallback: str = ""
    also: tuple[Clue, ...] = ()

    def evidence(
        self,
        *,
        head: ReplyHead | None = None,
        body: bytes = b"",
        failure: NetFailure | None = None,
        refused: Refuse | None = None,
        stream_truncated: bool = False,
        stream_error: bytes = b"",
    ) -> Evidence:
        """Put together what the engine looks at."""
        call = self.admitted.call
        return evidence_of(
            self.stages,
            call,
            self.admitted.route,
            attempts=tuple(self.attempts),
            head=head,
            body=body,
            failure=failure,
            refused=refused,
            stream_truncated=stream_truncated,
            stream_error=stream_error,
            waited_seconds=self.stages.clock.now() - call.arrived,
        )

    def retime(self, failure: NetFailure | None) -> None:
        """Let the last attempt at whoever answers end now: its body took until here."""
        for at in reversed(range(len(self.attempts))):
            if self.attempts[at].fallback == self.fallback:
                last, marks_ = self.attempts[at], self.timeline.marks(ok=failure is None)
                self.attempts[at] = replace(last, marks=marks_, failure=failure or last.failure)
                return


async def deliver(trip: Trip, tried: Tried) -> Answered:
    """Give a good answer on, as it comes."""
    head = tried.head
    assert head is not None
    inside = _inside(trip, head, tried.body) if tried.whole else tried.diagnosis
    good = inside is None and tried.whole
    await start(trip, head, [] if inside is None else verdict(inside, spent=True), tried.body if good else b"")
    first_byte_at = trip.stages.clock.now()
    relayed = await hand_on(trip, tried, partial(_explain, trip, head), partial(_left, trip))
    if not tried.whole:
        whole = relayed.failure is None and not relayed.truncated and not is_events(head)
        inside = _inside(trip, head, relayed.body or b"") if whole else None
    return _answered(trip, head, relayed, first_byte_at, inside)


async def hand_on(
    trip: Trip,
    tried: Tried,
    explain: Callable[[NetFailure], tuple[str, str]],
    left: Callable[[Relayed], None] = lambda _relayed: None,
) -> Relayed:
    """Give the body of an answer whose head is out, and let its attempt end with it.

    Args:
        explain: See `Explain` in `gateway.egress.relay`.
        left: Is told what had come when the app hung up before the end.
    """
    incoming, head, route, reply = tried.incoming, tried.head, trip.admitted.route, trip.reply
    assert incoming is not None
    assert head is not None
    if tried.whole:
        await reply.end(tried.body)
        return Relayed(body=tried.body, size_bytes=len(tried.body))
    if (shape := route.endpoint.stream) is not None and is_events(head):
        trip.live.rhythm = Rhythm()
        relayed = await relay_events(
            incoming,
            reply,
            shape,
            route.provider,
            explain,
            now=trip.stages.clock.now,
            keep_bytes=KEEP_BYTES,
            first=tried.body,
            silent=_telling(trip.live),
            left=left,
            rhythm=trip.live.rhythm,
        )
    else:
        plain = head.header(b"content-encoding") in {None, "identity"}
        last_byte = route.endpoint.last_byte if plain else b""
        relayed = await relay_bytes(incoming, reply, KEEP_BYTES, last_byte)
    trip.retime(relayed.failure)
    return relayed


async def give_up(trip: Trip, tried: Tried, diagnosis: Diagnosis, *, spent: bool) -> Answered:
    """Give what the last attempt ended in: the provider's answer byte for byte, else an error of ours."""
    head = tried.head
    final = fate_of(head, tried.failure, diagnosis.cause) is not Fate.AMBIGUOUS
    ours = verdict(diagnosis, spent=spent, final=final, stated_by=head)
    if head is None:
        assert tried.failure is not None
        status, named = failure_status(tried.failure)
        status = _NOT_ALLOWED.get(diagnosis.cause, status)
        body, headers = own_error(trip.admitted.route.provider, status, diagnosis, trip.stages.language)
        written = ReplyHead(status=status, headers=tuple(headers))
        await start(trip, written, ours + named)
        await trip.reply.end(body)
        outcome = Outcome(head=written, complete=True, excerpt=body, bytes_out=len(body), diagnosis=diagnosis)
        return over(trip, outcome)
    if head.status < 400:  # a stream whose first event says that it failed
        return await deliver(trip, tried)
    await start(trip, head, [*ours, (b"proxy-status", b"whygate; received-status=%d" % head.status)])
    first_byte_at = trip.stages.clock.now()
    if tried.whole or tried.incoming is None:
        await trip.reply.end(tried.body)
        relayed = Relayed(body=tried.body, size_bytes=len(tried.body))
    else:
        if tried.body:
            await trip.reply.write(tried.body)
        relayed = await relay_bytes(tried.incoming, trip.reply, 0)
    answered = _answered(trip, head, relayed, first_byte_at)
    return over(trip, replace(answered.outcome, excerpt=tried.body[:EXCERPT_BYTES], diagnosis=diagnosis))


def over(trip: Trip, outcome: Outcome) -> Answered:
    """Give the fact of the whole trip."""
    if outcome.diagnosis is not None and trip.also:
        outcome = replace(outcome, diagnosis=telling(outcome.diagnosis, *trip.also))
    return Answered(
        admitted=trip.admitted,
        attempts=tuple(trip.attempts),
        outcome=outcome,
        queued_seconds=trip.queued_seconds,
        would_wait_seconds=trip.shadow.seconds if trip.shadow is not None else None,
        would_wait_for=trip.shadow.reason if trip.shadow is not None else "",
        possible_duplicate=trip.duplicate,
    )


def telling(diagnosis: Diagnosis, *clues: Clue) -> Diagnosis:
    """Give a verdict with further lines of evidence."""
    lines = tuple(fill(clue.text, dict(clue.facts)) for clue in clues)
    return replace(diagnosis, clues=(*diagnosis.clues, *clues), evidence=(*diagnosis.evidence, *lines))


async def start(trip: Trip, head: ReplyHead, ours: list[tuple[bytes, bytes]], whole: bytes = b"") -> None:
    """Give a head, with our marks behind its headers; ``whole`` is a good answer's body that has come already."""
    call = trip.admitted.call
    spent = trip.upstream_seconds + trip.queued_seconds + trip.waited_seconds
    overhead = max(0.0, trip.stages.clock.now() - call.arrived - spent)
    if not trip.admitted.route.foreign or ours:
        tries = sum(not attempt.fallback for attempt in trip.attempts)
        ours = ours + marks(call.id, tries, trip.queued_seconds, overhead, duplicate=trip.duplicate)
    ours += _of_the_cache(trip, head, whole)
    trip.live.status = head.status
    trip.live.enter(State.STREAMING)
    await trip.reply.start(head.status, passed_on(head, ours))


def _of_the_cache(trip: Trip, head: ReplyHead, whole: bytes) -> HeaderList:
    """Say why it was asked, and whether it is kept where that is known already: of a stream it is at its end."""
    decision = trip.admitted.decision
    if trip.fallback or not isinstance(decision, Forward) or (decision.plan is None and not decision.bypass):
        return []
    stored = "; stored" if decision.plan is not None and may_store(head, whole, lent=decision.plan.lent) else ""
    if decision.bypass:
        return [cache_status(f'fwd=request{stored}; detail="{decision.bypass}"')]
    return [cache_status(f"fwd=miss{stored}")]


def _telling(live: Live) -> Callable[[float | None], None]:
    """Show in the call's row that its stream has gone silent."""

    def tell(seconds: float | None) -> None:
        reason = None if seconds is None else f"the provider has sent nothing for {seconds:.0f} s"
        live.enter(State.STREAMING, reason)

    return tell


def _inside(trip: Trip, head: ReplyHead, body: bytes) -> Diagnosis | None:
    """Give the verdict on an answer that calls itself a success and says inside that it is none."""
    route = trip.admitted.route
    if route.foreign or not body:
        return None
    if _is_cut(head, body):
        return diagnose(trip.evidence(head=head, stream_truncated=True))
    if trip.admitted.call.method == "POST" and is_page(head):
        found = diagnose(trip.evidence(head=head, body=body[:EXCERPT_BYTES]))
        return found if found.cause is not Cause.UNKNOWN else None
    if len(body) > EXCERPT_BYTES:
        return None
    shape = route.endpoint.stream
    if shape is not None and is_events(head):
        ill = shape.read(body) is StreamNews.FAILED or ILL_END.search(body)
        return diagnose(trip.evidence(head=head, stream_error=body)) if ill else None
    if not is_json(head):
        return None
    if head.header(b"content-encoding") not in {None, "identity"}:
        body = (readable(body, head.header(b"content-encoding"), None) or "").encode()
    if not fails_inside(body, route.provider):
        return None
    found = diagnose(trip.evidence(head=head, body=body))
    return found if found.cause is not Cause.UNKNOWN else None


def _is_cut(head: ReplyHead, body: bytes) -> bool:
    """Whether a whole body that calls itself JSON stops in the middle of it. Only its ends are looked at."""
    if head.status != 200 or not (head.header(b"content-type") or "").lower().startswith("application/json"):
        return False
    if head.header(b"content-encoding") not in {None, "identity"}:
        return False
    closing = {b"{": b"}", b"[": b"]"}.get(body.lstrip()[:1])
    return closing is not None and body.rstrip()[-1:] != closing


def _answered(
    trip: Trip, head: ReplyHead, relayed: Relayed, first_byte_at: float, diagnosis: Diagnosis | None = None
) -> Answered:
    usage = relayed.usage
    if usage is None and relayed.body and head.status == 200:
        encoding = head.header(b"content-encoding")
        text = relayed.body if encoding is None else (readable(relayed.body, encoding, None) or "").encode()
        usage = read_usage(trip.admitted.route.provider, text)
    _settle(trip, head, relayed, usage)
    inside = diagnosis is not None
    events = relayed.stream_error or relayed.filtered
    if relayed.failure is not None or relayed.truncated or events:
        diagnosis = diagnose(
            trip.evidence(
                head=head,
                failure=relayed.failure,
                stream_truncated=relayed.truncated,
                stream_error=events,
            )
        )
    if diagnosis is not None:
        _tell_the_gate(trip, diagnosis)
    outcome = Outcome(
        head=head,
        excerpt=(relayed.body or b"")[:EXCERPT_BYTES] if inside else events,
        complete=diagnosis is None,
        usage=usage,
        bytes_out=relayed.size_bytes,
        first_byte_at=first_byte_at if relayed.first_at is None else relayed.first_at,
        body=relayed.body if _wanted(trip) or trip.stages.capture(trip.admitted.route) else None,
        diagnosis=diagnosis,
    )
    return over(trip, outcome)


def _tell_the_gate(trip: Trip, diagnosis: Diagnosis) -> None:
    """Hold others back, too, after a refusal for speed in the middle of a stream, or inside a 200."""
    refusal = refusal_in(diagnosis)
    if refusal is None or trip.permit is None or trip.fallback:
        return
    try:
        trip.permit.refused_late(refusal)
    except Exception:
        logger.exception("call %s: nothing was learned from its refusal", trip.admitted.call.id)  # the app has it


def _left(trip: Trip, relayed: Relayed) -> None:
    """Count what had come when the app hung up: providers charge for it, and say nothing of it any more."""
    said = relayed.usage or Usage(None, None)
    tokens_in = trip.admitted.route.input_tokens if said.tokens_in is None else said.tokens_in
    trip.come = Usage(tokens_in, max(said.tokens_out or 0, relayed.events))
    if trip.permit is not None:
        trip.permit.settle(*trip.come)


def _settle(trip: Trip, head: ReplyHead, relayed: Relayed, usage: Usage | None) -> None:
    """Count the tokens that were really taken: as the provider says, else those of a stream by its events."""
    if trip.permit is None or head.status >= 400:
        return
    if usage is not None:
        trip.permit.settle(usage.tokens_in, usage.tokens_out)
    elif relayed.events:
        trip.permit.settle(None, relayed.events)


def _wanted(trip: Trip) -> bool:
    decision = trip.admitted.decision
    return not trip.fallback and isinstance(decision, Forward) and decision.plan is not None


def _explain(trip: Trip, head: ReplyHead, failure: NetFailure) -> tuple[str, str]:
    found = diagnose(trip.evidence(head=head, failure=failure))
    return found.cause.value, f"whygate: {say(found, trip.stages.language).sentence()}"
