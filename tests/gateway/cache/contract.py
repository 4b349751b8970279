"""What the path expects of every cache backend. A test module of a backend subclasses this."""

import pytest

from gateway.cache.backend import Store
from gateway.model.decision import StoredReply


def a_reply(body: bytes = b'{"ok":true}', **changes: object) -> StoredReply:
    values: dict[str, object] = {
        "status": 200,
        "headers": ((b"content-type", b"application/json"),),
        "body": body,
        "stored_at": 0.0,
        "tokens_in": 3,
        "tokens_out": None,
    }
    return StoredReply(**(values | changes))  # type: ignore[arg-type]


class StoreContract:
    """Subclasses open an empty store that holds at most so many bytes."""

    def open(self, max_bytes: int) -> Store:
        raise NotImplementedError

    @pytest.fixture
    def store(self) -> Store:
        return self.open(1_000_000)

    async def test_what_was_never_put_is_a_miss(self, store: Store) -> None:
        assert await store.get(b"k", 0.0) is None

    async def test_an_answer_comes_back_as_it_was(self, store: Store) -> None:
        reply = a_reply(bytes(range(256)), headers=((b"vary", b"\xe9"), (b"vary", b"")), tokens_out=9)
        await store.put(b"k", reply, 10.0)
        assert await store.get(b"k", 5.0) == reply
        assert await store.get(b"k", 5.0) == reply

    async def test_keys_are_kept_apart_byte_for_byte(self, store: Store) -> None:
        await store.put(b"k\x00", a_reply(b"1"), 10.0)
        await store.put(b"k", a_reply(b"2"), 10.0)
        one, two, none = [await store.get(key, 0.0) for key in (b"k\x00", b"k", b"K")]
        assert one is not None
        assert two is not None
        assert (one.body, two.body, none) == (b"1", b"2", None)

    async def test_nothing_is_given_at_the_moment_of_its_expiry_or_later(self, store: Store) -> None:
        await store.put(b"k", a_reply(), 10.0)
        assert await store.get(b"k", 9.999) is not None
        assert await store.get(b"k", 10.0) is None
        assert await store.get(b"k", 9.0) is None, "what is gone does not come back"

    async def test_a_newer_answer_takes_the_place_of_the_older(self, store: Store) -> None:
        await store.put(b"k", a_reply(b"old"), 10.0)
        await store.put(b"k", a_reply(b"new"), 20.0)
        found = await store.get(b"k", 15.0)
        assert found is not None
        assert found.body == b"new"

    async def test_an_answer_larger_than_everything_is_not_kept_and_costs_nobody_its_place(self) -> None:
        store = self.open(5_000)
        await store.put(b"small", a_reply(), 10.0)
        await store.put(b"huge", a_reply(b"x" * 5_001), 10.0)
        assert await store.get(b"huge", 0.0) is None
        assert await store.get(b"small", 0.0) is not None

    async def test_an_answer_that_grew_too_large_leaves_no_stale_one_behind(self) -> None:
        store = self.open(5_000)
        await store.put(b"k", a_reply(b"old"), 10.0)
        await store.put(b"k", a_reply(b"x" * 5_001), 10.0)
        assert await store.get(b"k", 0.0) is None

    async def test_the_one_unused_for_longest_goes_first(self) -> None:
        store = self.open(10_000)
        for name in (b"a", b"b", b"c"):
            await store.put(name, a_reply(b"x" * 2_500), 10.0)
        assert await store.get(b"a", 0.0) is not None
        await store.put(b"d", a_reply(b"x" * 2_500), 10.0)
        kept = [name for name in (b"a", b"b", b"c", b"d") if await store.get(name, 0.0) is not None]
        assert kept == [b"a", b"c", b"d"]

    async def test_a_store_without_room_keeps_nothing(self) -> None:
        store = self.open(0)
        await store.put(b"k", a_reply(b""), 10.0)
        assert await store.get(b"k", 0.0) is None
