"""What was counted while Redis could not be asked, when it can be again: once, and no call twice."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.limit.rule import LimitRule
from tests.gateway.limit.backends.member import member, used
from tests.redis_server import RedisServer, redis_server
from tests.redis_shim import redis_shim

MINUTES = LimitRule(per_minute=100)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path) as made:
        yield made


async def test_after_an_outage_that_lost_nothing_no_call_is_counted_twice(server: RedisServer) -> None:
    async with redis_shim(server.port) as shim, member(shim.url, MINUTES) as one:
        await one.calls(40)
        assert await used(server, one) == (40.0,)
        shim.instead = b"-LOADING Redis is loading the dataset in memory\r\n"
        await one.until_apart()
        await one.calls(5)
        sent, shim.instead = one.sent, None
        await one.until_together()
        assert await used(server, one) == (float(sent),)


async def test_a_server_that_came_back_empty_is_told_all_that_was_spent(server: RedisServer) -> None:
    async with member(server.url, MINUTES) as one:
        await one.calls(20)
        server.kill()
        await one.until_apart()
        await one.calls(5)
        sent = one.sent
        server.start()
        await one.until_together()
        assert await used(server, one) == (float(sent),)


async def test_a_server_that_was_exchanged_within_a_moment_is_told_all_that_was_spent(server: RedisServer) -> None:
    """Too short for anybody to have gone apart."""
    async with member(server.url, MINUTES) as one:
        await one.calls(20)
        with server.client() as client:
            client.flushall()
        await one.call()
        await one.until(lambda: not one.sharing.together, 5)
        await one.until_together()
        assert 21 <= (await used(server, one))[0] <= 22


async def test_what_a_call_took_alone_while_one_question_was_lost_is_counted_by_all(server: RedisServer) -> None:
    async with redis_shim(server.port) as shim, member(shim.url, MINUTES) as one:
        await one.calls(5)
        for _ in range(4):
            shim.instead = b"+well\r\n"
            await one.call()
            shim.instead = None
            await one.calls(3)
        assert one.sharing.together
        await one.quiet()
        assert await used(server, one) == (float(one.sent),) == (21.0,)


async def test_what_was_counted_for_an_answer_that_came_too_late_is_given_back(server: RedisServer) -> None:
    async with redis_shim(server.port) as shim, member(shim.url, MINUTES) as one:
        await one.calls(5)
        for _ in range(4):
            shim.hold()
            leaving = [asyncio.ensure_future(one.call()) for _ in range(3)]
            await asyncio.sleep(0.01)
            for task in leaving:
                task.cancel()
            await asyncio.gather(one.call(), *leaving, return_exceptions=True)
            shim.let_go()
            await one.calls(3)
        assert one.sharing.together
        await one.quiet()
        assert await used(server, one) == (float(one.sent),) == (21.0,)


async def test_a_wait_that_a_provider_asked_is_told_when_the_first_try_was_lost(server: RedisServer) -> None:
    async with redis_shim(server.port) as shim, member(shim.url, MINUTES) as one, member(server.url, MINUTES) as other:
        await one.call()
        await other.call()
        shim.instead = b"+well\r\n"
        turns = one.scope.turns
        assert turns is not None
        one.scope.paused_until = one.gate.clock.now() + 20
        turns.paused(20.0, "the provider asked to wait")
        await asyncio.sleep(0.02)
        shim.instead = None
        await one.until(lambda: turns._task is None and turns._lost is None)
        assert not await other.call(seconds=1)
        assert other.scope.paused_until > 0
