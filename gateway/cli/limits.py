"""``whygate limits``: what is known of providers' limits, what is left of them, who waits and who uses them."""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Annotated, Any

import typer

from gateway import files
from gateway.cli.amounts import amount_text, rate_text, size_text, span_text
from gateway.cli.options import ConfigOption, LangOption, StateOption, open_state
from gateway.cli.page_api import ask
from gateway.cli.screen import UserError, note
from gateway.show.plain import plain
from gateway.state import Runtime, State, StateError

_TIMEOUT_SECONDS = 5.0
_USERS_SHOWN = 12
_GAUGE_CELLS = 8
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_CALM, _GOOD, _BUSY, _CARE = "dim", "green", "cyan", "yellow"
_SPANS = {1.0: "a second", 60.0: "a minute", 3_600.0: "an hour", 86_400.0: "a day"}
_SOURCES = {"configured": "configured", "headers": "learned from headers", "refusal": "learned from a refusal",
            "observed": "observed in traffic"}  # fmt: skip
_NOTHING = (
    "No limit is known yet. Each appears here with the first answer of its provider: most state their limits in every"
    " answer's headers, the others when they refuse a call (429)."
)
_SHADOW = "Shadow mode: nothing is enforced; calls go out at once, and this only shows what would wait."

Line = list[tuple[str, str]]
"""Words with their style each."""


def limits(
    as_json: Annotated[bool, typer.Option("--json", help="The page API's document.")] = False,
    lang: LangOption = None,  # noqa: ARG001 - every verb takes it; there is no verdict here
    config: ConfigOption = None,  # noqa: ARG001 - every verb takes it; this needs no settings
    state: StateOption = None,
) -> None:
    """Show the limits that are known, what is left of each, who waits and who uses them.

    Example:  whygate limits
    """
    directory = open_state(state, create=False)
    runtime = Runtime.read(directory)
    if runtime is not None:
        document = _asked(runtime)
    else:
        document = _remembered(directory)
        note("whygate: no gateway is running; this is what an earlier one learned. Start one: whygate start")
    if as_json:
        typer.echo(json.dumps(document))
        return
    from rich.console import Console  # noqa: PLC0415
    from rich.padding import Padding  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    # Texts of others: nothing in them is markup. What is too long goes on below its beginning.
    screen = Console(highlight=False, markup=False, emoji=False)
    for line in lines_of(document, screen.width):
        text = Text.assemble(*line)
        indent = len(text.plain) - len(text.plain.lstrip())
        screen.print(Padding(text[indent:], (0, 0, 0, indent), expand=False) if indent else text)


def _asked(runtime: Runtime) -> dict[str, Any]:
    return ask(runtime, "/api/limits", "its limits", timeout_seconds=_TIMEOUT_SECONDS)


def _remembered(state: State) -> dict[str, Any]:
    """Give what an earlier gateway left, in the shape of the page API's document.

    Raises:
        UserError: There is nothing, or nothing that we understand.
    """
    scopes: list[dict[str, Any]] = []
    with suppress(OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError, StateError):
        document = json.loads(files.read_private(state.limits_json, secret=False))
        if document["version"] == 1:
            scopes = [scope for each in document["scopes"] if (scope := _scope(each))["limits"]]
    if not scopes:
        what = "No gateway is running, and no limits of an earlier one are remembered"
        raise UserError(what, str(state.directory), "whygate start   (or: whygate run -- your command)")
    return {"shadow": False, "waiting": 0, "waiting_bytes": 0, "queue_max": 0, "queue_max_bytes": 0, "scopes": scopes}


def _scope(kept: Mapping[str, Any]) -> dict[str, Any]:
    """Give a scope that was kept as the page API would."""
    names = {name: str(kept.get(name) or "") for name in ("provider", "account", "account_kind", "model")}
    return names | {
        "state": "open", "paused_ms": None, "pause_reason": None, "in_flight": 0, "queued": 0, "next_eta_ms": None,
        "last_eta_ms": None, "demand_per_second": 0.0, "next_429_seconds": None, "users": [],
        "limits": [_limit(each) for each in kept["limits"]],
    }  # fmt: skip


