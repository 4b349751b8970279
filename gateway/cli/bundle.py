"""``whygate bundle``: failures and what surrounds them in one file, for whoever is to look into them."""

import os
import platform
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.export import BodiesOption, ForceOption, IdsArgument
from gateway.cli.options import ConfigOption, Language, StateOption, open_state
from gateway.cli.readers import Filters, filter_of, filtered, retold_row
from gateway.cli.screen import UserError

if TYPE_CHECKING:
    from gateway.cli.handing import Asked, Here
    from gateway.cli.reading import Source
    from gateway.record.leaks import Cleaner
    from gateway.state import State

_MAX_FAILURES = 1000
_SINCE = "1d"
_BEFORE_EACH = 20
_DOCTOR = "doctor.json"
_DOCTOR_MAX_BYTES = 1024 * 1024
_PROXY_VARIABLES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY", "NODE_USE_ENV_PROXY", "NODE_EXTRA_CA_CERTS",
                    "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")  # fmt: skip
_LIBRARIES = ("mitmproxy", "aiohttp", "uvicorn", "cryptography", "truststore")


@filtered(without=("failures",))
def bundle(
    file: Annotated[Path, typer.Argument(metavar="FILE.zip", help="Where to write it.")],
    ids: IdsArgument = None,
    *,
    filters: Filters,
    limit: Annotated[int, typer.Option("--limit", min=1, max=_MAX_FAILURES, help="At most so many failures.")] = 100,
    with_bodies: BodiesOption = False,
    force: ForceOption = False,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Put failures and what surrounds them into one ZIP file.

    Without ids or filters: the failures of the last 24 hours, each with
    the 20 calls before it. Verdicts, a time line, HAR, commands that ask
    again, and texts for the provider's support and for your IT. No key, no
    prompt and no answer is in it. Every file is searched for secrets
    before it is written; when one is found, nothing is.

    Example:  whygate bundle failure.zip last
    """
    from gateway.cli import handing, outfile  # noqa: PLC0415

    path = outfile.check(file, force=force)
    asking = handing.wanted(ids, filters)
    if not ids:
        asking = replace(asking, cause=asking.cause or "*", since=asking.since or filter_of(since=_SINCE).since)
    data, about = _made(handing.Asked(ids or (), asking, limit), state, config, with_bodies=with_bodies)
    outfile.write(path, data, force=force)
    typer.echo(f"{path}: {about['failed']} failed calls of {about['calls']}, {len(data) / 1024:,.0f} KiB.")
    for told in about["left_out"]:
        typer.echo(f"Left out: {told}")
    typer.echo("Look through it before you send it; README.txt says what is in it.")


def _made(
    asked: "Asked", state: Path | None, config: Path | None, *, with_bodies: bool
) -> tuple[bytes, dict[str, Any]]:
    """Give the bundle and what its manifest says of it.

    Raises:
        UserError: Nothing fits, a secret would leave, or it would be too large.
    """
    from gateway.cli import handing  # noqa: PLC0415
    from gateway.cli.reading import open_source  # noqa: PLC0415
    from gateway.record import bundle as parts  # noqa: PLC0415
    from gateway.record.leaks import Cleaner  # noqa: PLC0415
    from gateway.show.contents import contents  # noqa: PLC0415
    from gateway.version import version  # noqa: PLC0415

    opened = open_state(state, create=False)
    here = handing.here(opened, config)
    with open_source(opened) as source:
        found = _with_surroundings(source, asked)
    told = [row if with_bodies else parts.with_body_left_out(row) for row in found]
    cleaner = Cleaner(here.home, here.user)
    rows: list[dict[str, Any]] = [cleaner.clean(row) for row in parts.fitting(told)]
    now = datetime.now(UTC)
    left_out = [f"{len(told) - len(rows)} calls, for which there was no room."] if len(rows) < len(told) else []
    files = _files(rows, here, cleaner, version()) | _doctor(opened, cleaner, left_out)
    about: dict[str, Any] = {
        "made_at": now.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "whygate": version(),
        "calls": len(rows),
        "failed": sum(bool(row.get("cause")) for row in rows),
        "bodies": with_bodies,
        "removed": {
            **cleaner.removed,
            "start of an answer": sum("body_left_out" in row for row in rows),
            "request": sum("request_body_left_out" in row for row in rows),
        },
        "left_out": left_out,
    }
    files = {"README.txt": contents(files, about).encode(), **files}
    files["manifest.json"] = parts.manifest(files, about)
    try:
        return parts.pack(files, here.known, here.home, now), about
    except parts.LeakError as exc:
        raise handing.refusal(exc.leaks) from exc
    except parts.TooLargeError as exc:
        most = f"{parts.MAX_BYTES // 2**20} MiB"
        raise UserError(f"This is more than a bundle may hold ({most})", "", "Ask for fewer: --limit 10") from exc


def _with_surroundings(source: "Source", asked: "Asked") -> list[dict[str, Any]]:
    """Give the calls that were asked for with their bodies, and those shortly before them; newest first."""
    from gateway.cli.handing import chosen  # noqa: PLC0415
    from gateway.record.filter import FlowFilter  # noqa: PLC0415

    rows = {row["seq"]: row for row in chosen(source, asked)}
    for seq in sorted(rows, reverse=True):
        for row in source.newest(FlowFilter(), _BEFORE_EACH, below=seq):
            rows.setdefault(row["seq"], row)
    return [rows[seq] for seq in sorted(rows, reverse=True)]


def _files(rows: Sequence[dict[str, Any]], here: "Here", cleaner: "Cleaner", version: str) -> dict[str, bytes]:
    import orjson  # noqa: PLC0415

    from gateway.cli.handing import aimed  # noqa: PLC0415
    from gateway.cli.known import providers  # noqa: PLC0415
    from gateway.record.bundle import jsonl_file, log_files  # noqa: PLC0415
    from gateway.show import letters  # noqa: PLC0415

    sent = [_in_english(aimed(row)) for row in rows]
    used = {str(row["provider"]) for row in rows}
    hosts = {provider.name: provider.hosts for provider in providers() if provider.name in used}
    texts = {
        "verdicts.txt": letters.verdicts(rows),
        "timeline.txt": letters.timeline(sent),
        "for-provider-support.txt": letters.for_provider_support(sent),
        "for-company-it.txt": letters.for_company_it(sent, hosts),
    }
    told = cleaner.clean(_environment(rows, here, version))
    files = {name: text.encode("utf-8", "replace") for name, text in texts.items()}
    files |= {**log_files(sent, version), "flows.jsonl": jsonl_file(rows)}
    files["environment.json"] = orjson.dumps(told, option=orjson.OPT_INDENT_2)
    return files


def _in_english(row: dict[str, Any]) -> dict[str, Any]:
    """Give a row as strangers can read it."""
    said = row.get("diagnosis") or {}
    return row if said.get("language", "en") == "en" else retold_row(row, Language.ENGLISH)


def _environment(rows: Sequence[dict[str, Any]], here: "Here", version: str) -> dict[str, Any]:
    """Say what machine this is, and who called. Of variables only the names."""
    from importlib import metadata  # noqa: PLC0415

    from gateway.record.sdks import clients_seen  # noqa: PLC0415

    named = {name for name in os.environ if name.upper() in _PROXY_VARIABLES}
    return {
        "whygate": version,
        "libraries": {name: metadata.version(name) for name in _LIBRARIES},
        "python": platform.python_version(),
        "system": {"name": platform.system(), "release": platform.release(), "machine": platform.machine()},
        "clients": clients_seen(rows),
        "variables_set": sorted(named),
        "proxy_in_settings": here.proxy or None,
        "problems_in_settings": here.faulty_settings,
    }


def _doctor(state: "State", cleaner: "Cleaner", left_out: list[str]) -> dict[str, bytes]:
    """Give what the doctor left, where it did."""
    import orjson  # noqa: PLC0415

    from gateway import files  # noqa: PLC0415

    try:
        data = files.read_private(state.directory / _DOCTOR, secret=False)
        if len(data) > _DOCTOR_MAX_BYTES:
            left_out.append(f"{_DOCTOR}, which is larger than 1 MiB.")
            return {}
        return {_DOCTOR: orjson.dumps(cleaner.clean(orjson.loads(data)), option=orjson.OPT_INDENT_2)}
    except FileNotFoundError:
        return {}
    except (files.StateError, ValueError, RecursionError):
        left_out.append(f"{_DOCTOR}, which cannot be read.")
        return {}
