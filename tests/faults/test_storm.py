"""F44 to F46, F49: everything fails, or a third of it. Our own retries stay a breeze, and it is over when it is over.

Breakers and budgets are of one host and key, so each storm is a crowd.
"""

import asyncio
import collections
import random
import threading
import time
from collections.abc import Sequence

import psutil

from gateway.egress.breaker import FAILURES_MIN
from tests.faults.clients import new_key
from tests.faults.crowd import Crowd
from tests.faults.field import Case
from tests.faults.inject.answer import answer
from tests.faults.inject.refused import overloaded
from tests.faults.inject.sequence import sequence
from tests.faults.inject.while_set import while_set
from tests.faults.upstream import Row

RATIO, FLOOR, WINDOW_SECONDS = 0.2, 3, 10.0
PER_SECOND = 50
HEAL_SECONDS = 5.0
BIN_SECONDS = 0.1
LATE_SECONDS = 0.25
"""By so much the upstream may see something later than the gateway counted it."""


def retries(received: Sequence[Row]) -> int:
    """Count what the upstream got beyond the first of each call."""
    return sum(row.attempt > 1 for row in received)


def fullest(moments: Sequence[float]) -> int:
    """Give how many of them lie in the fullest tenth of a second."""
    return max(collections.Counter(int(moment / BIN_SECONDS) for moment in moments).values(), default=0)


def within_budget_everywhere(received: Sequence[Row]) -> None:
    """See that at each retry the ten seconds before it had no more than the budget.

    A retry is granted when the answer before it has come; the wait that follows is no part of it.
    """
    before = {(row.mark, row.attempt): row.ended_at for row in received}
    granted = sorted(before[row.mark, row.attempt - 1] for row in received if row.attempt > 1)
    began = sorted(row.at for row in received if row.attempt == 1)
    for now in granted:
        spent = sum(now - WINDOW_SECONDS + LATE_SECONDS < moment <= now for moment in granted)
        calls = sum(now - WINDOW_SECONDS - LATE_SECONDS < moment <= now + LATE_SECONDS for moment in began)
        assert spent <= FLOOR + RATIO * calls + 1e-9


# F44


async def test_a_storm_is_not_made_worse_and_is_over_soon_after_its_end(case: Case) -> None:
    storm_seconds = 10.0 if case.full else 4.0
    storm = threading.Event()
    storm.set()
    with case.bystander():
        async with Crowd(case, while_set(storm, overloaded(), answer())) as crowd:
            async with asyncio.TaskGroup() as tasks:
                asked = tasks.create_task(crowd.at_rate(PER_SECOND, storm_seconds + HEAL_SECONDS - 1))
                await asyncio.sleep(storm_seconds)
                storm.clear()
                healed_at = time.monotonic()
            calls = asked.result()
            received = crowd.received()
            during = [row for row in received if row.status != 200]
            failed = [call for call in calls if call.outcome != "answer"]
            well_again = max(call.at for call in failed) - healed_at
            after = [row.at for row in received if row.at > healed_at]
            of_clients = fullest([call.at for call in calls if call.at > healed_at])
            print(
                f"\n{len(calls)} calls, {len(received)} at the upstream ({len(during)} in the storm), {retries(received)} "
                f"of them retries; the last failure began {well_again:+.2f} s after the end; fullest tenth of a second "
                f"{fullest(after)} (clients {of_clients})"
            )
            assert retries(received) <= RATIO * len(calls) + FLOOR
            assert well_again < HEAL_SECONDS - 2
            late = [call for call in calls if call.at > healed_at + HEAL_SECONDS - 2]
            assert sum(call.outcome == "answer" for call in late) >= 0.99 * len(late)
            mean = len(after) / (max(after) - min(after)) * BIN_SECONDS
            assert fullest(after) <= max(3 * mean, 2 * of_clients)
            told = collections.Counter(call.cause for call in failed)
            assert set(told) <= {"service.overloaded", "proxy.circuit_open"}
            for call in failed:
                if call.cause == "proxy.circuit_open":
                    assert call.status == 503
                    assert 0 < int(call.answers[0].headers["retry-after-ms"]) <= 2_000
                    assert call.seconds < 2


# F45


