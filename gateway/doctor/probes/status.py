"""The provider's own status page: what it says of the part that calls go to."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from gateway.doctor.case import Case
from gateway.doctor.finding import clue, evidence_for, named, not_this, note, ok, trouble
from gateway.doctor.measured import Plain, StatusSaid
from gateway.doctor.probe import Check, Done, Group, Probe, Status
from gateway.doctor.replies import is_normal, verdict_on
from gateway.doctor.status_asking import status_said
from gateway.doctor.status_pages import AFFECTED, OPERATIONAL
from gateway.model.cause import Cause
from gateway.model.diagnosis import Clue

_FLOWS = 20
_ITS_OWN = ("service.", "edge.origin_error")


async def _measure(case: Case, _done: Done) -> StatusSaid:
    return await status_said(case)


def _leave_out(case: Case) -> str:
    return "" if case.target.name in case.lists.status_pages else "no status page of it is known"


def _judge(case: Case, done: Done) -> Iterator[Check]:
    seen = done.get(StatusSaid)
    if seen is None:
        return
    if seen.state == OPERATIONAL:
        if seen.elsewhere:
            names = "; ".join(one.name for one in seen.incidents[:3])
            yield note("the status page reports trouble elsewhere, not with the API[: {names}]", names=names)
        else:
            yield ok("the status page reports no incident")
    elif seen.state == AFFECTED:
        yield _affected(case, done, seen)
    elif seen.answer is not None and seen.answer.failure is not None:
        yield _unreachable(done, seen)
    else:
        status = seen.answer.status if seen.answer is not None else 0
        shown = f"status {status}" if status not in {0, 200} else ""
        yield note("the status page could not be read[ ({detail})]; it may have an incident all the same", detail=shown)


def _unreachable(done: Done, seen: StatusSaid) -> Check:
    failure = seen.answer.failure if seen.answer is not None else None
    detail = failure.detail if failure is not None else ""
    if _api_answers(done) is False:
        return note("neither the API nor its status page can be reached: the trouble is on this side", detail=detail)
    return note("the status page cannot be reached: {detail}", detail=detail)


def _affected(case: Case, done: Done, seen: StatusSaid) -> Check:
    fails = _fails(case, done)
    incident = next((one.name for one in seen.incidents), "")
    states = ", ".join(f"{name}: {state.replace('_', ' ')}" for name, state in seen.components[:3])
    verdict = named(
        Cause.SERVICE_INCIDENT,
        evidence_for(case),
        clues=_clues(seen, states),
        ruled_out=(not_this(Cause.NETWORK_OFFLINE, clue("its status page opens from here")),),
        language=case.language,
    )
    host = urlsplit(seen.page).hostname
    return trouble(
        Status.FAIL if fails else Status.WARN,
        verdict,
        "{host} reports an incident[: {name}]",
        host=host,
        name=incident or states,
    )


def _clues(seen: StatusSaid, states: str) -> Iterator[Clue]:
    if states:
        yield clue("its status page shows {detail}", detail=states)
    for one in seen.incidents[:3]:
        yield clue("the incident “{name}”[ is {status}][, since {began}]",
                   name=one.name, status=one.status.replace("_", " "), began=one.began)  # fmt: skip


def _api_answers(done: Done) -> bool | None:
    """Whether the API answered just now; None when it was not asked."""
    plain = done.get(Plain)
    return None if plain is None else plain.answer.failure is None


def _fails(case: Case, done: Done) -> bool:
    """Whether calls fail as they would in an incident: just now, or the last of them."""
    plain = done.get(Plain)
    if plain is not None:
        answer = plain.answer
        if answer.failure is not None and answer.failure.sent:
            return True
        verdict = verdict_on(case, case.target, answer)
        if answer.failure is None and not is_normal(verdict, case.target, answer) and _is_its_own(verdict.cause):
            return True
    last = next((row for row in case.flows[:_FLOWS] if row.get("host") == case.target.host), None)
    return last is not None and _is_its_own(str(last.get("cause") or ""))


def _is_its_own(cause: str) -> bool:
    return cause.startswith(_ITS_OWN)


def _page(case: Case) -> tuple[str, ...]:
    page = case.lists.status_pages.get(case.target.name)
    parts = urlsplit(page.url if page is not None else "")
    return (f"{parts.hostname}:{parts.port or 443}",) if parts.hostname else ()


PROBE = Probe(
    name="status",
    group=Group.PROVIDER,
    rank=72,
    gives=StatusSaid,
    measure=_measure,
    judge=_judge,
    seconds=4.0,
    touches=_page,
    unasked=True,
    leave_out=_leave_out,
)
