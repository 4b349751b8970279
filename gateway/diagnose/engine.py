"""The engine: `Evidence -> Diagnosis`. Pure, total, deterministic; what nothing explains is `unknown`.

Theory of operation. What a stage of ours refused, it names itself. Everything else is read once (`Observation`) and
shown to the rules; each may find its cause, on a basis: a status, a shape, words, a code. The provider's own table of
codes and wordings is one more finding. Then, in this order:

1. **Author.** A rule reads only answers of those who may speak of its cause: a firewall's 503 is no outage.
2. **Strength.** A status alone counts only when nothing else does.
3. **Precedence.** A rule names the causes that it sets aside where it is found: a retired model is an unknown one, too.
4. **Layer.** What an app did wrong itself comes before what an answer says, and that before what a network did.
5. **Specificity.** A cause that stands for "nothing more is known" gives way; then the stronger basis wins.

What is left beside the winner with the same strength is an alternative, and says so.
"""

import logging
from collections.abc import Iterable
from typing import NamedTuple

from gateway._discover import discover
from gateway.diagnose.account import account
from gateway.diagnose.evidence import Evidence
from gateway.diagnose.observation import Observation
from gateway.diagnose.rule import Basis, Finding, Layer, Rule
from gateway.diagnose.vendors import Means
from gateway.model.cause import Cause, Precision
from gateway.model.diagnosis import Clue, Diagnosis
from gateway.model.failure import NetCode

logger = logging.getLogger("whygate.diagnose")

RULES: dict[Cause, Rule] = {rule.cause: rule for rule in discover("gateway.diagnose.rules", "RULE", Rule).values()}
"""Every cause that evidence decides."""

ALTERNATIVES_MAX = 3

_ORDER = {cause: at for at, cause in enumerate(Cause)}


class Candidate(NamedTuple):
    """A rule that found its cause."""

    rule: Rule
    finding: Finding


class Verdict(NamedTuple):
    """The outcome of weighing: the winner, what fits as well, and what was set aside."""

    winner: Candidate | None
    alternatives: tuple[Cause, ...]
    aside: tuple[Candidate, ...]


def diagnose(evidence: Evidence) -> Diagnosis:
    """Give the verdict on a failed call. Total: a bug in here is a verdict, too, and never costs a row."""
    try:
        return _diagnose(evidence)
    except Exception as error:
        logger.exception("no verdict")
        seen = Clue("whygate's own diagnosis failed with {detail}", (("detail", type(error).__name__),))
        return account(
            Observation(Evidence(provider=None, host=evidence.host)), Cause.PROXY_INTERNAL_ERROR, clues=(seen,)
        )


def _diagnose(evidence: Evidence) -> Diagnosis:
    observation = Observation(evidence)
    if evidence.refused is not None:
        cause = evidence.refused.cause
        return account(observation, cause, precision=Precision.DECLARED, detail=evidence.refused.why)
    if evidence.internal_error is not None:
        cause = Cause.PROXY_INTERNAL_ERROR
        return account(observation, cause, precision=Precision.DECLARED, detail=evidence.internal_error)
    if evidence.failure is not None and evidence.failure.code is NetCode.OUT_OF_DESCRIPTORS:
        return account(
            observation, Cause.PROXY_OVERLOADED, precision=Precision.DECLARED, detail=evidence.failure.detail
        )
    verdict = weigh(candidates(observation))
    if verdict.winner is None:
        return account(observation, Cause.UNKNOWN)
    return account(
        observation,
        verdict.winner.rule.cause,
        precision=_precision(observation, verdict.winner),
        finding=verdict.winner.finding,
        alternatives=verdict.alternatives,
        aside=tuple((one.rule.cause, one.finding) for one in verdict.aside),
    )


