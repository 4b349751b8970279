"""The store in Redis: the contract beside a real server, and everything that can be wrong with one."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from gateway.cache.backend import Place, Store, Wanted
from gateway.cache.backends import _redis_scripts, redis
from gateway.cache.backends.redis import BACKEND, RedisStore
from gateway.cache.shelf import Shelf
from gateway.model.attempt import ReplyHead
from gateway.model.clock import SystemClock
from gateway.model.decision import Plan
from gateway.redis_link import RedisLink
from gateway.unreachable import UnreachableError
from tests.gateway.cache.contract import Opening, StoreContract, a_reply, held, of, sized
from tests.redis_server import RedisServer, redis_server

SECRET = b"s" * 32


@pytest.fixture(scope="module")
def kept_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as made:
        yield made


@pytest.fixture
def server(kept_server: RedisServer) -> RedisServer:
    """Empty, and without what an earlier test did to it."""
    with kept_server.client() as client:
        client.flushall()
    return kept_server


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests about what is given, not about how soon: a slow test machine is no slow Redis."""
    for limit in ("TURN_SECONDS", "GET_SECONDS", "PUT_SECONDS", "REST_SECONDS"):
        monkeypatch.setattr(redis, limit, 20.0)


@pytest.fixture
async def link(server: RedisServer, unhurried: None) -> AsyncIterator[RedisLink]:
    made = RedisLink(server.url, SystemClock())
    assert await made.look()
    yield made
    await made.close()


class TestRedisStore(StoreContract):
    @pytest.fixture
    def opening(self, link: RedisLink, monkeypatch: pytest.MonkeyPatch) -> Opening:
        for limit in (
            "TURN_SECONDS",
            "GET_SECONDS",
            "PUT_SECONDS",
            "REST_SECONDS",
        ):  # what is given is meant here, not how soon
            monkeypatch.setattr(redis, limit, 20.0)
        monkeypatch.setattr(redis, "ANSWER_BYTES_MAX", 10**9)
        numbers = iter(range(1_000))

        def under_names_of_its_own(max_bytes: int) -> Store:
            return BACKEND.open(Place(max_bytes, None, SECRET, link, f"test-{next(numbers)}:"))

        return under_names_of_its_own


def a_store(link: RedisLink, max_bytes: int = 1_000_000, secret: bytes = SECRET) -> RedisStore:
    return RedisStore(link, "t:", max_bytes, secret)


def answers(server: RedisServer) -> list[bytes]:
    """The names of what is stored, without the index."""
    with server.client() as client:
        return sorted(name for name in client.keys("t:cache:*") if b":answer:" in name)


@pytest.fixture
async def other_link(server: RedisServer) -> AsyncIterator[RedisLink]:
    """That of another gateway."""
    made = RedisLink(server.url, SystemClock())
    assert await made.look()
    yield made
    await made.close()


# shared by several gateways


async def test_gateways_give_one_anothers_answers_under_one_cap(link: RedisLink, other_link: RedisLink) -> None:
    mine, yours = a_store(link, 5_000), a_store(other_link, 5_000)
    await mine.put(b"a", sized(2_000))
    await yours.put(b"b", sized(2_000))
    assert await held(yours, b"a") == [b"a"]
    await mine.put(b"c", sized(2_000))
    assert await held(yours, b"a", b"b", b"c") == [b"a", b"c"], "the other's use counts, too"
    assert (await mine.contents())[:2] == (await yours.contents())[:2] == (2, 4_000)
    assert await yours.clear(Wanted()) == 2
    assert await held(mine, b"a", b"c") == []


async def test_gateways_with_different_secrets_neither_see_nor_disturb_one_another(
    link: RedisLink, other_link: RedisLink, caplog: pytest.LogCaptureFixture
) -> None:
    mine, foreign = a_store(link), a_store(other_link, secret=b"x" * 32)
    await mine.put(b"k", a_reply(stored_at=100.0, kept_until=200.0))
    assert await foreign.get(b"k", 0.0) is None
    assert await foreign.latest() == 0.0
    assert (await foreign.contents())[:2] == (0, 0)
    assert await foreign.clear(Wanted()) == await foreign.sweep(1e9) == 0
    assert await held(mine, b"k") == [b"k"]
    assert (await mine.contents()).damaged == (await foreign.contents()).damaged == 0
    assert caplog.records == []


