"""``whygate start``: run the gateway until it is told to stop."""

from typing import Annotated, Any

import typer

from gateway.cli.options import (
    ConfigOption,
    ListenOption,
    StateOption,
    open_state,
    resolve_settings,
)
from gateway.cli.screen import UserError
from gateway.settings import Settings
from gateway.state import Runtime


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
        f"  Base URLs   OpenAI {runtime.listen_url}/openai/v1   Anthropic {runtime.listen_url}/anthropic",
        f"  Page        {runtime.page_link}",
        f"  Cached      {cached}",
        "",
        "Use it from another terminal:",
        "  whygate run -- python app.py       for one command",
        '  eval "$(whygate env)"              for everything in that terminal',
    )
    typer.echo("\n".join(lines))
