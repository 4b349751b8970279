"""What counting together costs, and what it keeps: ``uv run python -m tests.bench.team``.

One question to Redis on loopback, beside a PING of the same connection; then three gateways and sixty clients that want
300 calls a second of a limit of 100.
"""

import asyncio
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

from gateway.limit.backends.redis import RedisCounter
from gateway.limit.shared import Item, Line, Question, SharedMeter
from gateway.model.clock import SystemClock
from gateway.redis_link import RedisLink
from tests.e2e.teamwork import PER_SECOND, most_in, shares, teamwork
from tests.redis_server import redis_server

ROUNDS = 5_000
SECONDS = 12
METERS = (
    SharedMeter("requests:60:w", True, 1_000_000, 60.0, 1_000_000),
    SharedMeter("tokens:60:w", True, 1e9, 60.0, 1e9),
)


async def _times(work: Callable[[], Awaitable[object]]) -> list[float]:
    found = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        await work()
        found.append((time.perf_counter() - began) * 1000)
    return sorted(found)


def _told(name: str, found: list[float], beside: list[float] | None = None) -> None:
    half, most = found[len(found) // 2], found[len(found) * 99 // 100]
    ratio = f"  {half / beside[len(beside) // 2]:.1f}x" if beside else ""
    print(f"{name:<44} p50 {half:.2f} ms  p99 {most:.2f} ms{ratio}")


async def _questions(url: str) -> None:
    link = RedisLink(url, SystemClock())
    assert await link.look()
    counter = RedisCounter(link, "bench:", "one")
    one = Question(
        scope="a", meters=METERS, items=(Item("a", 0.01, (1, 500)),),
        waiting={"a": Line(1, 0.01, {"requests:60:w": 1, "tokens:60:w": 500})},
    )  # fmt: skip
    many = Question(scope="b", meters=METERS, items=(Item("a", 0.01, (1, 500)),) * 64, waiting=one.waiting)
    ping = await _times(lambda: link.ask(lambda redis: redis.ping()))
    _told("PING", ping)
    _told("a call's turn under two limits", await _times(lambda: counter.ask(one)), ping)
    _told("64 calls' turns in one question", await _times(lambda: counter.ask(many)), ping)
    await link.close()


def main() -> None:
    """Print it."""
    with tempfile.TemporaryDirectory() as directory:
        with redis_server(Path(directory) / "redis") as redis:
            asyncio.run(_questions(redis.url))
        with teamwork(Path(directory) / "team") as team:
            team.introduce("a", "b", "c")
            time.sleep(1.1)  # noqa: TID251 - what that took of the limit is over then
            first, second, third = team.gateways
            members = [(team.gateways[n % 3], "a") for n in range(30)]
            members += [((first, second)[n % 2], "b") for n in range(20)] + [(third, "c") for _ in range(10)]
            crowd = team.crowd(*members, seconds=SECONDS)
            began = time.time() + 2
            said = crowd.wait()
            rows = team.rows(began, began + SECONDS - 2)
            parts = shares(rows, "a", "b", "c")
            # It begins with a whole window at once and an empty second after it; from then on each second counts.
            rate = statistics.median(Counter(int(row.started_at - began) for row in rows).values())
            print(
                f"three gateways, sixty clients, offered 300/s   {rate:.0f} calls/s = {rate / PER_SECOND:.2f} of the"
                f" limit (median second), at most {most_in(rows, 1.0)} in any second; tenants {dict(parts)}; {len(said.failures)} failed"
            )


if __name__ == "__main__":
    main()
