"""The command line. Verbs only: each file is one verb, and heavy imports wait until theirs runs."""

import os
import sys

from gateway.cli.screen import UserError, show
from gateway.settings import ConfigError
from gateway.state import StateError

EXIT_USAGE = 2
_EXIT_BUG = 70
"""EX_SOFTWARE of sysexits.h: ours, not the user's."""


def main() -> None:
    """Run one command. A mistake of the user's ends in one screen and exit code 2, never in a traceback."""
    from gateway.cli.application import app  # noqa: PLC0415  (Typer, 300 ms that an import of one verb's parts need not pay)

    try:
        app(prog_name="whygate")
    except ConfigError as exc:
        show(UserError.of_config(exc))
    except StateError as exc:
        show(UserError(exc.what, exc.where, exc.fix))
    except UserError as exc:
        show(exc)
        sys.exit(exc.exit_code)
    except BrokenPipeError:
        # Whoever read our output has seen enough (``| head``). Python would complain again while closing it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(1)
    except Exception as exc:
        if os.environ.get("WHYGATE_TRACEBACK"):
            raise
        what = f"This is a bug in whygate: {type(exc).__name__}: {exc}"
        show(UserError(what, "", "Report it with the output of the same command under WHYGATE_TRACEBACK=1."))
        sys.exit(_EXIT_BUG)
    else:
        return
    sys.exit(EXIT_USAGE)
