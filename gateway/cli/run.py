"""``whygate run -- CMD``: one command through the gateway, nothing else changed."""

import os
from datetime import UTC, datetime
from typing import Annotated

import typer

from gateway.cli.calls import calls_since
from gateway.cli.child import run_child
from gateway.cli.environment import changes_for
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
from gateway.trust import bundle, unreadable_choices
from gateway.trust_java import java_truststore

Command = Annotated[list[str], typer.Argument(metavar="CMD...", help="The command and its arguments, after --.")]


def run(
    command: Command,
    listen: ListenOption = None,
    no_base_url: Annotated[
        bool, typer.Option("--no-base-url", help="Leave OPENAI_BASE_URL and ANTHROPIC_BASE_URL alone.")
    ] = False,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Run a command with its calls going through the gateway; starts one when none runs.

    Example:  whygate run -- python app.py

    Only that command's environment changes: proxy variables, certificate files, base URLs that are not set.
    Not reached: programs with certificates built in (browsers, Rust with webpki-roots), Go and .NET on macOS and
    Windows, and programs that ignore proxy variables and base URLs alike.
    """
    wanted = Wanted(listen_address(listen), config)
    directory = open_state(state)
    with directory.hold_run():
        runtime = find_or_start(directory, wanted)
        certificates = bundle(directory, os.environ)
        changes = changes_for(
            runtime, certificates, java_truststore(directory, certificates), os.environ, base_urls=not no_base_url
        )
        for name, path in unreadable_choices(os.environ):
            changes.notes.append(f"{name} names a file that cannot be read ({path}); it is replaced for this command.")
        for remark in changes.notes:
            note(f"whygate: {remark}")
        since = datetime.now(UTC)
        code = run_child(command, {**os.environ, **changes.variables})
        rows = calls_since(runtime, since)
        if rows is None:
            note(f"whygate: the gateway no longer answers. Its log: {directory.gateway_log}")
        elif words := last_words(rows, runtime):
            note(words)
    raise typer.Exit(code)
