"""What a cache backend is: the shape of a plug-in in `gateway.cache.backends`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from gateway.model.decision import StoredReply


class Store(Protocol):
    """Keeps answers by key. What it cannot give is a miss, never an exception."""

    async def get(self, key: bytes, now: float) -> StoredReply | None:
        """Give an answer that has not expired. ``now`` is monotonic seconds."""
        ...

    async def put(self, key: bytes, reply: StoredReply, expires_at: float) -> None:
        """Keep an answer until ``expires_at`` (monotonic seconds) or until room is needed."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """A kind of store: its name in the settings, and how to open one that keeps at most so many bytes."""

    name: str
    open: Callable[[int], Store]
