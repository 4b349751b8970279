"""``whygate start``: run the gateway until it is told to stop."""

import logging
import os
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

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
from gateway.cli.speaking import Tell, tell_ready, telling
from gateway.model.provider import Provider
from gateway.settings import Settings
from gateway.state import Runtime

if TYPE_CHECKING:
    from gateway.tenants import Team

_WIDTH, _INDENT = 80, 18
"""Of a usual terminal; and what stands before the other base URLs."""


def start(  # noqa: PLR0917  (its options)
    listen: ListenOption = None,
    page: Annotated[str | None, typer.Option("--page", metavar="HOST:PORT", help="Where the status page is.")] = None,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Never answer from the cache.")] = False,
    ui: Annotated[
        Literal["mitmweb", "console"] | None,
        typer.Option("--ui", help="Show calls in mitmproxy's own UI, too: in a browser, or in this terminal."),
    ] = None,
    ui_options: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="With --ui: an option of mitmproxy's, as scripts=edit.py."),
    ] = None,
    config: ConfigOption = None,
    state: StateOption = None,
    end_with_runs: Annotated[bool, typer.Option("--end-with-runs", hidden=True)] = False,
) -> None:
    """Run the gateway in this terminal until Ctrl-C.

    Example:  whygate start --listen 127.0.0.1:9000 --config whygate.toml
    """
    if ui_options and ui is None:
        raise UserError("--set is for mitmproxy's options, which only its UIs have", "--set", "Add --ui mitmweb.")
    if ui == "console" and not sys.stdout.isatty():
        raise UserError("--ui console needs a terminal", "--ui", "Run it in one, or take --ui mitmweb.")
    flags: dict[str, tuple[Any, str]] = {}
    if listen is not None:
        flags["listen.address"] = (listen, "--listen")
    if page is not None:
        flags["page.address"] = (page, "--page")
    if no_cache:
        flags["cache.enabled"] = (False, "--no-cache")
    resolved = resolve_settings(config, flags)
    from gateway.tenants import team_of  # noqa: PLC0415  (knows the gate)

    with telling(resolved.settings) as tell:
        team = team_of(resolved.settings, os.environ, resolved.origins["team.tenants"])
        settings = resolved.settings

        def again() -> Settings:
            return resolve_settings(config, flags).settings

        code = _run(
            settings, state, ui, tuple(ui_options or ()), tell, team=team, again=again, end_with_runs=end_with_runs
        )
        raise typer.Exit(code)


def _run(
    settings: Settings,
    state: Path | None,
    ui: Literal["mitmweb", "console"] | None,
    ui_options: tuple[str, ...],
    tell: Tell | None,
    *,
    team: "Team",
    again: Callable[[], Settings],
    end_with_runs: bool,
) -> int:
    directory = open_state(state)
    # Only now, when nothing is left to complain about: over a second of imports.
    from gateway.light import lighten  # noqa: PLC0415

    if ui is None:
        lighten()
    from gateway.app import serve  # noqa: PLC0415
    from gateway.ports import StartError  # noqa: PLC0415
    from gateway.ui import Ui  # noqa: PLC0415

    links: list[str] = []
    # The console has the terminal by then; its event log (E) has the lines.
    say = typer.echo if ui != "console" else logging.getLogger("whygate").info

    def ready(runtime: Runtime) -> None:
        if tell is None:
            announce(runtime, settings, "".join(links), say)
        else:
            tell_ready(tell, runtime)

    try:
        return serve(
            settings,
            directory,
            team=team,
            on_ready=ready,
            read_again=again,
            end_with_runs=end_with_runs,
            ui=None if ui is None else Ui(ui, ui_options, links.append),
        )
    except StartError as exc:
        raise UserError(exc.what, exc.where, exc.fix) from exc


def announce(runtime: Runtime, settings: Settings, mitmweb: str, say: Callable[[str], object]) -> None:
    """Say where everything is, now that it answers."""
    lines = (
        f"whygate is ready (pid {runtime.pid}).",
        "",
        f"  Proxy       {runtime.listen_url}{_elsewhere(settings)}",
        *_base_urls(runtime.listen_url),
        *_token(runtime),
        # One of the user's own choice is not repeated: these lines may end up in a container's log.
        f"  Page        {runtime.page_link if settings.page.token is None else runtime.page_url + '/?token=...'}",
        *((f"  mitmweb     {mitmweb}",) if mitmweb else ()),
        *_way_out(settings),
        *_paragraph("Cached", _cached(settings)),
        *_paragraph("Fallback", _fallbacks(settings)),
        "",
        "Use it from another terminal:",
        "  whygate run -- python app.py       for one command",
        '  eval "$(whygate env)"              for everything in that terminal',
    )
    say("\n".join(lines))


def _paragraph(name: str, text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent=f"  {name:<12}", subsequent_indent=" " * 14)


def _cached(settings: Settings) -> str:
    cache = settings.cache
    if not cache.enabled:
        return "nothing"
    lent = [rule.name for rule in cache.rules if rule.shared and rule.ttl_seconds]
    rules = [rule.name for rule in cache.rules if not rule.shared and rule.ttl_seconds]
    text = f"embeddings, moderations and prompts with temperature 0, for {cache.ttl_seconds:,} s"
    text += f"; by rule: {', '.join(rules)}" if rules else ""
    return text + (f"; never across keys, but for: {', '.join(lent)}" if lent else "; never across keys")


def _fallbacks(settings: Settings) -> str:
    return "; ".join(f"{one.name} ({one.upstream or 'a fixed text'})" for one in settings.fallback)


def _elsewhere(settings: Settings) -> str:
    return "  (and every other address of this machine)" if settings.listen.address.is_everywhere else ""


def _token(runtime: Runtime) -> list[str]:
    """Say that apps need the credential and where it is filled in, without showing it."""
    if runtime.asks_for_token and not runtime.listen_token:
        return [
            "  Token       each tenant's own, from every app: http://whygate:TOKEN@HOST:PORT,",
            "              or /~TOKEN before the path of a base URL; it opens the page, too",
        ]
    if not runtime.listen_token:
        return []
    return [
        "  Token       [listen] token, from every app: `whygate run` and `whygate env` fill it in;",
        "              by hand http://whygate:TOKEN@HOST:PORT, or /~TOKEN before the path of a base URL",
    ]


def _way_out(settings: Settings) -> list[str]:
    """Name the company's proxy where one is in force, without its password."""
    from gateway.configured import ways  # noqa: PLC0415  (loaded by now)

    found, _ = ways(settings, os.environ)
    via = found.https or found.http
    return [] if via is None else [f"  Way out     {via}"]


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
