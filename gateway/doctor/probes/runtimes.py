"""Whether the runtimes of this machine would take the proxy that is set, and trust our certificate behind it."""

import shutil
from collections.abc import Iterator

from gateway.canary.reading import PAST, REACHED, UNTRUSTED
from gateway.doctor.case import Case
from gateway.doctor.finding import clue, evidence_for, named, note, ok, trouble
from gateway.doctor.measured_here import Runtimes, RuntimeSeen, Trust
from gateway.doctor.own_way import leads_here, proxies
from gateway.doctor.probe import Check, Done, Group, Probe, Status
from gateway.doctor.runtime_asking import BY_BASE_URL, WITHOUT_CANARY, runtimes_of
from gateway.model.cause import Cause

_PAST = {
    "gateway": "{version}: calls by {names} go past the gateway",
    "proxy": "{version}: calls by {names} go past the proxy",
}
_THROUGH = {
    "gateway": "{version}: calls by {names} go through the gateway",
    "proxy": "{version}: calls by {names} go through the proxy",
}
_BASED = "{version}: calls by {names} come through by their base URL alone, as those of the official SDKs do"
_SAID = (REACHED, BY_BASE_URL, PAST, UNTRUSTED)
_LACKING = frozenset({"lacks_ours", "unset"})


async def _measure(case: Case, _done: Done) -> Runtimes:
    path = case.environ.get("PATH", "")
    more = [
        RuntimeSeen(name=one, problem="there is no check for it")
        for one in WITHOUT_CANARY
        if shutil.which(one, path=path)
    ]
    return Runtimes(each=(*await runtimes_of(case), *more))


def _leave_out(case: Case) -> str:
    if not case.asked:
        return "programs are run only when somebody asks"
    if any(True for _ in proxies(case.environ)):
        return ""
    if case.own:
        return "no variable here leads to the gateway; whygate run sets them for one program"
    return "no proxy is set here, and no gateway runs"


def _judge(case: Case, done: Done) -> Iterator[Check]:
    seen = done.get(Runtimes)
    if seen is None:
        return
    trust = done.get(Trust)
    told_before = trust is not None and any(what in _LACKING for _, what in trust.variables)
    for one in seen.each:
        yield from _of_runtime(case, one, told_before=told_before)
    if not seen.each:
        yield note("no runtime is on PATH that could be asked")


def _of_runtime(case: Case, seen: RuntimeSeen, *, told_before: bool) -> Iterator[Check]:
    if seen.problem:
        yield note("{name} could not be asked: {detail}", about=seen.name, name=seen.name, detail=seen.problem)
        return
    by = {what: ", ".join(name for name, said in seen.means if said == what) for what in _SAID}
    place = "gateway" if leads_here(case) else "proxy"
    facts = {"version": seen.version, "names": by[UNTRUSTED] or by[PAST] or by[BY_BASE_URL] or by[REACHED]}
    if by[UNTRUSTED]:
        text = "{version}: the gateway's certificate is not trusted by {names}"
        if told_before:
            yield note(text, about=seen.name, **facts)
            return
        verdict = named(
            Cause.CLIENT_CA_NOT_TRUSTED, evidence_for(case), clues=(clue(text, **facts),), language=case.language
        )
        yield trouble(Status.WARN, verdict, text, about=seen.name, **facts)
    elif by[PAST]:
        yield note(_PAST[place], about=seen.name, **facts)
    elif by[BY_BASE_URL]:
        yield note(_BASED, about=seen.name, **facts)
    else:
        yield ok(_THROUGH[place], about=seen.name, **facts)


PROBE = Probe(
    name="runtimes",
    group=Group.ENVIRONMENT,
    rank=16,
    gives=Runtimes,
    measure=_measure,
    judge=_judge,
    seconds=6.0,
    touches=lambda case: (f"{case.target.host}:{case.target.port}",),
    leave_out=_leave_out,
)
