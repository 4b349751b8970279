"""``whygate run -- CMD``: one command through the gateway, nothing else changed."""

import os
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from gateway.canary.runtimes import reads_proxies
from gateway.cli.adopting import adopt
from gateway.cli.base_urls import Given, add_base_urls, variable_names
from gateway.cli.calls import calls_since
from gateway.cli.check import check as check_command
from gateway.cli.child import run_child
from gateway.cli.dotenv import named_in_files
from gateway.cli.environment import Changes, changes_for
from gateway.cli.locate import Wanted, find_or_start
from gateway.cli.options import (
    ConfigOption,
    ListenOption,
    StateOption,
    listen_address,
    open_state,
)
from gateway.cli.screen import note
from gateway.cli.summary import last_words
from gateway.state import Runtime, State
from gateway.trust import bundle, unreadable_choices
from gateway.trust_java import java_truststore

Command = Annotated[list[str], typer.Argument(metavar="CMD...", help="The command and its arguments, after --.")]


def run(  # noqa: PLR0917  (its options)
    command: Command,
    listen: ListenOption = None,
    base_url: Annotated[
        bool | None,
        typer.Option(
            "--base-url/--no-base-url",
            help="Set base URL variables, or leave them alone; else they are set for programs that may not read proxy"
            " variables.",
            show_default=False,
        ),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Do not run it: see whether its calls would come through.")
    ] = False,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Run a command with its calls going through the gateway; starts one when none runs.

    Example:  whygate run -- python app.py

    Will it be reached?  whygate run --check -- python app.py

    Only that command's environment changes: proxy variables, certificate files,
    base URLs. Not reached: programs with certificates built in (browsers, Rust
    with webpki-roots), Go and .NET on macOS and Windows, and programs that ignore
    proxy variables and base URLs alike.
    """
    wanted = Wanted(listen_address(listen), config)
    directory = open_state(state)
    with directory.hold_run():
        runtime = find_or_start(directory, wanted)
        changes = _changes(runtime, directory, command, base_url=True if check and base_url is None else base_url)
        env = {**os.environ, **changes.variables}
        if check:
            raise typer.Exit(check_command(command, env, _base_url(runtime, env), directory.ca_pem))
        since, began = datetime.now(UTC), time.monotonic()
        code = run_child(command, env)
        lived_seconds = time.monotonic() - began
        rows = calls_since(runtime, since)
        if rows is None:
            note(f"whygate: the gateway no longer answers. Its log: {directory.gateway_log}")
        elif words := last_words(rows, runtime, lived_seconds):
            note(words)
    raise typer.Exit(code)


def _changes(runtime: Runtime, directory: State, command: list[str], *, base_url: bool | None) -> Changes:
    """Give what changes for the command, and say what the user should know of it."""
    certificates = bundle(directory, os.environ)
    changes = changes_for(runtime, certificates, java_truststore(directory, certificates), os.environ)
    in_files = named_in_files(command, Path(), variable_names())
    given = Given(
        os.environ,
        in_files,
        Path(command[0]).name,
        leave_alone=base_url is False,
        by_proxy=base_url is None and reads_proxies(command, os.environ),
    )
    add_base_urls(changes, runtime, given, partial(adopt, runtime))
    for name, path in unreadable_choices(os.environ):
        changes.notes.append(f"{name} names a file that cannot be read ({path}); it is replaced for this command.")
    for remark in changes.notes:
        note(f"whygate: {remark}")
    return changes


def _base_url(runtime: Runtime, env: dict[str, str]) -> str:
    """Give a base URL of ours that the command has, the one for OpenAI's protocol first."""
    names = sorted(variable_names(), key=lambda name: (name != "OPENAI_BASE_URL", name))
    ours = (env[name] for name in names if env.get(name, "").startswith(runtime.listen_url))
    return next(ours, "").rstrip("/")
