"""``whygate explain``: the verdict on what somebody pastes, and what each verdict means."""

import re
import sys
from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.options import ConfigOption, LangOption, Language, StateOption, resolve_settings
from gateway.cli.screen import UserError, note

if TYPE_CHECKING:
    from gateway.explain.seen import Seen
    from gateway.model.cause import Cause
    from gateway.model.diagnosis import Diagnosis

_FLOW_ID = re.compile(r"[0-9a-f]{26}")
_LIKE_A_SLUG = re.compile(r"[a-z_0-9]{2,40}(?:\.[a-z_0-9]{1,60})?")
_OF_A_FAILURE = re.compile(
    r"error|exception|traceback|fail|refus|denied|forbidden|timed? ?-?out|panic|abort|fatal|unable|could ?n.t|can ?not"
    r"|block|invalid|unauthori|unreachable|reset by|错误|失败|异常|超时|拒绝|errore|negato",
    re.IGNORECASE,
)
"""Words without which a text that nothing explains is hardly about a failure."""
_EXIT_NOTHING = 1
_READS = (
    "whygate reads the words of any client (a traceback, a stack, a log line), a raw HTTP answer or its body, what"
    " `curl -v` prints, a HAR file, and rows of its own log. Give the whole text, from its first line to its last."
)


def explain(  # noqa: PLR0917 - each is an option of the command line
    what: Annotated[
        str, typer.Argument(metavar="WHAT|-", help="A file, a cause, a family of causes, or a call's id.")
    ] = "",
    jsonl: Annotated[
        str, typer.Option("--jsonl", metavar="FILE", help="A JSON object a line in, one out; - is standard input.")
    ] = "",
    lang: LangOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a verdict or cause.")] = False,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Say why something failed, or what a cause means.

    WHAT is a file, or - for standard input, with what you saw: a traceback,
    a raw HTTP answer, what `curl -v` prints, a HAR file. Or it is a cause
    (quota.exhausted), a family of causes (rate_limit), or the id of a call
    of the log. Without it, all causes are listed.

    Example:  whygate explain traceback.txt
    """
    if jsonl and what:
        raise UserError("Two things to explain at once", f"{what} and --jsonl {jsonl}", "Give one of them.")
    language = _language(lang, config)
    if jsonl:
        from gateway.cli.explain_lines import explain_lines  # noqa: PLC0415

        raise typer.Exit(explain_lines(jsonl, language))
    if _FLOW_ID.fullmatch(what) and not _is_there(what):
        _explain_flow(what, state, language, as_json=as_json)
    elif causes := _causes(what):
        _explain_causes(causes, language, as_json=as_json)
    else:
        _explain_material(what or "-", language, as_json=as_json)


def _is_there(name: str) -> bool:
    try:
        return Path(name).expanduser().exists()
    except (OSError, RuntimeError, ValueError):
        return False


def _language(lang: Language | None, config: Path | None) -> str:
    return lang.value if lang is not None else resolve_settings(config).settings.diagnose.language


def _causes(what: str) -> Sequence["Cause"]:
    """Give the causes that were asked for, none when it is something else; all when nothing can be read."""
    from gateway.show.catalogue import families  # noqa: PLC0415

    every = families()
    if not what and sys.stdin is not None and sys.stdin.isatty():
        return [cause for causes in every.values() for cause in causes]
    exact = [cause for causes in every.values() for cause in causes if cause.value == what]
    return exact or every.get(what.removesuffix("*").removesuffix("."), ())


def _explain_causes(causes: Sequence["Cause"], language: str, *, as_json: bool) -> None:
    from gateway.cli.readers import console  # noqa: PLC0415
    from gateway.show.catalogue import as_dict, entry, listing  # noqa: PLC0415

    if as_json:
        for cause in causes:
            _print_json(as_dict(cause, language))
    elif len(causes) == 1:
        console().print(entry(causes[0], language))
    else:
        for number, family in enumerate(_by_family(causes)):
            if number:
                console().print()
            console().print(listing(family, language), soft_wrap=True)


def _by_family(causes: Sequence["Cause"]) -> list[list["Cause"]]:
    return [list(family) for _, family in groupby(causes, lambda cause: cause.partition(".")[0])]


def _explain_flow(flow_id: str, state: Path | None, language: str, *, as_json: bool) -> None:
    from gateway.cli.readers import console, flow, retold_row  # noqa: PLC0415

    row = retold_row(flow(flow_id, state), Language(language))
    if not row.get("cause"):
        told = "is not over yet" if row.get("state") != "done" else "did not fail"
        _say(f"This call {told}; whygate flows show {flow_id} shows it.", as_json=as_json)
    elif as_json:
        _print_json({"id": row["id"], **(row.get("diagnosis") or {"cause": row["cause"], "fault": row.get("fault")})})
    else:
        from rich.console import Group  # noqa: PLC0415

        from gateway.show.verdict import verdict  # noqa: PLC0415

        console().print(Group(*verdict(row)))


def _explain_material(name: str, language: str, *, as_json: bool) -> None:
    from gateway.cli.material import place, text_of  # noqa: PLC0415
    from gateway.diagnose.say import say  # noqa: PLC0415
    from gateway.explain.judge import Judge  # noqa: PLC0415
    from gateway.explain.paste import read  # noqa: PLC0415

    if name != "-" and not _is_there(name) and (meant := _meant(name)):
        raise UserError(
            f"No cause and no file is called {name}", "", f"Did you mean {meant}? All causes: whygate explain"
        )
    text = text_of(name)
    judge = Judge()
    found = [(seen, say(judge.judge(seen), language)) for seen in (read(text) if text else ())]
    telling = [(seen, diagnosis) for seen, diagnosis in found if _is_telling(seen, diagnosis)]
    if telling:
        _show(telling, as_json=as_json)
    elif text and (good := _success(text, [seen for seen, _ in found])):
        _say(good, as_json=as_json)
    else:
        what = "Nothing came in" if text is not None and not text.strip() else "No failure can be read in this"
        raise UserError(what, place(name), _READS, exit_code=_EXIT_NOTHING)


def _meant(name: str) -> str:
    """Give the cause or family whose name was misspelt; empty when it looks like none."""
    from gateway.settings.problems import nearest  # noqa: PLC0415
    from gateway.show.catalogue import families  # noqa: PLC0415

    if not _LIKE_A_SLUG.fullmatch(name):
        return ""
    every = families()
    return nearest(name, [*every, *(cause.value for causes in every.values() for cause in causes)])


def _is_telling(seen: "Seen", diagnosis: "Diagnosis") -> bool:
    """Whether there is a failure to show: `unknown` is a verdict on one, and none on a shopping list."""
    if diagnosis.cause != "unknown":
        return True
    if seen.status is not None:
        return not 200 <= seen.status < 300
    return bool(seen.stage) or _OF_A_FAILURE.search(seen.exception + seen.body) is not None


def _success(text: str, seen: Sequence["Seen"]) -> str:
    """Say that what was read went well; empty when it tells of no call at all."""
    from gateway.explain.har import entries_of  # noqa: PLC0415
    from gateway.explain.literal import json_of  # noqa: PLC0415

    calls = entries_of(json_of(text.lstrip("\ufeff").strip()))
    if calls is not None:
        return f"No call of this HAR file failed; it holds {len(calls)}." if calls else "This HAR file holds no call."
    answered = [str(one.status) for one in seen if one.status is not None]
    if answered:
        return f"It was answered with status {answered[-1]}, and nothing in it looks like a failure."
    return ""


def _show(found: Sequence[tuple["Seen", "Diagnosis"]], *, as_json: bool) -> None:
    if as_json:
        for seen, diagnosis in found:
            _print_json({"id": seen.id or None, **asdict(diagnosis)})
        return
    from rich.console import Group  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    from gateway.cli.readers import console  # noqa: PLC0415
    from gateway.show.plain import plain  # noqa: PLC0415
    from gateway.show.verdict import verdict  # noqa: PLC0415

    for number, (seen, diagnosis) in enumerate(found, 1):
        if len(found) > 1:
            about = " ".join(part for part in (seen.method, seen.url) if part)
            above = "" if number == 1 else "\n"
            console().print(Text(f"{above}{number}/{len(found)}  {plain(about, 200)}".rstrip(), style="dim"))
        row: dict[str, Any] = {
            "cause": diagnosis.cause.value,
            "fault": diagnosis.fault,
            "precision": diagnosis.precision,
            "diagnosis": asdict(diagnosis),
        }
        console().print(Group(*verdict(row)))


def _say(words: str, *, as_json: bool) -> None:
    """Print a sentence for a person; out of the way of a program's."""
    (note if as_json else typer.echo)(words)


def _print_json(value: dict[str, Any]) -> None:
    import orjson  # noqa: PLC0415

    typer.echo(orjson.dumps(value))