async def test_redis_forgets_by_itself(link: RedisLink, server: RedisServer) -> None:
    store = a_store(link)
    await store.put(b"short", a_reply(stored_at=1e9, kept_until=1e9 + 100))
    await store.put(b"long", a_reply(stored_at=1e9, kept_until=1e9 + 9_000))
    await store.put(b"for ever", a_reply(stored_at=1e9, kept_until=float("inf")))
    with server.client() as client:
        lives = {name.rpartition(b":")[2]: client.pttl(name) / 1000 for name in client.keys("t:cache:*")}
    assert all(seconds > 0 for seconds in lives.values()), "nothing stays for ever, the index neither"
    assert 100 < lives[b"short"] <= 100 + redis.GRACE_MS / 1000
    assert 9_000 < lives[b"long"] <= 9_000 + redis.GRACE_MS / 1000
    assert all(lives[part] >= lives[b"long"] for part in (b"index", b"used", b"kept", b"stored"))


async def test_what_redis_dropped_to_make_room_is_a_miss_and_counts_no_more(
    link: RedisLink, server: RedisServer
) -> None:
    store = a_store(link)
    for name in (b"a", b"b"):
        await store.put(name, sized(2_000))
    with server.client() as client:
        client.delete(answers(server)[0])
    assert await held(store, b"a", b"b") == [b"b"]
    assert (await store.contents())[:2] == (1, 2_000)
    with server.client() as client:
        client.delete(*(name for name in client.keys("t:cache:*") if not name.endswith(b"b")))
    assert await held(store, b"b") == [], "an answer that the index does not know cannot be cleared, so it is not given"
    await store.put(b"b", sized(3_000))
    assert (await store.contents())[:2] == (1, 3_000)


async def test_a_lost_part_of_the_index_does_not_lift_the_cap(link: RedisLink, server: RedisServer) -> None:
    store = a_store(link, 5_000)
    for name in (b"a", b"b"):
        await store.put(name, sized(2_500))
    with server.client() as client:
        client.delete(*(name for name in client.keys("t:cache:*:used")))
    await store.put(b"c", sized(2_500))
    assert await held(store, b"a", b"b", b"c") == [b"c"]
    assert (await store.contents())[:2] == (1, 2_500)


async def test_room_for_a_large_answer_is_made_in_steps(link: RedisLink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_redis_scripts, "STEP", 10)
    store = a_store(link, 100_000)
    for number in range(150):
        await store.put(b"%d" % number, sized(600))
    await store.put(b"large", sized(99_000))
    assert (await store.contents())[:2] == (2, 99_600)
    assert await held(store, b"large", b"149") == [b"large", b"149"]


async def test_an_answer_that_would_not_come_back_in_time_is_not_kept(link: RedisLink) -> None:
    store = a_store(link, 100_000_000)
    await store.put(b"small", a_reply())
    for name, size_bytes in ((b"k", 2_097_152), (b"k", 2_097_153)):
        await store.put(name, sized(size_bytes))
        assert (await store.contents()).entries == 2 - (size_bytes > 2_097_152)
    assert await held(store, b"small", b"k") == [b"small"]


# what somebody else did to it


@pytest.mark.parametrize("at", [0, 1, 20, 33, 60, -1])
async def test_a_flipped_bit_is_a_miss_that_is_dropped_counted_and_told_once(
    link: RedisLink, server: RedisServer, caplog: pytest.LogCaptureFixture, at: int
) -> None:
    store = a_store(link)
    for name in (b"a", b"b", b"c"):
        await store.put(name, a_reply(name))
    for name in answers(server)[:2]:
        with server.client() as client:
            blob = bytearray(client.get(name))
            blob[at] ^= 1
            client.set(name, bytes(blob))
    assert await held(store, b"a", b"b", b"c") == [b"c"]
    contents = await store.contents()
    assert (contents.entries, contents.damaged) == (1, 2)
    assert len(answers(server)) == 1
    assert [record.levelname for record in caplog.records] == ["WARNING"]