def _limit(kept: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "kind": str(kept["kind"]), "limit": float(kept["limit"]), "window_seconds": _number(kept, "window_seconds"),
        "burst": _number(kept, "burst"), "source": str(kept.get("source") or ""), "remembered": True,
        "learned_seconds_ago": None, "level": None, "level_ratio": None, "refill_per_second": None,
        "foreign_per_second": 0.0, "enforced": True,
    }  # fmt: skip


def lines_of(document: Mapping[str, Any], width: int) -> Iterator[Line]:
    """Give the document as lines for a terminal of so many columns."""
    scopes = document.get("scopes") or ()
    if document.get("shadow"):
        yield [(_SHADOW, _CARE)]
    if not scopes:
        yield [(_NOTHING, "")]
    for number, scope in enumerate(scopes):
        if number or document.get("shadow"):
            yield []
        yield from _scope_lines(scope, width)
    if waiting := document.get("waiting"):
        bytes_waiting = f", {size_text(document.get('waiting_bytes') or 0)} of {size_text(document['queue_max_bytes'])}"
        room = f" of at most {amount_text(document['queue_max'])} calls" if document.get("queue_max") else " calls"
        yield []
        yield [
            (f"Waiting in all: {amount_text(waiting)}{room}", ""),
            (bytes_waiting if document.get("queue_max_bytes") else "", _CALM),
        ]


def _scope_lines(scope: Mapping[str, Any], width: int) -> Iterator[Line]:
    account = f"  {plain(scope.get('account_kind') or 'key', 20)} {plain(scope.get('account') or '', 20)}"
    names = " ".join(plain(scope[name], 60) for name in ("provider", "model") if scope.get(name))
    yield [(names, "bold"), (account if scope.get("account") else "", _CALM)]
    yield from _limit_lines(scope.get("limits") or (), width)
    if (paused := _number(scope, "paused_ms")) is not None:
        reason = plain(scope.get("pause_reason") or "", 300)
        yield [(f"  paused for {span_text(paused / 1000)}", _CARE), (f": {reason}" if reason else "", _CARE)]
    yield from _now(scope)
    if (seconds := _number(scope, "next_429_seconds")) is not None:
        demand = _number(scope, "demand_per_second") or 0.0
        pace = f", if calls go on coming at {rate_text(demand)}" if demand >= 0.05 else ""
        yield [(f"  next 429 in about {span_text(seconds)}{pace}", _CARE)]
    yield from _user_lines(scope)


def _now(scope: Mapping[str, Any]) -> Iterator[Line]:
    """Give what happens in the scope at this moment."""
    if scope.get("state") == "starting":
        yield [("  no limit is known yet, so calls go out slowly until an answer states one", _BUSY)]
    elif not scope.get("limits"):
        yield [("  no answer has stated a limit, so calls go out as they come", _CALM)]
    parts = [f"{amount_text(scope['in_flight'])} under way"] if scope.get("in_flight") else []
    etas: list[str] = []
    if scope.get("queued"):
        parts.append(f"waiting {amount_text(scope['queued'])}")
        found = ((name, _number(scope, f"{name}_eta_ms")) for name in ("next", "last"))
        etas = [f"{name} in {span_text(eta / 1000)}" for name, eta in found if eta is not None]
    if parts:
        yield [(f"  {', '.join(parts)}", _BUSY), (f": {', '.join(etas)}" if etas else "", "")]


