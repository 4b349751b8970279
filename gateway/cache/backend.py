"""What a cache backend is: the shape of a plug-in in `gateway.cache.backends`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from gateway.model.decision import Label, StoredReply

if TYPE_CHECKING:
    from gateway.redis_link import RedisLink

ENTRY_BYTES = 512
"""What an entry counts beside its body and headers."""


class Wanted(NamedTuple):
    """Which entries are meant; an empty field means all.

    Attributes:
        model: Exactly, or a glob (`fnmatch.fnmatchcase`).
        key: Fingerprint of a credential.
        before: Only what was stored before this time (the cache's own seconds); None means all.
    """

    model: str = ""
    key: str = ""
    before: float | None = None


class Size(NamedTuple):
    """How much there is."""

    entries: int
    size_bytes: int


class Contents(NamedTuple):
    """What a store holds.

    Attributes:
        size_bytes: Bodies, headers and `ENTRY_BYTES` each: what counts against the cap.
        disk_bytes: What its files take; 0 where there are none.
        oldest_at: When the oldest entry was stored, None when there is none. The cache's own seconds.
        by_label: How much of each kind there is.
        damaged: How many entries have been found damaged since the store was opened.
    """

    entries: int
    size_bytes: int
    disk_bytes: int
    oldest_at: float | None
    by_label: Mapping[Label, Size]
    damaged: int


class Store(Protocol):
    """Keeps answers by key, at most so many bytes of them.

    All times are the cache's own seconds, and are given by whoever calls. A method may raise when the store cannot be
    used now; whoever calls takes that for a miss. What is found damaged is dropped, counted, and a miss.
    """

    async def get(self, key: bytes, now: float) -> StoredReply | None:
        """Give an answer that may still be given, fresh or not (``now`` is before its ``kept_until``)."""
        ...

    async def put(self, key: bytes, reply: StoredReply) -> None:
        """Keep an answer in place of an older one of that key. Where room is needed, the one unused for longest goes.

        One larger than all room is not kept, and the older one of that key is gone, too.
        """
        ...

    async def clear(self, wanted: Wanted) -> int:
        """Remove entries so that none of their bytes is left anywhere, and give how many they were."""
        ...

    async def sweep(self, now: float) -> int:
        """Remove what may not be given any more (``kept_until`` is over), as `clear` does, and give how many."""
        ...

    async def contents(self) -> Contents:
        """Say what there is."""
        ...

    async def latest(self) -> float:
        """Give the latest time that stands in it (``stored_at``), 0 when it is empty: time goes on from there."""
        ...

    async def close(self) -> None:
        """Give everything back. Nothing may be asked afterwards."""
        ...


class Place(NamedTuple):
    """What a store is given when it is opened.

    Attributes:
        max_bytes: Of all entries together, as `Contents.size_bytes` counts.
        directory: Where files may be made; None where there is none, and then nothing outlives the process.
        secret: The key of seals, 32 bytes.
        link: The way to Redis; None where there is none, and then nothing leaves the process.
        prefix: Begins every name there.
    """

    max_bytes: int
    directory: Path | None = None
    secret: bytes = b""
    link: "RedisLink | None" = None
    prefix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """A kind of store: its name in the settings, and how to make one. Making one opens nothing yet and cannot fail.

    Attributes:
        fronted: What was read last is worth being kept in memory, too, and nobody else changes what is stored.
    """

    name: str
    open: Callable[[Place], Store]
    fronted: bool = False
