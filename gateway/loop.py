"""Which event loop runs: uvloop where it is sound, else asyncio."""

import asyncio
import sys
from collections.abc import Callable, Coroutine
from typing import Any


def run(main: Coroutine[Any, Any, int]) -> int:
    """Run on uvloop where it works with mitmproxy's eager tasks, else on asyncio."""
    factory = None
    if sys.platform != "win32":
        import uvloop  # noqa: PLC0415

        if _is_sound(uvloop.new_event_loop):
            factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(main)


def _is_sound(new_loop: Callable[[], asyncio.AbstractEventLoop]) -> bool:
    """Whether a loop runs with an eager task factory; uvloop 0.23 on CPython 3.13.0 does not."""

    async def nothing() -> None:
        pass

    async def probe() -> None:
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        work = nothing()
        try:
            await asyncio.get_running_loop().create_task(work)
        finally:
            work.close()
            asyncio.get_running_loop().set_task_factory(None)

    loop = new_loop()
    try:
        loop.run_until_complete(probe())
    except TypeError:
        return False
    finally:
        loop.close()
    return True
