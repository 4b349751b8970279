"""What the path expects of every cache backend. A test module of a backend subclasses this and gives one fixture."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable

import pytest

from gateway.cache.backend import ENTRY_BYTES, Size, Store, Wanted
from gateway.model.decision import Label, StoredReply

Opening = Callable[[int], Store]


def a_reply(body: bytes = b'{"ok":true}', **changes: object) -> StoredReply:
    values: dict[str, object] = {
        "status": 200,
        "headers": ((b"content-type", b"application/json"),),
        "body": body,
        "stored_at": 0.0,
        "fresh_until": 5.0,
        "kept_until": 10.0,
        "tokens_in": 3,
        "tokens_out": None,
    }
    return StoredReply(**(values | changes))  # type: ignore[arg-type]


def of(model: str = "m", key: str = "k", **changes: str) -> Label:
    return Label(model=model, key=key, provider="openai", endpoint="chat.completions", rule="r", **changes)


def counted(reply: StoredReply) -> int:
    return len(reply.body) + sum(len(name) + len(value) for name, value in reply.headers) + ENTRY_BYTES


def sized(size_bytes: int, **changes: object) -> StoredReply:
    """An answer that counts exactly so many bytes."""
    return a_reply(b"x" * (size_bytes - ENTRY_BYTES), headers=(), **changes)


async def held(store: Store, *keys: bytes, now: float = 0.0) -> list[bytes]:
    """Which of these keys have an answer. Looking is a use."""
    return [key for key in keys if await store.get(key, now) is not None]


async def put_of_all_kinds(store: Store) -> None:
    """Six answers: two models of two keys, and one of a model with a bracket in its name, stored one after another."""
    kinds = [("gpt-a", "k1"), ("gpt-b", "k1"), ("gpt-a", "k2"), ("claude", "k2"), ("ft[1]", ""), ("", "")]
    for number, (model, key) in enumerate(kinds):
        await store.put(b"%d" % number, a_reply(stored_at=float(number), label=of(model, key)))


ALL = (b"0", b"1", b"2", b"3", b"4", b"5")


class StoreContract:
    """A subclass gives ``opening``: what opens an empty store that holds at most so many bytes."""

    @pytest.fixture
    async def make(self, opening: Opening) -> AsyncIterator[Opening]:
        """Opens stores that the test need not close."""
        opened: list[Store] = []

        def make_one(max_bytes: int) -> Store:
            opened.append(opening(max_bytes))
            return opened[-1]

        yield make_one
        for store in opened:
            await store.close()

    @pytest.fixture
    def store(self, make: Opening) -> Store:
        return make(1_000_000)

    async def test_what_was_never_put_is_a_miss(self, store: Store) -> None:
        assert await store.get(b"k", 0.0) is None

    async def test_an_answer_comes_back_as_it_was(self, store: Store) -> None:
        reply = a_reply(
            bytes(range(256)),
            status=203,
            headers=((b"vary", b"\xe9\x00\r\n"), (b"vary", b""), (b"", bytes(range(256)))),
            label=of("gpt-\u00e9\ud800", tenant="t"),
            stored_at=1_790_000_000.123456,
            fresh_until=1_790_003_600.123456,
            kept_until=float("inf"),
            tokens_in=0,
            tokens_out=2**40,
        )
        await store.put(b"k", reply)
        assert await store.get(b"k", 5.0) == reply
        assert await store.get(b"k", 5.0) == reply

    @pytest.mark.parametrize("body", [b"", b"\x00", b"\x1f\x8b\xff" * 100, b"data: {}\n\n" * 500_000])
    async def test_a_body_comes_back_byte_for_byte(self, make: Opening, body: bytes) -> None:
        store = make(50_000_000)
        await store.put(b"k", a_reply(body))
        found = await store.get(b"k", 0.0)
        assert found is not None
        assert found.body == body

    async def test_keys_are_kept_apart_byte_for_byte(self, store: Store) -> None:
        keys = [b"k\x00", b"k", b"K", b"\xff" * 32, b"\xff" * 31, b"", b"\x00", b"k "]
        for number, key in enumerate(keys):
            await store.put(key, a_reply(b"%d" % number))
        found = [await store.get(key, 0.0) for key in keys]
        assert [reply and reply.body for reply in found] == [b"%d" % number for number in range(len(keys))]
        assert await held(store, b"k\x00\x00", b"\x00k", b"\xfe") == []

    async def test_nothing_is_given_at_the_moment_to_which_it_is_kept_or_later(self, store: Store) -> None:
        await store.put(b"k", a_reply(fresh_until=1.0, kept_until=10.0))
        assert await store.get(b"k", 9.999) is not None, "whether it is fresh is for others to say"
        assert await store.get(b"k", 10.0) is None
        assert await store.get(b"k", 1e12) is None

    async def test_a_newer_answer_takes_the_place_of_the_older(self, store: Store) -> None:
        await store.put(b"k", a_reply(b"old", label=of("a")))
        await store.put(b"k", a_reply(b"new", kept_until=20.0, label=of("b")))
        found = await store.get(b"k", 15.0)
        contents = await store.contents()
        assert found is not None
        assert found.body == b"new"
        assert contents.entries == 1
        assert list(contents.by_label) == [of("b")]

    async def test_the_cap_counts_bodies_headers_and_entries_to_the_byte(self, make: Opening) -> None:
        store = make(3_000)
        await store.put(b"a", sized(1_000))
        await store.put(b"b", a_reply(b"x" * 88, headers=((b"n" * 100, b"v" * 300),)))
        await store.put(b"c", sized(1_000))
        assert (await store.contents()).size_bytes == 3_000
        assert await held(store, b"a", b"b", b"c") == [b"a", b"b", b"c"]
        await store.put(b"d", sized(ENTRY_BYTES))
        assert await held(store, b"a", b"b", b"c", b"d") == [b"b", b"c", b"d"]

    async def test_an_answer_larger_than_all_room_is_not_kept_and_costs_nobody_its_place(self, make: Opening) -> None:
        store = make(5_000)
        await store.put(b"small", a_reply())
        await store.put(b"huge", sized(5_001))
        assert await held(store, b"huge", b"small") == [b"small"]
        await store.put(b"fits", sized(5_000))
        assert await held(store, b"fits", b"small") == [b"fits"]

    async def test_an_answer_that_grew_too_large_leaves_no_older_one_behind(self, make: Opening) -> None:
        store = make(5_000)
        await store.put(b"k", a_reply(b"old"))
        await store.put(b"k", sized(5_001))
        assert await store.get(b"k", 0.0) is None
        assert (await store.contents())[:2] == (0, 0)

    async def test_the_one_unused_for_longest_goes_first(self, make: Opening) -> None:
        store = make(9_000)
        for name in (b"a", b"b", b"c"):
            await store.put(name, sized(3_000))
        assert await held(store, b"b", b"a") == [b"b", b"a"]
        await store.put(b"d", sized(3_000))
        assert await held(store, b"a", b"b", b"c", b"d") == [b"a", b"b", b"d"]
        await store.put(b"e", sized(6_000))
        assert await held(store, b"a", b"b", b"d", b"e") == [b"d", b"e"]

    async def test_an_answer_in_place_of_an_older_one_counts_as_used(self, make: Opening) -> None:
        store = make(6_000)
        for name in (b"a", b"b", b"a", b"c"):
            await store.put(name, sized(3_000) if name == b"c" else sized(2_000))
        assert await held(store, b"a", b"b", b"c") == [b"a", b"c"]

    async def test_a_store_without_room_keeps_nothing(self, make: Opening) -> None:
        store = make(0)
        await store.put(b"k", a_reply(b""))
        assert await store.get(b"k", 0.0) is None

    @pytest.mark.parametrize(
        ("wanted", "left"),
        [
            (Wanted(), ()),
            (Wanted(model="gpt-a"), (b"1", b"3", b"4", b"5")),
            (Wanted(model="gpt-*"), (b"3", b"4", b"5")),
            (Wanted(model="gpt-[!a]"), (b"0", b"2", b"3", b"4", b"5")),
            (Wanted(model="GPT-*"), ALL),
            (Wanted(model="?laude"), (b"0", b"1", b"2", b"4", b"5")),
            (Wanted(model="ft[1]"), (b"0", b"1", b"2", b"3", b"5")),
            (Wanted(model="*"), ()),
            (Wanted(model="gpt-a' OR 1=1 --"), ALL),
            (Wanted(model="\ud800"), ALL),
            (Wanted(key="k1"), (b"2", b"3", b"4", b"5")),
            (Wanted(key="k*"), ALL),
            (Wanted(before=2.0), (b"2", b"3", b"4", b"5")),
            (Wanted(before=0.0), ALL),
            (Wanted(model="gpt-*", key="k1", before=1.0), (b"1", b"2", b"3", b"4", b"5")),
            (Wanted(model="gpt-*", key="k2"), (b"0", b"1", b"3", b"4", b"5")),
            (Wanted(key="k2", before=3.0), (b"0", b"1", b"3", b"4", b"5")),
        ],
        ids=str,
    )
    async def test_what_is_wanted_is_cleared_and_nothing_else(
        self, store: Store, wanted: Wanted, left: tuple[bytes, ...]
    ) -> None:
        await put_of_all_kinds(store)
        assert await store.clear(wanted) == len(ALL) - len(left)
        assert await held(store, *ALL) == list(left)
        assert await store.clear(wanted) == 0
        assert (await store.contents()).size_bytes == len(left) * counted(a_reply())

    async def test_a_name_that_is_no_valid_text_is_found_for_clearing(self, store: Store) -> None:
        await store.put(b"k", a_reply(label=of("a\ud800", "\udfff")))
        assert await store.clear(Wanted(model="a\ud800", key="\udfff")) == 1

    async def test_sweeping_takes_what_may_not_be_given_any_more(self, store: Store) -> None:
        for number in range(5):
            await store.put(b"%d" % number, a_reply(kept_until=float(number)))
        assert await store.sweep(2.0) == 3
        assert await store.sweep(2.0) == 0
        assert await held(store, b"0", b"1", b"2", b"3", b"4", now=-1.0) == [b"3", b"4"]
        assert (await store.contents()).entries == 2

    async def test_more_than_a_step_of_the_store_is_cleared_and_swept(self, make: Opening) -> None:
        store = make(10_000_000)
        for number in range(1_300):
            await store.put(b"%d" % number, a_reply(kept_until=1.0 if number % 2 else 9.0, label=of(f"m{number % 4}")))
        assert await store.sweep(1.0) == 650
        assert await store.clear(Wanted(model="m[02]")) == 650
        assert (await store.contents())[:2] == (0, 0)

    async def test_it_says_what_it_holds(self, store: Store) -> None:
        empty = await store.contents()
        assert (empty.entries, empty.size_bytes, empty.oldest_at, dict(empty.by_label)) == (0, 0, None, {})
        first, second, third = a_reply(b"1", stored_at=7.0), a_reply(b"22", stored_at=3.0), a_reply(label=of("other"))
        await store.put(b"1", first)
        await store.put(b"2", second)
        await store.put(b"3", a_reply(stored_at=5.0, label=of("other\udc00", "x", tenant="t")))
        full = await store.contents()
        assert (full.entries, full.size_bytes) == (3, counted(first) + counted(second) + counted(third))
        assert (full.oldest_at, full.damaged) == (3.0, 0)
        assert full.by_label == {
            Label(): Size(2, counted(first) + counted(second)),
            of("other\udc00", "x", tenant="t"): Size(1, counted(third)),
        }

    async def test_time_goes_on_from_the_latest_that_stands_in_it(self, store: Store) -> None:
        assert await store.latest() == 0.0
        for number, stored_at in enumerate((5.0, 1_790_000_000.25, 7.0)):
            await store.put(b"%d" % number, a_reply(stored_at=stored_at, kept_until=9e9))
        assert await store.latest() == 1_790_000_000.25
        await store.clear(Wanted())
        assert await store.latest() == 0.0

    async def test_many_at_once_get_what_was_put_whole(self, make: Opening) -> None:
        store = make(40_000)
        chance = random.Random(7)
        keys = [b"key %d" % number for number in range(20)]

        async def one(number: int) -> None:
            key = keys[number % len(keys)]
            await store.put(key, a_reply(key + b":" + bytes([number % 256]) * chance.randrange(5_000)))
            found = await store.get(key, 0.0)
            assert found is None or (found.body.startswith(key + b":") and len(set(found.body[len(key) + 1 :])) <= 1)
            assert (await store.contents()).size_bytes <= 40_000

        async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
            for number in range(200):
                tasks.create_task(one(number))
        sizes = [counted(reply) for key in keys if (reply := await store.get(key, 0.0)) is not None]
        assert (await store.contents())[:2] == (len(sizes), sum(sizes))

    async def test_who_stops_waiting_leaves_nothing_broken(self, store: Store) -> None:
        async with asyncio.timeout(30):
            for number in range(100):
                tasks = [
                    asyncio.ensure_future(store.put(b"k", a_reply(b"%d" % number))),
                    asyncio.ensure_future(store.get(b"k", 0.0)),
                    asyncio.ensure_future(store.clear(Wanted(model="none"))),
                ]
                for _ in range(number % 4):
                    await asyncio.sleep(0)
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            await store.put(b"k", a_reply(b"last"))
            found = await store.get(b"k", 0.0)
        assert found is not None
        assert found.body == b"last"
        assert (await store.contents())[:2] == (1, counted(found))

    async def test_closing_twice_and_without_any_use_is_quiet(self, make: Opening) -> None:
        async with asyncio.timeout(10):
            unused, used = make(1_000), make(1_000)
            await unused.close()
            await used.put(b"k", a_reply())
            await used.close()
            await used.close()
