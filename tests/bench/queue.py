"""Ten thousand calls that wait: memory for each, the cost of a decision, and how late the event loop gets.

Beside them, as the measure of things, ten thousand tasks that wait for an ``asyncio.Semaphore``.

Run: ``uv run python -m tests.bench.queue``
"""

import asyncio
import random
import time
import tracemalloc
from collections.abc import Awaitable, Callable

from gateway.limit.gate import Answer, Gate, LimitRule, Permit
from gateway.model.clock import SystemClock
from gateway.model.event import Live
from gateway.model.provider import StatedLimit
from tests.gateway.factories import a_call, a_route

CALLS = 10_000
TICK_SECONDS = 0.005


class Lateness:
    """Notes how late a tick every 5 ms comes."""

    def __init__(self) -> None:
        self._late: list[float] = []
        self._task = asyncio.ensure_future(self._tick())

    async def _tick(self) -> None:
        while True:
            due = time.perf_counter() + TICK_SECONDS
            await asyncio.sleep(TICK_SECONDS)
            self._late.append(time.perf_counter() - due)

    def p99_ms(self) -> float:
        self._task.cancel()
        return sorted(self._late)[int(len(self._late) * 0.99)] * 1000


async def fill(enter: Callable[[int], Awaitable[object]]) -> tuple[list[asyncio.Task[object]], float, float]:
    """Start them in groups, as connections come in; gives the tasks, KiB for each, and microseconds for each."""
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    tasks: list[asyncio.Task[object]] = []

    async def one(number: int) -> object:
        return await enter(number)

    for start in range(0, CALLS, 100):
        tasks += [asyncio.ensure_future(one(number)) for number in range(start, start + 100)]
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    kib = (tracemalloc.get_traced_memory()[0] - before) / 1024 / CALLS
    tracemalloc.stop()
    return tasks, kib, 0.0


async def clear(tasks: list[asyncio.Task[object]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def a_gate(*rules: LimitRule) -> Gate:
    return Gate(rules, SystemClock(), queue_max=CALLS + 1, queue_max_bytes=2**30)


async def memory() -> None:
    """Print what a waiter takes."""
    semaphore = asyncio.Semaphore(0)
    tasks, peer_kib, _ = await fill(lambda _number: semaphore.acquire())
    await clear(tasks)
    gate, route = a_gate(LimitRule(per_minute=1), LimitRule(tokens_per_minute=100_000)), a_route()
    lives = [Live(call=a_call()) for _ in range(CALLS)]
    tasks, kib, _ = await fill(lambda n: gate.acquire(route, lives[n], deadline=time.monotonic() + 1e6, size_bytes=1))
    print(f"{gate.waiting:,} wait: {kib:.2f} KiB each, in a semaphore {peer_kib:.2f} KiB: ratio {kib / peer_kib:.2f}")
    await clear(tasks)
    print(f"left behind: {gate.waiting} waiters, {gate.waiting_bytes} bytes")


async def decisions() -> None:
    """Print what it costs to sit down behind ten thousand, to be let go, and to leave."""
    gate, route = a_gate(LimitRule(per_second=1e6), LimitRule(concurrency=1)), a_route()
    lives = [Live(call=a_call()) for _ in range(CALLS)]
    holder = await gate.acquire(route, lives[0], deadline=time.monotonic() + 1e6, size_bytes=1)
    assert isinstance(holder, Permit)
    began = time.perf_counter()
    tasks = [
        asyncio.ensure_future(gate.acquire(route, live, deadline=time.monotonic() + 1e6, size_bytes=1))
        for live in lives
    ]
    await asyncio.sleep(0)
    print(f"to sit down: {(time.perf_counter() - began) / CALLS * 1e6:.1f} us")
    began = time.perf_counter()
    for task in random.sample(tasks, 3_000):
        task.cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    print(f"to leave:    {(time.perf_counter() - began) / 3_000 * 1e6:.1f} us")
    began, served = time.perf_counter(), 0
    permit: Permit = holder
    for task in tasks:
        if task.cancelled():
            continue
        permit.sent()
        permit.answered(Answer(good=True, stated=(StatedLimit("requests", 1_000_000, 999_000, 0.06),)))
        permit.release()
        given = await task
        assert isinstance(given, Permit)
        permit, served = given, served + 1
    print(f"to be served, with an answer that states limits: {(time.perf_counter() - began) / served * 1e6:.1f} us")
    permit.release()


async def straight() -> None:
    """Print what a call that does not wait pays."""
    gate, route, live = a_gate(), a_route(), Live(call=a_call())
    stated = (StatedLimit("requests", 10_000, 9_999, 0.006), StatedLimit("tokens", 2_000_000, 1_999_000, 0.03))
    for name, answer in (
        ("nothing stated", Answer(good=True)),
        ("two limits stated", Answer(good=True, stated=stated)),
    ):
        began = time.perf_counter()
        for _ in range(CALLS):
            permit = await gate.acquire(route, live, deadline=time.monotonic() + 60, size_bytes=1)
            assert isinstance(permit, Permit), permit
            permit.sent()
            permit.answered(answer)
            permit.release()
        print(f"a call that need not wait, {name}: {(time.perf_counter() - began) / CALLS * 1e6:.1f} us")


async def lag() -> None:
    """Print how late the loop gets while ten thousand come, 30 % leave, and 2,000 a second are served."""
    late = Lateness()
    gate, route = a_gate(LimitRule(per_second=2_000)), a_route()

    async def one() -> None:
        permit = await gate.acquire(route, Live(call=a_call()), deadline=time.monotonic() + 60, size_bytes=1)
        if isinstance(permit, Permit):
            permit.sent()
            await asyncio.sleep(0)
            permit.release()

    tasks = []
    for _ in range(100):
        tasks += [asyncio.ensure_future(one()) for _ in range(100)]
        await asyncio.sleep(0.002)
    leaving = random.sample(tasks, 3_000)
    for start in range(0, len(leaving), 100):
        for task in leaving[start : start + 100]:
            task.cancel()
        await asyncio.sleep(0.002)
    await asyncio.gather(*tasks, return_exceptions=True)
    print(f"event loop late by {late.p99_ms():.1f} ms (p99)")


async def main() -> None:
    await memory()
    await decisions()
    await straight()
    await lag()


if __name__ == "__main__":
    asyncio.run(main())
