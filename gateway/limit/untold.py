"""What a gateway of a team let go by itself, and has not told the others yet."""

import math
from collections.abc import Iterable
from typing import NamedTuple

from gateway.limit.bucket import Bucket
from gateway.limit.cost import INPUT, REQUESTS, TOKENS, Cost
from gateway.limit.rule import Held
from gateway.limit.shared import Spent
from gateway.limit.window import Window


class Sum(NamedTuple):
    """Requests and tokens; an estimate may be corrected by parts."""

    requests: float = 0.0
    tokens_in: float = 0.0
    tokens_out: float = 0.0


class Untold:
    """See the module. It is told with the next question, and taken off when that has been answered."""

    def __init__(self) -> None:
        self.sum = Sum()

    def __bool__(self) -> bool:
        return any(self.sum)

    def add(self, cost: Cost) -> None:
        """Count a call."""
        self._add(*cost)

    def correct(self, counted: Cost, true: Cost) -> None:
        """Count what a call really took."""
        self._add(*(new - old for new, old in zip(true, counted, strict=True)))

    def told(self, some: Sum) -> None:
        """Count no more what all have counted now."""
        self._add(*(-amount for amount in some))

    def inherit(self, spent: Sum) -> None:
        """Count what another scope has spent under another name."""
        self._add(*spent)

    def of(self, held: Held, now: float) -> Spent:
        """Give what of it still counts under a limit."""
        requests, tokens_in, tokens_out = self.sum
        tokens = {REQUESTS: requests, TOKENS: tokens_in + tokens_out, INPUT: tokens_in}
        return spent_when(held, now, tokens.get(held.kind, tokens_out))

    def _add(self, requests: float, tokens_in: float, tokens_out: float) -> None:
        before = self.sum
        self.sum = Sum(
            max(0.0, before.requests + requests),
            max(0.0, before.tokens_in + tokens_in),
            max(0.0, before.tokens_out + tokens_out),
        )


def spent(held: Held, now: float) -> float:
    """Give what of a limit this gateway has spent itself."""
    meter = held.meter
    whole = meter.capacity if isinstance(meter, Bucket) else meter.limit
    return max(0.0, whole - meter.level(now))


def spent_in(configured: Iterable[Held], now: float) -> Sum:
    """Give what this gateway has spent itself of all limits of a scope."""
    most: dict[str, float] = {}
    for held in configured:
        most[held.kind] = max(most.get(held.kind, 0.0), spent(held, now))
    return Sum(most.get(REQUESTS, 0.0), most.get(TOKENS, 0.0))


def spent_when(held: Held, now: float, amount: float = math.inf) -> Spent:
    """Give when this gateway has spent what of a limit; of a bucket the moment does not matter.

    Args:
        amount: So much of what was spent last, and no more.
    """
    if isinstance(held.meter, Window):
        return tuple(held.meter.spent(now, amount))
    amount = min(amount, spent(held, now))
    return ((0.0, amount),) if amount else ()
