"""Answers in memory: the one unused for longest goes first when room is needed."""

from collections import OrderedDict

from gateway.cache.backend import Backend
from gateway.model.decision import StoredReply

_OVERHEAD_BYTES = 512
"""What an entry costs beside its body and headers."""


class MemoryStore:
    """A bounded map.

    Args:
        max_bytes: Of all bodies and headers together.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._entries: OrderedDict[bytes, tuple[float, int, StoredReply]] = OrderedDict()
        self.size_bytes = 0

    async def get(self, key: bytes, now: float) -> StoredReply | None:
        """Give an answer that has not expired."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry[0] <= now:
            self._drop(key)
            return None
        self._entries.move_to_end(key)
        return entry[2]

    async def put(self, key: bytes, reply: StoredReply, expires_at: float) -> None:
        """Keep an answer; one larger than everything is not kept."""
        size = len(reply.body) + sum(len(n) + len(v) for n, v in reply.headers) + _OVERHEAD_BYTES
        if key in self._entries:
            self._drop(key)
        if size > self._max_bytes:
            return
        while self.size_bytes + size > self._max_bytes:
            self._drop(next(iter(self._entries)))
        self._entries[key] = (expires_at, size, reply)
        self.size_bytes += size

    def _drop(self, key: bytes) -> None:
        self.size_bytes -= self._entries.pop(key)[1]


BACKEND = Backend(name="memory", open=MemoryStore)
