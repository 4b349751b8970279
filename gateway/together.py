"""Ask for an answer that is stored; equal calls that are under way together ask once.

The request runs in a task of its own, so that it outlives the call that began it: when that one's app hangs up, the
others have their answer all the same, and the request ends with the last of them. What the provider was asked stands in
the row of the call that it was asked for, and once: behind a call that left, in that of the next.
"""

import asyncio
import contextlib
from dataclasses import dataclass, replace

from gateway.attempts import ANSWER_SECONDS, Asking
from gateway.cache.freshness import kept_headers, may_store
from gateway.cache.single_flight import PATIENCE_SECONDS, Flight, HeaderList, Seat, TooSlowError
from gateway.diagnose.engine import diagnose
from gateway.model.attempt import Attempt, ReplyHead
from gateway.model.cause import Cause
from gateway.model.decision import Forward, Plan, Refuse
from gateway.model.event import Live
from gateway.model.exchange import Admitted, Answered, Outcome
from gateway.model.flow import State
from gateway.model.provider import Usage
from gateway.refusing import refuse
from gateway.reply import Reply, cache_status, marks
from gateway.stages import Stages
from gateway.testimony import evidence_of

LOOK_SECONDS = 0.25
_HELD = frozenset({State.QUEUED, State.WAITING})
_OF_ONE_CALL = frozenset(
    {
        b"x-whygate-flow-id",
        b"x-whygate-attempts",
        b"x-whygate-queue-ms",
        b"x-whygate-overhead-ms",
        b"set-cookie",
    }
)
_COLLAPSED = "fwd=miss; collapsed"


class _Request(Flight):
    """One request and the calls that wait for it; what it was asked stands in the row of the first of them.

    Attributes:
        owner: The call in whose row it stands what was asked: that which began it; behind it, one that stayed.
        told: How many attempts stand in the rows of owners that have left.
        deadline: When the time is up that the call had which began it. Monotonic seconds.
    """

    def __init__(self, stages: Stages, admitted: Admitted) -> None:
        super().__init__()
        self.members: list[Together] = []
        self.owner: Together | None = None
        self.live = _Shown(call=admitted.call, route=admitted.route, request=self)
        self.deadline = admitted.call.arrived + admitted.route.timeout_seconds
        self.asking = Asking(stages, admitted, self.live, self, None)
        self.told = 0
        self.task: asyncio.Task[Answered]


@dataclass(slots=True, kw_only=True)
class _Shown(Live):
    """Where a request stands, shown in the row of every call that waits for it."""

    request: _Request

    def enter(self, state: State, wait_reason: str | None = None, eta_ms: int | None = None) -> None:
        """See `Live`."""
        Live.enter(self, state, wait_reason, eta_ms)
        if self.request.owner is not None:
            self.request.owner.live.attempts = self.attempts - self.request.told
        for member in self.request.members:
            member.live.status = self.status
            member.live.enter(state, wait_reason, eta_ms)


