"""What is wrong with a configuration, said once and completely: where, which key, what stands there, what should."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

_SECRET_NAME = re.compile(r"token|secret|password|passwd|credential|api_?key|authorization|^key$", re.IGNORECASE)
_SECRET_VALUE = re.compile(r"\b(?:sk|pk|xai|gsk|AIza)[-_]?[A-Za-z0-9_-]{12,}")
_USERINFO = re.compile(r"(?:(?<=//)|^)[^/@\s]+@")
_SHOWN_MAX = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One mistake.

    Attributes:
        source: The file, the environment variable or the option that holds it.
        line: Line in the file, when known.
        key: Dotted name, ``limits.rules[0].rpm``; empty when the file as a whole is meant.
        given: What stands there, secrets masked; empty when nothing does.
        expected: What should stand there.
        nearest: The known name that is most like it.
    """

    source: str
    expected: str
    key: str = ""
    given: str = ""
    line: int | None = None
    nearest: str = ""

    def __str__(self) -> str:
        """Give it as one line."""
        place = self.source if self.line is None else f"{self.source}, line {self.line}"
        key = f": {self.key}" if self.key and self.key != self.source else ""
        given = f" = {self.given}" if self.given else ""
        nearest = f" Did you mean {self.nearest}?" if self.nearest else ""
        return f"{place}{key}{given}: expected {self.expected}.{nearest}"


class MisfitError(ValueError):
    """Keys of one table that do not fit together.

    Attributes:
        key: The one to name; dotted when it is in another table.
    """

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


class ConfigError(Exception):
    """The configuration cannot be used. Carries every problem that was found, not just the first."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        """Keep the problems in the order in which they were found."""
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


def shown(key: str, value: Any) -> str:
    """Give a value as it may be printed: a secret becomes ``***``, a long text its start, a table its kind."""
    if _SECRET_NAME.search(key.rpartition(".")[2]):
        return "***"
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str):
        return str(value)
    text = _USERINFO.sub("***@", _SECRET_VALUE.sub("***", value))
    return repr(text if len(text) <= _SHOWN_MAX else text[:_SHOWN_MAX] + "...")


def nearest(name: str, known: Sequence[str]) -> str:
    """Give the known name that was probably meant, or nothing."""
    begun = [one for one in known if one.startswith(name)]
    return next(iter([*begun, *get_close_matches(name, known, n=1, cutoff=0.6)]), "")