def candidates(observation: Observation) -> list[Candidate]:
    """Show the observation to every rule that may speak, and to the provider's own table."""
    left = observation.evidence.client_left
    found: list[Candidate] = []
    for rule in RULES.values():
        if left and not rule.cause.startswith("client."):
            continue  # whatever else was under way is then no failure of the other side
        if rule.layer is Layer.ANSWER and not _may_speak(rule, observation):
            continue
        finding = rule.match(observation)
        if finding is not None:
            found.append(Candidate(rule, finding))
    if left:
        return found
    said = list(_provider(observation, found))
    if said and said[0].finding.basis is Basis.STATUS:
        # What a provider documents of its statuses goes before what they mean in general.
        found = [one for one in found if one.finding.basis > Basis.STATUS or one.rule.layer is not Layer.ANSWER]
    return [*found, *said]


def _may_speak(rule: Rule, observation: Observation) -> bool:
    """Whether an answer of this author can be about this cause: a web page knows nothing of keys and credit."""
    if rule.authors is not None and not observation.by(*rule.authors):
        return False
    page = observation.is_page and not observation.enveloped
    return not page or rule.reads_pages or not rule.cause.startswith(_OF_THE_API)


_OF_THE_API = ("auth.", "account.", "quota.", "rate_limit.", "request.")


def _provider(observation: Observation, found: Iterable[Candidate]) -> Iterable[Candidate]:
    """Give what the provider's own table says, in place of what the rule of the same cause found."""
    provider = observation.evidence.provider
    if provider is None or not observation.enveloped:
        return
    cause, finding = observation.documented, Finding(Basis.NAMED, "a code or wording that the provider documents")
    if cause is None:
        cause = provider.by_status.get(observation.status)
        finding = Finding(Basis.STATUS, "its status, by the provider's documentation")
    rule = RULES.get(cause) if cause is not None else None
    if rule is not None and not any(one.rule is rule and one.finding.basis >= finding.basis for one in found):
        yield Candidate(rule, finding)


def weigh(found: list[Candidate]) -> Verdict:
    """Decide between candidates. Pure; the order of ``found`` does not matter."""
    ranked = sorted(
        found,
        key=lambda one: (one.rule.general, -one.finding.basis, -one.rule.layer, _ORDER[one.rule.cause]),
    )
    strong = [one for one in ranked if one.finding.basis > Basis.STATUS] or ranked
    kept: list[Candidate] = []
    for one in strong:
        if any(_outranks(other, one) for other in kept):
            continue
        kept = [other for other in kept if not _outranks(one, other)]
        kept.append(one)
    if not kept:
        return Verdict(None, (), ())
    layer = max(one.rule.layer for one in kept)
    kept = [one for one in kept if one.rule.layer is layer]
    level = min(one.rule.general for one in kept)
    special = [one for one in kept if one.rule.general == level]
    best = max(one.finding.basis for one in special)
    winners = [one for one in special if one.finding.basis is best]
    winner = winners[0]
    near = [*winners[1:], *(one for one in special if one not in winners)]
    alternatives = tuple(dict.fromkeys(one.rule.cause for one in near if one.rule.cause is not winner.rule.cause))
    taken = {winner.rule.cause, *alternatives}
    aside = tuple(one for one in ranked if one.rule.cause not in taken)
    return Verdict(winner, alternatives[:ALTERNATIVES_MAX], aside)


def _outranks(one: Candidate, other: Candidate) -> bool:
    """Whether one sets the other aside."""
    slug = other.rule.cause.value
    return one.rule.cause.value != slug and any(
        slug == name or (name.endswith(".") and slug.startswith(name)) for name in one.rule.outranks
    )


def _precision(observation: Observation, winner: Candidate) -> Precision:
    if winner.rule.cause is Cause.SERVICE_INCIDENT:
        return Precision.CONFIRMED
    if observation.evidence.client_left and winner.rule.cause is Cause.CLIENT_DISCONNECTED:
        return Precision.DECLARED
    if winner.finding.basis is not Basis.NAMED:
        return Precision.INFERRED
    if winner.rule.layer is not Layer.NETWORK:
        return Precision.DECLARED
    resolved = observation.resolved
    seen = observation.issuer is not None or (resolved is not None and resolved.means is not Means.NAT64)
    return Precision.CONFIRMED if seen else Precision.INFERRED
