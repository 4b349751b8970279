"""``whygate tail`` and ``whygate flows``: the log in a terminal. Needs a gateway that runs, or one that ran."""

import functools
import inspect
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.options import ConfigOption, LangOption, Language, StateOption, open_state
from gateway.cli.screen import UserError

if TYPE_CHECKING:
    from rich.console import Console

    from gateway.cli.reading import Source
    from gateway.record.filter import FlowFilter

_PANEL = "Look"
_MAX_LIMIT = 100_000

JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]

Filters = Mapping[str, str]
"""What was asked for, empty where nothing was; named as `filter_of` takes it."""
_Verb = Callable[..., None]


def _asked(
    *,
    cause: Annotated[str, typer.Option("--cause", metavar="SLUG", help="rate_limit.tokens, rate_limit.*, or *.")] = "",
    fault: Annotated[str, typer.Option("--fault", help="caller, policy, network, edge, provider or proxy.")] = "",
    status: Annotated[str, typer.Option("--status", metavar="CODE", help="429, or a class like 4xx.")] = "",
    provider: Annotated[str, typer.Option("--provider", metavar="NAME", help="openai, anthropic, ...")] = "",
    model: Annotated[str, typer.Option("--model", metavar="NAME", help="As the app named it.")] = "",
    tenant: Annotated[str, typer.Option("--tenant", metavar="NAME", help="Whose call it was.")] = "",
    app: Annotated[str, typer.Option("--app", metavar="NAME", help='As shown: "python3 app.py (pid 4242)".')] = "",
    search: Annotated[str, typer.Option("--search", "-q", metavar="WORDS", help="Words that a call must show.")] = "",
    since: Annotated[
        str, typer.Option("--since", metavar="WHEN", help="An age (15m, 2h, 1d) or a time in ISO 8601.")
    ] = "",
    until: Annotated[str, typer.Option("--until", metavar="WHEN", help="Began before: like --since.")] = "",
    failures: Annotated[bool, typer.Option("--failures", "-f", help="Only what failed.")] = False,
) -> Filters:
    named = {"fault": fault, "status": status, "provider": provider, "model": model, "tenant": tenant, "app": app}
    return {"cause": cause or "*" * failures, **named, "q": search, "since": since, "until": until}


def filtered(*, without: Collection[str] = ()) -> Callable[[_Verb], _Verb]:
    """Give a verb, in the place of its parameter ``filters``, the options that say which calls are meant.

    Args:
        without: Options that this verb does not have.
    """
    offered = [option for name, option in inspect.signature(_asked).parameters.items() if name not in without]

    def decorate(verb: _Verb) -> _Verb:
        @functools.wraps(verb)
        def run(**given: Any) -> None:
            asked = _asked(**{option.name: given.pop(option.name) for option in offered})
            verb(**given, filters=asked)

        seen: list[inspect.Parameter] = []
        for own in inspect.signature(verb).parameters.values():
            seen += offered if own.name == "filters" else [own.replace(kind=inspect.Parameter.KEYWORD_ONLY)]
        # What Typer makes the options of.
        run.__signature__ = inspect.Signature(seen)  # type: ignore[attr-defined]
        return run

    return decorate


flows_app = typer.Typer(help="The calls of the log.", invoke_without_command=True)


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command("tail", rich_help_panel=_PANEL)(tail)
    app.add_typer(flows_app, name="flows", rich_help_panel=_PANEL)


@filtered(without=("since", "until"))
def tail(
    *,
    filters: Filters,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, max=1000, help="Begin with the last N.")] = 10,
    as_json: JsonOption = False,
    lang: LangOption = None,
    config: ConfigOption = None,  # noqa: ARG001 - every verb takes it; a log needs no settings
    state: StateOption = None,
) -> None:
    """Show calls as they end, one line each, until Ctrl-C.

    Example:  whygate tail --failures
    """
    from gateway.cli.following import Follower  # noqa: PLC0415

    wanted = filter_of(**filters)
    screen = console()

    def show(row: dict[str, Any]) -> None:
        _print_row(screen, retold_row(row, lang), as_json=as_json)

    try:
        Follower(open_state(state, create=False), wanted, show).follow(lines)
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


@flows_app.callback()
@filtered()
def flows(
    context: typer.Context,
    *,
    filters: Filters,
    limit: Annotated[int, typer.Option("--limit", min=1, max=_MAX_LIMIT, help="At most so many, newest first.")] = 20,
    as_json: JsonOption = False,
    lang: LangOption = None,
    config: ConfigOption = None,  # noqa: ARG001 - every verb takes it; a log needs no settings
    state: StateOption = None,
) -> None:
    """List calls, newest first.

    Example:  whygate flows --failures --since 2h
    """
    if context.invoked_subcommand is not None:
        context.obj = state, lang
        return
    list_flows(filter_of(**filters), limit, state, lang, as_json=as_json)


