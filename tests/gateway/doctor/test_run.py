"""Probes are run by dependency, in time, and none costs another its result."""

import asyncio
import time
from collections.abc import Iterable

import pytest

from gateway.doctor.case import Case
from gateway.doctor.probe import Check, Done, Outcome, Probe
from gateway.doctor.run import probes, run
from gateway.model.diagnosis import Clue
from tests.gateway.doctor.fakes import CASE, Other, Seen, a_probe


async def test_what_a_probe_builds_on_is_there_when_it_measures() -> None:
    found: list[object] = []

    async def second(_case: Case, done: Done) -> Other:
        found.append(done.get(Seen))
        return Other()

    await run(CASE, [a_probe("second", gives=Other, measure=second, after=(Seen,)), a_probe("first")])
    assert found == [Seen()]


async def test_a_probe_goes_on_without_what_never_comes() -> None:
    async def breaks(_case: Case, _done: Done) -> Seen:
        raise RuntimeError("a bug of ours")

    async def second(_case: Case, done: Done) -> Other:
        assert done.get(Seen) is None
        return Other()

    first, other = await run(
        CASE, [a_probe("first", measure=breaks), a_probe("second", gives=Other, measure=second, after=(Seen,))]
    )
    assert (first.measured, first.why) == (
        None,
        Clue("the probe itself failed ({detail})", (("detail", "RuntimeError"),)),
    )
    assert other.checks


async def test_what_does_not_end_is_given_up_and_the_rest_is_told() -> None:
    async def hangs(_case: Case, _done: Done) -> Seen:
        await asyncio.Event().wait()
        return Seen()

    began = time.monotonic()
    slow, good = await run(CASE, [a_probe("slow", measure=hangs), a_probe("good", gives=Other)], seconds=0.2)
    assert time.monotonic() - began < 2
    assert (slow.why, slow.measured) == ("it took too long", None)
    assert good.checks


async def test_each_has_a_time_of_its_own() -> None:
    async def hangs(_case: Case, _done: Done) -> Seen:
        await asyncio.Event().wait()
        return Seen()

    (slow,) = await run(CASE, [a_probe("slow", measure=hangs, seconds=0.05)], seconds=30)
    assert slow.why == "it took too long"


async def test_a_judge_that_breaks_costs_only_its_own_checks() -> None:
    def breaks(_case: Case, _done: Done) -> Iterable[Check]:
        raise KeyError("x")

    broken, good = await run(CASE, [a_probe("one", judge=breaks), a_probe("two", gives=Other)])
    assert broken.why
    assert not broken.checks
    assert good.checks


async def test_judges_see_what_was_measured_after_them() -> None:
    seen: list[object] = []

    def judge(_case: Case, done: Done) -> Iterable[Check]:
        seen.append(done.get(Other))
        return ()

    await run(CASE, [a_probe("one", judge=judge), a_probe("two", gives=Other, after=(Seen,))])
    assert seen == [Other()]


async def test_what_is_left_out_is_not_measured_and_says_why() -> None:
    async def never(_case: Case, _done: Done) -> Seen:
        raise AssertionError

    (outcome,) = await run(CASE, [a_probe(measure=never, leave_out=lambda _case: "there is no key")])
    assert (outcome.why, outcome.measured) == ("there is no key", None)


async def test_progress_is_told_and_cannot_break_the_run() -> None:
    heard: list[str] = []

    def listener(outcome: Outcome) -> None:
        heard.append(outcome.probe.name)
        raise RuntimeError

    await run(CASE, [a_probe("one"), a_probe("two", gives=Other)], heard=listener)
    assert sorted(heard) == ["one", "two"]


def test_every_probe_stands_in_a_file_of_its_name() -> None:
    from gateway._discover import discover

    for module, probe in discover("gateway.doctor.probes", "PROBE", Probe).items():
        assert probe.name == module.replace("_", "-")


def test_no_two_probes_measure_the_same_and_none_waits_for_itself() -> None:
    every = probes()
    gives = [probe.gives for probe in every]
    assert len(set(gives)) == len(gives)
    known = set(gives)
    reached: set[type] = set()
    while True:  # whatever can start, starts
        ready = {probe.gives for probe in every if set(probe.after) & known <= reached}
        if ready == reached:
            break
        reached = ready
    assert reached == known


@pytest.mark.parametrize("probe", probes(), ids=lambda probe: probe.name)
def test_a_probe_that_runs_unasked_names_what_it_touches(probe: Probe) -> None:
    from dataclasses import replace

    touched = {place.rpartition(":")[0] for place in probe.touches(replace(CASE, asked=False))}
    if probe.unasked:
        page = CASE.lists.status_pages["openai"].url.removeprefix("https://")
        assert touched <= {CASE.target.host, page}, "unasked, no third party is touched"
