"""A gate for several tenants: shares in every queue, and limits of a tenant's own before those of the provider.

A tenant's own limits are counted over all its keys. Whoever waits for them waits there, in order of arrival; the place
in the provider's queue is taken afterwards.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gateway.limit.gate import Answer, Gate, LimitRule, Permit
from gateway.limit.refusal import Refusal
from gateway.limit.scope import Scope, ScopeKey
from gateway.model.clock import Clock
from gateway.model.decision import Refuse
from gateway.model.event import Live
from gateway.model.route import Route


class Joined(Permit):
    """A permit of the provider's limits and one of the tenant's own, given back together."""

    __slots__ = ("_both",)

    def __init__(self, permit: Permit, own: Permit) -> None:
        # Not that of Permit: both are counted already.
        self._both = (permit, own)
        self.queued_seconds = permit.queued_seconds + own.queued_seconds
        self.shadow = own.shadow if permit.shadow is None else permit.shadow

    def sent(self) -> None:
        """See `Permit`."""
        for permit in self._both:
            permit.sent()

    def answered(self, answer: Answer) -> None:
        """Let the provider's limits learn; the tenant's own only hear how it went."""
        permit, own = self._both
        own.answered(Answer(good=answer.good))
        permit.answered(answer)

    def refused_late(self, refusal: Refusal) -> None:
        """Let the provider's limits hear it: it has not refused for the tenant's own."""
        self._both[0].refused_late(refusal)

    def settle(self, tokens_in: int | None, tokens_out: int | None) -> None:
        """See `Permit`."""
        for permit in self._both:
            permit.settle(tokens_in, tokens_out)

    def release(self) -> None:
        """See `Permit`."""
        for permit in self._both:
            permit.release()


class OwnGate(Gate):
    """The limits of one tenant. Nothing is learned here, and nothing has to be found out slowly."""

    def __init__(self, tenant: str, rules: Sequence[LimitRule], clock: Clock, **bounds: Any) -> None:
        super().__init__(rules, clock, **bounds)
        self._tenant = tenant

    def scope_at(self, key: ScopeKey) -> Scope:
        """Give the scope, making it when it is new."""
        scope = super().scope_at(key)
        scope.starting.over = True
        scope.is_organisation = True
        return scope

    def _scope_key(self, route: Route) -> ScopeKey:
        provider = route.provider.name
        return ScopeKey(provider, self._tenant, self._group(provider, route.model_group))

    def limits(self, provider: str) -> bool:
        """Whether a rule is for such calls."""
        return any(rule.provider in {"*", provider} for rule in self.rules)


class TeamGate(Gate):
    """See the module.

    Args:
        shares: Tenant's name -> its weight; 1 for who is not named.
        own: Tenant's name -> its rules.
    """

    def __init__(
        self,
        rules: Sequence[LimitRule],
        clock: Clock,
        *,
        shares: Mapping[str, float],
        own: Mapping[str, Sequence[LimitRule]],
        **bounds: Any,
    ) -> None:
        super().__init__(rules, clock, **bounds)
        self._shares = shares
        self.own = {tenant: OwnGate(tenant, theirs, clock, **bounds) for tenant, theirs in own.items() if theirs}

    async def acquire(
        self, route: Route, live: Live, *, deadline: float, size_bytes: int, front: bool = False
    ) -> Permit | Refuse:
        """Wait for the call's turn; see `Gate`."""
        gate = self.own.get(route.tenant)
        if gate is None or not gate.limits(route.provider.name):
            return await super().acquire(route, live, deadline=deadline, size_bytes=size_bytes, front=front)
        own = await gate.acquire(route, live, deadline=deadline, size_bytes=size_bytes, front=front)
        if isinstance(own, Refuse):
            return own
        try:
            permit = await super().acquire(route, live, deadline=deadline, size_bytes=size_bytes, front=front)
        except BaseException:
            own.release()
            raise
        if isinstance(permit, Refuse):
            own.release()
            return permit
        return Joined(permit, own)

    def scope_at(self, key: ScopeKey) -> Scope:
        """Give the scope, making it when it is new."""
        scope = super().scope_at(key)
        scope.queue.shares = self._shares
        return scope

    def drain(self) -> None:
        """Refuse whoever waits, here and for a tenant's own limits."""
        super().drain()
        for gate in self.own.values():
            gate.drain()


def scopes_of(gate: Gate, view: Callable[[Gate], dict[str, Any]]) -> dict[str, Any]:
    """Give what ``/api/limits`` answers for a gate, with the limits of tenants' own in front."""
    told = view(gate)
    if isinstance(gate, TeamGate):
        for own in gate.own.values():
            theirs = view(own)
            told["scopes"] = [*theirs["scopes"], *told["scopes"]]
            told["waiting"] += theirs["waiting"]
            told["waiting_bytes"] += theirs["waiting_bytes"]
    return told
