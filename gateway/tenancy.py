"""What stands between a call and the path because of who asks: what is open to it, its key, its budget.

Where there are no tenants, and for whoever presents the listener's own token, nothing does.
"""

from collections.abc import Callable, Iterable, Mapping

from gateway.budgets import Budgets
from gateway.identify.allowed import READS, equipped, not_allowed, refused
from gateway.identify.locate import Place
from gateway.model.call import Call, Origin
from gateway.model.decision import Refuse
from gateway.model.exchange import Answered
from gateway.model.route import Route
from gateway.model.tenant import Tenant


class Tenancy:
    """All tenants of one gateway.

    Args:
        budgets: None where nothing is counted.
    """

    def __init__(self, tenants: Iterable[Tenant] = (), budgets: Budgets | None = None) -> None:
        self._bound: Mapping[str, Tenant] = {one.name: one for one in tenants if not one.may_use_all}
        self._budgets = budgets

    def may_go_uncounted(self, name: str) -> bool:
        """Whether nothing has to be looked at in a tenant's calls, so that others than the path may carry them."""
        return name not in self._bound

    def equip(self, call: Call, place: Callable[[Origin | None, bytes], Place | None]) -> Call:
        """Give the call with the key that it goes out with."""
        tenant = self._bound.get(call.tenant)
        return call if tenant is None else equipped(tenant, call, place)

    def refusal(self, call: Call, route: Route) -> Refuse | None:
        """Say why a call is not open to its tenant, or None."""
        tenant = self._bound.get(call.tenant)
        if tenant is None:
            return None
        return not_allowed(tenant, call, route) or self._without_price(tenant, call, route)

    async def reserve(self, call: Call, route: Route, *, asks: bool) -> Refuse | None:
        """Count a call that is let in, until `settle`; or say why its tenant's budget does not hold it.

        Args:
            asks: The provider is going to be asked.
        """
        tenant = self._bound.get(call.tenant)
        if tenant is None or self._budgets is None or tenant.budget.is_none or route.foreign:
            return None
        return await self._budgets.reserve(tenant, call.id, route, asks=asks)

    def settle(self, answered: Answered) -> None:
        """Count what a call really took."""
        if self._budgets is not None:
            self._budgets.settle(answered)

    async def upgrade(self, call: Call, route: Route) -> Refuse | None:
        """Say why a tenant may not have a WebSocket; one that it may have is counted as one call."""
        tenant = self._bound.get(call.tenant)
        if tenant is None or route.foreign:
            return None
        closed = not_allowed(tenant, call, route, upgrade=True)
        if closed is not None or tenant.budget.is_none or self._budgets is None:
            return closed
        if not tenant.budget.counts_requests_alone:
            return refused(
                f"the tenant {tenant.name} has a budget of tokens or dollars, and what goes over a WebSocket is not"
                " counted; plain requests work"
            )
        over = await self._budgets.reserve(tenant, call.id, route, asks=False)
        self._budgets.keep(call.id)
        return over

    def _without_price(self, tenant: Tenant, call: Call, route: Route) -> Refuse | None:
        if tenant.budget.dollars is None or self._budgets is None or route.foreign or call.method in READS:
            return None
        if self._budgets.knows_price(route):
            return None
        what = f"the model {route.model[:80]} of {route.provider.name}" if route.model else "a call without a model"
        return refused(
            f"the tenant {tenant.name} has a budget in dollars, and no price is known for {what}; [team] prices_file"
            " can name one"
        )


NOBODY = Tenancy()
