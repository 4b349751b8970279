"""How a mistake is told: what happened, where, what to do. At most one screen, on stderr."""

import sys
from contextlib import suppress
from typing import Self

import typer

from gateway.settings import ConfigError

_PROBLEMS_SHOWN = 12
"""Each may take two lines of a terminal of 24."""
_BOLD, _PLAIN = "\x1b[1m", "\x1b[0m"


class UserError(Exception):
    """Something that the person at the terminal can put right."""

    def __init__(self, what: str, where: str, fix: str, exit_code: int = 2) -> None:
        """Keep what happened, where (may be empty) and what to do."""
        self.what, self.where, self.fix, self.exit_code = what, where, fix, exit_code
        super().__init__(what)

    @classmethod
    def of_config(cls, error: ConfigError) -> Self:
        """Put all problems of a configuration on one screen."""
        count = len(error.problems)
        what = f"{count} problem{'s' * (count != 1)} in the configuration; nothing was changed or started"
        lines = [str(problem) for problem in error.problems[:_PROBLEMS_SHOWN]]
        if count > _PROBLEMS_SHOWN:
            lines.append(f"... and {count - _PROBLEMS_SHOWN} more")
        fix = "Correct that. All keys with their defaults: whygate config default"
        return cls(what, "\n         ".join(lines), fix)


def show(error: UserError) -> None:
    """Print it."""
    bold, plain = (_BOLD, _PLAIN) if sys.stderr.isatty() else ("", "")
    lines = [f"{bold}whygate: {error.what.rstrip('.')}.{plain}"]
    if error.where:
        lines.append(f"  where  {error.where}")
    lines.append(f"  do     {error.fix}")
    note("\n".join(lines))


def agree(question: str, *, yes: bool) -> None:
    """Go on only when somebody says so, on the command line or now; exit code 1 when they would rather not.

    Raises:
        UserError: Nobody can be asked.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise UserError("Nobody can be asked", question, "Say so on the command line: --yes")
    if not typer.confirm(question, err=True):
        raise typer.Exit(1)


def note(text: str) -> None:
    """Print to stderr; a closed stderr is not worth failing for."""
    with suppress(OSError):
        sys.stderr.write(text + "\n")
        sys.stderr.flush()
