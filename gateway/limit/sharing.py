"""Whether the gateways of a team count together at present, and how many they are.

Together: every call is counted by all, at once. Apart, when they cannot meet: each keeps to its share of each limit,
the limit divided by as many as were there last. When they can meet again, nobody begins with an empty count: each says
that it is here, waits until all that were there are (five seconds at most), then tells what it has spent in the windows
that still count, waits until all that are here have, and only then are whole limits in force again. Who is not heard
of for five seconds is no longer waited for.
"""

import asyncio
import contextlib
import logging
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from gateway.limit.shared import LEASE_SECONDS, Counter
from gateway.limit.turns import Turns
from gateway.model.clock import Clock
from gateway.unreachable import UnreachableError

if TYPE_CHECKING:
    from gateway.limit.scope import Scope

BEAT_SECONDS = 1.0
_LOOK_SECONDS = 0.05
_READY_SECONDS = LEASE_SECONDS + 1.0

logger = logging.getLogger("whygate")


class Sharing:
    """One gateway's part in a team.

    Args:
        expected: How many gateways there are, as far as anybody said; until they have met, that counts.

    Attributes:
        replicas: How many there are, or were when they met last.
        together: Whether all count together now.
    """

    def __init__(self, counter: Counter, clock: Clock, *, expected: int = 1) -> None:
        self.counter, self.clock = counter, clock
        self.replicas, self._expected = expected, expected
        self.together = False
        self._turns: WeakSet[Turns] = WeakSet()
        self._tasks: set[asyncio.Task[None]] = set()
        self._complained = False

    def turns_of(self, scope: "Scope") -> Turns:
        """Give a scope its part."""
        turns = Turns(scope, self)
        turns.divide(1.0 if self.together else float(self.replicas))
        self._turns.add(turns)
        return turns

    def own(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Run something that ends with the gateway."""
        task = asyncio.get_running_loop().create_task(work)
        if not task.done():
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return task

    def broke(self, error: BaseException) -> None:
        """Say, once, that something is wrong with us; calls go on."""
        if not self._complained:
            self._complained = True
            logger.error("limits could not be counted together", exc_info=error)

    def apart(self) -> None:
        """Keep to one's share from now on: the others cannot be asked."""
        self.together = False
        for turns in list(self._turns):
            turns.go_apart(float(self.replicas))

    async def begin(self, seconds: float) -> None:
        """Meet the others before the first call comes, if that can be done within so long."""
        with contextlib.suppress(UnreachableError, TimeoutError):
            async with asyncio.timeout(seconds):
                await self._meet()

    async def run(self) -> None:
        """Be there, until cancelled."""
        try:
            while True:
                try:
                    await self._beat()
                except UnreachableError:
                    pass
                except Exception as error:  # noqa: BLE001 - whatever it is, the gateway goes on with its share
                    self.broke(error)
                    self.apart()
                await asyncio.sleep(BEAT_SECONDS if self.together else _LOOK_SECONDS * 4)
        finally:
            for task in list(self._tasks):
                task.cancel()

    async def close(self) -> None:
        """Leave: the others need not wait until this one is missed."""
        try:
            await self.counter.present("gone")
        except UnreachableError:
            return

    async def _beat(self) -> None:
        if not self.together:
            await self._meet()
            return
        present = await self.counter.present("ready")
        if not present.known:  # it has lost what was counted
            self.apart()
            return
        self._count(present.here)
        for turns in list(self._turns):
            turns.renew()

    async def _meet(self) -> None:
        """Say that we are here, wait for those who were there, tell what was spent, and begin."""
        known = self.replicas
        until = self.clock.now() + LEASE_SECONDS
        while (await self.counter.present("here")).here < known and self.clock.now() < until:
            await asyncio.sleep(_LOOK_SECONDS)
        for turns in list(self._turns):
            await turns.tell()
        until = self.clock.now() + _READY_SECONDS
        while (present := await self.counter.present("ready")).ready < present.here and self.clock.now() < until:
            await asyncio.sleep(_LOOK_SECONDS)
            for turns in [one for one in self._turns if one.untold]:  # what goes meanwhile goes alone
                await turns.tell()
        self._count(present.here)
        self.together = True
        for turns in list(self._turns):
            turns.go_together()

    def _count(self, here: int) -> None:
        self.replicas = max(1, here)
