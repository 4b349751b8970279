"""The report of a run: what was found, the one most likely cause on top, in a shape that stays."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.diagnose.remedy import words
from gateway.diagnose.say import say
from gateway.doctor.case import Case
from gateway.doctor.probe import Check, Group, Outcome, Status
from gateway.model.diagnosis import Clue, Diagnosis
from gateway.model.secret import scrub

REPORT_FILE = "doctor.json"
"""In the state directory: the last report."""

SHAPE = 1
"""Of the document; counted up when a field changes its meaning."""

_TEXT_CHARACTERS = 300
_ITEMS = 64
_HIDDEN = frozenset({"text", "headers"})
"""Of an answer: what a server wrote stays out of a document that is handed on; the lines of evidence quote enough."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A check in its place.

    Attributes:
        rank: Of its probe.
    """

    group: Group
    name: str
    rank: int
    check: Check


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a run found.

    Attributes:
        target: Host, with its port where that is not the usual one.
        way: ``straight``, or the proxy's address without its credential.
        began_at: Seconds since the epoch.
        lines: In order of group and rank.
        contacted: What was asked to be contacted, ``host:port`` each.
        scope: How far the trouble reaches, one sentence a line; empty when all is well.
    """

    version: str
    target: str
    way: str
    began_at: float
    took_ms: float
    lines: tuple[Line, ...]
    outcomes: tuple[Outcome, ...]
    contacted: tuple[str, ...] = ()
    scope: tuple[Clue, ...] = ()

    @property
    def healthy(self) -> bool:
        """Whether nothing was found that hinders or may hinder calls."""
        return not any(line.check.status in {Status.WARN, Status.FAIL} for line in self.lines)

    @property
    def most_likely(self) -> Line | None:
        """Give the one that explains most: of failures, else of warnings, the nearest to this machine."""
        for status in (Status.FAIL, Status.WARN):
            found = [line for line in self.lines if line.check.status is status and line.check.diagnosis is not None]
            if found:
                return min(found, key=lambda line: line.rank)
        return None


def report(
    case: Case,
    outcomes: Sequence[Outcome],
    *,
    version: str,
    began_at: float,
    took_ms: float,
    scope: Iterable[Clue] = (),
) -> Report:
    """Put a run together."""
    lines = [
        Line(group=outcome.probe.group, name=outcome.probe.name, rank=outcome.probe.rank, check=check)
        for outcome in outcomes
        for check in outcome.checks or _left_out(outcome)
    ]
    order = {group: number for number, group in enumerate(Group)}
    return Report(
        version=version,
        target=str(case.target),
        way="straight" if case.via is None else str(case.via),
        began_at=began_at,
        took_ms=took_ms,
        lines=tuple(sorted(lines, key=lambda line: (order[line.group], line.rank))),
        outcomes=tuple(outcomes),
        contacted=contacts(case, (outcome.probe for outcome in outcomes)),
        scope=tuple(scope),
    )


def contacts(case: Case, wanted: Iterable[Any]) -> tuple[str, ...]:
    """Give whatever these probes will contact in this case."""
    return tuple(dict.fromkeys(place for probe in wanted if not probe.leave_out(case) for place in probe.touches(case)))


def _left_out(outcome: Outcome) -> tuple[Check, ...]:
    if not outcome.why:
        return ()
    # What was not seen to its end is not well.
    return (Check(status=Status.WARN if outcome.unfinished else Status.SKIPPED, told=_line_of(outcome.why)),)


def _line_of(text: str | Clue) -> Clue:
    """Give a reason as a line: a bare text is one without facts."""
    return text if isinstance(text, Clue) else Clue(text)


def document(found: Report, language: str = "en", *, measured: bool = True) -> dict[str, Any]:
    """Give the report as JSON-ready values; credentials are struck out wherever they might stand.

    Args:
        measured: With the measurements, for ``--compare``.
    """
    checks = [_check(line, language) for line in found.lines]
    likely = found.most_likely
    given = {
        "shape": SHAPE,
        "version": found.version,
        "target": found.target,
        "way": found.way,
        "began_at": found.began_at,
        "took_ms": round(found.took_ms, 1),
        "healthy": found.healthy,
        "most_likely": None if likely is None else _check(likely, language),
        "scope": [said(clue, language) for clue in found.scope],
        "checks": checks,
        "contacted": list(found.contacted),
    }
    if measured:
        given["measured"] = {
            outcome.probe.name: plain(outcome.measured) for outcome in found.outcomes if outcome.measured is not None
        }
    return given


def _check(line: Line, language: str) -> dict[str, Any]:
    diagnosis = line.check.diagnosis
    given: dict[str, Any] = {
        "group": line.group.value,
        "name": line.name,
        "about": line.check.about,
        "status": line.check.status.value,
        "told": said(line.check.told, language),
        "cause": None,
        "evidence": [],
        "what_to_do": [],
    }
    if diagnosis is not None:
        # One in this language already is left as it is: a probe may have given it a title and words of its own.
        given |= _verdict(diagnosis if diagnosis.language == language else say(diagnosis, language))
    if line.check.steps:
        given["what_to_do"] = [_sentence(said(step, language), language) for step in line.check.steps]
    return given


def _sentence(text: str, language: str) -> str:
    stop = "\N{IDEOGRAPHIC FULL STOP}" if language == "zh" else "."
    return text[:1].upper() + text[1:] + stop


def _verdict(diagnosis: Diagnosis) -> dict[str, Any]:
    return {
        "cause": diagnosis.cause.value,
        "fault": None if diagnosis.fault is None else diagnosis.fault.value,
        "precision": diagnosis.precision.value,
        "vendor": diagnosis.vendor,
        "title": diagnosis.title,
        "what_happened": scrub(diagnosis.what_happened),
        "evidence": [scrub(text) for text in diagnosis.evidence],
        "ruled_out": [{"cause": one.cause.value, "why": scrub(one.why)} for one in diagnosis.ruled_out],
        "alternatives": [one.value for one in diagnosis.alternatives],
        "what_to_do": list(diagnosis.what_to_do),
    }


def said(clue: str | Clue, language: str) -> str:
    """Say a line, or a reason, in a language."""
    clue = _line_of(clue)
    return scrub(words(language).line(clue.text, clue.facts))


def plain(value: Any, depth: int = 0) -> Any:
    """Give a measurement as JSON-ready values: bounded, without credentials and without what servers wrote."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    if isinstance(value, str):
        return scrub(value[: 4 * _TEXT_CHARACTERS])[:_TEXT_CHARACTERS]
    if depth > 8:
        return None
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        named = ((field.name, getattr(value, field.name)) for field in dataclasses.fields(value))
        return {name: plain(one, depth + 1) for name, one in named if name not in _HIDDEN}
    if isinstance(value, Mapping):
        return {str(key): plain(one, depth + 1) for key, one in list(value.items())[:_ITEMS]}
    return [plain(one, depth + 1) for one in list(value)[:_ITEMS]]
