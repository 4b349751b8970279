"""What was read last is given from memory, and nothing is that the store behind would not give."""

from pathlib import Path

import pytest

from gateway.cache.backend import Place, Wanted
from gateway.cache.backends.memory import MemoryStore
from gateway.cache.backends.sqlite import BACKEND
from gateway.cache.front import ASKED_AGAIN_SECONDS, FRONT_BYTES, Fronted
from gateway.model.decision import StoredReply
from tests.gateway.cache.contract import Opening, StoreContract, a_reply


class Watched(MemoryStore):
    """Counts how often it is read."""

    def __init__(self) -> None:
        super().__init__(2**26)
        self.read = 0

    async def get(self, key: bytes, now: float) -> StoredReply | None:
        self.read += 1
        return await super().get(key, now)


class TestFrontedMemory(StoreContract):
    @pytest.fixture
    def opening(self) -> Opening:
        return lambda max_bytes: Fronted(MemoryStore(max_bytes), max_bytes=0)


class TestFrontedSqlite(StoreContract):
    @pytest.fixture
    def opening(self, tmp_path: Path) -> Opening:
        numbers = iter(range(1_000))

        def in_a_directory_of_its_own(max_bytes: int) -> Fronted:
            directory = tmp_path / str(next(numbers))
            directory.mkdir()
            return Fronted(BACKEND.open(Place(max_bytes, directory, bytes(32))), max_bytes=0)

        return in_a_directory_of_its_own


async def test_what_was_stored_or_read_is_not_read_again_for_a_minute() -> None:
    behind = Watched()
    store = Fronted(behind)
    await store.put(b"k", a_reply(stored_at=0.0, fresh_until=9_000.0, kept_until=10_000.0))
    for now in (1.0, 30.0, ASKED_AGAIN_SECONDS - 1):
        assert await store.get(b"k", now) is not None
    assert behind.read == 0
    assert await store.get(b"k", ASKED_AGAIN_SECONDS) is not None
    assert behind.read == 1
    assert await store.get(b"k", ASKED_AGAIN_SECONDS + 5) is not None
    assert behind.read == 1


async def test_nothing_is_given_from_memory_past_its_time() -> None:
    store = Fronted(Watched())
    await store.put(b"k", a_reply(stored_at=0.0, fresh_until=5.0, kept_until=10.0))
    assert await store.get(b"k", 9.9) is not None
    assert await store.get(b"k", 10.0) is None


async def test_what_is_cleared_or_replaced_is_not_in_memory_either() -> None:
    store = Fronted(Watched())
    kept = {"stored_at": 0.0, "fresh_until": 90.0, "kept_until": 90.0}
    await store.put(b"k", a_reply(b"old", **kept))
    await store.put(b"k", a_reply(b"new", **kept))
    found = await store.get(b"k", 1.0)
    assert found is not None
    assert found.body == b"new"
    assert await store.clear(Wanted()) == 1
    assert await store.get(b"k", 1.0) is None


async def test_memory_is_bounded() -> None:
    behind = Watched()
    store = Fronted(behind)
    for number in range(40):
        await store.put(b"%d" % number, a_reply(b"x" * 2**20, stored_at=0.0, fresh_until=90.0, kept_until=90.0))
        assert store._size_bytes <= FRONT_BYTES
    assert await store.get(b"39", 1.0) is not None
    assert behind.read == 0
    assert await store.get(b"0", 1.0) is not None
    assert behind.read == 1


async def test_what_could_not_be_stored_is_not_in_memory() -> None:
    class Full(MemoryStore):
        async def put(self, key: bytes, reply: StoredReply) -> None:
            raise OSError("full")

    store = Fronted(Full(1_000))
    with pytest.raises(OSError, match="full"):
        await store.put(b"k", a_reply())
    assert await store.get(b"k", 0.0) is None
