"""A thread that does one job after the other, so that the event loop never waits for a disk."""

import asyncio
import errno
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

JOBS_MAX = 1_000
"""As many jobs may wait; while a disk hangs, more would only fill the memory."""
HELD_BYTES_MAX = 64 * 1024 * 1024
"""What all waiting jobs may hold."""
INTERRUPTED_SECONDS = 1.0
"""How long a job may take to end after it was interrupted."""


class Worker:
    """One thread, begun by the first job and ended by `close`. Used from one event loop at a time."""

    def __init__(self, name: str) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._lock = threading.Lock()
        self._waiting = self._held_bytes = 0
        self._used = self._closed = self._given_up = False

    async def run[T](self, job: Callable[[], T], held_bytes: int = 0) -> T:
        """Do a job and give what it gives, or raise what it raises.

        Whoever stops waiting for it leaves it undone, or has it done to its end; never half.

        Args:
            held_bytes: What the job keeps in memory until it is done.

        Raises:
            BlockingIOError: Too much is waiting.
            OSError: The worker is closed.
        """
        if self._closed:
            raise _closed()
        with self._lock:
            if self._waiting >= JOBS_MAX or self._held_bytes + held_bytes > HELD_BYTES_MAX:
                raise BlockingIOError(errno.EAGAIN, "the disk does not keep up; too much waits for the cache")
            self._waiting += 1
            self._held_bytes += held_bytes
        self._used = True
        future: Future[T] = Future()
        self._executor.submit(self._do, future, job, held_bytes)
        return await asyncio.wrap_future(future)

    def _do[T](self, future: Future[T], job: Callable[[], T], held_bytes: int) -> None:
        with self._lock:
            self._waiting -= 1
            self._held_bytes -= held_bytes
        if not future.set_running_or_notify_cancel():
            return
        if self._given_up:
            future.set_exception(_closed())
            return
        try:
            result = job()
        except BaseException as error:  # noqa: BLE001 - it belongs to whoever waits
            future.set_exception(error)
        else:
            future.set_result(result)

    async def close(self, last: Callable[[], None], interrupt: Callable[[], None], within_seconds: float) -> None:
        """End the thread after the jobs that wait and a last one. Safe to call again.

        Args:
            last: Not done when no job was ever given. Raises nothing.
            interrupt: Makes a job that is under way end early; called from this thread when time is over.
            within_seconds: How long that may take; a thread that hangs longer ends when its disk lets it.
        """
        if self._closed:
            return
        self._closed = True
        ended = not self._used
        try:
            if self._used:
                ended = await self._end(last, interrupt, within_seconds)
        finally:
            self._executor.shutdown(wait=ended)

    async def _end(self, last: Callable[[], None], interrupt: Callable[[], None], within_seconds: float) -> bool:
        done = asyncio.wrap_future(self._executor.submit(last))
        await asyncio.wait((done,), timeout=within_seconds)
        if not done.done():
            # What still waits fails at once from here on.
            self._given_up = True
            with suppress(Exception):
                interrupt()
            await asyncio.wait((done,), timeout=INTERRUPTED_SECONDS)
        return done.done() and done.exception() is None


def _closed() -> OSError:
    return OSError(errno.EBADF, "the cache is closed")
