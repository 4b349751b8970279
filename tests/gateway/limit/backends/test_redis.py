"""Limits counted in a real Redis: what all gateways are granted together, and what is left when one of them is gone."""

import asyncio
import math
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from gateway.limit.backends.redis import RedisCounter
from gateway.limit.shared import Fix, Item, Line, Question, SharedMeter, Turn
from gateway.model.clock import SystemClock
from gateway.redis_link import RedisLink
from gateway.unreachable import UnreachableError
from tests.redis_server import RedisServer, redis_server

SECOND = SharedMeter("requests:1:w", True, 20, 1.0, 20)
BUCKET = SharedMeter("requests:60:b", False, 60, 60.0, 3)
TOKENS = SharedMeter("tokens:60:w", True, 1_000, 60.0, 1_000)


@pytest.fixture(scope="module")
def kept_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as made:
        yield made


@pytest.fixture
def server(kept_server: RedisServer) -> RedisServer:
    with kept_server.client() as client:
        client.flushall()
        client.script_flush()
    return kept_server


Gateways = Callable[[str], RedisCounter]


@pytest.fixture
async def gateways(server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Gateways]:
    monkeypatch.setattr("gateway.redis_link.ASK_SECONDS", 5.0)
    link = RedisLink(server.url, SystemClock())
    ask = link.ask
    # What is answered is meant here, not how soon.
    monkeypatch.setattr(link, "ask", lambda work, seconds=5.0, **how: ask(work, seconds=max(5.0, seconds), **how))
    assert await link.look()
    yield lambda name: RedisCounter(link, "t:", name)
    await link.close()


def calls(number: int, *amounts: int, tenant: str = "a", weight: float = 0.05) -> tuple[Item, ...]:
    return (Item(tenant, weight, amounts or (1,)),) * number


def a_question(number: int, *meters: SharedMeter, **changes: object) -> Question:
    made: dict[str, object] = {"scope": "openai\0org\0gpt", "meters": meters or (SECOND,), "items": calls(number)}
    return Question(**{**made, **changes})  # type: ignore[arg-type]


def waiting(number: int, tenant: str = "a", meter: SharedMeter = SECOND) -> dict[str, Line]:
    return {tenant: Line(number, 0.05, {meter.id: 1})}


async def test_of_all_gateways_together_no_more_go_than_a_window_holds(gateways: Gateways) -> None:
    one, other = gateways("one"), gateways("other")
    first, second = await one.ask(a_question(15)), await other.ask(a_question(15))
    assert (sum(first.granted), sum(second.granted)) == (15, 5)
    assert (second.why, second.meter) == ("limit", 0)
    assert 0.5 < second.wait_seconds <= 1.0
    assert second.used == (20.0,)


async def test_in_no_stretch_of_a_window_is_more_granted_however_it_is_asked(gateways: Gateways) -> None:
    """By the server's own time, three gateways at random moments, for three windows."""
    names = [gateways(f"gateway {number}") for number in range(3)]
    given: list[float] = []
    until = asyncio.get_running_loop().time() + 3.2

    async def ask_on(counter: RedisCounter, number: int) -> None:
        while asyncio.get_running_loop().time() < until:
            turn = await counter.ask(a_question(number, waiting=waiting(number + 5)))
            given.extend([turn.at_ms] * sum(turn.granted))
            await asyncio.sleep(0.003 * number)

    await asyncio.gather(*(ask_on(counter, 1 + 2 * place) for place, counter in enumerate(names)))
    given.sort()
    most = max(sum(at <= later < at + 1_000 for later in given) for at in given)
    assert most <= 20
    assert len(given) >= 20 * 3 - 2, "and hardly less"


async def test_what_is_asked_above_a_short_window_is_given_out_evenly(gateways: Gateways) -> None:
    """Else all of it would go at one moment, to who asks then."""
    counter = gateways("one")
    assert sum((await counter.ask(a_question(20))).granted) == 20
    await counter.ask(a_question(5, waiting=waiting(5)))
    found = []
    until = asyncio.get_running_loop().time() + 2.2
    while asyncio.get_running_loop().time() < until:
        turn = await counter.ask(a_question(5, waiting=waiting(50)))
        found += [turn.at_ms] * sum(turn.granted)
        await asyncio.sleep(0.002)
    assert max(Counter(math.floor(at / 100) for at in found).values()) <= 5, "a quarter of the limit in a tenth of it"
    assert len(found) >= 19