@flows_app.command("show")
def show(  # noqa: PLR0917 - each is an option of the command line
    context: typer.Context,
    flow_id: Annotated[str, typer.Argument(metavar="ID", help="An id, or `last` for the last failure.")],
    as_json: JsonOption = False,
    lang: LangOption = None,
    config: ConfigOption = None,  # noqa: ARG001 - every verb takes it; a log needs no settings
    state: StateOption = None,
) -> None:
    """Show one call in full, its verdict first.

    Example:  whygate flows show last
    """
    before = context.obj or (None, None)
    show_flow(flow_id, state or before[0], lang or before[1], as_json=as_json)


def list_flows(wanted: "FlowFilter", limit: int, state: Path | None, lang: Language | None, *, as_json: bool) -> None:
    """Print flows as a table, or as JSON lines."""
    from gateway.cli.reading import open_source  # noqa: PLC0415
    from gateway.show.terminal import table  # noqa: PLC0415

    with open_source(open_state(state, create=False)) as source:
        rows = [retold_row(row, lang) for row in source.newest(wanted, limit)]
    screen = console()
    if as_json:
        for row in rows:
            _print_row(screen, row, as_json=True)
    elif rows:
        screen.print(table(rows))
    else:
        screen.print("No call fits." if any(getattr(wanted, name) for name in wanted.__slots__) else "No calls yet.")


def show_flow(flow_id: str, state: Path | None, lang: Language | None, *, as_json: bool) -> None:
    """Print one flow in full.

    Raises:
        UserError: There is none with this id.
    """
    from gateway.show.terminal import detail  # noqa: PLC0415

    row = retold_row(flow(flow_id, state), lang)
    if as_json:
        _print_row(console(), row, as_json=True)
    else:
        console().print(detail(row))


def flow(flow_id: str, state: Path | None) -> dict[str, Any]:
    """Give one flow with its body.

    Raises:
        UserError: There is none with this id.
    """
    from gateway.cli.reading import open_source  # noqa: PLC0415

    with open_source(open_state(state, create=False)) as source:
        return one_of(source, flow_id)


def one_of(source: "Source", flow_id: str) -> dict[str, Any]:
    """Give one flow with its body; ``last`` is the last failure.

    Raises:
        UserError: There is none with this id.
    """
    row = source.one(_last_failure(source) if flow_id == "last" else flow_id)
    if row is None:
        raise UserError("No call has this id", flow_id, "List them: whygate flows")
    return row


def retold_row(row: dict[str, Any], lang: Language | None) -> dict[str, Any]:
    """Give a row with its verdict in another language; without one, as it was said when the call failed."""
    if lang is None or not row.get("diagnosis"):
        return row
    from gateway.diagnose.say import retold  # noqa: PLC0415

    return {**row, "diagnosis": retold(row["diagnosis"], lang.value)}


def _last_failure(source: "Source") -> str:
    from gateway.record.filter import FlowFilter  # noqa: PLC0415

    found = source.newest(FlowFilter(cause="*"), 1)
    if not found:
        raise UserError("No call of the log failed", "", "See them all: whygate flows")
    return str(found[0]["id"])


def filter_of(*, since: str = "", until: str = "", **wanted: str) -> "FlowFilter":
    """Give the filter that options ask for.

    Raises:
        UserError: One of them means nothing.
    """
    from gateway.record.filter import BadFilterError, FlowFilter, since_text  # noqa: PLC0415

    try:
        now = time.time()
        return FlowFilter(**wanted, since=since_text(since, now), until=since_text(until, now, "until"))
    except BadFilterError as exc:
        name, _, expected = str(exc).partition(": ")
        raise UserError(f"A filter means nothing: {name}", "", f"{expected[:1].upper()}{expected[1:]}.") from exc


def console() -> "Console":
    """Give what prints texts of others: nothing in them is markup."""
    from rich.console import Console  # noqa: PLC0415

    return Console(highlight=False, markup=False, emoji=False)


def _print_row(screen: "Console", row: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        import orjson  # noqa: PLC0415

        typer.echo(orjson.dumps(row))
        return
    from gateway.show.terminal import line  # noqa: PLC0415

    # Wrapped by the terminal rather than cut: the end of the line says what to do.
    screen.print(line(row), soft_wrap=True)
