"""One gateway of a team, as far as its limits go: the way to Redis, what is counted together, and a gate."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from gateway.limit.backends.redis import RedisCounter
from gateway.limit.gate import Gate, LimitRule, Permit
from gateway.limit.scope import Scope
from gateway.limit.shared import Question, Turn
from gateway.limit.sharing import Sharing
from gateway.model.clock import SystemClock
from gateway.redis_link import RedisLink
from gateway.settings import Settings
from gateway.shared import Shared
from tests.gateway.limit.asking import GOOD, ROUTE, ask
from tests.redis_server import RedisServer

PATIENCE_SECONDS = 60.0


@dataclass
class Member:
    """See the module.

    Attributes:
        took: Seconds that each call waited for its turn.
        sent: Calls that went.
        refused: Calls that were not let go.
    """

    shared: Shared
    gate: Gate
    took: list[float] = field(default_factory=list)
    sent: int = 0
    refused: int = 0

    @property
    def sharing(self) -> Sharing:
        assert self.shared.sharing is not None
        return self.shared.sharing

    @property
    def link(self) -> RedisLink:
        assert self.shared.link is not None
        return self.shared.link

    @property
    def scope(self) -> Scope:
        (scope,) = self.gate.scopes.values()
        return scope

    @property
    def why(self) -> str:
        """What health says; nothing while all count together."""
        told = self.shared.view()
        assert told is not None
        assert (told["why"] is None) == (told["state"] == "together") == self.sharing.together
        return told["why"] or ""

    async def call(self, seconds: float = PATIENCE_SECONDS, *, runs: float = 0.0) -> bool:
        """Wait for a turn, send, and be answered."""
        began = time.monotonic()
        permit = await ask(self.gate, ROUTE, seconds=seconds)
        if not isinstance(permit, Permit):
            self.refused += 1
            return False
        self.took.append(time.monotonic() - began)
        self.sent += 1
        try:
            await asyncio.sleep(runs)
            permit.answered(GOOD)
        finally:
            permit.release()
        return True

    async def calls(self, number: int, every: float = 0.0, seconds: float = PATIENCE_SECONDS) -> None:
        """Make one after the other."""
        for _ in range(number):
            await self.call(seconds)
            await asyncio.sleep(every)

    async def until_together(self, seconds: float = 15.0) -> None:
        await self.until(lambda: self.sharing.together, seconds)

    async def until_apart(self, seconds: float = 5.0) -> None:
        """Call until those who share the limit are no longer asked."""
        ends = time.monotonic() + seconds
        while self.sharing.together:
            assert time.monotonic() < ends, "still together"
            await self.call()
            await asyncio.sleep(0.002)

    @staticmethod
    async def until(is_so: Any, seconds: float = 15.0) -> None:
        ends = time.monotonic() + seconds
        while not is_so():
            assert time.monotonic() < ends, "it never was"
            await asyncio.sleep(0.01)

    async def quiet(self) -> None:
        """Wait until all that has to be told has been."""
        turns = self.scope.turns
        assert turns is not None
        await self.until(lambda: not turns._fixes and turns._task is None and not self.gate.reservations)
        await asyncio.sleep(0.1)
        await self.until(lambda: not turns._fixes and turns._task is None)


@asynccontextmanager
async def member(url: str, *rules: LimitRule, replicas: int = 1) -> AsyncIterator[Member]:
    """Give one that has met the others, if they can be met."""
    settings = Settings.model_validate({"team": {"redis": url, "replicas": replicas}})
    shared = Shared(settings, SystemClock(), b"o" * 32)
    gate = Gate(rules, SystemClock(), queue_max=100_000, queue_max_bytes=10**9, sharing=shared.sharing)
    made = Member(shared, gate)
    await shared.meet()
    running = asyncio.ensure_future(shared.run())
    try:
        yield made
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await shared.close()


async def used(server: RedisServer, of: Member) -> tuple[float, ...]:
    """Ask the server itself, from aside, what it counts of each limit."""
    link = RedisLink(server.url, SystemClock(), "whygate:")
    assert await link.look()
    assert of.scope.turns is not None
    question = Question(scope="\0".join(of.scope.key), meters=of.scope.turns._meters())

    async def asked(counter: RedisCounter) -> Turn:
        return await counter.ask(question)

    try:
        for _ in range(20):
            try:
                return (await asked(RedisCounter(link, "whygate:", f"aside {time.monotonic_ns()}"))).used
            except Exception:  # noqa: BLE001 - the machine is busy: again
                await link.look()
        raise AssertionError("it never answered")
    finally:
        await link.close()
