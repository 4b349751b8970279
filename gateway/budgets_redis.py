"""Budgets that several gateways share: counted in Redis, in one step each, and here while it cannot be asked.

Each tenant's day is a hash that forgets itself. Dollars are counted there in billionths, since whole numbers add up
exactly. What this gateway counted while Redis was away is added when it is back.
"""

import asyncio
from functools import partial
from typing import Any

from redis.asyncio import Redis

from gateway.budgets import LocalBudgets
from gateway.model.tenant import Budget, Spent
from gateway.redis_link import RedisLink
from gateway.unreachable import UnreachableError

KEPT_SECONDS = 172_800
"""Two days: a gateway whose clock is behind still finds its day."""

FLUSH_SECONDS = 0.1
_BILLION = 1_000_000_000

_TAKE = """
local names = {'requests', 'tokens', 'dollars'}
local now = {}
for i = 1, 3 do now[i] = tonumber(redis.call('HGET', KEYS[1], names[i]) or '0') end
for i = 1, 3 do
  local most = tonumber(ARGV[i + 3])
  if most >= 0 and now[i] + tonumber(ARGV[i]) > most then return {0, now[1], now[2], now[3]} end
end
for i = 1, 3 do now[i] = redis.call('HINCRBY', KEYS[1], names[i], ARGV[i]) end
redis.call('EXPIRE', KEYS[1], ARGV[7])
return {1, now[1], now[2], now[3]}
"""
_ADD = """
local names = {'requests', 'tokens', 'dollars'}
for i = 1, 3 do
  if redis.call('HINCRBY', KEYS[1], names[i], ARGV[i]) < 0 then redis.call('HSET', KEYS[1], names[i], 0) end
end
redis.call('EXPIRE', KEYS[1], ARGV[4])
return 1
"""


class RedisBudgets:
    """A `gateway.budgets.BudgetStore`. Belongs to one event loop; `run` has to run beside it.

    Args:
        link: The way there; whoever made it runs and closes it.
        prefix: Begins the names of all keys.
    """

    def __init__(self, link: RedisLink, prefix: str) -> None:
        self._link, self._prefix = link, prefix
        self._here = LocalBudgets()
        """What was known last, and has been counted since."""
        self._owed: dict[tuple[str, str], Spent] = {}
        """What this gateway knows and Redis does not. One entry for each tenant and day with calls under way."""

    async def take(self, tenant: str, day: str, asked: Spent, budget: Budget) -> Spent | None:
        """See `BudgetStore`; while Redis is away, what it said last and what was counted here since then decide."""
        most = (budget.requests, budget.tokens, None if budget.dollars is None else budget.dollars * _BILLION)
        words = [*_words(asked), *("-1" if bound is None else str(round(bound)) for bound in most), str(KEPT_SECONDS)]
        try:
            asking = partial(_eval, script=_TAKE, key=self._key(tenant, day), words=words)
            done, *told = await self._link.ask(asking, writes=True)
        except UnreachableError:
            over = self._here.take_now(tenant, day, asked, budget)
            if over is None:
                self._owe(tenant, day, asked)
            return over
        total = Spent(int(told[0]), int(told[1]), int(told[2]) / _BILLION)
        self._here.put(tenant, day, total.plus(self._owed.get((tenant, day), Spent())))
        return None if done else total

    def settle(self, tenant: str, day: str, change: Spent) -> None:
        """See `BudgetStore`; it is sent within a moment."""
        self._here.settle(tenant, day, change)
        self._owe(tenant, day, change)

    async def run(self) -> None:
        """Send what is owed, until cancelled."""
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            if self._owed and self._link.is_up:
                await self.flush()

    async def flush(self) -> None:
        """Send what is owed now; what does not arrive is sent again later."""
        for (tenant, day), change in tuple(self._owed.items()):
            del self._owed[tenant, day]
            asking = partial(_eval, script=_ADD, key=self._key(tenant, day), words=[*_words(change), str(KEPT_SECONDS)])
            try:
                await self._link.ask(asking, writes=True)
            except UnreachableError:
                # It may have arrived; nobody shall get back twice what was taken once, so only what adds is kept.
                kept = Spent(max(0, change.requests), max(0, change.tokens), max(0.0, change.dollars))
                self._owe(tenant, day, kept)
                return

    def _owe(self, tenant: str, day: str, change: Spent) -> None:
        known = self._owed.get((tenant, day), Spent())
        minus = Spent().minus(change)
        self._owed[tenant, day] = known.minus(minus)

    def _key(self, tenant: str, day: str) -> str:
        return f"{self._prefix}budget:{day}:{tenant}"


def _words(spent: Spent) -> list[str]:
    return [str(spent.requests), str(spent.tokens), str(round(spent.dollars * _BILLION))]


async def _eval(redis: Redis, script: str, key: str, words: list[str]) -> list[Any]:
    found: Any = await redis.eval(script, 1, key, *words)
    return found if isinstance(found, list) else [found]
