"""Which event loop runs: uvloop where it is sound, else asyncio."""

import asyncio
import socket
import sys
from collections.abc import Callable, Coroutine
from typing import Any


def run(main: Coroutine[Any, Any, int]) -> int:
    """Run on uvloop where it works with mitmproxy's eager tasks, else on asyncio."""
    with asyncio.Runner(loop_factory=factory()) as runner:
        return runner.run(main)


def factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Give what makes uvloop's loops; None where asyncio's are to be used."""
    if sys.platform == "win32":
        return None
    import uvloop  # noqa: PLC0415

    class Loop(uvloop.Loop):
        """uvloop's, which up to 0.22 closes the descriptor of a connection that is given up in its first turn, alone.

        The socket would close that number again when it is collected, whoever has it by then: another connection, the
        listener, a file. From 0.23 on uvloop sees to it itself, and detaching once more does nothing.
        """

        async def create_connection(self, *args: Any, sock: socket.socket | None = None, **how: Any) -> Any:
            """See `asyncio.loop.create_connection`."""
            try:
                return await super().create_connection(*args, sock=sock, **how)
            except BaseException:
                if sock is not None:
                    sock.detach()
                raise

    return Loop if _is_sound(Loop) else None


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
