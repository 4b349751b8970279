"""How far a trouble reaches: one app or all, one provider or every one, and since when. Pure.

From the log, whose rows are of this gateway's apps, and from what other providers' hosts answer now. Nothing is said
where nothing fails.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from gateway.diagnose.waits import span
from gateway.doctor.case import Case
from gateway.doctor.finding import clue
from gateway.doctor.measured import Others
from gateway.doctor.probe import Done, Outcome, Status
from gateway.doctor.wire import Answer
from gateway.model.diagnosis import Clue

_OWN: Final = ("client.", "request.", "rate_limit.", "proxy.", "service.model_error")
"""Failures that say nothing of the way or the service: the app's own doing, or a limit's."""
_WINDOW_SECONDS: Final = 3_600.0
"""Of the log, back from its latest row: what was before is another story."""
_NAMED_MAX = 4

Row = Mapping[str, Any]


def scope(case: Case, seen: Done | Iterable[Outcome]) -> tuple[Clue, ...]:
    """Say how far it reaches, one sentence with figures each; nothing when all is well.

    Args:
        seen: What a run measured, or its outcomes; with these, a run that found nothing says nothing of the present.
    """
    outcomes = None if isinstance(seen, Done) else tuple(seen)
    done = seen if isinstance(seen, Done) else Done(*(one.measured for one in outcomes or () if one.measured))
    rows = [row for row in case.flows if _counts(row)]
    ours = [row for row in rows if _of_target(case, row)]
    streak = _streak(ours)
    if not streak and not (outcomes is not None and _found(outcomes)):
        return ()
    latest = _latest(rows)
    lately = [row for row in rows if latest - _at(row) <= _WINDOW_SECONDS]
    return (
        *_since(case, streak, ours),
        *_apps(case, [row for row in lately if _of_target(case, row)]),
        *_tenants(case, [row for row in lately if _of_target(case, row)]),
        *_providers(case, done.get(Others), [row for row in lately if not _of_target(case, row)]),
    )


def _found(outcomes: Sequence[Outcome]) -> bool:
    return any(check.status in {Status.WARN, Status.FAIL} for one in outcomes for check in one.checks)


def _counts(row: Row) -> bool:
    """Whether a call came to an end that says something of the way or the service."""
    return row.get("state", "done") == "done" and not str(row.get("cause") or "").startswith(_OWN)


def _failed(row: Row) -> bool:
    return bool(row.get("cause"))


def _of_target(case: Case, row: Row) -> bool:
    if case.target.name and row.get("provider"):
        return bool(row["provider"] == case.target.name)
    return str(row.get("upstream") or row.get("host") or "").partition(":")[0] == case.target.host


def _streak(rows: Sequence[Row]) -> list[Row]:
    """Give the failures without a success in between, the latest first."""
    found: list[Row] = []
    for row in rows:
        if not _failed(row):
            break
        found.append(row)
    return found


def _since(case: Case, streak: Sequence[Row], ours: Sequence[Row]) -> Iterator[Clue]:
    if not streak:
        return
    began = _at(streak[-1])
    if not began:
        return
    lasted = span(max(0.0, _at(streak[0]) - began))
    last_good = next((row for row in ours if not _failed(row)), None)
    yield clue(
        "{host} fails since {time}: {count} in a row[ within {wait}][; the last success was at {good}]",
        host=case.target.host, time=_clock(began), count=len(streak), wait=lasted if len(streak) > 1 else "",
        good=_clock(_at(last_good)) if last_good is not None else "",
    )  # fmt: skip


def _apps(case: Case, rows: Sequence[Row]) -> Iterator[Clue]:
    bad, good = _parted(rows, lambda row: str(row.get("client") or ""))
    host = case.target.host
    if bad and good:
        text = "{bad} cannot use {host} while {good} can: it is not the network as a whole"
        yield clue(text, bad=_names(bad), good=_names(good), host=host)
    elif len(bad) > 1:
        text = "every app that calls {host} fails ({count}: {names}): it is not one app's doing"
        yield clue(text, host=host, count=len(bad), names=_names(bad))
    elif bad:
        yield clue("only {name} has called {host} lately: no other app to compare with", name=_names(bad), host=host)


def _tenants(case: Case, rows: Sequence[Row]) -> Iterator[Clue]:
    bad, good = _parted(rows, lambda row: str(row.get("tenant") or ""))
    if len({*bad, *good}) < 2:
        return
    total, host = len(bad) + len(good), case.target.host
    if good:
        yield clue("{count} of {total} tenants fail at {host} ({names})", count=len(bad), total=total, host=host,
                   names=_names(bad))  # fmt: skip
    else:
        yield clue("all {total} tenants fail at {host}: it is not one person's machine or key", total=total, host=host)


def _providers(case: Case, others: Others | None, rows: Sequence[Row]) -> Iterator[Clue]:
    """Compare with other providers: what they answer now, and what the log says of those that were not asked."""
    bad, good = _parted(rows, lambda row: str(row.get("provider") or ""))
    named = {one.host: one.name or one.host for one in case.others}
    for host, answer in others.each if others is not None else ():
        name = named.get(host, host)
        for group in (bad, good):
            group.pop(name, None)
        (good if _answers(answer) else bad)[name] = 1
    total, target = len(bad) + len(good), case.target.name or case.target.host
    if not total:
        return
    if not bad:
        text = "only {name} fails; others answer from here ({count}: {names})"
        yield clue(text, name=target, count=len(good), names=_names(good))
    elif not good:
        text = "every provider fails, {name} and {count} more ({names}): it is this machine or this network"
        yield clue(text, name=target, count=len(bad), names=_names(bad))
    else:
        text = "{count} of {total} other providers fail as well ({names}); {good} works"
        yield clue(text, count=len(bad), total=total, names=_names(bad), good=_names(good))


def _parted(rows: Sequence[Row], who: Any) -> tuple[dict[str, int], dict[str, int]]:
    """Give who fails and who does not, by the latest call of each, with how many calls."""
    latest: dict[str, bool] = {}
    counts: dict[str, int] = {}
    for row in rows:
        if name := who(row):
            latest.setdefault(name, _failed(row))
            counts[name] = counts.get(name, 0) + 1
    bad = {name: counts[name] for name, failed in latest.items() if failed}
    return bad, {name: counts[name] for name, failed in latest.items() if not failed}


def _names(found: Mapping[str, int]) -> str:
    names = [" ".join(name.split())[:60] for name in list(found)[:_NAMED_MAX]]
    return ", ".join(names) + (" ..." if len(found) > _NAMED_MAX else "")


def _answers(answer: Answer) -> bool:
    """Whether it is a provider that answered: a refusal without a key is one, a web page is none."""
    page = "html" in answer.header("content-type")
    return answer.failure is None and 0 < answer.status < 500 and not page


def _latest(rows: Sequence[Row]) -> float:
    return max((_at(row) for row in rows), default=0.0)


def _at(row: Row) -> float:
    """Give when a call began, 0 when that cannot be read."""
    try:
        return datetime.fromisoformat(str(row.get("started_at"))).timestamp()
    except (ValueError, OverflowError):
        return 0.0


def _clock(seconds: float) -> str:
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (ValueError, OverflowError, OSError):
        return "?"
