"""The way to a real Redis: when it is asked no more, and when again."""

from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from typing import Any

import pytest

from gateway.model.clock import SystemClock
from gateway.redis_link import RedisLink
from gateway.unreachable import UnreachableError
from tests.redis_server import RedisServer, redis_server


@pytest.fixture
async def link(tmp_path: Path) -> AsyncIterator[tuple[RedisLink, RedisServer]]:
    with redis_server(tmp_path / "redis") as server:
        made = RedisLink(server.url, SystemClock())
        assert await made.look()
        yield made, server
        await made.close()


def write(redis: Any) -> Awaitable[Any]:
    found: Awaitable[Any] = redis.set("whygate:x", "1")
    return found


def read(redis: Any) -> Awaitable[Any]:
    found: Awaitable[Any] = redis.get("whygate:x")
    return found


def wrong(redis: Any) -> Awaitable[Any]:
    found: Awaitable[Any] = redis.lpush("whygate:look", "1")
    return found


@pytest.mark.parametrize(
    ("setting", "value", "whole", "why"),
    [
        ("maxmemory", "1", "0", "its memory is full"),
        ("min-replicas-to-write", "1", "0", "it has too few replicas to take anything"),
    ],
)
async def test_a_server_that_takes_nothing_is_left_after_three_writes_whatever_can_be_read_there(
    link: tuple[RedisLink, RedisServer], setting: str, value: str, whole: str, why: str
) -> None:
    made, server = link
    server.config_set(setting, value)
    for left in (2, 1, 0):
        await made.ask(read, seconds=2)
        with pytest.raises(UnreachableError, match=why):
            await made.ask(write, seconds=2, writes=True)
        assert made.is_up is (left > 0)
    with pytest.raises(UnreachableError, match=why):
        await made.ask(read, seconds=2)
    assert not await made.look()
    server.config_set(setting, whole)
    assert await made.look()
    await made.ask(write, seconds=2, writes=True)


@pytest.mark.parametrize(
    ("setting", "next_step"), [("maxmemory", "Raise its maxmemory"), ("min-replicas-to-write", "Start them")]
)
async def test_whoever_reads_that_it_cannot_be_used_reads_what_ends_that(
    link: tuple[RedisLink, RedisServer], caplog: pytest.LogCaptureFixture, setting: str, next_step: str
) -> None:
    made, server = link
    server.config_set(setting, "1")
    assert not await made.look()
    (record,) = caplog.records
    assert "Calls go on" in record.getMessage()
    assert next_step in record.getMessage()


async def test_a_write_that_is_taken_makes_up_for_those_that_were_not(link: tuple[RedisLink, RedisServer]) -> None:
    made, server = link
    for _ in range(3):
        server.config_set("maxmemory", "1")
        for _ in range(2):
            with pytest.raises(UnreachableError, match="memory"):
                await made.ask(write, seconds=2, writes=True)
        server.config_set("maxmemory", "0")
        await made.ask(write, seconds=2, writes=True)
    assert made.is_up


async def test_other_failures_count_to_three_in_a_row(link: tuple[RedisLink, RedisServer]) -> None:
    made, _ = link
    for question, is_up in ((wrong, True), (wrong, True), (read, True), (wrong, True), (wrong, True), (wrong, False)):
        if question is read:
            await made.ask(read, seconds=2)
        else:
            with pytest.raises(UnreachableError):
                await made.ask(question, seconds=2)
        assert made.is_up is is_up


async def test_whoever_was_told_that_it_cannot_be_used_is_told_that_it_can_again(
    link: tuple[RedisLink, RedisServer], caplog: pytest.LogCaptureFixture
) -> None:
    """Once for each time; what falls and comes back in silence says neither."""
    made, server = link
    for _ in range(2):
        server.config_set("maxmemory", "1")
        assert not await made.look()
        server.config_set("maxmemory", "0")
        assert await made.look()
        assert await made.look()
    fell, back = (record.getMessage() for record in caplog.records)
    assert "cannot be used" in fell
    assert "can be used again, after 0 s" in back
