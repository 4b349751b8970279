"""Answers in one SQLite file, ``cache.db`` in the state directory: they outlive the process.

Theory of operation: one thread owns the one connection. Every method is a job of that thread, and a long one is many,
so that hits come in between. A file that is of no use is moved aside and a new one begun; after any other failure that
may lie with the connection it is closed, and the next job opens another. So nothing has to be done by hand afterwards.
"""

import logging
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from gateway.cache.backend import Backend, Contents, Place, Store, Wanted
from gateway.cache.backends._cache_file import Batch, CacheFile, UnusableFileError
from gateway.cache.backends._worker import Worker
from gateway.cache.backends.memory import MemoryStore
from gateway.cache.seal import DamagedError, seal, unseal
from gateway.model.decision import StoredReply
from gateway.sqlite_file import is_damage, move_aside, primary_code

logger = logging.getLogger(__name__)

FILE_NAME = "cache.db"
CLOSE_SECONDS = 5.0
_PASSING = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_TOOBIG,
    sqlite3.SQLITE_INTERRUPT,
}
"""What says nothing against the connection."""


class SqliteStore:
    """See `Store`. A method raises OSError or sqlite3.Error when the file cannot be used now.

    Args:
        directory: Where the file is, or is made.
        max_bytes: Of all entries together, as `Contents.size_bytes` counts.
        secret: The key of seals, 32 bytes.
    """

    def __init__(self, directory: Path, max_bytes: int, secret: bytes) -> None:
        self._path = directory / FILE_NAME
        self._max_bytes = max_bytes
        self._secret = secret
        self._worker = Worker("whygate-cache")
        self._file: CacheFile | None = None
        self._damaged = 0

    async def get(self, key: bytes, now: float) -> StoredReply | None:
        """See `Store`."""
        return await self._run(lambda file: self._get(file, key, now))

    async def put(self, key: bytes, reply: StoredReply) -> None:
        """See `Store`. Where an older answer was replaced, none of its bytes is left, if no other program reads now."""
        await self._run(lambda file: self._put(file, key, reply), held_bytes=len(reply.body))

    async def clear(self, wanted: Wanted) -> int:
        """See `Store`. Damaged files that were moved aside go, too: they hold answers of all kinds."""
        cleared = await self._remove(lambda file, after: file.clear(wanted, after))
        await self._run(lambda _: self._forget_aside())
        return cleared

    async def sweep(self, now: float) -> int:
        """See `Store`."""
        return await self._remove(lambda file, _: file.sweep(now))

    async def contents(self) -> Contents:
        """See `Store`."""
        return await self._run(lambda file: file.contents(self._damaged))

    async def latest(self) -> float:
        """See `Store`. Only a sound entry counts: one flipped bit shall not move all time."""
        while True:
            latest = await self._run(self._latest)
            if latest is not None:
                return latest

    async def close(self) -> None:
        """See `Store`. Takes a few seconds at most; a disk that hangs longer is not waited for."""
        await self._worker.close(self._close, self._interrupt, CLOSE_SECONDS)

    async def _remove(self, step: Callable[[CacheFile, int], Batch]) -> int:
        """Remove in steps, then see to it that no bytes are left."""
        removed, after = 0, 0
        while True:
            batch = await self._run(lambda file, after=after: step(file, after))  # type: ignore[misc]
            removed += batch.removed
            if batch.after is None:
                break
            after = batch.after
        if await self._run(lambda file: file.unclean):
            while await self._run(CacheFile.shrink):
                pass
            await self._run(CacheFile.empty_log)
        return removed

    async def _run[T](self, work: Callable[[CacheFile], T], held_bytes: int = 0) -> T:
        return await self._worker.run(lambda: self._use(work), held_bytes)

    # From here on: the worker's thread.

    def _use[T](self, work: Callable[[CacheFile], T]) -> T:
        """Do something with the file; where that shows that it is of no use, with a new one."""
        try:
            return work(self._opened())
        except (sqlite3.Error, OSError, UnusableFileError) as error:
            if (why := _why_unusable(error)) is None:
                self._settle(error)
                raise
            self._close()
            self._move_aside(why)
        return work(self._opened())

    def _opened(self) -> CacheFile:
        if self._file is not None and not self._file.is_there():
            logger.warning("whygate: the cache file %s is gone. A new one is begun.", self._path)
            self._close()
        if self._file is None:
            self._file = CacheFile(self._path, self._max_bytes)
        return self._file

    def _settle(self, error: BaseException) -> None:
        """After a failure that may lie with the connection, have the next job open another."""
        if primary_code(error) not in _PASSING:
            self._close()

    def _move_aside(self, why: str) -> None:
        self._forget_aside()
        stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H%M%S-%fZ")
        aside = move_aside(self._path, stamp, why)
        what = "was damaged" if why == "corrupt" else "was written by a newer whygate"
        logger.warning(
            "whygate: the cache file %s. It is kept as %s until the next one or until the cache is cleared;"
            " a new one is begun and calls go on.",
            what,
            aside,
        )

    def _forget_aside(self) -> None:
        """Remove what was moved aside: it is worth one look, not the disk of many."""
        for why in ("corrupt", "newer"):
            for old in self._path.parent.glob(f"{FILE_NAME}.{why}-*"):
                old.unlink(missing_ok=True)

    def _get(self, file: CacheFile, key: bytes, now: float) -> StoredReply | None:
        found = file.find(key, now)
        if found is None:
            return None
        number, sealed = found
        reply = self._unsealed(file, number, key, sealed)
        if reply is None or now >= reply.kept_until:
            return None
        file.use(number)
        return reply

    def _put(self, file: CacheFile, key: bytes, reply: StoredReply) -> None:
        if file.put(key, seal(self._secret, key, reply), reply):
            # The answer is stored; what a reader's lock hinders now, the next sweep does.
            with suppress(sqlite3.OperationalError):
                file.empty_log()

    def _latest(self, file: CacheFile) -> float | None:
        """Give the latest time, None when there was a damaged entry in its place."""
        found = file.newest()
        if found is None:
            return 0.0
        number, key, sealed = found
        reply = self._unsealed(file, number, key if isinstance(key, bytes) else b"", sealed)
        return None if reply is None else reply.stored_at

    def _unsealed(self, file: CacheFile, number: int, key: bytes, sealed: object) -> StoredReply | None:
        """Give the answer, or drop it and give None where it is not what was stored."""
        try:
            return unseal(self._secret, key, sealed)
        except DamagedError:
            self._damaged += 1
            if self._damaged == 1:
                logger.warning(
                    "whygate: an answer in the cache file %s was damaged, or sealed with another key. It is dropped,"
                    " and so are others like it.",
                    self._path,
                )
        file.remove(number)
        return None

    def _interrupt(self) -> None:
        if self._file is not None:
            self._file.interrupt()

    def _close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            with suppress(sqlite3.Error, OSError):
                file.close()


def _why_unusable(error: BaseException) -> str | None:
    if isinstance(error, UnusableFileError):
        return "newer" if error.newer else "corrupt"
    return "corrupt" if is_damage(error) else None


def _open(place: Place) -> Store:
    if place.directory is None:
        return MemoryStore(place.max_bytes)
    return SqliteStore(place.directory, place.max_bytes, place.secret)


BACKEND = Backend(name="sqlite", open=_open, fronted=True)
