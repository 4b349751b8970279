"""A call that waits for its turn, and what it holds when that has come."""

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from gateway.limit.cost import Cost, Hold, Meter
from gateway.model.event import Live

if TYPE_CHECKING:
    from gateway.limit.scope import Scope


class Taken(NamedTuple):
    """What one call holds of one meter."""

    meter: Meter
    kind: str
    hold: Hold


class Waiter:
    """A call that waits for its turn in a scope; in another one from when that took over.

    Attributes:
        granted_ms: When all gateways counted it (their server's time); 0 where this one counts alone.
    """

    __slots__ = ("_future", "cost", "granted_ms", "live", "scope", "tenant", "weight")

    def __init__(self, scope: "Scope", tenant: str, cost: Cost, weight: float, live: Live | None = None) -> None:
        self.scope, self.tenant, self.cost, self.weight, self.live = scope, tenant, cost, weight, live
        self.granted_ms = 0.0
        self._future: asyncio.Future[list[Taken] | None] = asyncio.get_running_loop().create_future()

    async def wait(self, *, front: bool) -> list[Taken] | None:
        """Wait in line; None when nobody is served any more.

        Whoever leaves gives up its place at that moment, and what it had just been given.
        """
        self.scope.queue.push(self, front=front)
        self.scope.arm()
        try:
            return await self._future
        except asyncio.CancelledError:
            scope = home_of(self.scope)
            if not self._future.done() or self._future.cancelled():
                scope.queue.remove(self)
            elif (taken := self._future.result()) is not None:
                scope.give_back(taken)  # the turn came in the same moment as the leaving: pass it on
                if scope.turns is not None:
                    scope.turns.correct(self.granted_ms, self.cost, NOTHING)
            scope.pump()
            raise

    def serve(self, taken: list[Taken] | None) -> None:
        """Let it go."""
        self._future.set_result(taken)

    @property
    def is_gone(self) -> bool:
        """Whether it has left, and its place is about to be given up."""
        return self._future.done()


NOTHING = Cost(0)


def home_of(scope: "Scope") -> "Scope":
    """Give the scope that has taken over, if one has."""
    while scope.successor is not None:
        scope = scope.successor
    return scope
