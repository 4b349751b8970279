"""The right to send one request, and what its answer tells."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.limit.block import Block
from gateway.limit.cost import TOKENS, Cost
from gateway.limit.refusal import Refusal
from gateway.limit.scope import Scope
from gateway.limit.users import User
from gateway.limit.waiter import NOTHING, Taken, home_of
from gateway.model.provider import StatedLimit
from gateway.model.route import Route

if TYPE_CHECKING:
    from gateway.limit.gate import Gate


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What an attempt's answer tells the gate.

    Attributes:
        good: The provider has done what was asked.
        account: Fingerprint of the organisation and project that the answer names, None when it names none.
        stated: The limits in its headers.
        refusal: What it means for others when it is a 429 that waiting cures.
    """

    good: bool
    account: str | None = None
    stated: tuple[StatedLimit, ...] = ()
    refusal: Refusal | None = None


class Permit:
    """The right to send one request. Give it back once, when the answer has ended.

    Attributes:
        queued_seconds: How long it was waited for.
        shadow: In shadow mode: what would have happened, None when it would have gone at once.
    """

    __slots__ = (
        "_answered", "_cost", "_counted", "_gate", "_granted_ms", "_is_good", "_moves", "_released", "_route", "_scope",
        "_sent_at", "_taken", "_user", "queued_seconds", "shadow",
    )  # fmt: skip

    def __init__(
        self,
        gate: "Gate",
        route: Route,
        scope: Scope,
        user: User,
        taken: list[Taken],
        *,
        cost: Cost,
        waited: float = 0.0,
        granted_ms: float = 0.0,
    ) -> None:
        self._gate, self._route, self._scope, self._user, self._cost = gate, route, scope, user, cost
        self._taken, self._moves = taken, gate.heirs.moves
        self._granted_ms, self._counted = granted_ms, cost
        self._sent_at: float | None = None
        self._answered = self._is_good = self._released = False
        scope.users.of(user).in_flight += 1
        self.queued_seconds = waited
        self.shadow: Block | None = None

    def sent(self) -> None:
        """Say that the request is on its way. Connecting took a while; it counts from now on."""
        if self._sent_at is None:
            self._sent_at = now = self._gate.clock.now()
            self._home()
            for taken in self._taken:
                taken.meter.sent(taken.hold, now)

    def answered(self, answer: Answer) -> None:
        """Take in what the head of the answer, and of a refusal the body, tells."""
        now, sent_at = self._gate.clock.now(), self._sent_at
        if self._answered or sent_at is None:
            return
        self._answered, self._is_good = True, answer.good
        if answer.account is not None:
            self._gate.know_account(self._route, answer.account)
        scope = self._home()
        scope.used_at = now
        scope.starting.ended(answered=answer.refusal is None)
        if answer.stated:
            scope.hear(answer.stated, self._cost, sent_at, now, "headers")
        if answer.refusal is not None:
            told = frozenset(said.kind for said in answer.stated if said.remaining is not None)
            scope.refused(answer.refusal, self._cost, sent_at, now, told)
        elif answer.good:
            scope.users.answered(now)
            scope.succeeded(now)
        if not answer.good:
            self._settle(0, 0)  # what was refused took no tokens
        if scope.queue:
            scope.pump()

    def refused_late(self, refusal: Refusal) -> None:
        """Take in a refusal that came behind a good beginning: in the middle of a stream, or inside a 200."""
        if not self._is_good or self._sent_at is None:
            return
        self._is_good = False
        scope = self._home()
        scope.refused(refusal, self._cost, self._sent_at, self._gate.clock.now(), frozenset())
        if scope.queue:
            scope.pump()

    def settle(self, tokens_in: int | None, tokens_out: int | None) -> None:
        """Count what the provider counted, once; None keeps the estimate."""
        given = self._cost
        counted_in = given.tokens_in if tokens_in is None else tokens_in
        counted_out = given.tokens_out if tokens_out is None else tokens_out
        self._home().users.spent(given.of(TOKENS), counted_in + counted_out)
        self._settle(counted_in, counted_out)

    def release(self) -> None:
        """Give it back; a second time does nothing. What was never sent is counted no more."""
        if self._released:
            return
        self._released = True
        scope, now = self._home(), self._gate.clock.now()
        if self._sent_at is None:
            for taken in self._taken:
                taken.meter.give_back(taken.hold, now)
            self._correct(NOTHING)
        if not self._answered:
            scope.starting.ended(answered=False)
        scope.users.left(self._user)
        scope.ended(now, now - self._sent_at if self._is_good and self._sent_at is not None else None)
        if scope.queue:
            scope.pump()

    def _settle(self, tokens_in: int, tokens_out: int) -> None:
        cost, now = Cost(1, tokens_in, tokens_out), self._gate.clock.now()
        self._correct(cost)
        for taken in self._taken:
            if taken.kind != "requests":
                taken.meter.settle(taken.hold, cost.of(taken.kind), now)

    def _correct(self, true: Cost) -> None:
        """Tell the other gateways, too, what it really took."""
        turns = self._home().turns
        if turns is not None:
            turns.correct(self._granted_ms, self._counted, true)
            self._counted = true

    def _home(self) -> Scope:
        """Give the scope that counts it now, and find the meters that do."""
        if self._moves != self._gate.heirs.moves:
            self._taken, self._moves = self._gate.heirs.now(self._taken), self._gate.heirs.moves
        self._scope = home_of(self._scope)
        return self._scope