async def test_a_bucket_fills_evenly_and_holds_no_more_than_its_capacity(gateways: Gateways) -> None:
    counter = gateways("one")
    turn = await counter.ask(a_question(5, BUCKET))
    assert sum(turn.granted) == 3
    assert turn.wait_seconds == pytest.approx(1.0, abs=0.05)


async def test_a_call_larger_than_the_whole_limit_goes_when_nothing_else_does(gateways: Gateways) -> None:
    counter = gateways("one")
    assert (await counter.ask(a_question(0, TOKENS, items=calls(1, 5_000)))).granted == (True,)
    assert (await counter.ask(a_question(0, TOKENS, items=calls(1, 5_000)))).granted == (False,)


async def test_an_estimate_that_was_too_high_is_given_back_in_the_window_in_which_it_counts(gateways: Gateways) -> None:
    counter = gateways("one")
    first = await counter.ask(a_question(0, TOKENS, items=calls(1, 1_000)))
    assert (await counter.ask(a_question(0, TOKENS, items=calls(1, 900)))).granted == (False,)
    fixed = a_question(0, TOKENS, items=calls(1, 900), fixes=(Fix(0, first.at_ms, -950.0),))
    turn = await counter.ask(fixed)
    assert turn.granted == (True,)
    assert turn.used == (950.0,)
    late = await counter.ask(a_question(0, TOKENS, fixes=(Fix(0, first.at_ms - 200_000, -500.0),)))
    assert late.used == (950.0,), "what has left the window is corrected no more"


async def test_whose_turn_it_is_counts_over_all_gateways(gateways: Gateways) -> None:
    """One gateway asks ten times as often for its tenant as the other for another."""
    one, other = gateways("one"), gateways("other")
    given: Counter[str] = Counter()
    until = asyncio.get_running_loop().time() + 4

    async def ask_on(counter: RedisCounter, tenant: str, pause: float) -> None:
        while asyncio.get_running_loop().time() < until:
            asked = a_question(0, items=calls(8, tenant=tenant), waiting=waiting(30, tenant))
            given[tenant] += sum((await counter.ask(asked)).granted)
            await asyncio.sleep(pause)

    await asyncio.gather(ask_on(one, "eager", 0.002), ask_on(other, "calm", 0.02))
    assert abs(given["eager"] - given["calm"]) <= 0.1 * sum(given.values()) + 20, "but for the first window"
    assert sum(given.values()) >= 70


async def test_who_waited_elsewhere_and_is_gone_holds_nobody_up(gateways: Gateways) -> None:
    one, gone = gateways("one"), gateways("gone")
    await gone.ask(a_question(20, waiting=waiting(100, "b"), items=calls(20, tenant="b")))
    await asyncio.sleep(1.2)
    turn = await one.ask(a_question(10))
    assert turn.granted == (True,) * 10


