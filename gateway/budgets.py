"""What tenants may use in a day: an estimate is taken off before a call, and corrected when it is over.

An answer from the cache, or one that an equal call has asked for, counts as a request and takes no tokens. A call that
never left (refused by a limit, given up while it waited) counts for nothing.
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol

from gateway.model.attempt import Attempt
from gateway.model.cause import Cause
from gateway.model.clock import Clock
from gateway.model.decision import Refuse, StatedPolicy
from gateway.model.exchange import Answered
from gateway.model.provider import Usage
from gateway.model.route import Route
from gateway.model.tenant import Budget, Spent, Tenant, day_of, seconds_left

DAY_SECONDS = 86_400.0
Prices = Callable[[str, str, int | None, int | None], float | None]
"""Provider, model, tokens in and out -> US dollars; None where the price is not known."""


class BudgetStore(Protocol):
    """Where it is counted: by this gateway alone, or by several together."""

    async def take(self, tenant: str, day: str, asked: Spent, budget: Budget) -> Spent | None:
        """Count what a call may take, all of it or nothing.

        Returns:
            What had been counted before, when it does not fit; None when it is counted.
        """
        ...

    def settle(self, tenant: str, day: str, change: Spent) -> None:
        """Correct what was counted, by a difference; returns at once."""
        ...


class LocalBudgets:
    """Counts in memory. Of each tenant one day is kept: the last."""

    def __init__(self) -> None:
        self.counted: dict[str, tuple[str, Spent]] = {}
        self.changes = 0

    async def take(self, tenant: str, day: str, asked: Spent, budget: Budget) -> Spent | None:
        """See `BudgetStore`."""
        return self.take_now(tenant, day, asked, budget)

    def take_now(self, tenant: str, day: str, asked: Spent, budget: Budget) -> Spent | None:
        """Do the same at once."""
        used = self.used(tenant, day)
        total = used.plus(asked)
        if budget.over(total):
            return used
        self.put(tenant, day, total)
        return None

    def settle(self, tenant: str, day: str, change: Spent) -> None:
        """See `BudgetStore`."""
        if self.counted.get(tenant, ("",))[0] == day:
            self.put(tenant, day, self.used(tenant, day).plus(change))

    def used(self, tenant: str, day: str) -> Spent:
        """Give what is counted."""
        known, spent = self.counted.get(tenant, (day, Spent()))
        return spent if known == day else Spent()

    def put(self, tenant: str, day: str, spent: Spent) -> None:
        """Count so much, whatever was counted."""
        self.counted[tenant] = (day, spent)
        self.changes += 1


class _Held(NamedTuple):
    tenant: str
    day: str
    taken: Spent


class Budgets:
    """Reserves and settles. Belongs to one event loop.

    Args:
        price: What calls cost.
    """

    def __init__(self, store: BudgetStore, clock: Clock, price: Prices) -> None:
        self._store, self._clock, self._price = store, clock, price
        self._held: dict[str, _Held] = {}

    async def reserve(self, tenant: Tenant, call_id: str, route: Route, *, asks: bool) -> Refuse | None:
        """Count a call with what it will take by estimate, until `settle`; or say why it does not fit.

        Args:
            asks: The provider is going to be asked.
        """
        wall, asked = self._clock.wall(), Spent(1)
        if asks:
            dollars = self._dollars(tenant, route, Usage(route.input_tokens, route.output_tokens))
            asked = Spent(1, route.input_tokens + route.output_tokens, dollars)
        day = day_of(wall)
        used = await self._store.take(tenant.name, day, asked, tenant.budget)
        if used is not None:
            return _exceeded(tenant, used, asked, seconds_left(wall), day)
        self._held[call_id] = _Held(tenant.name, day, asked)
        return None

    def settle(self, answered: Answered) -> None:
        """Correct what was counted for a call by what it took, once; for any other call nothing happens."""
        held = self._held.pop(answered.admitted.call.id, None)
        if held is None:
            return
        took = self._took(answered, held.taken)
        if took != held.taken:
            self._store.settle(held.tenant, held.day, took.minus(held.taken))

    def keep(self, call_id: str) -> None:
        """Let what was counted stand, since nobody will settle it."""
        self._held.pop(call_id, None)

    def knows_price(self, route: Route) -> bool:
        """Whether it can be told what calls of a route cost."""
        return self._price(route.provider.name, route.model, 0, 0) is not None

    def _took(self, answered: Answered, reserved: Spent) -> Spent:
        route, outcome = answered.admitted.route, answered.outcome
        asked = [attempt for attempt in answered.attempts if not attempt.fallback]
        if not asked:
            return Spent(1 if outcome.cache or outcome.fallback or answered.attempts else 0)
        if outcome.cache == "stale" or outcome.fallback or not _may_be_billed(asked[-1], left=outcome.client_left):
            return Spent(1)
        if outcome.usage is None:
            return reserved
        tokens_in, tokens_out = outcome.usage
        counted = Usage(
            route.input_tokens if tokens_in is None else tokens_in,
            route.output_tokens if tokens_out is None else tokens_out,
        )
        dollars = self._price(route.provider.name, route.model, *counted) or 0.0
        return Spent(1, (counted.tokens_in or 0) + (counted.tokens_out or 0), dollars)

    def _dollars(self, tenant: Tenant, route: Route, usage: Usage) -> float:
        if tenant.budget.dollars is None:
            return 0.0
        return self._price(route.provider.name, route.model, *usage) or 0.0


def _may_be_billed(last: Attempt, *, left: bool) -> bool:
    """Whether the provider has worked on it: it answered well, or was at it when the app hung up."""
    return last.head.status < 400 if last.head is not None else left and last.failure is None


def _exceeded(tenant: Tenant, used: Spent, asked: Spent, left_seconds: float, day: str) -> Refuse:
    kind = tenant.budget.over(used.plus(asked))
    most = float(getattr(tenant.budget, kind))
    spent, more = float(getattr(used, kind)), float(getattr(asked, kind))
    hours, minutes = divmod(int(left_seconds) // 60, 60)
    takes = "" if kind == "requests" else f", and this call takes about {_amount(kind, more)}"
    why = (
        f"of {_amount(kind, most)} a day for the tenant {tenant.name} {_amount(kind, spent)} are used{takes}; it begins"
        f" anew at midnight UTC after {day}, in {hours} h {minutes} min"
    )
    policy = None
    if kind != "dollars":
        policy = StatedPolicy(kind=kind, limit=most, window_seconds=DAY_SECONDS, reset_seconds=left_seconds)
    return Refuse(
        cause=Cause.PROXY_BUDGET_EXCEEDED, status=429, why=why, retry_after_seconds=left_seconds, policy=policy
    )


def _amount(kind: str, value: float) -> str:
    return f"${value:,.4f}" if kind == "dollars" else f"{value:,.0f} {kind}"
