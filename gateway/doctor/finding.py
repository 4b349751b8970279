"""From what a probe found to a verdict: by the engine that judges calls, with what the controls add and rule out."""

from collections.abc import Iterable
from dataclasses import replace

from gateway.diagnose.account import account
from gateway.diagnose.engine import diagnose
from gateway.diagnose.evidence import Certificate, Evidence
from gateway.diagnose.observation import Observation
from gateway.diagnose.say import say
from gateway.doctor.case import Case
from gateway.doctor.probe import Check, Status
from gateway.doctor.wire import Served, clock_text
from gateway.model.cause import Cause, Precision
from gateway.model.diagnosis import Clue, Diagnosis, RuledOut


def clue(text: str, **facts: object) -> Clue:
    """Give a line with its facts."""
    return Clue(text, tuple((name, str(value)) for name, value in facts.items()))


def not_this(cause: Cause, why: Clue) -> RuledOut:
    """Give a cause that a control rules out, and by what."""
    return RuledOut(cause, "", why)


def certificate(served: Served | None) -> Certificate:
    """Give a served certificate as evidence, an empty one for None."""
    if served is None:
        return Certificate()
    return Certificate(
        subject=served.subject, issuer=served.issuer, begins=served.begins, ends=served.ends, clock=clock_text()
    )


def judged(
    evidence: Evidence,
    *,
    clues: Iterable[Clue] = (),
    ruled_out: Iterable[RuledOut] = (),
    confirmed: bool = True,
    language: str = "en",
) -> Diagnosis:
    """Let the engine name the cause, and add what controls showed.

    Args:
        confirmed: A control was asked and agrees; without one the verdict stays as sure as the engine finds it.
    """
    return _with(diagnose(evidence), clues, ruled_out, confirmed=confirmed, language=language)


def named(
    cause: Cause,
    evidence: Evidence,
    *,
    clues: Iterable[Clue] = (),
    ruled_out: Iterable[RuledOut] = (),
    confirmed: bool = True,
    language: str = "en",
) -> Diagnosis:
    """Give the verdict on a cause that a probe has shown by itself: the engine is not asked, its words are used."""
    found = account(Observation(evidence), cause)
    return _with(found, clues, ruled_out, confirmed=confirmed, language=language)


def telling(diagnosis: Diagnosis, language: str = "en", **facts: str) -> Diagnosis:
    """Give a verdict with further facts for its words, as ``variable``."""
    return say(replace(diagnosis, facts=(*diagnosis.facts, *facts.items())), language)


def _with(
    diagnosis: Diagnosis, clues: Iterable[Clue], ruled_out: Iterable[RuledOut], *, confirmed: bool, language: str
) -> Diagnosis:
    excluded = {one.cause: one for one in (*diagnosis.ruled_out, *ruled_out) if one.cause is not diagnosis.cause}
    return say(
        replace(
            diagnosis,
            precision=Precision.CONFIRMED
            if confirmed and diagnosis.cause is not Cause.UNKNOWN
            else diagnosis.precision,
            clues=tuple(dict.fromkeys((*clues, *diagnosis.clues))),
            ruled_out=tuple(excluded.values()),
            alternatives=tuple(one for one in diagnosis.alternatives if one not in excluded),
        ),
        language,
    )


def evidence_for(case: Case, **more: object) -> Evidence:
    """Give evidence about the target, with the fields of `Evidence` that a probe knows."""
    proxy = f"{case.via.host}:{case.via.port}" if case.via is not None else ""
    fields = {"provider": case.target.provider, "host": case.target.host, "proxy": proxy} | more
    return Evidence(**fields)  # type: ignore[arg-type]


def ok(text: str, about: str = "", **facts: object) -> Check:
    """Give a check that came out well."""
    return Check(status=Status.OK, told=clue(text, **facts), about=about)


def note(text: str, about: str = "", **facts: object) -> Check:
    """Give something worth knowing."""
    return Check(status=Status.NOTE, told=clue(text, **facts), about=about)


def skipped(text: str, about: str = "", **facts: object) -> Check:
    """Say why something was not looked at."""
    return Check(status=Status.SKIPPED, told=clue(text, **facts), about=about)


def trouble(status: Status, diagnosis: Diagnosis, text: str, about: str = "", **facts: object) -> Check:
    """Give a check that came out badly, with its verdict."""
    return Check(status=status, told=clue(text, **facts), about=about, diagnosis=diagnosis)
