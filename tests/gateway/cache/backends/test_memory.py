"""The store in memory: the contract, and that it needs no disk."""

import pytest

from gateway.cache.backend import Place, Wanted
from gateway.cache.backends.memory import BACKEND
from tests.gateway.cache.contract import Opening, StoreContract, a_reply


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def opening(self) -> Opening:
        return lambda max_bytes: BACKEND.open(Place(max_bytes))

    async def test_it_takes_no_disk_and_lets_go_of_what_is_cleared(self, make: Opening) -> None:
        store = make(1_000_000)
        await store.put(b"k", a_reply())
        assert (await store.contents()).disk_bytes == 0
        await store.clear(Wanted())
        assert await store.get(b"k", 0.0) is None
