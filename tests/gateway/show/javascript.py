"""As much of JavaScript as it takes to find the strings in a module. Knows the forms that the page's modules use."""

from collections.abc import Iterator
from typing import NamedTuple

_BEFORE_A_PATTERN = "(,=:[!&|?{};\n"


class Literal(NamedTuple):
    """A piece of a string as it is written, and the code on its line before it."""

    text: str
    before: str


def literals(source: str) -> Iterator[Literal]:
    """Give every string of a module, of templates the parts between their values."""
    yield from _scan(source, 0, "")[0]


def _scan(source: str, at: int, stop: str) -> tuple[list[Literal], int]:
    """Read code from ``at`` to the brace that closes it, or to the end."""
    found: list[Literal] = []
    depth, last = 0, "\n"
    while at < len(source):
        here = source[at]
        if source.startswith("//", at):
            at = source.find("\n", at) % (len(source) + 1)
        elif source.startswith("/*", at):
            at = source.index("*/", at) + 2
        elif here in "\"'":
            end = _end(source, at)
            found.append(Literal(source[at + 1 : end], _line_before(source, at)))
            at = end + 1
        elif here == "`":
            parts, at = _template(source, at)
            found += parts
        elif here == "/" and last in _BEFORE_A_PATTERN:
            at = _end_of_pattern(source, at) + 1
        elif here == stop and depth == 0:
            return found, at
        else:
            depth += {"{": 1, "}": -1}.get(here, 0)
            at += 1
        if not here.isspace():
            last = here
    return found, at


def _template(source: str, at: int) -> tuple[list[Literal], int]:
    before, found, text = _line_before(source, at), [], ""
    at += 1
    while source[at] != "`":
        if source.startswith("${", at):
            found.append(Literal(text, before))
            text = ""
            inner, at = _scan(source, at + 2, "}")
            found += inner
        else:
            text += source[at]
        at += 1
    return [*found, Literal(text, before)], at + 1


def _line_before(source: str, at: int) -> str:
    return source[source.rfind("\n", 0, at) + 1 : at]


def _end(source: str, at: int) -> int:
    quote, at = source[at], at + 1
    while source[at] != quote:
        at += 2 if source[at] == "\\" else 1
    return at


def _end_of_pattern(source: str, at: int) -> int:
    """Give where a regular expression ends; a slash between brackets does not end it."""
    bracket, at = False, at + 1
    while bracket or source[at] != "/":
        if source[at] == "\\":
            at += 1
        elif source[at] in "[]":
            bracket = source[at] == "["
        at += 1
    return at
