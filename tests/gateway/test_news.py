"""What gateways tell one another over a real Redis."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson
import pytest

from gateway.egress.breaker import FAILURES_MIN, Breaker
from gateway.limit.gate import Gate
from gateway.model.cause import Cause
from gateway.model.clock import SystemClock
from gateway.news import News
from gateway.redis_link import RedisLink
from gateway.unreachable import UnreachableError
from tests.gateway.limit.asking import answered, stated, states
from tests.redis_server import RedisServer, redis_server

HERE = ("api.example", "key-a")
CLOCK = SystemClock()


@dataclass
class Member:
    """One gateway, as far as news matter."""

    news: News
    gate: Gate
    breaker: Breaker
    link: RedisLink

    @classmethod
    async def of(cls, server: RedisServer) -> "Member":
        link = RedisLink(server.url, CLOCK)
        gate, breaker = Gate((), CLOCK, queue_max=10, queue_max_bytes=1_000), Breaker()
        assert await link.look()
        return cls(News(link, "t:", CLOCK, gate, breaker), gate, breaker, link)

    def fail(self, cause: Cause = Cause.SERVICE_OVERLOADED, times: int = FAILURES_MIN) -> None:
        for _ in range(times):
            self.breaker.failed(*HERE, CLOCK.now(), cause)


@pytest.fixture(scope="module")
def kept_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as made:
        yield made


@pytest.fixture
def server(kept_server: RedisServer) -> RedisServer:
    with kept_server.client() as client:
        client.flushall()
    return kept_server


Pair = tuple[Member, Member]


@pytest.fixture
async def pair(server: RedisServer) -> AsyncIterator[Pair]:
    made = await Member.of(server), await Member.of(server)
    yield made
    for one in made:
        await one.link.close()


async def heard(*members: Member) -> None:
    """Let each have a beat, and the first one more."""
    for one in (*members, members[0]):
        await one.news.hosts()


async def test_a_host_that_answers_nobody_at_one_gateway_is_not_asked_by_the_other(pair: Pair) -> None:
    one, other = pair
    one.fail()
    await heard(one, other)
    assert other.breaker.wait(*HERE, CLOCK.now()) > 0
    assert other.breaker.why(*HERE) == (FAILURES_MIN, Cause.SERVICE_OVERLOADED)
    assert other.breaker.opened() == {}, "it has seen nothing itself"


@pytest.mark.parametrize("answered_at", [0, 1])
async def test_whoever_is_answered_closes_it_for_both(pair: Pair, answered_at: int) -> None:
    pair[0].fail()
    await heard(*pair)
    pair[answered_at].breaker.answered(*HERE)
    await heard(*pair)
    assert not any(member.breaker.is_open(HERE) for member in pair)
    await heard(*pair)
    assert not any(member.breaker.is_open(HERE) for member in pair)


async def test_who_goes_on_failing_does_not_open_again_what_the_other_has_closed(pair: Pair) -> None:
    one, other = pair
    one.fail()
    await heard(one, other)
    other.breaker.answered(*HERE)
    await other.news.hosts()
    one.fail(times=1)
    await heard(one, other)
    assert not one.breaker.is_open(HERE)
    assert not other.breaker.is_open(HERE)
    one.fail()
    await heard(one, other)
    assert other.breaker.is_open(HERE), "a new run of failures is news again"


async def test_what_one_machines_network_does_says_nothing_of_the_others(pair: Pair) -> None:
    one, other = pair
    one.fail(Cause.NETWORK_TCP_REFUSED)
    await heard(one, other)
    assert one.breaker.is_open(HERE)
    assert not other.breaker.is_open(HERE)


async def test_a_gateway_that_dies_is_believed_for_five_seconds(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = pair
    monkeypatch.setattr("gateway.news.HOST_SECONDS", 0.05)
    one.fail()
    await one.news.hosts()
    await other.news.hosts()
    assert other.breaker.is_open(HERE)
    await asyncio.sleep(0.1)
    await other.news.hosts()
    assert not other.breaker.is_open(HERE)
    assert one.breaker.is_open(HERE), "it knows by itself"
    one.fail(times=1)
    await heard(one, other)
    assert one.breaker.is_open(HERE)


async def test_a_limit_is_known_to_the_other_a_moment_later(pair: Pair) -> None:
    one, other = pair
    await answered(one.gate, states(stated(60, 9, 51.0)))
    await one.news.limits()
    await other.news.limits()
    assert [scope.learned["requests"].meter.limit for scope in other.gate.scopes.values()] == [60]  # type: ignore[union-attr]


async def test_what_was_read_before_is_not_sent_again(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = pair
    await answered(one.gate, states(stated(60, 9, 51.0)))
    await one.news.limits()
    read: list[Any] = []
    monkeypatch.setattr("gateway.news.adopt", lambda *told: read.append(told))
    await asyncio.sleep(0.002)
    for _ in range(5):
        await other.news.limits()
        await asyncio.sleep(0.002)
    assert len(read) == 1


async def test_it_runs_by_itself_and_outlives_a_redis_that_goes_and_comes_back_empty(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.news.BEAT_SECONDS", 0.01)
    monkeypatch.setattr("gateway.redis_link.LOOK_SECONDS", 0.02)
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        one, other = await Member.of(server), await Member.of(server)
        tasks = [asyncio.ensure_future(work) for m in (one, other) for work in (m.news.run(), m.link.run())]
        one.fail()
        await _until(lambda: other.breaker.is_open(HERE))
        server.kill()
        await _until(lambda: not other.breaker.is_open(HERE))
        assert one.breaker.is_open(HERE)
        server.start()
        await _until(lambda: other.breaker.is_open(HERE))
        other.breaker.answered(*HERE)
        await _until(lambda: not one.breaker.is_open(HERE))
        assert not any(task.done() for task in tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for member in (one, other):
            await member.link.close()


@pytest.mark.parametrize(
    "note",
    ["", "x", "9 9 x", '9999999999999 9999999999999 ["x","service.overloaded"]', "9999999999999 9999999999999 [3]"],
)
@pytest.mark.parametrize("name", ["", "x", '["api.example","key-a"]', '["a",1]', '["a","b","c","requests"]'])
async def test_what_nobody_of_us_wrote_is_passed_over(server: RedisServer, pair: Pair, note: str, name: str) -> None:
    one, other = pair
    with server.client() as client:
        client.hset("t:news:hosts", name, note)
        client.hset("t:news:limits", name, note)
    one.fail()
    await heard(one, other)
    await other.news.limits()
    assert other.breaker.is_open(HERE)


async def test_another_programs_key_under_that_name_is_told_as_such(server: RedisServer, pair: Pair) -> None:
    with server.client() as client:
        client.set("t:news:hosts", "theirs")
    with pytest.raises(UnreachableError, match="another program"):
        await pair[0].news.hosts()


async def test_a_board_holds_a_thousand_notes_at_most_and_forgets_those_that_nobody_renews(
    server: RedisServer, pair: Pair
) -> None:
    with server.client() as client:
        client.hset("t:news:limits", mapping={f"name {n}": "1 2 old" for n in range(5)})
        await pair[0].news.limits()
        assert client.hlen("t:news:limits") == 0
        fill = {orjson.dumps(["p", "a", str(n), "tokens"]).decode(): "1 9999999999999 {}" for n in range(1_000)}
        client.hset("t:news:limits", mapping=fill)
        await answered(pair[1].gate, states(stated(60, 9, 51.0)))
        await pair[1].news.limits()
        assert client.hlen("t:news:limits") == 1_000


async def test_a_full_server_takes_no_note_though_another_is_taken_away(server: RedisServer, pair: Pair) -> None:
    pair[0].fail()
    await heard(*pair)
    pair[0].breaker.answered(*HERE)
    for _ in range(FAILURES_MIN):
        pair[0].breaker.failed("other.example", "key-a", CLOCK.now(), Cause.SERVICE_OVERLOADED)
    server.config_set("maxmemory", "1")
    try:
        with pytest.raises(UnreachableError, match="its memory is full"):
            await pair[0].news.hosts()
    finally:
        server.config_set("maxmemory", "0")
    await pair[0].news.hosts()
    with server.client() as client:
        assert [orjson.loads(name)[0] for name in client.hkeys("t:news:hosts")] == ["other.example"]


async def _until(met: Callable[[], bool], seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not met():  # noqa: ASYNC110 - what is waited for happens in other tasks, which tell nobody
            await asyncio.sleep(0.01)
