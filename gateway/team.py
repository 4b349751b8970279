"""What a team needs: the gate with shares, what is open to whom, and who counts the budgets."""

from typing import Any

from gateway.budgets import Budgets, BudgetStore, LocalBudgets
from gateway.limit.gate import Gate, LimitRule
from gateway.limit.team import TeamGate
from gateway.model.clock import Clock
from gateway.prices import cost, use
from gateway.tenancy import Tenancy
from gateway.tenants import Team


class TeamParts:
    """Made once for a gateway.

    Args:
        store: Where budgets are counted when not in this gateway alone.
    """

    def __init__(self, team: Team, clock: Clock, *, store: BudgetStore | None = None) -> None:
        self.team, self._clock = team, clock
        use(team.prices)
        self.counted = LocalBudgets()
        """Where budgets are counted when nobody else does."""
        self.counts_here = store is None and any(not one.budget.is_none for one in team.tenants)
        counting = store or self.counted
        self.tenancy = Tenancy(team.tenants, Budgets(counting, clock, cost) if team.tenants else None)

    def gate(self, rules: tuple[LimitRule, ...], **bounds: Any) -> Gate:
        """Give the gate."""
        if not self.team.tenants:
            return Gate(rules, self._clock, **bounds)
        shares = {one.name: one.share for one in self.team.tenants}
        return TeamGate(rules, self._clock, shares=shares, own=self.team.rules, **bounds)
