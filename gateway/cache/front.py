"""What was read last, in memory, before a store that takes a thread or a disk to read."""

from collections import OrderedDict

from gateway.cache.backend import Contents, Store, Wanted
from gateway.cache.backends._entries import size_bytes
from gateway.model.decision import StoredReply

FRONT_BYTES = 16 * 2**20
ASKED_AGAIN_SECONDS = 60.0
"""So often the store itself is read, so that it knows what is in use, and what was damaged there is found."""


class Fronted:
    """A `Store` before another one that nobody else writes to; gives on whatever that one raises."""

    def __init__(self, behind: Store, max_bytes: int = FRONT_BYTES) -> None:
        self._behind, self._max_bytes = behind, max_bytes
        self._entries: OrderedDict[bytes, tuple[float, StoredReply]] = OrderedDict()
        self._size_bytes = 0

    async def get(self, key: bytes, now: float) -> StoredReply | None:
        """See `Store`."""
        entry = self._entries.get(key)
        if entry is not None and now < entry[0]:
            self._entries.move_to_end(key)
            return entry[1]
        found = await self._behind.get(key, now)
        self._drop(key)
        if found is not None:
            self._add(key, found, now)
        return found

    async def put(self, key: bytes, reply: StoredReply) -> None:
        """See `Store`."""
        self._drop(key)
        await self._behind.put(key, reply)
        self._drop(key)
        self._add(key, reply, reply.stored_at)

    async def clear(self, wanted: Wanted) -> int:
        """See `Store`."""
        self._forget()
        try:
            return await self._behind.clear(wanted)
        finally:
            self._forget()  # also what was read meanwhile

    async def sweep(self, now: float) -> int:
        """See `Store`."""
        self._forget()
        return await self._behind.sweep(now)

    async def contents(self) -> Contents:
        """See `Store`."""
        return await self._behind.contents()

    async def latest(self) -> float:
        """See `Store`."""
        return await self._behind.latest()

    async def close(self) -> None:
        """See `Store`."""
        self._forget()
        await self._behind.close()

    def _add(self, key: bytes, reply: StoredReply, now: float) -> None:
        size = size_bytes(reply)
        if size > self._max_bytes // 4:
            return
        self._entries[key] = (min(now + ASKED_AGAIN_SECONDS, reply.kept_until), reply)
        self._size_bytes += size
        while self._size_bytes > self._max_bytes:
            self._drop(next(iter(self._entries)))

    def _drop(self, key: bytes) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._size_bytes -= size_bytes(entry[1])

    def _forget(self) -> None:
        self._entries.clear()
        self._size_bytes = 0