async def test_where_everything_fails_for_long_hardly_anything_is_asked_and_we_are_idle(case: Case) -> None:
    seconds, per_second = (600.0, 20) if case.full else (6.0, PER_SECOND)
    process = psutil.Process(case.field.gateway.process.pid)
    async with Crowd(case, overloaded()) as crowd:
        await crowd.at_rate(per_second, 1)
        before, began = sum(process.cpu_times()[:2]), time.monotonic()
        known = len(crowd.received())
        await crowd.at_rate(per_second, seconds - 1)
        used = (sum(process.cpu_times()[:2]) - before) / (time.monotonic() - began)
        received = crowd.received()
        later = len(received) - known
        print(
            f"\n{len(crowd.rows)} calls, {len(received)} at the upstream, {retries(received)} of them retries, {later} "
            f"after the first second; {used:.0%} of a processor"
        )
        assert {row.outcome for row in crowd.rows} == {"error"}
        assert {row.cause for row in crowd.rows} == {"service.overloaded", "proxy.circuit_open"}
        assert retries(received) <= FLOOR + RATIO * len(crowd.rows)
        assert later <= 2 * seconds + FLOOR, "an open breaker lets one attempt through each half second, later each two"
        assert used < 0.35
        within_budget_everywhere(received)


# F46


async def test_where_three_in_ten_fail_the_budget_decides_how_many_succeed(case: Case) -> None:
    """Of 100 calls and the 20 retries of the budget three in ten fail: 84 succeed, and what the floor adds.

    The order is by chance, and the share is exact in each twenty, so that the point needs no thousands of calls.
    """
    seconds, per_second = (30.0, PER_SECOND) if case.full else (6.0, 60)
    dice = random.Random(46)
    deck = [card for _ in range(20) for card in dice.sample([overloaded()] * 6 + [answer()] * 14, 20)]
    async with Crowd(case, sequence(deck)) as crowd:
        calls = await crowd.at_rate(per_second, seconds)
        received = crowd.received()
        windows = max(1.0, seconds / WINDOW_SECONDS)
        good = sum(call.outcome == "answer" for call in calls) / len(calls)
        expected = 0.7 * (1 + RATIO + FLOOR * windows / len(calls))
        print(
            f"\n{len(calls)} calls, {retries(received)} retries ({retries(received) / len(calls):.3f} for each call), "
            f"{good:.1%} succeed, expected {expected:.1%}"
        )
        assert abs(good - expected) <= 0.015
        assert retries(received) <= RATIO * len(calls) + FLOOR * windows
        within_budget_everywhere(received)
        for call in calls:
            if call.outcome == "error":
                assert (call.status, call.cause) == (503, "service.overloaded")
                headers = call.answers[0].headers
                tried_again = int(headers["x-whygate-attempts"]) > 1
                assert headers.get("x-should-retry") == ("false" if tried_again else None)


# F49


async def test_an_sdk_that_retries_on_top_of_us_does_not_multiply(case: Case) -> None:
    storm_seconds, per_second = (10.0, 100) if case.full else (3.0, 15)
    storm, key, calls = threading.Event(), new_key(), round((storm_seconds + 2) * per_second)
    storm.set()
    mark = case.plan(while_set(storm, overloaded(), answer()))
    began = time.monotonic()
    async with asyncio.TaskGroup() as tasks:
        asked = []
        for number in range(calls):
            await asyncio.sleep(max(0.0, began + number / per_second - time.monotonic()))
            if time.monotonic() > began + storm_seconds:
                storm.clear()
            words = {"messages": [{"role": "user", "content": f"number {number}"}]}
            asked.append(tasks.create_task(case.sdk(f"{mark}.{number}", max_retries=2, key=key, more=words)))
    rows = [task.result() for task in asked]
    received = [row for call in rows for row in case.received(call)]
    requests = sum(row.requests for row in rows)
    print(
        f"\n{calls} calls of an SDK with two retries, {requests} requests to us, {len(received)} to the upstream "
        f"({len(received) / calls:.2f} for each call); {sum(row.outcome == 'answer' for row in rows)} succeed"
    )
    # The SDK's own retries are charged, and never refused: it takes so many failures until the breaker lets none through.
    assert len(received) <= (1 + RATIO) * calls + FLOOR + FAILURES_MIN
    for row in rows:
        obeyed = [seen.headers.get("x-should-retry") != "false" for seen in row.answers]
        assert all(obeyed[:-1]), "a request follows an answer that said not to"
