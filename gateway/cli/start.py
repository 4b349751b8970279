"""``whygate start``: run the gateway until it is told to stop."""

import textwrap
from typing import Annotated, Any

import typer

from gateway.cli.known import providers
from gateway.cli.options import (
    ConfigOption,
    ListenOption,
    StateOption,
    open_state,
    resolve_settings,
)
from gateway.cli.screen import UserError
from gateway.model.provider import Provider
from gateway.settings import Settings
from gateway.state import Runtime

_WIDTH, _INDENT = 80, 18
"""Of a usual terminal; and what stands before the other base URLs."""


def start(  # noqa: PLR0917  (its options)
    listen: ListenOption = None,
    page: Annotated[str | None, typer.Option("--page", metavar="HOST:PORT", help="Where the status page is.")] = None,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Never answer from the cache.")] = False,
    config: ConfigOption = None,
    state: StateOption = None,
    end_with_runs: Annotated[bool, typer.Option("--end-with-runs", hidden=True)] = False,
) -> None:
    """Run the gateway in this terminal until Ctrl-C.

    Example:  whygate start --listen 127.0.0.1:9000 --config whygate.toml
    """
    flags: dict[str, tuple[Any, str]] = {}
    if listen is not None:
        flags["listen.address"] = (listen, "--listen")
    if page is not None:
        flags["page.address"] = (page, "--page")
    if no_cache:
        flags["cache.enabled"] = (False, "--no-cache")
    settings = resolve_settings(config, flags).settings
    directory = open_state(state)
    # Only now, when nothing is left to complain about: over a second of imports.
    from gateway.light import lighten  # noqa: PLC0415

    lighten()
    from gateway.app import serve  # noqa: PLC0415
    from gateway.ports import StartError  # noqa: PLC0415

    try:
        code = serve(
            settings, directory, on_ready=lambda runtime: announce(runtime, settings), end_with_runs=end_with_runs
        )
    except StartError as exc:
        raise UserError(exc.what, exc.where, exc.fix) from exc
    raise typer.Exit(code)


def announce(runtime: Runtime, settings: Settings) -> None:
    """Print where everything is, now that it answers."""
    cache = settings.cache
    cached = (
        f"embeddings, moderations and prompts with temperature 0, for {cache.ttl_seconds:,} s, never across keys"
        if cache.enabled
        else "nothing"
    )
    lines = (
        f"whygate is ready (pid {runtime.pid}).",
        "",
        f"  Proxy       {runtime.listen_url}",
        *_base_urls(runtime.listen_url),
        f"  Page        {runtime.page_link}",
        f"  Cached      {cached}",
        "",
        "Use it from another terminal:",
        "  whygate run -- python app.py       for one command",
        '  eval "$(whygate env)"              for everything in that terminal',
    )
    typer.echo("\n".join(lines))


def _base_urls(listen_url: str) -> list[str]:
    """Give one line for each of the two that most apps want, and the others behind each other."""
    paths = {provider.name: _path(provider) for provider in providers() if provider.hosts}
    lines = [f"  Base URLs   {listen_url}{paths.pop(name)}" for name in ("openai", "anthropic") if name in paths]
    others = textwrap.wrap(", ".join(paths.values()), _WIDTH - _INDENT, break_long_words=False, break_on_hyphens=False)
    lines += [f"              {'and ' * (number == 0)}{line}" for number, line in enumerate(others)]
    # The word stands once.
    return [line if number == 0 else line.replace("Base URLs", " " * 9) for number, line in enumerate(lines)]


def _path(provider: Provider) -> str:
    return f"/{provider.name}{'/RESOURCE' if provider.resource_host else ''}{provider.base_path}"
