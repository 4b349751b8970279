"""Flows in a terminal: one line each, a table, or one in full with its verdict first. Renders; prints nothing."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from gateway.show.plain import duration, local_time, plain, plain_lines, title_of

Row = Mapping[str, Any]

_CALM, _GOOD, _BUSY, _CARE, _BAD = "dim", "green", "cyan", "yellow", "red"
_CARE_FAMILIES = ("rate_limit.", "client.")
_FROM_CACHE = {"hit": "cache", "collapsed": "shared", "stale": "stale"}
_FAULTS = {
    "caller": "to be fixed in the app",
    "policy": "to be fixed in the account",
    "network": "to be fixed in the network",
    "edge": "the provider's edge decides",
    "provider": "only the provider can fix it",
    "proxy": "this gateway's own doing",
}
_PRECISIONS = {
    "declared": "the provider said so",
    "inferred": "concluded from what we saw",
    "confirmed": "confirmed by a check",
}
_BAR_CELLS = 40


def line(row: Row) -> Text:
    """Give a flow as one line; a failure says why and what to do first."""
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(local_time(row["started_at"]), style=_CALM)
    text.append(f"  {_status(row):>6} ", style=f"bold {_tone(row)}")
    text.append(f" {_subject(row)}", style="bold")
    if not row.get("cause"):
        text.append(f"  {_measures(row)}", style=_CALM)
    else:
        # The slug first: it is what still stands when a narrow terminal cuts the rest off.
        text.append(f"  {plain(row['cause'], 60)}", style=f"bold {_tone(row)}")
        text.append(f" {_title(row)}", style=_tone(row))
        text.append(f"  {_measures(row)}", style=_CALM)
        said = row.get("diagnosis") or {}
        if said.get("what_happened"):
            text.append(f"  {plain(said['what_happened'], 400)}")
        for step in said.get("what_to_do", ())[:1]:
            text.append(f"  → {plain(step, 300)}", style=_GOOD)
    if row["state"] != "done":
        text.append(f"  {_progress(row)}", style=_BUSY)
    return text


def table(rows: Iterable[Row]) -> Table:
    """Give flows as a table, in the order in which they come."""
    grid = Table(box=None, header_style=_CALM, padding=(0, 2, 0, 0))
    grid.add_column("Time", no_wrap=True, min_width=8)
    grid.add_column("Status", no_wrap=True, min_width=6)
    grid.add_column("Total", justify="right", no_wrap=True, min_width=7)
    grid.add_column("Call", overflow="fold", min_width=26)
    grid.add_column("Outcome", overflow="fold", min_width=20)
    for row in rows:
        grid.add_row(
            Text(local_time(row["started_at"]), style=_CALM),
            Text(_status(row), style=f"bold {_tone(row)}"),
            duration(row.get("total_ms")),
            Text(_subject(row)).append(f"\n{plain(row['id'], 40)}", style=_CALM),
            _outcome(row),
        )
    return grid


def detail(row: Row) -> Group:
    """Give one flow in full: verdict, attempts, facts, headers, body."""
    parts: list[RenderableType] = [*_verdict(row), *_attempts(row), _facts(row)]
    for name, title in (("response_headers", "Answer headers"), ("request_headers", "Request headers")):
        if row.get(name):
            parts += [_heading(title), _pairs((plain(key, 80), plain(value, 500)) for key, value in row[name])]
    if row.get("body"):
        parts += [_heading("What the provider answered"), Padding(Text(plain_lines(row["body"])), (0, 0, 0, 2))]
    return Group(*parts)


def _verdict(row: Row) -> list[RenderableType]:
    head = Text()
    head.append(_title(row) if row.get("cause") else _plain_outcome(row), style=f"bold {_tone(row)}")
    if not row.get("cause"):
        return [head]
    about = [
        plain(row["cause"], 80),
        _FAULTS.get(row.get("fault") or "", ""),
        _PRECISIONS.get(row.get("precision") or "", ""),
    ]
    head.append("\n" + ", ".join(part for part in about if part), style=_CALM)
    said = row.get("diagnosis") or {}
    parts: list[RenderableType] = [head]
    if said.get("what_happened"):
        parts += [Text(), Text(plain(said["what_happened"]))]
    steps = said.get("what_to_do") or ()
    if steps:
        parts.append(_heading("What to do"))
        parts += [
            _item(f"{number}.", plain(step), _GOOD if number == 1 else "") for number, step in enumerate(steps, 1)
        ]
    if said.get("evidence"):
        parts.append(_heading("What we saw"))
        parts += [_item("-", plain(fact)) for fact in said["evidence"]]
    for name, title in (("alternatives", "It could also be"), ("ruled_out", "Ruled out")):
        if said.get(name):
            parts += [_heading(title), _item("-", ", ".join(plain(slug, 80) for slug in said[name]), _CALM)]
    return parts


def _attempts(row: Row) -> list[RenderableType]:
    attempts: Sequence[Mapping[str, Any]] = row.get("attempts") or ()
    if not attempts or row["state"] != "done":
        return []
    parts: list[RenderableType] = [_heading("Attempts")]
    for attempt in attempts:
        failure = attempt.get("failure") or {}
        told = f"answered {attempt['status']}" if attempt.get("status") else ""
        broke = f"{failure.get('code', '')} during {failure.get('phase', '')}" if failure else ""
        text = Text(f"  {attempt['n']}. ").append(plain(", ".join(filter(None, (told, broke))) or "no answer", 200))
        if attempt.get("waited_ms", 0) >= 1:
            text.append(f", waited {duration(attempt['waited_ms'])} before", style=_CALM)
        parts.append(text)
        if failure.get("detail"):
            parts.append(Text(f"     {plain(failure['detail'], 500)}", style=_CALM))
        parts += _bars(attempt.get("phases") or ())
    return parts


def _bars(phases: Sequence[Mapping[str, Any]]) -> list[Text]:
    span = max((phase["end_ms"] for phase in phases), default=0.0) or 1.0
    bars = []
    for phase in phases:
        start = min(_BAR_CELLS - 1, int(phase["start_ms"] / span * _BAR_CELLS))
        cells = max(1, round((phase["end_ms"] - phase["start_ms"]) / span * _BAR_CELLS))
        bar = Text(f"     {plain(phase['name'], 12):<11}", style=_CALM)
        bar.append((" " * start + "━" * cells)[:_BAR_CELLS].ljust(_BAR_CELLS + 1), style=_GOOD if phase["ok"] else _BAD)
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
        "App": row["client"],
        "Tenant": row["tenant"],
        "Key": f"fingerprint {row['key']}" if row["key"] else "",
    }
    shown = ((name, plain(value, 1000)) for name, value in facts.items() if value != "")
    return Group(_heading("Facts"), _pairs(shown))


def _pairs(pairs: Iterable[tuple[str, str]]) -> Padding:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style=_CALM, no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in pairs:
        grid.add_row(Text(name), Text(value))
    return Padding(grid, (0, 0, 0, 2))


def _heading(words: str) -> Text:
    return Text(f"\n{words}", style="bold")


def _item(mark: str, words: str, style: str = "") -> RenderableType:
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(justify="right", width=4, style=_CALM)
    grid.add_column(overflow="fold")
    grid.add_row(mark, Text(words, style=style))
    return grid


def _tone(row: Row) -> str:
    cause = row.get("cause")
    if row["state"] != "done":
        return _BUSY
    if not cause:
        return _GOOD
    return _CARE if cause.startswith(_CARE_FAMILIES) else _BAD


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
    said = row.get("diagnosis") or {}
    for step in said.get("what_to_do", ())[:1] if row.get("cause") else ():
        text.append(f"\n{plain(step, 300)}", style=_CALM)
    return text


def _measures(row: Row) -> str:
    attempts = len(row.get("attempts") or ())
    parts = [
        duration(row.get("total_ms")),
        f"{attempts} tries" if attempts > 1 else "",
        f"queued {duration(row['queue_ms'])}" if row["queue_ms"] >= 1 else "",
        f"{_tokens(row)} tokens" if _tokens(row) else "",
        _FROM_CACHE.get(row["cache"], ""),
    ]
    return ", ".join(part for part in parts if part)


def _tokens(row: Row) -> str:
    counts = (row.get("tokens_in"), row.get("tokens_out"))
    return "" if counts == (None, None) else " → ".join("-" if count is None else f"{count:,}" for count in counts)
