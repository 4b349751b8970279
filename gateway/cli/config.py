"""``whygate config``: what is set, where it comes from, and whether it can be used."""

import os
from typing import Any

import typer

from gateway.cli.options import ConfigOption, config_file, resolve_settings
from gateway.settings import render_default_toml
from gateway.settings.load import DEFAULT

app = typer.Typer(help="The settings in force. Example:  whygate config show", no_args_is_help=True)


@app.command()
def show(config: ConfigOption = None) -> None:
    """Print every setting with its value and where that came from: the default, a file or a variable.

    Example:  WHYGATE_CACHE__ENABLED=false whygate config show
    """
    resolved = resolve_settings(config)
    rows = [(key, _shown(resolved.settings, key), origin) for key, origin in resolved.origins.items()]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    for key, value, origin in rows:
        typer.echo(f"{key:<{widths[0]}}  {value:<{min(widths[1], 40)}}  {origin}")


@app.command()
def check(config: ConfigOption = None) -> None:
    """Say whether the settings can be used; names every mistake and exits with 2 when not.

    Example:  whygate config check --config whygate.toml
    """
    resolved = resolve_settings(config)
    from gateway.tenants import team_of  # noqa: PLC0415  (knows the gate)

    team_of(resolved.settings, os.environ, resolved.origins["team.tenants"])
    given = sum(origin != DEFAULT for origin in resolved.origins.values())
    typer.echo(f"The settings are good; {given} keys are set, {len(resolved.origins) - given} keep their default.")


@app.command()
def path(config: ConfigOption = None) -> None:
    """Print which settings file is in force.

    Example:  whygate config path
    """
    file = config_file(config)
    typer.echo(file or "none (the defaults; name one with --config FILE or WHYGATE_CONFIG)")


@app.command()
def default() -> None:
    """Print a settings file with every key, its default, its unit and the reason for it.

    Example:  whygate config default > whygate.toml
    """
    typer.echo(render_default_toml(), nl=False)


def _shown(settings: Any, key: str) -> str:
    """Give a value as the file would hold it; a secret shows only that it is set (pydantic's SecretStr)."""
    value = settings
    for part in key.split("."):
        value = getattr(value, part)
    match value:
        case None:
            return "not set"
        case bool():
            return str(value).lower()
        case int() | float():
            return f"{value:,}"
        case tuple() if not hasattr(value, "_fields"):
            return "; ".join(_row(item) for item in value) or "none"
        case _:
            return str(value)


def _row(item: Any) -> str:
    """Give one table of a list in short."""
    if isinstance(item, str):
        return item
    return " ".join(f"{name}={value}" for name, value in item if value not in (None, (), "*"))
