"""The clock of this machine, against what servers say in ``Date``: certificates are valid by it, or are not."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC
from email.utils import parsedate_to_datetime
from statistics import median

from gateway.diagnose.remedy import fill, words
from gateway.diagnose.waits import span
from gateway.doctor.case import Case
from gateway.doctor.finding import certificate, clue, evidence_for, judged, named, not_this, note, ok, skipped, trouble
from gateway.doctor.grounds import clock_explains, portal, refused_for_dates
from gateway.doctor.measured import Handshakes, Names, Plain, Portals
from gateway.doctor.measured_here import Clock
from gateway.doctor.probe import Check, Done, Group, Probe, Status
from gateway.doctor.wire import Answer, fetch
from gateway.model.cause import Cause
from gateway.model.failure import NetCode, NetFailure, Phase

NOTED_SECONDS, WARNED_SECONDS = 60.0, 300.0
_ASK_SECONDS = 1.5
_AGE_SECONDS_MAX = 86_400.0
_OLDEST_YEAR = 2020


async def _measure(case: Case, done: Done) -> Clock:
    now = time.time()
    said = list(_said(case, done, now))
    if not said and case.via is None and refused_for_dates(done) is not None:
        said = await _asked(case, done)
    skews = [skew for _, skew in said]
    return Clock(skew_seconds=round(median(skews), 1) if skews else None, by=tuple(name for name, _ in said))


def _said(case: Case, done: Done, now: float) -> Iterator[tuple[str, float]]:
    """Give who said the time, and how far this machine is ahead of it."""
    plain, portals = done.get(Plain), done.get(Portals)
    answers = [] if plain is None else [(case.target.host, plain.answer)]
    answers += [] if portals is None else list(portals.each)
    handshakes = done.get(Handshakes)
    answers += (
        [] if handshakes is None else [(one.address, one.page) for one in handshakes.each if one.page is not None]
    )
    for name, answer in answers:
        skew = skew_of(answer, now)
        if skew is not None:
            yield name.removeprefix("http://").partition("/")[0], skew


def skew_of(answer: Answer, now: float) -> float | None:
    """Give the seconds that ``now`` is ahead of an answer's Date (RFC 9110 section 6.6.1), None when it has none.

    One out of a cache was made ``Age`` seconds before (RFC 9111 section 5.1).
    """
    try:
        said = parsedate_to_datetime(answer.header("date"))
        age = min(max(0.0, float(answer.header("age") or 0)), _AGE_SECONDS_MAX)
    except (TypeError, ValueError):
        return None
    if said.year < _OLDEST_YEAR:
        return None
    if said.tzinfo is None:
        said = said.replace(tzinfo=UTC)
    return now - said.timestamp() - age


async def _asked(case: Case, done: Done) -> list[tuple[str, float]]:
    """Ask the target itself over plain HTTP: its certificate was refused, so nobody has said the time yet."""
    names = done.get(Names)
    address = names.addresses[0] if names is not None and names.addresses else ""
    if not address:
        return []
    url = f"http://{case.target.host}/"
    answer = await fetch(case, url, method="HEAD", address=address, straight=True, seconds=_ASK_SECONDS)
    skew = skew_of(answer, time.time())
    return [] if skew is None else [(case.target.host, skew)]


def _judge(case: Case, done: Done) -> Iterator[Check]:
    seen = done.get(Clock)
    if seen is None:
        return
    if seen.skew_seconds is None:
        yield skipped("nobody said the time")
        return
    if portal(case, done):
        yield skipped("a login page stands before everything")
        return
    skew = abs(seen.skew_seconds)
    told = clue(_AHEAD if seen.skew_seconds > 0 else _BEHIND, span=span(skew), by=", ".join(seen.by[:2]))
    served = clock_explains(done)
    if served is not None and skew > NOTED_SECONDS:
        failure = NetFailure(
            phase=Phase.TLS,
            code=NetCode.TLS_CERTIFICATE,
            detail="the certificate is not valid by this clock",
            sent=False,
        )
        evidence = evidence_for(case, failure=failure, certificate=certificate(served))
        excluded = [not_this(one, told) for one in (Cause.NETWORK_TLS_INSPECTION, Cause.SERVICE_UNAVAILABLE)]
        verdict = judged(evidence, clues=(told,), ruled_out=excluded, language=case.language)
        yield trouble(Status.FAIL, verdict, told.text, **dict(told.facts))
    elif skew > WARNED_SECONDS:
        verdict = named(
            Cause.NETWORK_TLS_CERTIFICATE, evidence_for(case), clues=(told,), confirmed=False, language=case.language
        )
        said = fill(words(case.language).clues.get(told.text, told.text), dict(told.facts))
        # No certificate was refused yet: the catalogue's sentence would say so.
        verdict = replace(verdict, title=said, what_happened=f"{said[:1].upper()}{said[1:]}.")
        yield trouble(Status.WARN, verdict, told.text, **dict(told.facts))
    elif skew > NOTED_SECONDS:
        yield note(told.text, **dict(told.facts))
    else:
        yield ok("this machine's clock is right, by {by}", by=", ".join(seen.by[:2]))


_AHEAD = "this machine's clock is {span} ahead of {by}"
_BEHIND = "this machine's clock is {span} behind {by}"


def _touches(case: Case) -> Iterable[str]:
    return () if case.via is not None else (f"{case.target.host}:80",)


PROBE = Probe(
    name="clock",
    group=Group.ENVIRONMENT,
    rank=35,
    gives=Clock,
    measure=_measure,
    judge=_judge,
    after=(Plain, Portals, Handshakes, Names),
    seconds=2.0,
    touches=_touches,
    unasked=True,
)
