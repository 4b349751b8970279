"""Tells those who wait, once a second, what they wait for by now and how long: limits are learned while they wait."""

from itertools import islice
from typing import TYPE_CHECKING

from gateway.limit.cost import Cost
from gateway.model.flow import State

if TYPE_CHECKING:
    from gateway.limit.scope import Scope

EVERY_SECONDS = 1.0
TOLD_MAX = 200
"""So many at a time, the next first in each tenant's line: it takes a few milliseconds."""


def retell(scope: "Scope", now: float) -> None:
    """Tell them, unless they have been told a moment ago."""
    first = scope.queue.peek()
    if first is None or now < scope.told_at + EVERY_SECONDS:
        return
    scope.told_at = now
    held, tenants = scope.block(first.cost, now), scope.queue.tenants
    before: dict[str, Cost] = {}
    for waiter in islice(scope.queue, TOLD_MAX):
        own = before.get(waiter.tenant, Cost(0))
        ahead = Cost(*(amount * tenants for amount in own))  # each tenant has as many turns
        foreseen = scope.block(waiter.cost, now, ahead)
        seconds = scope.expected(waiter.cost, now, ahead, foreseen)
        if waiter.live is not None:
            waiter.live.enter(State.QUEUED, foreseen.reason or held.reason, round(seconds * 1000))
        before[waiter.tenant] = Cost(*(one + more for one, more in zip(own, waiter.cost, strict=True)))
