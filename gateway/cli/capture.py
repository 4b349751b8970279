"""``whygate capture``: keep whole prompts and answers for a while, to see them or to repeat a call."""

import re
from typing import Annotated

import typer

from gateway.cli.options import ConfigOption, LangOption, StateOption, YesOption, open_state
from gateway.cli.page_api import ask
from gateway.cli.screen import UserError, agree, note
from gateway.state import Runtime

_SPAN = re.compile(r"(\d{1,4})([smh])")
_SECONDS = {"s": 1, "m": 60, "h": 3_600}
_SECONDS_MAX = 3_600


def capture(  # noqa: PLR0917 - each is an option of the command line
    span: Annotated[str, typer.Option("--for", metavar="TIME", help="How long: 90s, 10m, 1h at most.")] = "10m",
    provider: Annotated[str, typer.Option("--provider", metavar="NAME", help="Only of this provider.")] = "",
    endpoint: Annotated[str, typer.Option("--endpoint", metavar="NAME", help="Only of this endpoint: messages.")] = "",
    model: Annotated[str, typer.Option("--model", metavar="NAME", help="Only of this model.")] = "",
    stop: Annotated[bool, typer.Option("--stop", help="Keep no more from now on.")] = False,
    yes: YesOption = False,
    lang: LangOption = None,  # noqa: ARG001 - every verb takes it; there is no verdict here
    config: ConfigOption = None,  # noqa: ARG001 - every verb takes it; this needs no settings
    state: StateOption = None,
) -> None:
    """Keep whole prompts and answers in the log for a while, with credentials struck out.

    It asks first, since prompts may hold anything. The page shows a banner meanwhile. Bodies are cut at 256 KiB and
    deleted with their calls.

    Example:  whygate capture --for 10m --provider openai
    """
    runtime = Runtime.read(open_state(state, create=False))
    if runtime is None:
        raise UserError("No gateway is running", "", "Start one: whygate start")
    path, about = "/api/capture", "how to keep bodies"
    if stop:
        ask(runtime, path, about, method="POST", body={"seconds": 0})
        note("Bodies are kept no more. What was kept stays in the log until it is deleted by age.")
        return
    seconds = _seconds(span)
    wanted = {name: text for name, text in (("provider", provider), ("endpoint", endpoint), ("model", model)) if text}
    which = " ".join(wanted.values()) or "all calls"
    agree(f"Keep the prompts and answers of {which} in the log for {span}?", yes=yes)
    ask(runtime, path, about, method="POST", body={"seconds": seconds, **wanted})
    note(f"Prompts and answers of {which} are kept for {span}. End it: whygate capture --stop")
    note("See one: whygate flows show ID   |   Send one again: whygate replay ID")


def _seconds(span: str) -> int:
    found = _SPAN.fullmatch(span)
    seconds = int(found[1]) * _SECONDS[found[2]] if found else 0
    if not 0 < seconds <= _SECONDS_MAX:
        raise UserError("--for is not a time up to one hour", span, "Write it like 90s, 10m or 1h.")
    return seconds
