"""``whygate doctor``: looks for the cause, from this machine to the account, and says what to do."""

import asyncio
import json
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from gateway import files
from gateway.cli.options import ConfigOption, LangOption, StateOption, open_state, resolve_settings
from gateway.cli.screen import UserError, note
from gateway.state import Runtime, State, StateError, default_state_dir

if TYPE_CHECKING:
    from gateway.doctor.case import Case
    from gateway.doctor.probe import Probe
    from gateway.doctor.report import Report
    from gateway.settings import Settings

_FLOWS = 500
_OTHER_BYTES_MAX = 4_000_000
_PLACES_SHOWN = 24


@dataclass(frozen=True, slots=True)
class _Form:
    """How the report is to be given; the first that is wanted counts."""

    as_json: bool
    for_it: bool
    summary: bool
    compare: Path | None


def doctor(  # noqa: PLR0917 - options of a verb
    host: Annotated[str, typer.Option("--host", metavar="HOST", help="Look at this one instead.")] = "",
    model: Annotated[str, typer.Option("--model", help="Also whether the key may use it.")] = "",
    chatgpt: Annotated[
        bool, typer.Option("--chatgpt", help="Also every domain that ChatGPT in browsers and apps needs.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The report as JSON, for --compare and for tools.")] = False,
    summary: Annotated[bool, typer.Option("--summary", help="One line a section, and the most likely cause.")] = False,
    for_it: Annotated[bool, typer.Option("--for-it", help="A letter to whoever runs the company's network.")] = False,
    compare: Annotated[
        Path | None, typer.Option("--compare", metavar="FILE", help="Hold it against a report from elsewhere.")
    ] = None,
    fix: Annotated[bool, typer.Option("--fix", help="First mend what is whygate's own.")] = False,
    lang: LangOption = None,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Look for what hinders calls, from this machine to the account, and say what to do.

    It contacts the provider, its status page, your proxy, and as controls public resolvers and well-known pages; it
    says so first. No tokens are spent. Exit code: 0 healthy, 1 something was found, 2 it could not run.

    Example:  whygate doctor --json > office.json      and on a hotspot:  whygate doctor --compare office.json
    """
    form = _Form(as_json, for_it, summary, compare)
    if sum((as_json, for_it, summary)) > 1:
        raise UserError("Only one of --json, --summary and --for-it can be given", "", "Leave the others out.")
    other = None if compare is None else _read(compare)
    settings = resolve_settings(config).settings
    language = lang.value if lang is not None else settings.diagnose.language
    directory = _state(state)
    place = state.expanduser() if state is not None else default_state_dir()
    about = {"model": model, "chatgpt": chatgpt, "language": language, "state": place}
    case = build_case(settings, directory, host, **about)
    if fix:
        _mend(case)
    found = _look(case)
    _say(found, form, other, language)
    _keep(found, directory)
    raise typer.Exit(0 if found.healthy else 1)


def _state(path: Path | None) -> State | None:
    """Open the state directory, None where there is none; one that cannot be used is what a probe tells of."""
    with suppress(StateError):
        return open_state(path, create=False)
    return None


def build_case(settings: "Settings", directory: State | None, host: str, **more: Any) -> "Case":
    """Put together what is asked: by the settings, the environment, and what the log says of late.

    Raises:
        UserError: The host is none.
    """
    from gateway.configured import lists, providers, ways  # noqa: PLC0415 - time that other verbs do not pay
    from gateway.doctor.asking import case_of  # noqa: PLC0415

    runtime = None if directory is None else Runtime.read(directory)
    out, _ = ways(settings, os.environ)
    ca_file = settings.network.ca_file
    try:
        return case_of(
            providers=providers(settings),
            ways=out,
            environ=dict(os.environ),
            host=host,
            lists=lists(settings),
            asked=settings.doctor.controls,
            flows=_latest_flows(directory),
            own=() if runtime is None else (_place(runtime.listen_url), _place(runtime.page_url)),
            ca_file=str(ca_file) if ca_file else None,
            **more,
        )
    except ValueError as error:
        raise UserError(f"{host!r} is no host", "--host", f"Give {error}.") from error


def _latest_flows(directory: State | None) -> Sequence[Mapping[str, Any]]:
    """Give the latest rows of the log, newest first; none when it cannot be read."""
    if directory is None or not directory.flows_db.exists():
        return ()
    from gateway.record.query import FlowFilter, Reader  # noqa: PLC0415

    with suppress(Exception):  # a log that cannot be read is no reason to look at nothing
        return Reader.open(directory.flows_db).page(FlowFilter(), None, _FLOWS).flows
    return ()


def _place(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or 80


def _look(case: "Case") -> "Report":
    """Announce, measure, and give the report."""
    from gateway.cli.doctor_lines import progress  # noqa: PLC0415
    from gateway.doctor.report import report  # noqa: PLC0415
    from gateway.doctor.run import probes, run  # noqa: PLC0415
    from gateway.doctor.scope import scope  # noqa: PLC0415
    from gateway.version import version  # noqa: PLC0415

    wanted = probes()
    _announce(case, wanted)
    shown = progress(len(wanted), case.language)
    began_at, began = time.time(), time.perf_counter()
    try:
        outcomes = asyncio.run(run(case, wanted, heard=shown))
    finally:
        shown.clear()
    took_ms = (time.perf_counter() - began) * 1000
    return report(case, outcomes, version=version(), began_at=began_at, took_ms=took_ms, scope=scope(case, outcomes))


def _announce(case: "Case", wanted: "Sequence[Probe]") -> None:
    """Say beforehand who will be contacted."""
    from gateway.doctor.report import contacts  # noqa: PLC0415

    places = [place.removesuffix(":443") for place in contacts(case, wanted)]
    more = f" and {len(places) - _PLACES_SHOWN} more" if len(places) > _PLACES_SHOWN else ""
    key = f", with the key of {case.target.key_variable} for {case.target} alone" if case.target.key else ""
    note(f"whygate: looking; this contacts {', '.join(places[:_PLACES_SHOWN])}{more}{key}. No tokens are spent.")


def _mend(case: "Case") -> None:
    """Mend what is ours, and say what was done."""
    from gateway.doctor.fix import fix  # noqa: PLC0415
    from gateway.doctor.measured_here import Installed  # noqa: PLC0415
    from gateway.doctor.run import probes, run  # noqa: PLC0415

    own = [probe for probe in probes() if probe.gives is Installed]
    outcomes = asyncio.run(run(case, own))
    done = [line for one in outcomes if isinstance(one.measured, Installed) for line in fix(case, one.measured)]
    for line in done or ["Nothing of whygate's own needs mending."]:
        note(f"whygate: {line}")


def _say(found: "Report", form: _Form, other: Mapping[str, Any] | None, language: str) -> None:
    from gateway.doctor.report import document, said  # noqa: PLC0415

    told = document(found, language)
    together: list[str] = []
    if other is not None:
        from gateway.doctor.compare import compare  # noqa: PLC0415

        try:
            together = [said(clue, language) for clue in compare(told, other).clues]
        except ValueError as error:
            raise UserError(str(error), str(form.compare), "Make one: whygate doctor --json > FILE") from error
        told["compared"] = together
    if form.as_json:
        typer.echo(json.dumps(told, indent=2, ensure_ascii=False))
        return
    if form.for_it:
        from gateway.doctor.ticket import ticket  # noqa: PLC0415

        typer.echo(ticket(told, language), nl=False)
        return
    from rich.console import Console  # noqa: PLC0415

    from gateway.cli.doctor_lines import lines_of  # noqa: PLC0415

    # Texts of others: nothing in them is markup.
    screen = Console(highlight=False, markup=False, emoji=False)
    for number, line in enumerate(together):
        screen.print(line if number == 0 else f"  - {line}", style=None if number else "bold")
    if together:
        screen.print()
    for text in lines_of(told, screen.width, language=language, summary=form.summary):
        screen.print(text)


def _read(path: Path) -> Mapping[str, Any]:
    """Read a report from elsewhere.

    Raises:
        UserError: It cannot be read, or is none.
    """
    fix = "Make one: whygate doctor --json > FILE"
    try:
        if path.stat().st_size > _OTHER_BYTES_MAX:
            raise UserError("This is too long to be a report of the doctor", str(path), fix)
        found = json.loads(path.read_bytes())
    except OSError as error:
        raise UserError(f"The other report cannot be read ({error.strerror})", str(path), fix) from error
    except (ValueError, RecursionError) as error:
        raise UserError("This is no report of the doctor", str(path), fix) from error
    if not isinstance(found, dict):
        raise UserError("This is no report of the doctor", str(path), fix)
    return found


def _keep(found: "Report", directory: State | None) -> None:
    """Leave the report in the state directory, for `whygate bundle`; without one there is nothing to bundle."""
    from gateway.doctor.report import document  # noqa: PLC0415

    if directory is None or not directory.directory.is_dir():
        return
    with suppress(OSError, StateError):  # a directory that cannot be written is told of by a check
        files.replace(directory.doctor_json, json.dumps(document(found)).encode())
