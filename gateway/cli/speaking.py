"""How ``whygate start`` speaks where programs listen: `[observe] log = "json"`."""

import contextlib
import os
import traceback
from collections.abc import Callable, Iterator

import typer

from gateway.cli.screen import UserError
from gateway.settings import Settings
from gateway.state import Runtime, StateError

Tell = Callable[..., None]
"""Level, event and message; further fields by name."""

_EXIT_BUG = 70


@contextlib.contextmanager
def telling(settings: Settings) -> Iterator[Tell | None]:
    """Give what says things as JSON, None where people read. What ends the block badly is told as JSON as well."""
    if settings.observe.log == "text":
        yield None
        return
    from gateway.observe.log_json import speaking_json  # noqa: PLC0415 - not for the other verbs

    with speaking_json() as teller:
        try:
            yield teller.say
        except (UserError, StateError) as error:
            teller.say("error", "cannot_start", error.what, where=error.where, fix=error.fix)
            raise typer.Exit(getattr(error, "exit_code", 2)) from error
        except Exception as error:
            if isinstance(error, typer.Exit):
                raise
            shown = {"exception": traceback.format_exc()} if os.environ.get("WHYGATE_TRACEBACK") else {}
            what = f"This is a bug in whygate: {type(error).__name__}: {error}"
            teller.say("critical", "bug", what, fix="Report it with the output under WHYGATE_TRACEBACK=1.", **shown)
            raise typer.Exit(_EXIT_BUG) from error


def tell_ready(tell: Tell, runtime: Runtime) -> None:
    """Say where everything is. No token: these lines are gathered and kept; it stands in runtime.json."""
    tell(
        "info",
        "ready",
        f"whygate is ready (pid {runtime.pid}).",
        pid=runtime.pid,
        proxy=runtime.listen_url,
        page=runtime.page_url,
        token="in runtime.json of the state directory",  # noqa: S106 - it says where it is
    )
