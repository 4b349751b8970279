"""Flows in a terminal: one line each, a table, or one in full with its verdict first. Renders; prints nothing."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from gateway.show.parts import BAD, BUSY, CALM, CARE, GOOD, heading, pairs, tone_of
from gateway.show.plain import duration, local_time, plain, plain_lines, title_of
from gateway.show.verdict import verdict

Row = Mapping[str, Any]

_FROM_CACHE = {"hit": "cache", "collapsed": "shared", "stale": "stale"}
_BAR_CELLS = 40


def line(row: Row) -> Text:
    """Give a flow as one line; a failure says why and what to do first."""
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(local_time(row["started_at"]), style=CALM)
    text.append(f"  {_status(row):>6} ", style=f"bold {_tone(row)}")
    text.append(f" {_subject(row)}", style="bold")
    if not row.get("cause"):
        text.append(f"  {_measures(row)}", style=CALM)
    else:
        # The slug first: it is what still stands when a narrow terminal cuts the rest off.
        text.append(f"  {plain(row['cause'], 60)}", style=f"bold {_tone(row)}")
        text.append(f" {_title(row)}", style=_tone(row))
        if told := instead_of(row):
            text.append(f"; {told}", style=GOOD)
        text.append(f"  {_measures(row)}", style=CALM)
        said = row.get("diagnosis") or {}
        if said.get("what_happened"):
            text.append(f"  {plain(said['what_happened'], 400)}")
        for step in said.get("what_to_do", ())[:1]:
            text.append(f"  → {plain(step, 300)}", style=GOOD)
    if row["state"] != "done":
        text.append(f"  {_progress(row)}", style=BUSY)
    return text


def table(rows: Iterable[Row]) -> Table:
    """Give flows as a table, in the order in which they come."""
    grid = Table(box=None, header_style=CALM, padding=(0, 2, 0, 0))
    grid.add_column("Time", no_wrap=True, min_width=8)
    grid.add_column("Status", no_wrap=True, min_width=6)
    grid.add_column("Total", justify="right", no_wrap=True, min_width=7)
    grid.add_column("Call", overflow="fold", min_width=26)
    grid.add_column("Outcome", overflow="fold", min_width=20)
    for row in rows:
        grid.add_row(
            Text(local_time(row["started_at"]), style=CALM),
            Text(_status(row), style=f"bold {_tone(row)}"),
            duration(row.get("total_ms")),
            Text(_subject(row)).append(f"\n{plain(row['id'], 40)}", style=CALM),
            _outcome(row),
        )
    return grid


def detail(row: Row) -> Group:
    """Give one flow in full: verdict, attempts, facts, headers, body."""
    parts: list[RenderableType] = [*_headline(row), *_attempts(row), _facts(row)]
    for name, title in (("response_headers", "Answer headers"), ("request_headers", "Request headers")):
        if row.get(name):
            parts += [heading(title), pairs((plain(key, 80), plain(value, 500)) for key, value in row[name])]
    if row.get("request_body"):
        parts += [heading("What was asked"), Padding(Text(plain_lines(row["request_body"])), (0, 0, 0, 2))]
    if row.get("body"):
        parts += [heading("What the provider answered"), Padding(Text(plain_lines(row["body"])), (0, 0, 0, 2))]
    return Group(*parts)


def _headline(row: Row) -> list[RenderableType]:
    if row.get("cause"):
        return verdict(row)
    return [Text(_plain_outcome(row), style=f"bold {_tone(row)}")]


def _attempts(row: Row) -> list[RenderableType]:
    attempts: Sequence[Mapping[str, Any]] = row.get("attempts") or ()
    if not attempts or row["state"] != "done":
        return []
    parts: list[RenderableType] = [heading("Attempts")]
    for attempt in attempts:
        failure = attempt.get("failure") or {}
        told = f"answered {attempt['status']}" if attempt.get("status") else ""
        broke = f"{failure.get('code', '')} during {failure.get('phase', '')}" if failure else ""
        text = Text(f"  {attempt['n']}. ").append(plain(", ".join(filter(None, (told, broke))) or "no answer", 200))
        if attempt.get("waited_ms", 0) >= 1:
            text.append(f", waited {duration(attempt['waited_ms'])} before", style=CALM)
        parts.append(text)
        if failure.get("detail"):
            parts.append(Text(f"     {plain(failure['detail'], 500)}", style=CALM))
        parts += _bars(attempt.get("phases") or ())
    return parts


def _bars(phases: Sequence[Mapping[str, Any]]) -> list[Text]:
    span = max((phase["end_ms"] for phase in phases), default=0.0) or 1.0
    bars = []
    for phase in phases:
        start = min(_BAR_CELLS - 1, int(phase["start_ms"] / span * _BAR_CELLS))
        cells = max(1, round((phase["end_ms"] - phase["start_ms"]) / span * _BAR_CELLS))
        bar = Text(f"     {plain(phase['name'], 12):<11}", style=CALM)
        bar.append((" " * start + "━" * cells)[:_BAR_CELLS].ljust(_BAR_CELLS + 1), style=GOOD if phase["ok"] else BAD)
        bars.append(
            bar.append(duration(phase["end_ms"] - phase["start_ms"]) + ("" if phase["ok"] else "  failed here"))
        )
    return bars


def _facts(row: Row) -> RenderableType:
    facts = {
        "Id": row["id"],
        "Began": row["started_at"],
        "Asked": f"{row['method']} {row['host']}{row['path']}",
        "Model": row["model"],
        "Endpoint": f"{row['provider']} {row['endpoint']}".strip(),
        "Status": row["status"] or "",
        "Total": duration(row.get("total_ms")),
        "First byte": duration(row.get("ttft_ms")),
        "In our queue": duration(row["queue_ms"]) if row["queue_ms"] >= 1 else "",
        "Added by us": duration(row.get("overhead_ms")),
        "Tokens": _tokens(row),
        "Cache": row["cache"] if row["cache"] != "none" else "",
        "Answered by": f"the fallback {row['fallback']}" if row.get("fallback") else "",
        "Charge": "may be paid for twice: the provider may have worked on a try before the last"
        if row.get("possible_duplicate")
        else "",
        "App": ", ".join(filter(None, (row.get("app"), row["client"]))),
        "Sent again from": row.get("replay_of") or "",
        "Tenant": row["tenant"],
        "Key": f"fingerprint {row['key']}" if row["key"] else "",
    }
    shown = ((name, plain(value, 1000)) for name, value in facts.items() if value != "")
    return Group(heading("Facts"), pairs(shown))


def instead_of(row: Row) -> str:
    """Say what the app got although its provider failed; empty where it got the failure."""
    if not row.get("cause") or (row.get("status") or 599) >= 400:
        return ""
    if row.get("fallback"):
        return f"answered by the fallback {plain(row['fallback'], 60)}"
    return "an older answer was given" if row.get("cache") == "stale" else ""


def _tone(row: Row) -> str:
    if row["state"] != "done":
        return BUSY
    if instead_of(row):
        return CARE
    return tone_of(row["cause"]) if row.get("cause") else GOOD


def _status(row: Row) -> str:
    if row.get("status"):
        return str(row["status"])
    if row["state"] != "done":
        return "..."
    return "failed" if row.get("cause") else "ok"


def _subject(row: Row) -> str:
    what = row["model"] or (row["path"] if row["kind"] == "api" else row["kind"])
    return plain(f"{row['provider'] or row['host']} {what}", 80)


def _title(row: Row) -> str:
    return plain((row.get("diagnosis") or {}).get("title") or title_of(row["cause"]), 120)


def _plain_outcome(row: Row) -> str:
    if row["state"] != "done":
        return _progress(row)
    attempts = len(row.get("attempts") or ())
    words = f"Succeeded on try {attempts}" if attempts > 1 else "Succeeded"
    kept = _FROM_CACHE.get(row["cache"])
    return f"{words} ({kept})" if kept else words


def _progress(row: Row) -> str:
    eta = f", about {duration(row['eta_ms'])} left" if row.get("eta_ms") else ""
    reason = f": {plain(row['wait_reason'], 200)}" if row.get("wait_reason") else ""
    return f"{plain(row['state'], 20)}{reason}{eta}"


def _outcome(row: Row) -> Text:
    text = Text(_title(row) if row.get("cause") else _plain_outcome(row), style=_tone(row) if row.get("cause") else "")
    if told := instead_of(row):
        text.append(f"; {told}", style=GOOD)
    said = row.get("diagnosis") or {}
    for step in said.get("what_to_do", ())[:1] if row.get("cause") else ():
        text.append(f"\n{plain(step, 300)}", style=CALM)
    return text


def _measures(row: Row) -> str:
    attempts = len(row.get("attempts") or ())
    parts = [
        duration(row.get("total_ms")),
        f"{attempts} tries" if attempts > 1 else "",
        "may be paid for twice" if row.get("possible_duplicate") else "",
        f"queued {duration(row['queue_ms'])}" if row["queue_ms"] >= 1 else "",
        f"{_tokens(row)} tokens" if _tokens(row) else "",
        _FROM_CACHE.get(row["cache"], ""),
    ]
    return ", ".join(part for part in parts if part)


def _tokens(row: Row) -> str:
    counts = (row.get("tokens_in"), row.get("tokens_out"))
    if counts == (None, None):
        return ""
    about = "about " if row.get("tokens_estimated") else ""
    return about + " → ".join("-" if count is None else f"{count:,}" for count in counts)