class Together:
    """One call whose answer is wanted for the cache. Lives for one `ask`."""

    def __init__(self, stages: Stages, admitted: Admitted, live: Live, reply: Reply) -> None:
        decision, cache = admitted.decision, stages.cache
        assert isinstance(decision, Forward)
        assert decision.plan is not None
        assert cache is not None
        self.live = live
        self._stages, self._admitted, self._reply, self._cache = stages, admitted, reply, cache
        self._plan: Plan = decision.plan
        self._deadline = admitted.call.arrived + admitted.route.timeout_seconds
        self._request: _Request | None = None
        self._made: list[Attempt] | None = None
        self._began_at: float | None = None
        self._head: ReplyHead | None = None

    @property
    def attempts(self) -> list[Attempt]:
        """Those that stand in the row of this call."""
        if self._made is not None:
            return self._made
        request = self._request
        return [] if request is None else request.asking.attempts[request.told :]

    @property
    def come(self) -> Usage | None:
        """What of a stream had come when the last app hung up, by estimate."""
        return None if self._request is None or self._request.members else self._request.asking.come

    @property
    def queued_seconds(self) -> float:
        """Spent in our queue."""
        return self._request.asking.queued_seconds if self._request is not None and self.attempts else 0.0

    async def ask(self) -> Answered:
        """Have the answer given, whoever asks for it; it has been given when this returns."""
        while self._plan.read and (found := self._cache.flights.get(self._plan.flight)) is not None:
            if not found.joinable:
                break
            assert isinstance(found, _Request)
            answered = await self._through(found)
            if answered is not None:
                return answered
        request = _Request(self._stages, self._admitted)
        if self._plan.read and self._plan.flight not in self._cache.flights:
            self._cache.flights[self._plan.flight] = request
        answered = await self._through(request)
        assert answered is not None
        return answered

    async def _through(self, request: _Request) -> Answered | None:
        """Take part in a request from here to its end.

        Returns:
            None when this call has to ask itself: the one that asked had less time than it has.
        """
        self._request, self._made = request, None
        seat = request.sit()
        request.members.append(self)
        if first := request.owner is None:
            request.owner = self
            request.task = asyncio.get_running_loop().create_task(self._fetch(request))
            request.task.add_done_callback(_looked_at)
        answered: Answered | None = None
        try:
            answered = await self._take_part(request, seat, first=first)
        except TooSlowError:
            return self._too_slow(request, seat)
        except asyncio.CancelledError:
            answered = await self._left(request, seat)
            if answered is None:
                raise
        finally:
            self._go(request, seat)
        return answered

    async def _take_part(self, request: _Request, seat: Seat, *, first: bool) -> Answered | None:
        if not first:
            self.live.enter(request.live.state, request.live.wait_reason, request.live.eta_ms)
            refused = await self._until_head(request, seat)
            if refused is not None:
                return await refuse(self._stages, self._admitted, refused, self._reply)
            if self._is_out_of_anothers_time(request):
                await asyncio.wait({request.task})
                return None
        head = await seat.head()
        if head is not None:
            self._began_at = self._stages.clock.now()
            self._head = ReplyHead(status=head[0], headers=tuple(head[1] if first else self._mine(head[1])))
            await self._reply.start(self._head.status, self._head.headers)
            await seat.pump(self._reply)
        answered = self._own(request, await asyncio.shield(request.task), seat)
        request.members.remove(self)  # an owner that stayed to the end stays the owner
        return answered

    async def _fetch(self, request: _Request) -> Answered:
        try:
            return await self._keep(await request.asking.ask())
        finally:
            request.close()
            if self._cache.flights.get(self._plan.flight) is request:
                del self._cache.flights[self._plan.flight]

    async def _keep(self, answered: Answered) -> Answered:
        """Store a good answer; equal calls that come meanwhile still find it here."""
        outcome, plan, word = answered.outcome, self._plan, ""
        head, body = outcome.head, outcome.body
        for last in answered.attempts[-1:]:  # told before it is stored: the app may ask again meanwhile
            if last.head is not None and not last.fallback and outcome.diagnosis is None:
                self._cache.heard(answered.admitted.route, last.head.status, None)
        if (
            outcome.complete
            and head is not None
            and body is not None
            and outcome.diagnosis is None
            and may_store(head, body, lent=plan.lent)
            and await self._cache.keep(plan, head, body, outcome.usage)
        ):
            word = "stored"
        kept = body if self._stages.capture(answered.admitted.route) else None
        return replace(answered, outcome=replace(outcome, body=kept, cache=outcome.cache or word))

    async def _until_head(self, request: _Request, seat: Seat) -> Refuse | None:
        """Wait for the head, though in our queue no longer than this call's own time."""
        while True:
            left = self._deadline - ANSWER_SECONDS - self._stages.clock.now()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(left, LOOK_SECONDS)):
                    await seat.head()
                    return None
            if request.live.state in _HELD:
                reason = request.live.wait_reason or "its turn"
                why = f"it waited together with an equal call for {reason}, longer than the app waits"
                return Refuse(cause=Cause.PROXY_QUEUE_TIMEOUT, status=429, why=why, retry_after_seconds=1.0)

    def _is_out_of_anothers_time(self, request: _Request) -> bool:
        """Whether it was refused because the call that asked could wait no longer, while this one can."""
        cause = _value(request.head[1], b"x-whygate-cause") if request.head is not None else None
        return cause == Cause.PROXY_QUEUE_TIMEOUT.encode() and self._deadline > request.deadline + ANSWER_SECONDS

    def _mine(self, headers: HeaderList) -> HeaderList:
        """Give the headers of another call's answer for this one: of a good one what belongs to the answer itself."""
        call = self._admitted.call
        if _value(headers, b"x-whygate-cause") is None:
            size = [pair for pair in headers if pair[0] == b"content-length"]
            found = [*kept_headers(tuple(headers)), *size, cache_status(_COLLAPSED)]
        else:
            found = [pair for pair in headers if pair[0] not in _OF_ONE_CALL]
            asked = {cache_status("fwd=miss"), cache_status("fwd=miss; stored")}
            found = [cache_status(_COLLAPSED) if pair in asked else pair for pair in found]
        return found + marks(call.id, 0, 0.0, 0.0)

    def _own(self, request: _Request, answered: Answered, seat: Seat) -> Answered:
        """Give the fact of this call from that of the request."""
        if request.owner is self:
            self._made = request.asking.attempts[request.told :]
            outcome = replace(answered.outcome, head=self._head or answered.outcome.head)
            return replace(answered, admitted=self._admitted, attempts=tuple(self._made), outcome=outcome)
        outcome = replace(
            answered.outcome,
            head=self._head,
            first_byte_at=self._began_at,
            bytes_out=seat.at,
            cache="stale" if answered.outcome.cache == "stale" else "collapsed",
        )
        self._made = []
        return Answered(admitted=self._admitted, attempts=(), outcome=outcome)

    def _too_slow(self, request: _Request, seat: Seat) -> Answered:
        """Cut an answer whose app did not read while others waited for the rest."""
        self._reply.abort()
        why = f"the app read nothing for {PATIENCE_SECONDS:.0f} s while equal calls waited for the rest of the answer"
        refused = Refuse(cause=Cause.CLIENT_SLOW_READER, status=0, why=why)
        diagnosis = diagnose(evidence_of(self._stages, self._admitted.call, self._admitted.route, refused=refused))
        outcome = Outcome(
            head=self._head,
            bytes_out=seat.at,
            first_byte_at=self._began_at,
            diagnosis=diagnosis,
            cache="" if request.owner is self else "collapsed",
        )
        self._go(request, seat)
        return Answered(admitted=self._admitted, attempts=tuple(self.attempts), outcome=outcome)

    async def _left(self, request: _Request, seat: Seat) -> Answered | None:
        """The app has hung up. The request goes on while others wait for it.

        Returns:
            The answer where the app had all that it could want of it.
        """
        self._go(request, seat)
        if request.members:
            return None
        await asyncio.wait({request.task})
        if request.owner is not self:  # the owner stayed to the end, and has it all in its row
            self._made = []
            return None
        self._made = request.asking.attempts[request.told :]
        if request.task.cancelled() or request.task.exception() is not None:
            return None
        return replace(request.task.result(), admitted=self._admitted, attempts=tuple(self._made))

    def _go(self, request: _Request, seat: Seat) -> None:
        """Give the place back before the end; whoever has done so comes here again. The last one ends the request.

        What was asked for the owner so far stands in its row, and the next owner goes on from there.
        """
        request.leave(seat)
        if self not in request.members:
            return
        request.members.remove(self)
        if not request.members:
            if not request.ended:  # else it is being stored
                request.task.cancel()
        elif request.owner is self:
            self._made = request.asking.attempts[request.told :]
            request.told += len(self._made)
            request.owner = request.members[0]
        else:
            self._made = []


def _value(headers: HeaderList, name: bytes) -> bytes | None:
    return next((value for key, value in headers if key == name), None)


def _looked_at(task: "asyncio.Task[Answered]") -> None:
    """Take note of how a request ended although everybody may have left."""
    if not task.cancelled():
        task.exception()
