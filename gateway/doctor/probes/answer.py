"""What the provider answers to a request without a key: its own refusal in its own shape, or something else's page."""

from collections.abc import Iterable, Iterator

from gateway.doctor.case import Case
from gateway.doctor.finding import clue, judged, not_this, note, ok, skipped, trouble
from gateway.doctor.grounds import astray, portal
from gateway.doctor.measured import Handshakes, Names, Others, Plain, Reached, StatusSaid, Tunnel
from gateway.doctor.probe import Check, Done, Group, Probe, Status
from gateway.doctor.replies import ask, evidence_of, is_normal, verdict_on
from gateway.model.cause import Cause
from gateway.model.diagnosis import Clue, Diagnosis, RuledOut
from gateway.model.failure import Phase

_SECONDS = 3.5
_NEARER = frozenset({Phase.POOL, Phase.DNS, Phase.CONNECT, Phase.TLS})
_MINE = "the provider answers a request without a key as it should[, in {ms} ms]"


async def _measure(case: Case, _done: Done) -> Plain:
    return Plain(answer=await ask(case, case.target, seconds=_SECONDS), path=case.target.path)


def _judge(case: Case, done: Done) -> Iterator[Check]:
    seen = done.get(Plain)
    if seen is None:
        return
    answer, target = seen.answer, case.target
    if answer.failure is not None:
        yield _unanswered(case, done, seen)
        return
    verdict = verdict_on(case, target, answer)
    if is_normal(verdict, target, answer):
        if target.provider is None:
            yield note("{host} answers with status {status}; it is of no provider that whygate knows",
                       host=target.host, status=answer.status)  # fmt: skip
        else:
            yield ok(_MINE, ms=round(answer.first_byte_ms))
    elif _is_the_incidents(done, verdict):
        yield note("it answers with status {status}, which its status page explains", status=answer.status)
    else:
        yield _strange(case, done, seen, verdict)


def _unanswered(case: Case, done: Done, seen: Plain) -> Check:
    failure = seen.answer.failure
    assert failure is not None
    if failure.phase in _NEARER and _was_found_nearer(case, done):
        return skipped("no connection to ask over")
    evidence = evidence_of(case, case.target, seen.answer, incident=_incident(done))
    told = "{host} gives no answer: {detail}"
    if _incident(done) and failure.sent:
        return note("{host} gives no answer, which its status page explains", host=case.target.host)
    verdict = judged(evidence, clues=_scope(case, done), confirmed=False, language=case.language)
    return trouble(Status.FAIL, verdict, told, host=case.target.host, detail=failure.detail)


def _was_found_nearer(case: Case, done: Done) -> bool:
    """Whether a check that is nearer to this machine has the same trouble, and reports it."""
    if case.via is not None:
        tunnel = done.get(Tunnel)
        if tunnel is not None and (tunnel.reach.failures or tunnel.connect.failure is not None):
            return True
    if astray(case, done) is not None or portal(case, done):
        return True
    names, reached, shaken = done.get(Names), done.get(Reached), done.get(Handshakes)
    if case.via is not None:
        names = reached = None
    return (
        (names is not None and not names.system.addresses)
        or (reached is not None and not reached.good)
        or (shaken is not None and not shaken.valid)
        or (names is not None and shaken is not None and not set(names.system.addresses) & set(shaken.valid))
    )


def _incident(done: Done) -> str:
    """Give what the status page has open on what calls go to, empty for nothing."""
    said = done.get(StatusSaid)
    if said is None or said.state != "affected":
        return ""
    return next((one.name for one in said.incidents), "") or ", ".join(name for name, _ in said.components)


def _is_the_incidents(done: Done, verdict: Diagnosis) -> bool:
    return bool(_incident(done)) and verdict.cause.startswith(("service.", "edge.origin_error"))


def _strange(case: Case, done: Done, seen: Plain, verdict: Diagnosis) -> Check:
    """Report an answer that is not the provider's normal one."""
    answer, cause = seen.answer, verdict.cause
    excluded = list(_excluded(case, done, verdict))
    evidence = evidence_of(case, case.target, answer)
    found = judged(
        evidence,
        clues=_scope(case, done),
        ruled_out=excluded,
        confirmed=_controlled(case, done) and cause.startswith("network."),
        language=case.language,
    )
    waits = cause.startswith("rate_limit.") or cause is Cause.UNKNOWN
    told = "{host} answers with status {code}[, written by {author}] and not as the provider does"
    if verdict.author == "provider":
        told = "the provider refuses with status {code}[: {detail}]"
    detail = dict(found.facts).get("detail", "")
    return trouble(
        Status.WARN if waits else Status.FAIL, found, told,
        host=case.target.host, code=answer.status, author=found.vendor, detail=detail,
    )  # fmt: skip


def _controlled(case: Case, done: Done) -> bool:
    return any(good for _, good in _others(case, done))


def _others(case: Case, done: Done) -> Iterable[tuple[str, bool]]:
    """Give the hosts of other providers that were asked likewise, and whether their answer is the normal one."""
    seen = done.get(Others)
    known = {str(one): one for one in case.others}
    for host, answer in seen.each if seen is not None else ():
        if host in known:
            target = known[host]
            yield host, is_normal(verdict_on(case, target, answer), target, answer)


def _scope(case: Case, done: Done) -> Iterator[Clue]:
    asked = list(_others(case, done))
    if good := [host for host, fine in asked if fine]:
        yield clue("the same request to {names} is answered as it should be", names=", ".join(good))
    if bad := [host for host, fine in asked if not fine]:
        yield clue("the same request to {names} fails as well", names=", ".join(bad))
    if not asked:
        yield clue("no other provider was asked for comparison")


def _excluded(case: Case, done: Done, verdict: Diagnosis) -> Iterator[RuledOut]:
    why = clue("the answer was not written by the provider")
    if verdict.cause.startswith(("network.", "edge.")) and verdict.author not in {"provider", "relay"}:
        if verdict.cause is not Cause.EDGE_ORIGIN_ERROR:
            yield not_this(Cause.SERVICE_UNAVAILABLE, why)
        yield not_this(Cause.AUTH_INVALID_KEY, clue("it is the same without a key"))
    if _controlled(case, done):
        yield not_this(Cause.NETWORK_OFFLINE, clue("other providers answer from here"))


PROBE = Probe(
    name="answer",
    group=Group.PROVIDER,
    rank=70,
    gives=Plain,
    measure=_measure,
    judge=_judge,
    seconds=4.0,
    touches=lambda case: (f"{case.target.host}:{case.target.port}",),
    unasked=True,
)
