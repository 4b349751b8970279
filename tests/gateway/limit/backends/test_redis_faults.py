"""A Redis that is not well, as calls feel it: none fails, each is held for a moment at most, and all is well again after."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import RedisError

from gateway.limit.rule import LimitRule
from gateway.redis_link import ASK_SECONDS
from tests.gateway.limit.backends.member import Member, member, used
from tests.redis_server import RedisServer, redis_server
from tests.redis_shim import RedisShim, redis_shim

RULE = LimitRule(per_minute=100_000)
SICK_SECONDS = 2.5
HELD_SECONDS = 0.045
"""Who waited so long was held by the server; a call that is well waits for a millisecond or two."""

SLOW_MAX = 8
"""Three, and what a busy machine adds."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path) as made:
        yield made


@pytest.fixture
async def team(server: RedisServer) -> AsyncIterator[tuple[Member, Member]]:
    async with member(server.url, RULE, replicas=2) as one, member(server.url, RULE, replicas=2) as other:
        await asyncio.gather(one.until_together(), other.until_together())
        await asyncio.gather(one.calls(5), other.calls(5))
        yield one, other


@contextlib.contextmanager
def loading(server: RedisServer) -> Iterator[None]:
    """It reads its data in again, and takes three seconds."""
    with server.client() as client:
        client.execute_command("DEBUG", "POPULATE", "3000")
        client.config_set("key-load-delay", "1000")
        client.config_set("loading-process-events-interval-bytes", "1024")

    def reload() -> None:
        with server.client(30) as client:
            client.execute_command("DEBUG", "RELOAD")

    with in_a_thread(reload):
        yield


@contextlib.contextmanager
def busy(server: RedisServer) -> Iterator[None]:
    """Somebody else runs a script that does not end."""
    server.config_set("busy-reply-threshold", "20")

    def run() -> None:
        with server.client(30) as client, contextlib.suppress(RedisError):
            client.eval("while true do end", 0)

    with in_a_thread(run):
        try:
            yield
        finally:
            with server.client() as client:
                client.script_kill()


@contextlib.contextmanager
def another_programs(server: RedisServer) -> Iterator[None]:
    with server.client() as client:
        names = [name for name in client.keys("whygate:limit:*") if name.endswith(b":state")]
        assert names
        for name in names:
            client.delete(name)
            client.set(name, "theirs")
        yield
        client.delete(*names)


@contextlib.contextmanager
def another_programs_presence(server: RedisServer) -> Iterator[None]:
    with server.client() as client:
        client.delete("whygate:{gateways}:here")
        client.set("whygate:{gateways}:here", "theirs")
        yield
        client.delete("whygate:{gateways}:here")


@contextlib.contextmanager
def full_of_others(server: RedisServer) -> Iterator[None]:
    """It takes no more connections, and ours are gone."""
    with server.client() as client:
        client.config_set("maxclients", "1")
        client.client_kill_filter(_type="normal", skipme=True)
        yield
        client.config_set("maxclients", "100")


@contextlib.contextmanager
def with_another_password(server: RedisServer) -> Iterator[None]:
    with server.client() as client:
        client.config_set("requirepass", "canary-of-redis")
        client.client_kill_filter(_type="normal", skipme=True)
        yield
        client.config_set("requirepass", "")


@contextlib.contextmanager
def without_memory(server: RedisServer) -> Iterator[None]:
    server.config_set("maxmemory", "1")
    yield
    server.config_set("maxmemory", "0")