async def test_an_answer_under_another_key_is_a_miss(link: RedisLink, server: RedisServer) -> None:
    store = a_store(link)
    for name in (b"a", b"b"):
        await store.put(name, a_reply(name))
    first, second = answers(server)
    with server.client() as client:
        client.set(second, client.get(first))
    assert await held(store, b"a", b"b") == [b"a"]
    assert (await store.contents()).damaged == 1


async def test_something_else_in_the_place_of_an_answer_is_a_miss(link: RedisLink, server: RedisServer) -> None:
    store = a_store(link)
    await store.put(b"a", a_reply())
    with server.client() as client:
        client.delete(answers(server)[0])
        client.rpush(f"{store._name}answer:a", "x")
    assert await held(store, b"a") == []
    assert (await store.contents())[:2] == (0, 0)
    assert answers(server) == []


async def test_only_a_sound_entry_moves_the_time(link: RedisLink, server: RedisServer) -> None:
    store = a_store(link)
    await store.put(b"a", a_reply(stored_at=5.0))
    await store.put(b"b", a_reply(stored_at=7.0))
    with server.client() as client:
        client.zadd(f"{store._name}stored", {"a": 9e9, "made up": 8e9})
        client.set(f"{store._name}answer:b", "no answer")
    assert await store.latest() == 5.0


async def test_an_index_that_makes_no_sense_can_be_cleared(link: RedisLink, server: RedisServer) -> None:
    store = a_store(link)
    await store.put(b"a", a_reply(label=of("m")))
    with server.client() as client:
        for number, text in enumerate((b"", b"x", b"1 2", b"-5 0 []", b"1 nan [1,2,3,4,5,6]", b"\xff" * 9, b"9" * 999)):
            client.hset(f"{store._name}index", b"=%d" % number, text)
    contents = await store.contents()
    assert contents.by_label[of("m")].entries == 1
    assert await store.clear(Wanted(model="m")) == 1
    assert await store.clear(Wanted()) == 7
    with server.client() as client:
        assert not [name for name in client.hkeys(f"{store._name}index") if name.startswith(b"=")]


# a server that is not well


def _killed(server: RedisServer) -> None:
    server.kill()


def _frozen(server: RedisServer) -> None:
    server.freeze()


def _full(server: RedisServer) -> None:
    server.config_set("maxmemory", "1")


def _replica(server: RedisServer) -> None:
    with server.client() as client:
        client.replicaof("127.0.0.1", 1)


def _locked(server: RedisServer) -> None:
    with server.client() as client:
        client.config_set("requirepass", "canary-of-redis")
        client.client_kill_filter(_type="normal", skipme=True)


def _another_programs(server: RedisServer) -> None:
    with server.client() as client:
        for name in client.keys("t:cache:*:index"):
            client.delete(name)
            client.set(name, "theirs")


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path) as made:
        yield made


async def kept(server: RedisServer) -> RedisLink:
    """A link to a server that keeps an answer under ``k``; its connections are open."""
    link = RedisLink(server.url, SystemClock())
    assert await link.look()
    while True:
        with suppress(UnreachableError):
            await a_store(link).put(b"k", a_reply(kept_until=1e12))
            return link
        await link.look()


@pytest.mark.parametrize("spoil", [_killed, _frozen, _full, _replica, _locked, _another_programs])
async def test_a_server_that_is_not_well_costs_a_call_50_ms_at_most_and_is_told_once(
    own_server: RedisServer, caplog: pytest.LogCaptureFixture, spoil: Callable[[RedisServer], None]
) -> None:
    link = await kept(own_server)
    store = a_store(link)
    shelf = Shelf(store, SystemClock(), secret=SECRET, backend_name="redis")
    spoil(own_server)
    plan = Plan(key=b"k" * 32, flight=b"k" * 32, ttl_seconds=60.0, read=True, lent=False, about=of("m"))
    stored, began = 0, time.monotonic()
    for _ in range(20):
        stored += await shelf.keep(plan, ReplyHead(status=200, headers=()), b"{}", None)
        assert await shelf.stand_in(plan) is None
    assert stored == 0
    assert time.monotonic() - began < 20 * 2 * 0.05
    with pytest.raises(Exception, match=r"\w"):
        await store.put(b"x", a_reply())
    assert shelf.degraded or spoil in {_full, _replica}, "those still give what they have"
    texts = [record.getMessage() for record in caplog.records]
    assert 1 <= len([text for text in texts if "the cache cannot be used" in text]) <= 2
    assert len(texts) <= 3
    assert "canary" not in "".join(texts)
    await link.close()


