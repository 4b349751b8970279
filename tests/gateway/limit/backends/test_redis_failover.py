"""A replica takes over that has not heard all its primary acknowledged: what can be lost by that, and for how long."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from gateway.limit.rule import LimitRule
from gateway.limit.shared import LEASE_SECONDS
from tests.gateway.limit.backends.member import Member, member
from tests.redis_server import RedisServer, redis_server
from tests.redis_shim import RedisShim, redis_shim

PER_SECOND = 20
FOUR = LimitRule(concurrency=4)


class Pair:
    """A primary, its replica, and the way to whichever is the primary now."""

    def __init__(self, primary: RedisServer, replica: RedisServer, shim: RedisShim) -> None:
        self.primary, self.replica, self.shim = primary, replica, shim

    async def heard(self, is_so: Callable[[dict[bytes, bytes]], bool]) -> None:
        """Wait until the replica has heard something of the limits."""

        def look() -> bool:
            with self.replica.client() as client:
                names: Any = [name for name in client.keys("whygate:limit:*") if name.endswith(b":state")]
                return any(is_so(client.hgetall(name)) for name in names)

        await Member.until(look)

    def part(self) -> None:
        """From now on the replica hears nothing, and the primary goes on."""
        self.replica.replica_of(None)

    def fail_over(self) -> None:
        self.shim.fail_over(self.replica.port)


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[tuple[RedisServer, RedisServer]]:
    delay = ("--repl-diskless-sync-delay", "0")
    with redis_server(tmp_path / "primary", *delay) as primary, redis_server(tmp_path / "replica", *delay) as replica:
        replica.replica_of(primary)
        yield primary, replica


@pytest.fixture
async def pair(servers: tuple[RedisServer, RedisServer]) -> AsyncIterator[Pair]:
    def is_synced() -> bool:
        with servers[1].client() as client:
            return bool(client.info("replication")["master_link_status"] == "up")

    await Member.until(is_synced)
    async with redis_shim(servers[0].port) as shim:
        yield Pair(*servers, shim)


async def test_increments_that_a_failover_loses_let_through_one_windows_worth_and_no_more(pair: Pair) -> None:
    rule = LimitRule(per_second=PER_SECOND)
    went: list[float] = []

    async def calling(one: Member) -> None:
        while True:
            assert await one.call()
            went.append(time.monotonic())

    async with member(pair.shim.url, rule, replicas=2) as one, member(pair.shim.url, rule, replicas=2) as other:
        await asyncio.gather(one.until_together(), other.until_together())
        callers = [asyncio.ensure_future(calling(each)) for each in (one, other) for _ in range(10)]
        await asyncio.sleep(1.5)
        pair.part()
        await asyncio.sleep(0.7)
        lost_at = time.monotonic()
        pair.fail_over()
        await asyncio.sleep(4)
        refused = one.refused + other.refused
        for caller in callers:
            caller.cancel()
        await asyncio.gather(*callers, return_exceptions=True)
        most = max(sum(at <= later < at + 1 for later in went) for at in went)
        later = [at for at in went if at > lost_at + 1.2]
        most_later = max(sum(at <= one_later < at + 1 for one_later in later) for at in later)
        print(f"{len(went)} calls; at most {most} in a second, {most_later} from a second after it on")
        assert refused == 0
        assert most <= 2 * PER_SECOND + 2
        assert most_later <= PER_SECOND * 1.15, "no more than that once the window is over"
        assert len(later) > PER_SECOND * 1.5, "and not much less"
        assert one.sharing.together
        assert other.sharing.together


async def test_places_of_which_the_end_was_lost_are_free_when_their_lease_is_over(pair: Pair) -> None:
    """The gateway that had them is gone, so nobody says that they are free."""
    async with AsyncExitStack() as ends, member(pair.shim.url, FOUR, replicas=2) as other:
        one = await ends.enter_async_context(member(pair.shim.url, FOUR, replicas=2))
        await asyncio.gather(one.until_together(), other.until_together())
        await one.calls(2)
        await other.call()
        running = [asyncio.ensure_future(one.call(runs=60)) for _ in range(4)]
        await one.until(lambda: one.sent == 6)
        await pair.heard(lambda state: b"\x04" in state.get(b"running", b""))
        pair.part()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await one.quiet()
        await ends.aclose()
        pair.fail_over()
        began = time.monotonic()
        assert await other.call(seconds=30)
        print(f"a place was free after {time.monotonic() - began:.2f} s")
        assert time.monotonic() - began < LEASE_SECONDS + 2


async def test_places_that_a_failover_forgot_are_taken_again_with_their_gateways_next_word(pair: Pair) -> None:
    async with member(pair.shim.url, FOUR, replicas=2) as one, member(pair.shim.url, FOUR, replicas=2) as other:
        await asyncio.gather(one.until_together(), other.until_together())
        await one.calls(2)
        await other.calls(2)
        await asyncio.gather(one.quiet(), other.quiet())
        await pair.heard(lambda state: b"book" in state)
        pair.part()
        running = [asyncio.ensure_future(one.call(runs=60)) for _ in range(4)]
        await one.until(lambda: one.sent == 6)
        pair.fail_over()
        await asyncio.sleep(2.5)
        assert not await other.call(seconds=0.5), "all four run elsewhere, as the new primary knows by now"
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        assert await other.call(seconds=10)
