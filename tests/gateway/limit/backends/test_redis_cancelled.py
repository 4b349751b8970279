"""Calls that leave in the middle of their turn, by the thousand: nobody is given another's, and nothing stays counted.

``--full`` takes a hundred thousand.
"""

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.limit.backends import redis as backend
from gateway.limit.backends.redis import RedisCounter
from gateway.limit.gate import LimitRule, Permit
from gateway.limit.shared import Item, Question, SharedMeter, Turn
from gateway.model.clock import SystemClock
from gateway.redis_link import CONNECTIONS_MAX, RedisLink
from gateway.unreachable import UnreachableError
from tests.gateway.limit.asking import ROUTE, ask
from tests.gateway.limit.backends.member import Member, member, used
from tests.redis_server import RedisServer, redis_server
from tests.redis_shim import RedisShim, redis_shim

DAY = LimitRule(per_day=10_000_000)
METER = SharedMeter("requests:86400:w", True, 1e9, 86_400.0, 1e9)
AT_ONCE = 50
PACE_SECONDS = 0.02


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path) as made:
        yield made


@pytest.fixture
def replies(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each reply was one to the question to which it was given."""
    found: list[bool] = []
    read = backend._turn

    def looked_at(said: dict[str, object], op: str, question: Question) -> Turn:
        found.append(said["op"] == op)
        return read(said, op, question)

    monkeypatch.setattr(backend, "_turn", looked_at)
    return found


async def weather(shim: RedisShim, chance: random.Random) -> None:
    """Answers come after none to six milliseconds; now and then none comes for a while, or one is cut off."""
    shim.back_seconds = lambda: chance.uniform(0, 0.006)
    while True:
        await asyncio.sleep(chance.uniform(0.05, 0.25))
        if chance.random() < 0.3:
            shim.cut_next(half=chance.random() < 0.5)
        else:
            shim.hold()
            await asyncio.sleep(0.08 if chance.random() < 0.1 else chance.uniform(0.0, 0.03))
            shim.let_go()


async def leaving(one: Member, number: int, chance: random.Random) -> tuple[int, int]:
    """Make so many calls, of which most leave at some moment before they have sent anything.

    Returns:
        How many sent, and how many were cut off while they waited.
    """
    sent = cut = 0

    async def call(stays: float) -> None:
        nonlocal sent
        permit = await ask(one.gate, ROUTE, seconds=60.0, sends=False)
        assert isinstance(permit, Permit), permit
        try:
            if stays > PACE_SECONDS:
                permit.sent()
                sent += 1
            await asyncio.sleep(0.001)
        finally:
            permit.release()

    async def row(calls: int) -> None:
        nonlocal cut
        for _ in range(calls):
            await one.until_together(20)
            stays = chance.uniform(0.0, 1.25 * PACE_SECONDS)
            task = asyncio.ensure_future(call(stays))
            if stays <= PACE_SECONDS:
                asyncio.get_running_loop().call_later(stays, task.cancel)
            await asyncio.wait([task])
            if task.cancelled():
                cut += 1
            else:
                task.result()

    await asyncio.gather(*(row(number // AT_ONCE) for _ in range(AT_ONCE)))
    return sent, cut


@pytest.mark.timeout(900)
async def test_what_is_counted_of_calls_that_left_in_the_middle_of_their_turn_is_what_was_sent(
    server: RedisServer, replies: list[bool], full: bool
) -> None:
    number, chance = 100_000 if full else 10_000, random.Random(20_230_320)
    async with redis_shim(server.port) as shim, member(shim.url, DAY) as one:
        changing = asyncio.ensure_future(weather(shim, chance))
        sent, cut = await leaving(one, number, chance)
        changing.cancel()
        shim.well()
        await one.until_together(20)
        await one.quiet()
        (counted,) = await used(server, one)
        print(f"{number} calls: {sent} sent, {cut} left while they waited; counted {counted:.0f}; "
              f"{replies.count(False)} wrong of {len(replies)} replies; {shim.most} connections at most, {shim.opened} in all")  # fmt: skip
        assert replies.count(False) == 0
        assert counted == sent
        assert cut > number / 20
        assert len(replies) > number / 200, "one question is for many calls"
        assert shim.most <= CONNECTIONS_MAX
        assert (one.gate.waiting, one.gate.waiting_bytes, one.gate.reservations) == (0, 0, 0)
        assert one.link._redis.connection_pool._in_use_connections == set()


@pytest.mark.timeout(900)
async def test_questions_that_are_cut_off_by_the_thousand_get_no_others_answer_and_keep_no_connection(
    server: RedisServer, replies: list[bool], full: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here whoever is cancelled asks Redis itself; in the gateway nobody who can leave does."""
    number, chance = 100_000 if full else 4_000, random.Random(20_230_320)
    async with redis_shim(server.port) as shim:
        link = RedisLink(shim.url, SystemClock())
        assert await link.look()
        patient = link.ask  # cut off by who asks, not by its own deadline
        monkeypatch.setattr(link, "ask", lambda work, seconds=5.0, **how: patient(work, seconds=seconds, **how))
        counter = RedisCounter(link, "t:", "me")
        tasks = [asyncio.ensure_future(link.run()), asyncio.ensure_future(weather(shim, chance))]
        cut = await cut_off(counter, number, chance)
        tasks[1].cancel()
        shim.well()
        await Member.until(lambda: link.is_up, 20)
        print(f"{number} questions, {cut} cut off; {replies.count(False)} wrong of {len(replies)} replies; "
              f"{shim.most} connections at most, {shim.opened} in all")  # fmt: skip
        assert replies.count(False) == 0
        assert len(replies) > number / 10
        assert cut > number / 20
        assert link._redis.connection_pool._in_use_connections == set(), "each has been given back"
        assert shim.most <= 3 * CONNECTIONS_MAX, "those that are being closed among them"
        answered = await asyncio.gather(*(counter.ask(Question(scope=f"{place}")) for place in range(20)))
        assert len(answered) == 20
        tasks[0].cancel()
        await link.close()


async def cut_off(counter: RedisCounter, number: int, chance: random.Random) -> int:
    """Ask so many questions, and cut most of them off; give how many.

    Who asks stays longer while fewer than a fifth are answered: how long an answer takes is the machine's affair.
    """
    cut, stays_seconds = 0, 0.12

    async def one(place: int) -> None:
        items = (Item("a", 1.0, (1,)),) * (place % 3 + 1)
        while True:
            try:
                turn = await counter.ask(Question(scope=f"{place % 7}", meters=(METER,), items=items))
            except UnreachableError:
                await asyncio.sleep(0.01)
            else:
                assert len(turn.granted) == len(items)
                return

    async def row(first: int) -> None:
        nonlocal cut, stays_seconds
        for place in range(first, number, 50):
            task = asyncio.ensure_future(one(place))
            asyncio.get_running_loop().call_later(chance.uniform(0.0, stays_seconds), task.cancel)
            await asyncio.wait([task])
            if task.cancelled():
                cut += 1
                stays_seconds = min(stays_seconds * 1.02, 5.0)
            else:
                task.result()
                stays_seconds = max(stays_seconds / 1.08, 0.12)

    await asyncio.gather(*(row(first) for first in range(50)))
    return cut
