"""The gateway itself: its version, whether one runs, and whether its own files are in order."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace

from gateway.doctor import own_files
from gateway.doctor.case import Case
from gateway.doctor.finding import clue, evidence_for, named, note, ok, trouble
from gateway.doctor.measured_here import Installed
from gateway.doctor.own_way import bears_our_mark, is_own, proxies
from gateway.doctor.probe import Check, Done, Group, Probe, Status
from gateway.doctor.report import said
from gateway.model.cause import Cause
from gateway.version import version

STALE_VARIABLES = "stale_variables"
_OF_CA = frozenset({own_files.CA, own_files.CA_EXPIRED})
_TITLE = "whygate cannot use its own files"
_MENDS = "whygate doctor --fix   mends it."


async def _measure(case: Case, _done: Done) -> Installed:
    return await asyncio.to_thread(_look, case)


def _look(case: Case) -> Installed:
    state = own_files.state_of(case.state, case.environ)
    found = tuple(own_files.problems(state)) if state is not None else ()
    fixable = [what for what, _ in found if what in own_files.MENDED]
    if _are_stale(case):
        fixable.append(STALE_VARIABLES)
    host, port = case.own[0] if case.own else ("", 0)
    return Installed(
        version=version(),
        running=f"{host}:{port}" if host else "",
        problems=found,
        fixable=tuple(dict.fromkeys(fixable)),
    )


def _are_stale(case: Case) -> bool:
    """Whether a proxy variable was set by a gateway of ours other than the one that runs now."""
    return any(
        not is_own(case, via) and bears_our_mark(case.environ, case.environ.get(name, ""))
        for name, via in proxies(case.environ)
    )


def _judge(case: Case, done: Done) -> Iterator[Check]:
    seen = done.get(Installed)
    if seen is None:
        return
    for what, told in seen.problems:
        yield note("{detail}", detail=told) if what == own_files.STALE_RUNTIME else _broken(case, seen, what, told)
    if not any(what != own_files.STALE_RUNTIME for what, _ in seen.problems):
        text = "whygate {version}, running at {place}" if seen.running else "whygate {version}; no gateway runs"
        yield ok(text, version=seen.version, place=seen.running)


def _broken(case: Case, seen: Installed, what: str, told: str) -> Check:
    happened, _, fix = told.partition(". ")
    cause = Cause.CLIENT_CA_NOT_TRUSTED if what in _OF_CA else Cause.PROXY_INTERNAL_ERROR
    verdict = named(cause, evidence_for(case), clues=(clue("{detail}", detail=happened),), language=case.language)
    step = said(clue(_MENDS), case.language) if what in seen.fixable else fix
    # The words of these causes are about calls; here the files themselves say what to do.
    verdict = replace(
        verdict,
        title=said(clue(_TITLE), case.language),
        what_happened=f"{happened}.",
        what_to_do=(step, *((fix,) if fix != step else ())),
    )
    return trouble(Status.WARN, verdict, "{detail}", detail=happened)


PROBE = Probe(
    name="installed",
    group=Group.ENVIRONMENT,
    rank=12,
    gives=Installed,
    measure=_measure,
    judge=_judge,
    seconds=2.0,
    unasked=True,
)
