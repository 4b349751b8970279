"""Answers in memory: nothing of them outlives the process."""

from collections import OrderedDict
from collections.abc import Callable

from gateway.cache.backend import Backend, Contents, Size, Wanted
from gateway.cache.backends._entries import is_wanted, size_bytes
from gateway.model.decision import Label, StoredReply


class MemoryStore:
    """A bounded map, in the order of use.

    Args:
        max_bytes: Of all entries together, as `Contents.size_bytes` counts.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._entries: OrderedDict[bytes, StoredReply] = OrderedDict()
        self._size_bytes = 0

    async def get(self, key: bytes, now: float) -> StoredReply | None:
        """See `Store`."""
        reply = self._entries.get(key)
        if reply is None or now >= reply.kept_until:
            return None
        self._entries.move_to_end(key)
        return reply

    async def put(self, key: bytes, reply: StoredReply) -> None:
        """See `Store`."""
        size = size_bytes(reply)
        if key in self._entries:
            self._drop(key)
        if size > self._max_bytes:
            return
        while self._size_bytes + size > self._max_bytes:
            self._drop(next(iter(self._entries)))
        self._entries[key] = reply
        self._size_bytes += size

    async def clear(self, wanted: Wanted) -> int:
        """See `Store`."""
        return self._drop_all(lambda reply: is_wanted(reply, wanted))

    async def sweep(self, now: float) -> int:
        """See `Store`."""
        return self._drop_all(lambda reply: now >= reply.kept_until)

    async def contents(self) -> Contents:
        """See `Store`."""
        by_label: dict[Label, Size] = {}
        for reply in self._entries.values():
            entries, size = by_label.get(reply.label, Size(0, 0))
            by_label[reply.label] = Size(entries + 1, size + size_bytes(reply))
        return Contents(
            entries=len(self._entries),
            size_bytes=self._size_bytes,
            disk_bytes=0,
            oldest_at=min((reply.stored_at for reply in self._entries.values()), default=None),
            by_label=by_label,
            damaged=0,
        )

    async def latest(self) -> float:
        """See `Store`."""
        return max((reply.stored_at for reply in self._entries.values()), default=0.0)

    async def close(self) -> None:
        """See `Store`."""
        self._entries.clear()
        self._size_bytes = 0

    def _drop(self, key: bytes) -> None:
        self._size_bytes -= size_bytes(self._entries.pop(key))

    def _drop_all(self, is_over: Callable[[StoredReply], bool]) -> int:
        over = [key for key, reply in self._entries.items() if is_over(reply)]
        for key in over:
            self._drop(key)
        return len(over)


BACKEND = Backend(name="memory", open=lambda place: MemoryStore(place.max_bytes))
