"""An event loop whose time only timers move: what would take minutes takes no time, and happens the same way each time."""

import asyncio
import heapq
import selectors
from collections.abc import Awaitable, Callable
from typing import Any, cast


class TimedLoop(asyncio.SelectorEventLoop):
    """When nothing is ready, the next timer's moment comes at once."""

    def __init__(self) -> None:
        super().__init__(selectors.SelectSelector())
        self.seconds = 1000.0

    def time(self) -> float:
        return self.seconds

    def now(self) -> float:
        return self.seconds

    def wall(self) -> float:
        return self.seconds

    def _run_once(self) -> None:
        inner = cast("Any", self)
        while inner._scheduled and inner._scheduled[0]._cancelled:
            handle = heapq.heappop(inner._scheduled)
            handle._scheduled = False
            inner._timer_cancelled_count -= 1
        if not inner._ready and inner._scheduled:
            self.seconds = max(self.seconds, inner._scheduled[0]._when)
        cast("Any", super())._run_once()


def timed[T](main: Callable[[TimedLoop], Awaitable[T]]) -> T:
    """Run ``main`` on such a loop; it is the clock as well."""
    loop = TimedLoop()
    try:

        async def run() -> T:
            return await asyncio.wait_for(main(loop), 1e9)

        return loop.run_until_complete(run())
    finally:
        loop.close()