async def test_calls_at_the_same_time_are_counted_everywhere_and_those_of_a_gateway_that_is_gone_are_not(
    gateways: Gateways, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.limit.backends.redis.LEASE_SECONDS", 0.3)
    one, other = gateways("one"), gateways("other")

    def asked(number: int, running: int) -> Question:
        return a_question(0, items=(Item("a", 1.0, ()),) * number, meters=(), running=running, most=5)

    assert sum((await one.ask(asked(4, 0))).granted) == 4
    second = await other.ask(asked(3, 0))
    assert (sum(second.granted), second.why) == (1, "concurrency")
    await one.ask(asked(0, 1))
    assert sum((await other.ask(asked(9, 1))).granted) == 3, "three have ended there"
    await asyncio.sleep(0.4)
    assert sum((await other.ask(asked(9, 1))).granted) == 4, "nothing was heard of the other"


async def test_a_wait_that_a_provider_asked_holds_all_gateways_at_once(gateways: Gateways) -> None:
    one, other = gateways("one"), gateways("other")
    await one.ask(a_question(0, pause=(5.0, "the provider asked to wait")))
    turn = await other.ask(a_question(1))
    assert (turn.granted, turn.why, turn.reason) == ((False,), "pause", "the provider asked to wait")
    assert turn.paused_seconds == pytest.approx(5, abs=0.5)
    await other.ask(a_question(0, pause=(1.0, "shorter")))
    assert (await one.ask(a_question(1))).paused_seconds > 3, "a shorter one does not shorten it"


async def test_what_a_gateway_spent_alone_counts_when_it_comes_back(gateways: Gateways) -> None:
    one, other = gateways("one"), gateways("other")
    await one.ask(a_question(0, told=(((0.0, 15.0),),)))
    assert sum((await other.ask(a_question(20))).granted) == 5


async def test_what_was_spent_alone_leaves_the_window_when_it_is_old_enough(gateways: Gateways) -> None:
    """Else nobody might go for a whole window, and then everybody at once."""
    one, other = gateways("one"), gateways("other")
    spent = ((1500.0, 300.0), (58.0, 600.0), (6.0, 50.0))
    assert (await one.ask(a_question(0, TOKENS, told=(spent,)))).used == (650.0,)
    async with asyncio.timeout(20):
        while (await other.ask(a_question(0, TOKENS))).used != (50.0,):  # noqa: ASYNC110 - time passes at the server
            await asyncio.sleep(0.1)


async def test_who_waited_for_a_whole_window_comes_evenly(gateways: Gateways) -> None:
    counter = gateways("one")
    await counter.ask(a_question(0, told=(((0.0, 20.0),),)))
    turn = await counter.ask(a_question(20, waiting=waiting(20)))
    assert turn.wait_seconds > 0.5
    await asyncio.sleep(turn.wait_seconds + 0.02)
    assert sum((await counter.ask(a_question(20, waiting=waiting(20)))).granted) < 5


async def test_a_question_that_is_asked_twice_is_counted_once(gateways: Gateways, server: RedisServer) -> None:
    counter, question = gateways("one"), a_question(6)
    first, again = await counter.ask(question), await counter.ask(question)
    assert first == again
    assert (await counter.ask(a_question(0))).used == (6.0,)


async def test_an_answer_to_another_question_is_none(gateways: Gateways, monkeypatch: pytest.MonkeyPatch) -> None:
    counter = gateways("one")

    async def of_somebody_else(**_: object) -> bytes:
        return b'{"op":"another.1","ms":1,"ok":[1],"wait":0,"by":0,"why":"","paused":0,"reason":"","used":[]}'

    monkeypatch.setattr(counter, "_script", of_somebody_else)
    with pytest.raises(UnreachableError):
        await counter.ask(a_question(1))


async def test_scopes_and_tenants_do_not_mix_and_no_name_stands_there(gateways: Gateways, server: RedisServer) -> None:
    counter = gateways("one")
    await counter.ask(a_question(20))
    turn: Turn = await counter.ask(a_question(20, scope="openai\0org\0sk-proj-canary-model"))
    assert sum(turn.granted) == 20
    with server.client() as client:
        names = client.keys("*")
        assert len(names) >= 2
        assert not any(b"canary" in name for name in names)
        assert all(client.pttl(name) > 0 for name in names), "what nobody asks for goes by itself"


@pytest.fixture
def full_server(server: RedisServer) -> Iterator[Callable[[], None]]:
    """Gives what fills the server."""
    yield lambda: server.config_set("maxmemory", "1")
    server.config_set("maxmemory", "0")


async def test_a_full_server_refuses_every_question_though_some_of_what_is_there_is_old(
    gateways: Gateways, full_server: Callable[[], None]
) -> None:
    """Once a script has taken something away, Redis lets it write whatever it likes."""
    counter = gateways("one")
    await counter.ask(a_question(5))
    await asyncio.sleep(1.1)
    full_server()
    with pytest.raises(UnreachableError, match="its memory is full"):
        await counter.ask(a_question(5))


async def test_a_full_server_refuses_who_says_that_it_is_here_and_lets_go_who_leaves(
    gateways: Gateways, full_server: Callable[[], None]
) -> None:
    counter = gateways("one")
    await counter.present("ready")
    full_server()
    for word in ("here", "ready"):
        with pytest.raises(UnreachableError, match="its memory is full"):
            await counter.present(word)
    assert (await counter.present("gone")).here == 0


async def test_who_is_here_and_who_is_ready_is_known_until_it_is_not_heard_of(
    gateways: Gateways, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.limit.backends.redis.LEASE_SECONDS", 0.3)
    one, other = gateways("one"), gateways("other")
    assert await one.present("here") == (1, 0, False)
    assert await other.present("ready") == (2, 1, False)
    assert await one.present("ready") == (2, 2, True)
    await other.present("gone")
    assert (await one.present("ready")).here == 1
    await asyncio.sleep(0.5)
    assert await other.present("here") == (1, 0, False)
