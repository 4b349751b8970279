"""Budgets of several gateways, in a real Redis; and what becomes of them while it is away."""

import asyncio
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from gateway.budgets_redis import RedisBudgets
from gateway.model.clock import SystemClock
from gateway.model.tenant import Budget, Spent
from gateway.redis_link import RedisLink
from tests.tools import require_tool

DAY = "2026-11-22"


class Server:
    """A redis-server on a socket of its own, that can be killed and started again with what it had."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.start()

    def start(self) -> None:
        program = shutil.which("redis-server")
        assert program is not None
        words = ["--port", str(self.port), "--bind", "127.0.0.1", "--appendonly", "yes", "--appendfsync", "no"]
        self._process = subprocess.Popen(
            [program, *words, "--dir", str(self._directory)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(10)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    require_tool("redis-server", "apt-get install redis-server")
    made = Server(tmp_path)
    yield made
    made.kill()


@pytest.fixture
async def make(server: Server) -> AsyncIterator[Callable[[], tuple[RedisBudgets, RedisLink]]]:
    links = []

    def one() -> tuple[RedisBudgets, RedisLink]:
        links.append(RedisLink(server.url, SystemClock()))
        return RedisBudgets(links[-1], "test:"), links[-1]

    yield one
    for link in links:
        await link.close()
        await link._redis.connection_pool.disconnect()


async def well(link: RedisLink) -> None:
    async with asyncio.timeout(10):
        while not await link.look():  # noqa: ASYNC110 - a process has no event
            await asyncio.sleep(0.02)


async def test_two_gateways_count_together_and_never_more_than_there_is(
    make: Callable[[], tuple[RedisBudgets, RedisLink]],
) -> None:
    made = [make() for _ in range(2)]
    for _, link in made:
        await well(link)
    budget = Budget(requests=50, dollars=1.0)
    asked = Spent(1, 10, 0.001)
    took: list[Spent | None] = []
    for _ in range(20):  # a few at a time: this is about counting, and a cold pool of connections takes its time
        took += await asyncio.gather(*(made[n % 2][0].take("poor", DAY, asked, budget) for n in range(4)))
    assert sum(one is None for one in took) == 50
    assert {one for one in took if one is not None} == {Spent(50, 500, 0.05)}


async def test_what_is_settled_by_one_is_known_to_the_other(
    make: Callable[[], tuple[RedisBudgets, RedisLink]],
) -> None:
    (one, first), (other, second) = make(), make()
    await well(first)
    await well(second)
    budget = Budget(tokens=1_000)
    assert await one.take("poor", DAY, Spent(1, 900), budget) is None
    assert await other.take("poor", DAY, Spent(1, 200), budget) == Spent(1, 900)
    one.settle("poor", DAY, Spent(0, -800))
    await one.flush()
    assert await other.take("poor", DAY, Spent(1, 200), budget) is None
    assert await other.take("poor", "2026-11-23", Spent(1, 1_000), budget) is None
    assert await other.take("rich", DAY, Spent(1, 1_000), budget) is None


async def test_a_day_forgets_itself(make: Callable[[], tuple[RedisBudgets, RedisLink]]) -> None:
    store, link = make()
    await well(link)
    await store.take("poor", DAY, Spent(1), Budget(requests=1))
    seconds = await link.ask(lambda redis: redis.ttl(f"test:budget:{DAY}:poor"))
    assert 172_000 < seconds <= 172_800


async def test_while_it_is_away_what_it_said_last_holds_and_what_was_used_is_told_later(
    server: Server, make: Callable[[], tuple[RedisBudgets, RedisLink]]
) -> None:
    (store, link), (other, second) = make(), make()
    await well(link)
    budget = Budget(requests=3)
    assert await store.take("poor", DAY, Spent(1), budget) is None
    server.kill()
    took = [await store.take("poor", DAY, Spent(1), budget) for _ in range(3)]
    assert took == [None, None, Spent(3)]
    server.start()
    await well(link)
    await well(second)
    await store.flush()
    assert await other.take("poor", DAY, Spent(1), budget) == Spent(3)
