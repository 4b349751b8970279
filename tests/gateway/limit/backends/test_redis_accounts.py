"""What was counted for a key, in a real Redis, when it turns out whose account the key is."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.limit.gate import Answer, Permit
from gateway.limit.rule import LimitRule
from gateway.model.route import Route
from tests.gateway.limit.asking import GOOD, ROUTE, a_way, ask
from tests.gateway.limit.backends.member import Member, member, used
from tests.redis_server import RedisServer, redis_server
from tests.redis_shim import redis_shim

RULES = LimitRule(per_minute=100), LimitRule(tokens_per_minute=100_000)
NAMED = Answer(good=True, account="org")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path) as made:
        yield made


async def turn(one: Member, route: Route = ROUTE) -> Permit:
    permit = await ask(one.gate, route, seconds=60.0)
    assert isinstance(permit, Permit)
    return permit


async def calls(one: Member, number: int, route: Route = ROUTE, answer: Answer = GOOD, tokens: int = 100) -> None:
    for _ in range(number):
        permit = await turn(one, route)
        permit.answered(answer)
        permit.settle(tokens, 0)
        permit.release()


async def test_what_a_key_spent_counts_for_its_organisation(server: RedisServer) -> None:
    async with member(server.url, *RULES) as one:
        await calls(one, 10)
        await calls(one, 1, answer=NAMED)
        await one.quiet()
        assert one.scope.key.account == "org"
        assert await used(server, one) == (11.0, 1_100.0)
        await calls(one, 3)
        await one.quiet()
        assert await used(server, one) == (14.0, 1_400.0)


async def test_what_two_keys_spent_counts_for_their_organisation_once(server: RedisServer) -> None:
    other_key = a_way("key-b")
    async with member(server.url, *RULES) as one, member(server.url, *RULES, replicas=2) as other:
        await calls(one, 10)
        await calls(one, 5, other_key)
        await calls(other, 4, other_key)
        await calls(one, 1, answer=NAMED)
        await calls(one, 1, other_key, answer=NAMED)
        await calls(other, 1, other_key, answer=NAMED)
        for gateway in (one, other):
            await gateway.quiet()
        assert await used(server, one) == (22.0, 2_200.0)


async def test_what_is_under_way_then_is_corrected_where_it_counts(server: RedisServer) -> None:
    async with member(server.url, *RULES) as one:
        heavy = a_way(input_tokens=1_000)
        running = [await turn(one, heavy) for _ in range(5)]
        await calls(one, 1, answer=NAMED)
        for permit in running[:3]:
            permit.answered(GOOD)
            permit.settle(100, 0)
            permit.release()
        for permit in running[3:]:
            permit.release()
        await one.quiet()
        assert await used(server, one) == (6.0, 4 * 100.0 + 2 * 1_000.0), "nobody said what the last two took"


@pytest.mark.parametrize("is_there", [False, True], ids=["a new account", "one that another key has"])
async def test_who_was_granted_a_turn_for_the_key_in_that_moment_is_counted_for_the_organisation(
    server: RedisServer, *, is_there: bool
) -> None:
    async with member(server.url, *RULES) as one:
        await calls(one, 1, a_way("key-b") if is_there else ROUTE, NAMED if is_there else GOOD)
        last = await turn(one)
        asked = [asyncio.ensure_future(calls(one, 1)) for _ in range(5)]
        turns = next(scope.turns for scope in one.gate.scopes.values() if scope.key.account != "org")
        while turns is not None and turns._lost is None:  # noqa: ASYNC110 - until they have been asked for
            await asyncio.sleep(0)
        last.answered(NAMED)
        last.settle(100, 0)
        last.release()
        await asyncio.gather(*asked)
        await one.quiet()
        assert await used(server, one) == (7.0, 700.0)


async def test_what_a_key_spent_while_redis_was_gone_counts_for_its_organisation(server: RedisServer) -> None:
    async with member(server.url, *RULES) as one:
        await calls(one, 10)
        server.kill()
        await one.until_apart()
        await calls(one, 4)
        await calls(one, 1, answer=NAMED)
        server.start()
        await one.until_together()
        await calls(one, 1)
        await one.quiet()
        apart = one.sent  # tokens unsettled: the route takes none
        assert await used(server, one) == (16.0 + apart, 1_600.0)


async def test_an_organisation_that_is_told_while_a_question_is_lost_is_told_again(server: RedisServer) -> None:
    async with redis_shim(server.port) as shim, member(shim.url, *RULES) as one:
        await calls(one, 10)
        last = await turn(one)
        shim.instead = b"+well\r\n"
        last.answered(NAMED)
        last.settle(100, 0)
        last.release()
        await calls(one, 1)
        shim.instead = None
        await calls(one, 3)
        await one.quiet()
        assert one.sharing.together
        assert await used(server, one) == (15.0, 1_500.0)
