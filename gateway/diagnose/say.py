"""Say a verdict in a language: the only place where words and facts meet."""

from dataclasses import replace

from gateway.diagnose.remedy import fill, words
from gateway.model.cause import Again
from gateway.model.diagnosis import Clue, Diagnosis, RuledOut


def say(diagnosis: Diagnosis, language: str = "en") -> Diagnosis:
    """Give the same verdict with all its texts in a language; one that we do not speak is answered in English."""
    spoken = words(language)
    remedy = spoken.remedies[diagnosis.cause]
    facts = dict(diagnosis.facts)

    def line(clue: Clue) -> str:
        return fill(spoken.clues.get(clue.text, clue.text), dict(clue.facts))

    return replace(
        diagnosis,
        language=language,
        title=remedy.title,
        what_happened=fill(remedy.what_happened, facts),
        evidence=tuple(text for clue in diagnosis.clues if (text := line(clue))),
        ruled_out=tuple(RuledOut(one.cause, line(one.clue), one.clue) for one in diagnosis.ruled_out),
        what_to_do=tuple(fill(step, facts) for step in remedy.what_to_do),
    )


def waiting_helps(diagnosis: Diagnosis) -> bool:
    """Whether the same call can succeed later without anybody's doing."""
    return diagnosis.cause.again is not Again.NEVER
