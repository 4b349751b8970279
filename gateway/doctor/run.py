"""Runs probes: each as soon as what it builds on is there, all within one limit of time, then lets all judge."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from gateway._discover import discover
from gateway.doctor.case import Case
from gateway.doctor.probe import Done, Outcome, Probe
from gateway.model.diagnosis import Clue

logger = logging.getLogger("whygate.doctor")

TOTAL_SECONDS = 7.0
"""For all measuring together: whoever asks waits at most eight."""

UNASKED_SECONDS = 1.6
"""For a second look: whoever waits for it waits two seconds."""

Heard = Callable[[Outcome], None]
"""Told of each probe that has measured, to show progress."""


def probes() -> tuple[Probe, ...]:
    """Give all of them, in the order of the way from this machine to the account."""
    found = discover("gateway.doctor.probes", "PROBE", Probe)
    return tuple(sorted(found.values(), key=lambda probe: (probe.rank, probe.name)))


def _silent(_outcome: Outcome) -> None:
    """Tell nobody."""


async def run(
    case: Case, wanted: Sequence[Probe], *, seconds: float = TOTAL_SECONDS, heard: Heard = _silent
) -> tuple[Outcome, ...]:
    """Measure, then judge. Ends within ``seconds`` and a little; a probe that breaks costs only its own checks.

    Returns:
        One outcome for each probe, in the same order.
    """
    done = Done()
    given = {probe.name: asyncio.Event() for probe in wanted}
    measures = _measures(wanted)
    ends = time.monotonic() + seconds

    async def one(probe: Probe) -> Outcome:
        began = time.monotonic()
        try:
            outcome = await _measure(probe, case, done, [given[name] for name in _before(probe, measures)], ends)
        finally:
            given[probe.name].set()
        outcome = _timed(outcome, time.monotonic() - began)
        with contextlib.suppress(Exception):
            heard(outcome)
        return outcome

    outcomes = await asyncio.gather(*(one(probe) for probe in wanted))
    return tuple(_judged(outcome, case, done) for outcome in outcomes)


async def _measure(probe: Probe, case: Case, done: Done, waits: Iterable[asyncio.Event], ends: float) -> Outcome:
    if why := probe.leave_out(case):
        return Outcome(probe=probe, why=why)
    try:
        async with asyncio.timeout(max(0.0, ends - time.monotonic())):
            for event in waits:
                await event.wait()
            async with asyncio.timeout(probe.seconds):
                measured = await probe.measure(case, done)
    except TimeoutError:
        return Outcome(probe=probe, why="it took too long", unfinished=True)
    except Exception as error:
        # A probe's own bug must not cost the report; it is shown as what it is.
        logger.exception("the probe %s", probe.name)
        return Outcome(probe=probe, why=_broke(error), unfinished=True)
    done.add(measured)
    return Outcome(probe=probe, measured=measured)


def _judged(outcome: Outcome, case: Case, done: Done) -> Outcome:
    if outcome.measured is None:
        return outcome
    try:
        return replace(outcome, checks=tuple(outcome.probe.judge(case, done)))
    except Exception as error:
        logger.exception("the judgement of %s", outcome.probe.name)
        return replace(outcome, why=_broke(error), unfinished=True)


def _broke(error: Exception) -> Clue:
    return Clue("the probe itself failed ({detail})", (("detail", type(error).__name__),))


def _timed(outcome: Outcome, seconds: float) -> Outcome:
    return replace(outcome, took_ms=round(seconds * 1000, 1))


def _measures(wanted: Sequence[Probe]) -> dict[type[Any], str]:
    """Give which probe gives which type."""
    return {probe.gives: probe.name for probe in wanted}


def _before(probe: Probe, measures: dict[type[Any], str]) -> list[str]:
    return [measures[kind] for kind in probe.after if kind in measures]
