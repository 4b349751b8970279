"""A queue that is fair between tenants and keeps the order within one.

Start-time fair queueing (Goyal, Vin, Cheng, SIGCOMM 1996): every tenant has a virtual time that moves on by the weight
of what it was served; whose time is earliest is next. A tenant that waits for long gets its share at once, none saves
up for later, and what is next stays next, so that a heavy call is never overtaken by a stream of light ones.
"""

import heapq
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Protocol

from gateway.limit.cost import Cost

_SPARE = 64


class Waiting(Protocol):
    """What waits."""

    @property
    def tenant(self) -> str:
        """Whose share it takes."""
        ...

    @property
    def cost(self) -> Cost:
        """What it takes of the limits."""
        ...

    @property
    def weight(self) -> float:
        """What it takes of its tenant's share; above 0."""
        ...


@dataclass(slots=True)
class _Line[T]:
    """One tenant's waiters, and sums of what they cost."""

    again: OrderedDict[T, None] = field(default_factory=OrderedDict)
    """Who was sent back by the provider: before the others, and in order among themselves."""
    items: OrderedDict[T, None] = field(default_factory=OrderedDict)
    start: float = 0.0
    number: int = 0
    tokens_in: int = 0
    tokens_out: int = 0

    @property
    def cost(self) -> Cost:
        return Cost(len(self), self.tokens_in, self.tokens_out)

    def __len__(self) -> int:
        return len(self.again) + len(self.items)

    @property
    def first(self) -> OrderedDict[T, None]:
        return self.again or self.items


