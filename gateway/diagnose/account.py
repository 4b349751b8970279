"""From a decision to the words about this very call: its facts, its evidence, what it is not, how long to wait."""

from gateway.diagnose.author import Kind
from gateway.diagnose.observation import Observation
from gateway.diagnose.rule import Finding
from gateway.diagnose.say import say
from gateway.model.cause import Again, Cause, Precision
from gateway.model.diagnosis import Clue, Diagnosis, RuledOut

_DETAIL_CHARACTERS = 300


def account(
    observation: Observation,
    cause: Cause,
    *,
    precision: Precision = Precision.INFERRED,
    detail: str = "",
    finding: Finding | None = None,
    clues: tuple[Clue, ...] = (),
    alternatives: tuple[Cause, ...] = (),
    aside: tuple[tuple[Cause, Finding], ...] = (),
) -> Diagnosis:
    """Give the verdict with all that there is to say about it."""
    evidence = observation.evidence
    facts = {
        "provider": evidence.provider.name if evidence.provider is not None else "",
        "model": evidence.model,
        "host": evidence.host,
        "status": str(observation.status or ""),
        "detail": (detail or observation.declared.message)[:_DETAIL_CHARACTERS].rstrip(" ."),
    }
    vendor = _vendor(observation)
    return say(
        Diagnosis(
            cause=cause,
            fault=cause.fault,
            precision=precision,
            title="",
            what_happened="",
            alternatives=alternatives,
            vendor=vendor,
            waiting_helps=cause.again is not Again.NEVER,
            facts=tuple(facts.items()),
            clues=clues,
            ruled_out=tuple(RuledOut(one, "", Clue(seen.seen)) for one, seen in aside[:0]),
        )
    )


def _vendor(observation: Observation) -> str:
    """Name the product on the path: by its page, its certificate, its address."""
    if observation.by(Kind.MIDDLEBOX, Kind.EDGE) and observation.author.name:
        return observation.author.name
    mark = observation.issuer or observation.resolved
    return mark.vendor if mark is not None else ""
