"""``whygate cache``: what the cache saves, what it could save, and clearing it. With a gateway that runs or without."""

import json
import re
import sys
import time
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import typer

from gateway.cli.limits import Line
from gateway.cli.options import ConfigOption, LangOption, StateOption, YesOption, config_file, open_state
from gateway.cli.page_api import ask
from gateway.cli.screen import UserError, note
from gateway.state import Runtime, State

_TIMEOUT_SECONDS = 60.0
"""Clearing a large file takes a while: its bytes are overwritten."""
_AGE = re.compile(r"(\d{1,6})([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_NOT_RUNNING = "whygate: no gateway is running; this is what an earlier one left. Start one: whygate start"

JsonOption = Annotated[bool, typer.Option("--json", help="As one JSON document.")]

app = typer.Typer(help="What the cache saves and could save. Example:  whygate cache suggest", no_args_is_help=True)


@app.command()
def stats(
    as_json: JsonOption = False,
    lang: LangOption = None,  # noqa: ARG001 - every verb takes it; there is no verdict here
    config: ConfigOption = None,  # noqa: ARG001 - every verb takes it; this needs no settings
    state: StateOption = None,
) -> None:
    """Show what was answered from the cache, what that saved, and what is stored.

    Example:  whygate cache stats
    """
    from gateway.cli.cache_lines import stats_lines  # noqa: PLC0415

    directory = open_state(state, create=False)
    runtime = Runtime.read(directory)
    document = _ask(runtime, "GET", "/api/cache") if runtime else _left(directory)
    if as_json:
        typer.echo(json.dumps(document))
    else:
        _print(stats_lines(document))


@app.command()
def suggest(
    as_json: JsonOption = False,
    lang: LangOption = None,  # noqa: ARG001 - every verb takes it; there is no verdict here
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Show which requests come again and again, what a rule would save, and the rule.

    Only hashes and counts of requests are kept, never their text.

    Example:  whygate cache suggest
    """
    from gateway.cli.cache_lines import suggestion_lines  # noqa: PLC0415

    directory = open_state(state, create=False)
    runtime = Runtime.read(directory)
    document = _ask(runtime, "GET", "/api/cache") if runtime else _remembered(directory)
    if as_json:
        typer.echo(json.dumps(document.get("suggestions") or []))
    else:
        _print(suggestion_lines(document, str(config_file(config) or "")))


@app.command()
def clear(  # noqa: PLR0917 - each is an option of the command line
    model: Annotated[str, typer.Option("--model", metavar="GLOB", help="Only of these models: gpt-4o*.")] = "",
    older_than: Annotated[
        str, typer.Option("--older-than", metavar="AGE", help="Only what was stored before that: 30m, 2h, 7d.")
    ] = "",
    key: Annotated[
        str, typer.Option("--key", metavar="FINGERPRINT", help="Only of this key, as flows and stats name it.")
    ] = "",
    as_json: JsonOption = False,
    yes: YesOption = False,
    lang: LangOption = None,  # noqa: ARG001 - every verb takes it; there is no verdict here
    config: ConfigOption = None,  # noqa: ARG001 - every verb takes it; this needs no settings
    state: StateOption = None,
) -> None:
    """Remove stored answers, so that none of their bytes is left; all of them, if nothing narrows it.

    Example:  whygate cache clear --model "gpt-4o*" --older-than 7d
    """
    directory = open_state(state, create=False)
    wanted: dict[str, Any] = {name: value for name, value in (("model", model), ("key", key)) if value}
    if older_than:
        wanted["older_than_seconds"] = _age_seconds(older_than)
    runtime = Runtime.read(directory)
    if runtime is None and not directory.cache_db.exists():
        cleared = 0
    else:
        if not wanted and not yes:
            _confirm(directory)
        cleared = _ask(runtime, "POST", "/api/cache/clear", wanted)["cleared"] if runtime else _clear(directory, wanted)
    if as_json:
        typer.echo(json.dumps({"cleared": cleared}))
    elif cleared:
        typer.echo(f"Cleared {cleared:,} stored answer{'s' * (cleared != 1)}.")
    else:
        typer.echo("Nothing that is stored fits that." if wanted else "Nothing is stored.")


def _confirm(directory: State) -> None:
    """Ask whether all is meant.

    Raises:
        UserError: Nobody can be asked.
    """
    if not sys.stdin.isatty():
        what = "Nothing says which answers to clear, and nobody is there to be asked whether all are meant"
        fix = "whygate cache clear --yes   (or only some: --model, --older-than, --key)"
        raise UserError(what, str(directory.directory), fix)
    if not typer.confirm("Clear all stored answers? Each will be bought again when it is next asked for."):
        typer.echo("Kept.")
        raise typer.Exit(1)


def _age_seconds(text: str) -> int:
    """Read an age.

    Raises:
        UserError: It is none.
    """
    found = _AGE.fullmatch(text.strip())
    if found is None:
        raise UserError(f"--older-than {text[:40]!r} is no age", "", "Give a number and s, m, h or d: 30m, 2h, 7d.")
    return int(found[1]) * _SECONDS[found[2]]


def _ask(runtime: Runtime, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
    return ask(runtime, path, "of its cache", method=method, body=body, timeout_seconds=_TIMEOUT_SECONDS)


def _left(directory: State) -> dict[str, Any]:
    """Give what stands in the file that an earlier gateway left, in the shape of the page API's document.

    Raises:
        UserError: There is none, or it cannot be read.
    """
    if not directory.cache_db.exists():
        what = "No gateway is running, and no answers of an earlier one are stored"
        raise UserError(what, str(directory.directory), "whygate start   (or: whygate run -- your command)")
    from gateway.cache.view import contents_view  # noqa: PLC0415
    from gateway.cli.cache_file import contents  # noqa: PLC0415

    held = contents(directory)
    note(_NOT_RUNNING)
    unknown = dict.fromkeys(("degraded", "max_bytes", "results", "saved", "rules"))
    return {"enabled": True, "backend": "sqlite", **unknown, **contents_view(held, time.time())} | {
        "suggestions": _suggestions(directory)
    }


def _clear(directory: State, wanted: Mapping[str, Any]) -> int:
    from gateway.cache.backend import Wanted  # noqa: PLC0415
    from gateway.cli.cache_file import clear as clear_file  # noqa: PLC0415

    age = wanted.get("older_than_seconds")
    before = None if age is None else time.time() - age
    return clear_file(directory, Wanted(wanted.get("model", ""), wanted.get("key", ""), before))


def _remembered(directory: State) -> dict[str, Any]:
    """Give what earlier gateways saw repeat.

    Raises:
        UserError: They saw nothing repeat.
    """
    if not (found := _suggestions(directory)):
        what = "No gateway is running, and no earlier one saw a request come three times within an hour"
        raise UserError(what, str(directory.directory), "whygate start   (or: whygate run -- your command)")
    note(_NOT_RUNNING)
    return {"suggestions": found}


def _suggestions(directory: State) -> list[dict[str, Any]]:
    from gateway.cache import kept  # noqa: PLC0415
    from gateway.cache.repeats import Repeats  # noqa: PLC0415
    from gateway.cache.view import suggestions_view  # noqa: PLC0415

    repeats = Repeats()
    repeats.restore(kept.read(directory.directory / kept.FILE_NAME))
    return suggestions_view(repeats)


def _print(lines: Iterable[Line]) -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.padding import Padding  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    from gateway.cli.cache_lines import VERBATIM  # noqa: PLC0415

    # Texts of others: nothing in them is markup. What is too long goes on below its beginning.
    screen = Console(highlight=False, markup=False, emoji=False)
    for line in lines:
        text = Text.assemble(*line)
        indent = len(text.plain) - len(text.plain.lstrip())
        if line and line[0][1] == VERBATIM:
            screen.print(text, soft_wrap=True)
        else:
            screen.print(Padding(text[indent:], (0, 0, 0, indent), expand=False) if indent else text)