class FairQueue[T: Waiting]:
    """Every operation takes the same time however many wait (the logarithm of the number of tenants at most)."""

    def __init__(self) -> None:
        self._lines: dict[str, _Line[T]] = {}
        self._order: list[tuple[float, int, str]] = []
        self._ended: dict[str, float] = {}
        self._virtual = 0.0
        self._number = 0
        self._length = 0
        self.shares: Mapping[str, float] = {}
        """Tenant -> its weight; 1 for who is not named. With 2 it is served twice as much."""

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[T]:
        """Give all that wait, tenant by tenant."""
        for line in self._lines.values():
            yield from line.again
            yield from line.items

    @property
    def tenants(self) -> int:
        """How many tenants wait."""
        return len(self._lines)

    def push(self, item: T, *, front: bool = False) -> None:
        """Sit down; ``front`` before one's own tenant's others: who was sent back by the provider comes first."""
        line = self._lines.get(item.tenant)
        if line is None:
            start = max(self._virtual, self._ended.pop(item.tenant, 0.0))
            line = self._lines[item.tenant] = _Line(start=start)
            self._rank(item.tenant, line)
        (line.again if front else line.items)[item] = None
        self._count(line, item, 1)

    def charge(self, item: Waiting) -> float:
        """Give how far its turn moves its tenant on: what it takes, by its tenant's weight."""
        return item.weight / self.shares.get(item.tenant, 1.0)

    def peek(self) -> T | None:
        """Give who is next."""
        tenant = self._first()
        return None if tenant is None else next(iter(self._lines[tenant].first))

    def pop(self) -> T:
        """Take who is next out, and charge its tenant.

        Raises:
            IndexError: Nobody waits.
        """
        tenant = self._first()
        if tenant is None:
            raise IndexError("nobody waits")
        line = self._lines[tenant]
        heapq.heappop(self._order)
        item, _ = line.first.popitem(last=False)
        self._count(line, item, -1)
        self._charge(line, item)
        if len(line):
            self._rank(tenant, line)
        else:
            self._end(tenant, line)
        return item

    def in_turn(self, most: int) -> list[T]:
        """Give the first of each tenant, whose time is earliest first, then the second of each, and so on.

        For who is not the one to say whose turn it is: no tenant is left out.
        """
        lines = heapq.nsmallest(most, self._lines.values(), key=lambda line: (line.start, line.number))
        found: list[T] = []
        rows = [chain(line.again, line.items) for line in lines]
        while rows and len(found) < most:
            firsts = [(row, next(row, None)) for row in rows]
            found += [item for _, item in firsts if item is not None]
            rows = [row for row, item in firsts if item is not None]
        return found[:most]

    def take(self, item: T) -> bool:
        """Take out one whose turn it is by others' word, and charge its tenant; whether it was still waiting."""
        line = self._lines.get(item.tenant)
        if line is None or (item not in line.again and item not in line.items):
            return False
        self._charge(line, item)
        self.remove(item)
        if len(line):
            self._rank(item.tenant, line)
        return True

    def lines(self) -> Iterator[tuple[str, int, T]]:
        """Give each tenant, how many of it wait, and who of them is first."""
        for tenant, line in self._lines.items():
            yield tenant, len(line), next(iter(line.first))

    def remove(self, item: T) -> bool:
        """Take out who leaves; whether it was still waiting."""
        line = self._lines.get(item.tenant)
        if line is None:
            return False
        place = line.again if item in line.again else line.items
        if item not in place:
            return False
        del place[item]
        self._count(line, item, -1)
        if not len(line):
            self._end(item.tenant, line)
        return True

    @property
    def cost(self) -> Cost:
        """What all that wait take together."""
        costs = [line.cost for line in self._lines.values()]
        return Cost(*(sum(one) for one in zip(*costs, strict=True))) if costs else Cost(0)

    def ahead(self, tenant: str, cost: Cost, *, front: bool = False) -> Cost:
        """Give what will be served before a newcomer: its own line, and as much of each other tenant at most."""
        own = self._lines.get(tenant)
        before = own.cost if own is not None and not front else Cost(0)
        if len(self._lines) == (own is not None):
            return before
        requests, tokens_in, tokens_out = before
        share = (requests + cost.requests) / self.shares.get(tenant, 1.0)
        for name, line in self._lines.items():
            if name == tenant:
                continue
            others = line.cost
            part = min(1.0, share * self.shares.get(name, 1.0) / others.requests)
            requests += round(others.requests * part)
            tokens_in += round(others.tokens_in * part)
            tokens_out += round(others.tokens_out * part)
        return Cost(requests, tokens_in, tokens_out)

    def clear(self) -> list[T]:
        """Take everybody out."""
        everybody = list(self)
        self._lines.clear()
        self._order.clear()
        self._ended.clear()
        self._length = 0
        return everybody

    def _first(self) -> str | None:
        while self._order:
            start, number, tenant = self._order[0]
            line = self._lines.get(tenant)
            if line is not None and line.start == start and line.number == number:
                return tenant
            heapq.heappop(self._order)  # of a tenant whose waiters have left
        return None

    def _charge(self, line: _Line[T], item: T) -> None:
        # Time goes on for all who wait together; else whoever is new would always come first.
        weight = self.charge(item)
        self._virtual = max(self._virtual, line.start) + weight / (2 * len(self._lines))
        line.start += weight

    def _end(self, tenant: str, line: _Line[T]) -> None:
        """Nobody of a tenant waits any more. What it has had stays on its account while others wait."""
        del self._lines[tenant]
        if not self._lines:
            self._ended.clear()
            self._order.clear()
        elif line.start > self._virtual:
            self._ended[tenant] = line.start
            if len(self._ended) > 2 * len(self._lines) + _SPARE:
                self._ended = {name: start for name, start in self._ended.items() if start > self._virtual}

    def _rank(self, tenant: str, line: _Line[T]) -> None:
        self._number += 1
        line.number = self._number
        heapq.heappush(self._order, (line.start, line.number, tenant))
        if len(self._order) > 2 * len(self._lines) + _SPARE:
            self._order = [(one.start, one.number, name) for name, one in self._lines.items()]
            heapq.heapify(self._order)

    def _count(self, line: _Line[T], item: T, sign: int) -> None:
        self._length += sign
        line.tokens_in += sign * item.cost.tokens_in
        line.tokens_out += sign * item.cost.tokens_out
