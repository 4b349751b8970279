"""``whygate export``: calls of the log as a HAR document, or as JSON lines."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.options import ConfigOption, StateOption, open_state
from gateway.cli.readers import Filters, filtered
from gateway.cli.screen import UserError, note

if TYPE_CHECKING:
    from gateway.cli.handing import Asked, Here
    from gateway.state import State

_MAX_LIMIT = 20_000
"""They are held in memory, and every text of them is looked at twice."""
_STDOUT = "-"

IdsArgument = Annotated[list[str] | None, typer.Argument(metavar="ID", help="Ids, or `last` for the last failure.")]
BodiesOption = Annotated[
    bool,
    typer.Option("--with-bodies", help="With what the log kept of answers and of captured prompts."),
]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace a file that is there.")]


@filtered()
def export(
    ids: IdsArgument = None,
    har: Annotated[
        str, typer.Option("--har", metavar="FILE", help="HAR 1.2, for browsers and support; - is standard output.")
    ] = "",
    jsonl: Annotated[
        str, typer.Option("--jsonl", metavar="FILE", help="A JSON object a call; - is standard output.")
    ] = "",
    *,
    filters: Filters,
    limit: Annotated[int, typer.Option("--limit", min=1, max=_MAX_LIMIT, help="At most so many, the newest.")] = 1000,
    with_bodies: BodiesOption = False,
    force: ForceOption = False,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Write calls of the log to a file.

    No credential, no prompt and no answer is in it. Your home directory
    and user name become ~. It is searched for secrets before it is
    written; when one is found, nothing is.

    Example:  whygate export --har failures.har --failures --since 2h
    """
    from gateway.cli import handing, outfile  # noqa: PLC0415

    targets = [name for name in (har, jsonl) if name]
    if not targets:
        raise UserError("Nowhere to write to", "", "whygate export --har FILE   or: whygate export --jsonl FILE")
    if len(set(targets)) < len(targets):
        raise UserError("Two forms for one place", targets[0], "Give --har and --jsonl different files.")
    wanted = handing.wanted(ids, filters)
    paths = {name: outfile.check(Path(name), force=force) for name in targets if name != _STDOUT}
    opened = open_state(state, create=False)
    here = handing.here(opened, config)
    rows = _rows(opened, handing.Asked(ids or (), wanted, limit), here, with_bodies=with_bodies)
    _write(_documents(rows, here, har=har, jsonl=jsonl), paths, force=force)
    note(f"whygate: {len(rows):,} call{'s' * (len(rows) != 1)} to {', '.join(map(_place, targets))}.")


def _rows(state: "State", asked: "Asked", here: "Here", *, with_bodies: bool) -> list[dict[str, Any]]:
    from gateway.cli.handing import chosen  # noqa: PLC0415
    from gateway.cli.reading import open_source  # noqa: PLC0415
    from gateway.record.bundle import with_body_left_out  # noqa: PLC0415
    from gateway.record.leaks import Cleaner  # noqa: PLC0415

    with open_source(state) as source:
        found = chosen(source, asked)
    cleaner = Cleaner(here.home, here.user)
    return [cleaner.clean(row if with_bodies else with_body_left_out(row)) for row in found]


def _documents(rows: list[dict[str, Any]], here: "Here", *, har: str, jsonl: str) -> dict[str, bytes]:
    """Give what is to be written, by where to.

    Raises:
        UserError: A secret would leave.
    """
    from gateway.cli.handing import aimed, refusal  # noqa: PLC0415
    from gateway.record import bundle, leaks  # noqa: PLC0415
    from gateway.version import version  # noqa: PLC0415

    documents: dict[str, bytes] = {}
    if har:
        documents[har] = bundle.har_file(map(aimed, rows), version())
    if jsonl:
        documents[jsonl] = bundle.jsonl_file(rows)
    # By the last part of the name: the rest of a path would tell of the home directory.
    files = {Path(name).name: data for name, data in documents.items()}
    # What the form of a URL hides in a HAR stands in the rows as it is.
    files |= {} if jsonl else {"the log": bundle.jsonl_file(rows)}
    if found := leaks.find(files, here.known, here.home):
        raise refusal(found)
    return documents


def _write(documents: dict[str, bytes], paths: dict[str, Path], *, force: bool) -> None:
    from gateway.cli.outfile import write  # noqa: PLC0415

    for name, data in documents.items():
        if name == _STDOUT:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        else:
            write(paths[name], data, force=force)


def _place(name: str) -> str:
    return "standard output" if name == _STDOUT else name