def _limit_lines(found: Sequence[Mapping[str, Any]], width: int) -> Iterator[Line]:
    """Give one line a limit; where each comes from stands beside it, or below when that is too long for one."""
    kinds = [plain(limit.get("kind") or "", 20).replace("_", " ") for limit in found]
    kind_width, amounts, lefts = max(map(len, kinds), default=0), _column(found, _how_much), _column(found, _left)
    lines: list[tuple[Line, str]] = []
    for kind, limit in zip(kinds, found, strict=True):
        begin = f"  {kind:<{kind_width}}  {_how_much(limit):<{amounts}}" + (
            f"  {_left(limit):>{lefts}}" if lefts else ""
        )
        gauge, style = _gauge(limit)
        lines.append(([(f"{begin} " if gauge else begin, ""), (gauge, style)], _origin(limit)))
    beside = all(sum(len(words) for words, _ in line) + 2 + len(origin) <= width for line, origin in lines)
    for line, origin in lines:
        if beside:
            yield [*line, (f"  {origin}", _CALM)]
        else:
            yield line if line[-1][0] else [(line[0][0].rstrip(), "")]
            yield [(f"  {'':<{kind_width}}  {origin}", _CALM)]


def _column(found: Sequence[Mapping[str, Any]], words: Callable[[Mapping[str, Any]], str]) -> int:
    return max((len(words(limit)) for limit in found), default=0)


def _how_much(limit: Mapping[str, Any]) -> str:
    amount, seconds = _number(limit, "limit") or 0.0, _number(limit, "window_seconds")
    if limit.get("kind") == "concurrency":
        return f"{amount_text(amount)} at once"
    if not seconds:
        return amount_text(amount)
    told = f"{amount_text(amount)} {_SPANS.get(seconds) or f'in {span_text(seconds)}'}"
    rate = _number(limit, "refill_per_second")
    burst = _number(limit, "burst")
    told += f" ({amount_text(rate)}/s)" if rate is not None and rate >= 0.005 and seconds != 1 else ""
    return told + (f", burst {amount_text(burst)}" if burst is not None else "")


def _left(limit: Mapping[str, Any]) -> str:
    level = _number(limit, "level")
    return "" if level is None else f"{amount_text(max(0.0, level))} left"


def _gauge(limit: Mapping[str, Any]) -> tuple[str, str]:
    ratio = _number(limit, "level_ratio")
    if ratio is None:
        return "", ""
    eighths = round(min(1.0, max(0.0, ratio)) * _GAUGE_CELLS * 8)
    whole, part = divmod(eighths, 8)
    bar = "█" * whole + (_EIGHTHS[part] if part else "")
    return f"▏{bar:<{_GAUGE_CELLS}}▕", _GOOD if ratio >= 0.25 else _CARE


def _origin(limit: Mapping[str, Any]) -> str:
    source = str(limit.get("source") or "")
    age = _number(limit, "learned_seconds_ago")
    told = _SOURCES.get(source, plain(source, 30))
    told += f" {span_text(age)} ago" if age is not None and source != "configured" else ""
    told += ", remembered from an earlier run" if limit.get("remembered") else ""
    foreign = _number(limit, "foreign_per_second") or 0.0
    told += f", others use {rate_text(foreign)} of it" if foreign >= 0.05 else ""
    return told + ("" if limit.get("enforced", True) else ", not enforced")


def _user_lines(scope: Mapping[str, Any]) -> Iterator[Line]:
    users = scope.get("users") or ()
    keys = {user.get("key") for user in users}
    for user in users[:_USERS_SHOWN]:
        who = [plain(user.get("client") or "an app", 60)]
        who += [f"tenant {plain(user['tenant'], 40)}"] if user.get("tenant") not in {None, "", "default"} else []
        who += [f"key {plain(user['key'], 20)}"] if user.get("key") and len(keys) > 1 else []
        done = [
            f"{amount_text(user[name])} {words}"
            for name, words in (("in_flight", "under way"), ("queued", "waiting"))
            if user.get(name)
        ]
        done += (
            [f"{amount_text(user['calls'])} call{'s' * (user['calls'] != 1)} so far"]
            if user.get("calls") and not done
            else []
        )
        yield [("  used by ", _CALM), (", ".join(who), ""), (f": {', '.join(done)}" if done else "", "")]
    if len(users) > _USERS_SHOWN:
        yield [(f"  and {len(users) - _USERS_SHOWN} more", _CALM)]


def _number(values: Mapping[str, Any], name: str) -> float | None:
    value = values.get(name)
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
