"""``whygate env``: the same variables for a whole terminal."""

import os
import shlex
from collections.abc import Callable
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.adopting import adopt
from gateway.cli.base_urls import Given, add_base_urls, variable_names
from gateway.cli.dotenv import named_in_files
from gateway.cli.environment import changes_for
from gateway.cli.options import StateOption, open_state
from gateway.cli.screen import UserError, note
from gateway.state import Runtime
from gateway.trust import bundle
from gateway.trust_java import java_truststore


class Shell(StrEnum):
    """Whose language to speak. ``bash`` also serves zsh, sh and ksh."""

    BASH = "bash"
    FISH = "fish"
    POWERSHELL = "powershell"


def _bash(name: str, value: str) -> str:
    return f"export {name}={shlex.quote(value)}"


def _fish(name: str, value: str) -> str:
    # Within single quotes fish knows two escapes: \\ and \'.
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"set -gx {name} '{escaped}'"


def _powershell(name: str, value: str) -> str:
    escaped = value.replace("'", "''")
    return f"$env:{name} = '{escaped}'"


_LINE: dict[Shell, Callable[[str, str], str]] = {
    Shell.BASH: _bash,
    Shell.FISH: _fish,
    Shell.POWERSHELL: _powershell,
}


def env(
    shell: Annotated[Shell | None, typer.Option("--shell", help="Whose syntax; else guessed from SHELL.")] = None,
    state: StateOption = None,
) -> None:
    """Print the variables that send this terminal's calls through the gateway that runs.

    Example:  eval "$(whygate env)"        fish:  whygate env --shell fish | source
    """
    directory = open_state(state, create=False)
    runtime = Runtime.read(directory)
    if runtime is None:
        raise UserError("No gateway runs", str(directory.directory), "Start one in another terminal: whygate start")
    certificates = bundle(directory, os.environ)
    changes = changes_for(runtime, certificates, java_truststore(directory, certificates), os.environ)
    in_files = named_in_files((), Path(), variable_names())
    add_base_urls(changes, runtime, Given(os.environ, in_files), partial(adopt, runtime))
    line = _LINE[shell or (Shell.FISH if os.environ.get("SHELL", "").endswith("fish") else Shell.BASH)]
    for name, value in changes.variables.items():
        typer.echo(line(name, value))
    for remark in changes.notes:
        note(f"whygate: {remark}")
