"""A second look makes a verdict surer, is shared, and never becomes a storm."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from gateway.diagnose.engine import diagnose
from gateway.diagnose.evidence import Evidence
from gateway.doctor.case import Case, Target
from gateway.doctor.looks import RUNS_MAX, SHARED_SECONDS, Looks, surer, worth
from gateway.doctor.probe import Done
from gateway.doctor.run import run
from gateway.model.cause import Cause, Precision
from gateway.model.diagnosis import Diagnosis
from gateway.model.failure import NetCode, NetFailure, Phase
from gateway.providers.openai import PROVIDER as OPENAI
from tests.gateway.doctor.fakes import CASE, Other, Seen, a_probe, bad
from tests.gateway.factories import HandClock

TIMED_OUT = NetFailure(phase=Phase.CONNECT, code=NetCode.CONNECT_TIMEOUT, detail="timed out", sent=False)


def _verdict(failure: NetFailure = TIMED_OUT) -> Diagnosis:
    return diagnose(Evidence(provider=OPENAI, host="api.openai.com", failure=failure, attempts=1))


def _looks(*probes: Any, clock: HandClock | None = None) -> Looks:
    return Looks(probes, clock or HandClock())


async def test_the_same_cause_is_confirmed() -> None:
    outcomes = await run(CASE, [a_probe(judge=bad(Cause.NETWORK_TCP_TIMEOUT))])
    sure = surer(_verdict(), outcomes)
    assert (sure.cause, sure.precision) == (Cause.NETWORK_TCP_TIMEOUT, Precision.CONFIRMED)
    assert any("timed out" in line for line in sure.evidence)


async def test_a_deeper_cause_takes_its_place_with_the_evidence_of_both() -> None:
    outcomes = await run(CASE, [a_probe(judge=bad(Cause.NETWORK_DNS_TAMPERED))])
    sure = surer(_verdict(), outcomes)
    assert (sure.cause, sure.precision) == (Cause.NETWORK_DNS_TAMPERED, Precision.CONFIRMED)
    assert any("failed in the phase connect" in line for line in sure.evidence)
    assert sure.title != _verdict().title


async def test_a_guess_of_the_second_look_replaces_a_guess_and_nothing_surer() -> None:
    outcomes = await run(CASE, [a_probe(judge=bad(Cause.NETWORK_DNS_TAMPERED, confirmed=False))])
    guess, sure = _verdict(), replace(_verdict(), precision=Precision.CONFIRMED)
    assert surer(sure, outcomes).cause is Cause.NETWORK_TCP_TIMEOUT
    found = surer(guess, outcomes)
    assert (found.cause, found.precision) == (Cause.NETWORK_DNS_TAMPERED, Precision.INFERRED)


async def test_what_cannot_look_like_it_does_not_take_its_place() -> None:
    outcomes = await run(CASE, [a_probe(judge=bad(Cause.AUTH_INVALID_KEY))])
    assert surer(_verdict(), outcomes).cause is Cause.NETWORK_TCP_TIMEOUT


async def test_when_all_is_well_the_second_time_it_says_so_and_no_more() -> None:
    before = _verdict()
    sure = surer(before, await run(CASE, [a_probe("reach")]))
    assert (sure.cause, sure.precision) == (before.cause, before.precision)
    assert sure.evidence[-2:] == ("a second look right afterwards found nothing wrong", "all is well")


@pytest.mark.parametrize(
    ("cause", "phase", "looked"),
    [
        (Cause.NETWORK_DNS_FAILURE, Phase.DNS, {"machine", "names"}),
        (Cause.NETWORK_PROXY_MISCONFIGURED, Phase.CONNECT, set()),
        (Cause.AUTH_INVALID_KEY, None, set()),
        (Cause.RATE_LIMIT_TOKENS, None, set()),
        (Cause.SERVICE_SERVER_ERROR, None, {"status"}),
        (Cause.EDGE_ORIGIN_ERROR, None, {"status"}),
    ],
)
def test_only_what_can_tell_more_is_looked_at(cause: Cause, phase: Phase | None, looked: set[str]) -> None:
    failure = None if phase is None else replace(TIMED_OUT, phase=phase)
    assert set(worth(replace(_verdict(), cause=cause), failure)) == looked


async def test_a_crowd_of_failures_looks_once_and_again_after_a_minute() -> None:
    runs = 0

    async def measure(_case: Case, _done: Done) -> Seen:
        nonlocal runs
        runs += 1
        return Seen()

    clock = HandClock()
    looks = _looks(a_probe(measure=measure), clock=clock)
    told = [looks.look(CASE, _verdict(), TIMED_OUT) for _ in range(100)]
    await asyncio.gather(*(one(_verdict()) for one in told if one is not None))
    assert runs == 1
    clock.seconds += SHARED_SECONDS - 1
    again = looks.look(CASE, _verdict(), TIMED_OUT)
    assert again is not None
    await again(_verdict())
    assert runs == 1
    clock.seconds += 2
    again = looks.look(CASE, _verdict(), TIMED_OUT)
    assert again is not None
    await again(_verdict())
    assert runs == 2
    await looks.close()


async def test_only_a_few_hosts_are_looked_at_at_a_time() -> None:
    async def hangs(_case: Case, _done: Done) -> Seen:
        await asyncio.Event().wait()
        return Seen()

    looks = _looks(a_probe(measure=hangs, seconds=60.0))
    cases = [replace(CASE, target=Target(host=f"host-{number}.test")) for number in range(RUNS_MAX + 3)]
    told = [looks.look(case, _verdict(), TIMED_OUT) for case in cases]
    assert [one is not None for one in told] == [True] * RUNS_MAX + [False] * 3
    await looks.close()
    assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]


async def test_a_caller_who_leaves_does_not_end_the_look_of_others() -> None:
    go = asyncio.Event()

    async def waits(_case: Case, _done: Done) -> Seen:
        await go.wait()
        return Seen()

    looks = _looks(a_probe(measure=waits, judge=bad(Cause.NETWORK_TCP_TIMEOUT)))
    one, other = (looks.look(CASE, _verdict(), TIMED_OUT) for _ in range(2))
    assert one is not None
    assert other is not None
    leaving = asyncio.ensure_future(one(_verdict()))
    await asyncio.sleep(0)
    leaving.cancel()
    go.set()
    assert (await other(_verdict())).precision is Precision.CONFIRMED
    await looks.close()


async def test_what_may_not_run_unasked_does_not() -> None:
    async def never(_case: Case, _done: Done) -> Other:
        raise AssertionError

    looks = _looks(a_probe(), a_probe("names", gives=Other, measure=never, unasked=False))
    told = looks.look(CASE, _verdict(), TIMED_OUT)
    assert told is not None
    await told(_verdict())
    await looks.close()