@contextlib.contextmanager
def in_a_thread(work: Callable[[], None]) -> Iterator[None]:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        thread.join(30)


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (loading, "it is still loading its data"),
        (busy, "it is busy with a script"),
        (another_programs, "another program keeps something under the names used here"),
        (another_programs_presence, ""),  # calls are counted all the same
        (full_of_others, "it cannot be reached"),
        (with_another_password, "it wants a password"),
        (without_memory, "its memory is full"),
    ],
    ids=lambda one: getattr(one, "__name__", ""),
)
async def test_a_fault_that_lasts_fails_no_call_and_is_told_and_over_when_it_is_over(
    server: RedisServer, team: tuple[Member, Member], fault: Any, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    one, other = team
    told: list[str] = []

    async def look_on() -> None:
        while True:
            told.append(one.why)
            await asyncio.sleep(0.01)

    looking = asyncio.ensure_future(look_on())
    with await asyncio.to_thread(enter, fault, server) as ends:
        ends_at = asyncio.get_running_loop().time() + SICK_SECONDS
        one.took.clear()
        while asyncio.get_running_loop().time() < ends_at:
            await one.call(seconds=5)
            await asyncio.sleep(0.005)
        took, shares = list(one.took), one.scope.configured[0].meter.limit
        await asyncio.to_thread(ends.close)
    looking.cancel()
    await asyncio.gather(one.until_together(), other.until_together())
    await asyncio.gather(one.calls(5), other.calls(5))
    texts = [record.getMessage() for record in caplog.records]
    slow = [seconds for seconds in took if seconds > HELD_SECONDS]
    print(f"{len(took)} calls, {len(slow)} held, the slowest {max(took):.3f} s; {len(texts)} lines")
    assert (one.refused, other.refused) == (0, 0)
    assert any(why in text for text in told), set(told)
    assert shares in {50_000, 100_000}
    assert len(took) > 100
    assert len(slow) <= SLOW_MAX
    assert max(took) < 0.4
    assert len(texts) <= 12, "what begins and what ends, for each of two gateways, and for each kind of trouble"
    assert "canary" not in "".join(texts + told)


def enter(fault: Any, server: RedisServer) -> contextlib.ExitStack:
    """Begin a fault; it ends when what is given is closed, which may take a while."""
    ends = contextlib.ExitStack()
    ends.enter_context(fault(server))
    return ends


# faults that last for a moment


async def test_scripts_that_redis_has_forgotten_are_sent_again_and_no_call_is_held(
    server: RedisServer, team: tuple[Member, Member]
) -> None:
    one, _ = team
    for _ in range(20):
        with server.client() as client:
            client.script_flush()
        await one.calls(2)
    await one.quiet()
    assert one.sharing.together
    assert await used(server, one) == (50.0,)
    assert len([seconds for seconds in one.took if seconds > HELD_SECONDS]) <= SLOW_MAX


async def test_connections_that_somebody_cuts_are_opened_again_and_nothing_is_counted_twice(
    server: RedisServer, team: tuple[Member, Member]
) -> None:
    one, other = team
    for _ in range(30):
        with server.client() as client:
            client.client_kill_filter(_type="normal", skipme=True)
        await one.calls(2)
    await one.quiet()
    assert (one.refused, other.refused) == (0, 0)
    assert one.sharing.together
    assert await used(server, one) == (70.0,)
    assert max(one.took) < 0.4


# a way that is long, or that spoils what is said


@pytest.fixture
async def shim(server: RedisServer) -> AsyncIterator[RedisShim]:
    async with redis_shim(server.port) as made:
        yield made


@pytest.mark.parametrize("share", [0.2, 0.6, 0.9])
async def test_a_server_that_answers_within_the_deadline_is_used(
    server: RedisServer, shim: RedisShim, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four times the deadline, so that a busy machine comes to no other result."""
    deadline = 4 * ASK_SECONDS
    async with member(shim.url, RULE) as one:
        ask = one.link.ask
        monkeypatch.setattr(one.link, "ask", lambda work, **how: ask(work, seconds=deadline, **how))
        await one.calls(3)
        shim.takes(share * deadline)
        before = len(one.took)
        await one.calls(20)
        waited = sorted(one.took[before:])
        shim.well()
        await one.until_together()
        await one.quiet()
        print(f"{share * deadline:.2f} s: a call waits for {waited[10]:.3f} s, {waited[-1]:.3f} at most")
        assert await used(server, one) == (23.0,)
        assert max(waited) < 1
        if share < 0.9:
            assert waited[10] >= share * deadline, "most were counted by all"


@pytest.mark.parametrize("milliseconds", [60, 100])
async def test_a_server_that_answers_too_late_holds_three_calls_and_is_left_alone_until_it_is_quick_again(
    server: RedisServer, shim: RedisShim, milliseconds: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with member(shim.url, RULE) as one:
        await one.calls(3)
        shim.takes(milliseconds / 1000)
        before, ends_at = len(one.took), asyncio.get_running_loop().time() + 4
        while asyncio.get_running_loop().time() < ends_at:
            await one.call()
            await asyncio.sleep(0.005)
        waited = one.took[before:]
        held = [seconds for seconds in waited if seconds > HELD_SECONDS]
        sent = one.sent
        assert not one.link.is_up
        assert one.why == "Redis: it did not answer in time"
        shim.well()
        await one.until_together(8)
        await one.quiet()
        print(
            f"{milliseconds} ms: {len(held)} of {len(waited)} calls were held, for {max(waited) * 1000:.0f} ms at most"
        )
        assert len(held) <= SLOW_MAX
        assert max(waited) < 0.4
        fell, back = (record.getMessage() for record in caplog.records)  # each is said once
        assert "cannot be used" in fell
        assert "can be used again" in back
        assert await used(server, one) == (float(sent),)


def _garbage(shim: RedisShim) -> None:
    shim.alter = lambda _: b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"


def _something_else(shim: RedisShim) -> None:
    shim.instead = b":5\r\n"


def _nothing(shim: RedisShim) -> None:
    shim.instead = b"$-1\r\n"


def _another_shape(shim: RedisShim) -> None:
    shim.instead = b"*1\r\n*0\r\n"


def _half(shim: RedisShim) -> None:
    shim.alter = lambda chunk: chunk[: len(chunk) // 2]


def _cut(shim: RedisShim) -> None:
    shim.alter = lambda _: None


def _byte_by_byte(shim: RedisShim) -> None:
    shim.drip_seconds = 0.002


@pytest.mark.parametrize("spoil", [_garbage, _something_else, _nothing, _another_shape, _half, _cut, _byte_by_byte])
async def test_answers_that_are_none_hold_three_calls_at_most_and_fail_none(
    server: RedisServer, shim: RedisShim, spoil: Callable[[RedisShim], None], caplog: pytest.LogCaptureFixture
) -> None:
    async with member(shim.url, RULE) as one:
        await one.calls(3)
        spoil(shim)
        before, ends_at = len(one.took), asyncio.get_running_loop().time() + SICK_SECONDS
        while asyncio.get_running_loop().time() < ends_at:
            await one.call()
            await asyncio.sleep(0.005)
        waited, sent = one.took[before:], one.sent
        assert not one.sharing.together
        shim.well()
        await one.until_together(8)
        await one.quiet()
        assert one.refused == 0
        assert len([seconds for seconds in waited if seconds > HELD_SECONDS]) <= SLOW_MAX
        assert max(waited) < 0.4
        assert await used(server, one) == (float(sent),)
        assert len(caplog.records) <= 6, "what begins and what ends, for each kind of trouble"


@pytest.mark.parametrize("spoil", [_garbage, _something_else, _nothing, _another_shape, _half])
async def test_a_gateway_starts_beside_what_answers_no_sense(
    server: RedisServer, shim: RedisShim, spoil: Callable[[RedisShim], None]
) -> None:
    spoil(shim)
    async with member(shim.url, RULE) as one:
        assert not one.sharing.together
        await one.calls(3)
        shim.well()
        await one.until_together(10)
        assert await used(server, one) == (3.0,)


async def test_an_answer_that_is_cut_off_in_the_middle_is_asked_for_again(server: RedisServer, shim: RedisShim) -> None:
    async with member(shim.url, RULE) as one:
        for place in range(20):
            shim.cut_next(half=place % 2 == 0)
            await one.calls(2)
        await one.quiet()
        assert one.sharing.together
        assert await used(server, one) == (40.0,)


async def test_a_connection_that_is_an_answer_behind_is_not_used_again(server: RedisServer, shim: RedisShim) -> None:
    """Each answer on it would be another question's, for as long as it lives."""
    async with member(shim.url, RULE) as one:
        await one.calls(3)

        def behind(chunk: bytes) -> bytes:
            shim.alter = None
            return b"$2\r\n{}\r\n" + chunk

        for _ in range(5):
            shim.alter = behind
            await one.calls(4)
        await one.quiet()
        assert one.sharing.together
        assert await used(server, one) == (23.0,)
        assert shim.opened >= 5