async def test_a_server_that_is_down_is_not_asked_again_until_it_is_well(
    own_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = await kept(own_server)
    store = a_store(link)
    own_server.freeze()
    failures = 0
    while link.is_up:
        with pytest.raises(UnreachableError):
            await store.get(b"k", 0.0)
        failures += 1
    assert 3 <= failures <= 40, (
        "three, but for those that this machine was late for, and never for longer than a second"
    )
    began = time.monotonic()
    for _ in range(100):
        with pytest.raises(UnreachableError):
            await store.get(b"k", 0.0)
    assert time.monotonic() - began < 1.0
    own_server.thaw()
    monkeypatch.setattr(redis, "GET_SECONDS", 20.0)
    monkeypatch.setattr(redis, "PUT_SECONDS", 20.0)
    assert await link.look()
    assert await held(store, b"k") == [b"k"]
    own_server.restart()
    assert any([await link.look() for _ in range(5)]), "old connections break first"
    assert await held(store, b"k") == [], "its memory was all it had; and the scripts are sent again"
    await store.put(b"k", a_reply(kept_until=1e12))
    assert await held(store, b"k") == [b"k"]
    await link.close()


@pytest.mark.usefixtures("unhurried")
async def test_what_is_full_and_what_is_a_replica_still_give_what_they_have(own_server: RedisServer) -> None:
    link = await kept(own_server)
    store = a_store(link)
    _full(own_server)
    assert await held(store, b"k") == [b"k"]
    with pytest.raises(UnreachableError, match="memory is full"):
        await store.put(b"k", a_reply(b"new"))
    found = await store.get(b"k", 0.0)
    assert found is not None
    assert found.body == a_reply().body, "all of a put or nothing"
    own_server.config_set("maxmemory", "0")
    _replica(own_server)
    assert await held(store, b"k") == [b"k"]
    with pytest.raises(UnreachableError, match="replica"):
        await store.put(b"k", a_reply(b"new"))
    await link.close()


# cancelled


async def test_2000_gets_that_are_cancelled_mix_up_no_answer(
    link: RedisLink, record_property: Callable[[str, object], None]
) -> None:
    """A client that left a reply unread on its connection would give it to the next question."""
    store, chance = a_store(link), random.Random(20_230_320)
    keys = [b"key %04d" % number for number in range(250)]
    for key in keys:
        await store.put(key, a_reply(key * 20))
    cancelled = wrong = 0
    for _ in range(3):
        tasks = [asyncio.ensure_future(store.get(chance.choice(keys), 0.0)) for _ in range(2_000)]
        for task in tasks:
            asyncio.get_running_loop().call_later(chance.uniform(0.0, 1.0), task.cancel)
        done = await asyncio.gather(*tasks, return_exceptions=True)
        cancelled += sum(isinstance(result, asyncio.CancelledError) for result in done)
        for key in chance.choices(keys, k=2_000):
            found = await store.get(key, 0.0)
            assert found is not None, "nothing was dropped as damaged"
            wrong += found.body != key * 20
    record_property("cancelled", cancelled)
    print(f"{cancelled} of 6000 gets cancelled, {wrong} wrong replies in 6000 that followed")
    assert cancelled > 100
    assert wrong == 0
    assert (await store.contents()).damaged == 0


async def test_a_gateway_that_is_busy_itself_does_not_take_redis_to_be_down(own_server: RedisServer) -> None:
    link = await kept(own_server)
    store = a_store(link)
    for _ in range(5):
        assert await link.look()
        asked = [asyncio.ensure_future(store.get(b"k", 0.0)) for _ in range(3)]
        for _ in range(3):
            await asyncio.sleep(0)
        time.sleep(0.08)  # noqa: ASYNC251,TID251 - this is what is tested
        await asyncio.gather(*asked, return_exceptions=True)
        assert link.is_up
    await link.close()
