"""Say a verdict in a language: the only place where words and facts meet."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gateway.diagnose.remedy import fill, words
from gateway.model.cause import Again, Cause, Precision
from gateway.model.diagnosis import Clue, Diagnosis, Facts, RuledOut


def say(diagnosis: Diagnosis, language: str = "en") -> Diagnosis:
    """Give the same verdict with all its texts in a language; one that we do not speak is answered in English."""
    spoken = words(language)
    remedy = spoken.remedies[diagnosis.cause]
    facts = spoken.spoken(diagnosis.facts)

    def line(clue: Clue) -> str:
        return spoken.line(clue.text, clue.facts)

    return replace(
        diagnosis,
        language=language,
        title=remedy.title,
        what_happened=fill(remedy.what_happened, facts),
        evidence=tuple(text for clue in diagnosis.clues if (text := line(clue))),
        ruled_out=tuple(RuledOut(one.cause, line(one.clue), one.clue) for one in diagnosis.ruled_out),
        what_to_do=tuple(fill(step, facts) for step in remedy.what_to_do),
    )


def retold(stored: Mapping[str, Any], language: str) -> dict[str, Any]:
    """Give a stored verdict with all its texts in another language.

    Args:
        stored: ``dataclasses.asdict`` of a Diagnosis after JSON. One without the facts to say it anew (older versions
            kept none) or with a cause that we do not know is given back as it is.
        language: As for `say`.
    """
    if stored.get("evidence") and not stored.get("clues"):
        return dict(stored)
    try:
        said = say(_restored(stored), language)
    except (KeyError, TypeError, ValueError, AttributeError):
        return dict(stored)
    ruled_out = [{**entry, "why": one.why} for entry, one in zip(stored["ruled_out"], said.ruled_out, strict=True)]
    return {
        **stored,
        "language": said.language,
        "title": said.title,
        "what_happened": said.what_happened,
        "evidence": list(said.evidence),
        "ruled_out": ruled_out,
        "what_to_do": list(said.what_to_do),
    }


def _restored(stored: Mapping[str, Any]) -> Diagnosis:
    """Read as much of a stored verdict as saying it takes. Raises where a part is missing or has another shape."""
    cause = Cause(stored["cause"])
    ruled_out = ((Cause(entry["cause"]), _clue(entry["clue"])) for entry in stored["ruled_out"])
    return Diagnosis(
        cause=cause,
        fault=cause.fault,
        precision=Precision.INFERRED,
        title="",
        what_happened="",
        facts=_facts(stored["facts"]),
        clues=tuple(_clue(clue) for clue in stored["clues"]),
        ruled_out=tuple(RuledOut(one, "", clue) for one, clue in ruled_out),
    )


def _clue(stored: Mapping[str, Any]) -> Clue:
    return Clue(str(stored["text"]), _facts(stored["facts"]))


def _facts(stored: Any) -> Facts:
    return tuple((str(name), str(value)) for name, value in stored)


def waiting_helps(diagnosis: Diagnosis) -> bool:
    """Whether the same call can succeed later without anybody's doing."""
    return diagnosis.cause.again is not Again.NEVER
