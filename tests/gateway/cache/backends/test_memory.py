"""The store in memory: the contract, and against a model of any sequence of puts, gets and waits."""

import asyncio
from collections import OrderedDict

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gateway.cache.backend import Store
from gateway.cache.backends.memory import BACKEND, MemoryStore
from gateway.model.decision import StoredReply
from tests.gateway.cache.contract import StoreContract, a_reply

MAX_BYTES = 6_000


class TestMemoryStore(StoreContract):
    def open(self, max_bytes: int) -> Store:
        return BACKEND.open(max_bytes)

    async def test_headers_count_as_well(self) -> None:
        store = MemoryStore(5_000)
        await store.put(b"k", a_reply(b"", headers=((b"n", b"v" * 4_600),)), 1.0)
        assert await store.get(b"k", 0.0) is None
        assert store.size_bytes == 0

    async def test_room_taken_is_given_back_when_an_answer_expires(self) -> None:
        store = MemoryStore(5_000)
        await store.put(b"k", a_reply(b"x" * 100), 1.0)
        assert store.size_bytes > 100
        await store.get(b"k", 1.0)
        assert store.size_bytes == 0


class MemoryModel(RuleBasedStateMachine):
    """The store beside a plain ordered dictionary that does the same naively."""

    def __init__(self) -> None:
        super().__init__()
        self.store = MemoryStore(MAX_BYTES)
        self.model: OrderedDict[bytes, tuple[float, StoredReply]] = OrderedDict()
        self.now = 0.0

    @rule(key=st.sampled_from([b"a", b"b", b"c", b"d", b"e"]), size=st.integers(0, 7_000), ttl=st.integers(-1, 20))
    def put(self, key: bytes, size: int, ttl: int) -> None:
        reply = a_reply(b"x" * size, stored_at=self.now)
        asyncio.run(self.store.put(key, reply, self.now + ttl))
        self.model.pop(key, None)
        if _cost(reply) <= MAX_BYTES:
            while sum(_cost(kept) for _, kept in self.model.values()) + _cost(reply) > MAX_BYTES:
                self.model.popitem(last=False)
            self.model[key] = (self.now + ttl, reply)

    @rule(key=st.sampled_from([b"a", b"b", b"c", b"d", b"e"]))
    def get(self, key: bytes) -> None:
        expected = self.model.get(key)
        if expected is not None and expected[0] <= self.now:
            expected = self.model.pop(key) and None
        if expected is not None:
            self.model.move_to_end(key)
        assert asyncio.run(self.store.get(key, self.now)) == (expected[1] if expected else None)

    @precondition(lambda self: self.model)
    @rule(seconds=st.integers(1, 30))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    @invariant()
    def the_bound_holds_and_the_count_is_true(self) -> None:
        assert self.store.size_bytes <= MAX_BYTES
        assert self.store.size_bytes == sum(_cost(reply) for _, reply in self.model.values())


def _cost(reply: StoredReply) -> int:
    return len(reply.body) + sum(len(n) + len(v) for n, v in reply.headers) + 512


MemoryModel.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestMemoryModel = MemoryModel.TestCase
