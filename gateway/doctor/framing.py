"""The words of a report's frame in every language, and how its lines are broken. Findings have theirs elsewhere."""

import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Final

from rich.cells import cell_len

DEFAULT: Final = "en"
WIDTH_CELLS: Final = 78
"""Of a line that fits everywhere."""

_CLOSING: Final = frozenset("，。：；、）！？”")
"""What never begins a line."""


def frame(language: str) -> Mapping[str, str]:
    """Give the words of a language by ``part.name``, as ``section.network``; English for one that we do not speak."""
    every = frames()
    return every.get(language) or every[DEFAULT]


@cache
def frames() -> Mapping[str, Mapping[str, str]]:
    """Give the words of all languages."""
    document = tomllib.loads((files(__package__) / "words.toml").read_text("utf-8"))
    return {
        language: {f"{part}.{name}": text for part, words in parts.items() for name, text in words.items()}
        for language, parts in document.items()
    }


def cells(text: str) -> int:
    """Give how many columns of a terminal a text takes (Unicode Standard Annex 11)."""
    return cell_len(text)


def wrapped(text: str, first: str = "", rest: str | None = None, width: int = WIDTH_CELLS) -> Iterator[str]:
    """Break a text at white space and between characters of scripts without any; a word too long is cut.

    Args:
        first: What the first line begins with.
        rest: What the others begin with; None for the same.
    """
    line, begun, after = first, False, first if rest is None else rest
    for piece in _pieces(text, width - max(cells(first), cells(after))):
        words = piece if begun else piece.lstrip()
        if begun and cells(line) + cells(words.rstrip()) > width:
            yield line.rstrip()
            line, words = after, piece.lstrip()
        line, begun = line + words, True
    yield line.rstrip()


def _pieces(text: str, room: int) -> Iterator[str]:
    """Give what may stand on a line of its own: a word with the space before it, or a wide character and its stop."""
    piece, wide = "", False
    for one in text:
        stop = one in _CLOSING and wide
        if piece and not stop and (wide or one == " " or cells(one) > 1 or cells(piece) >= max(1, room - 1)):
            yield piece
            piece = ""
        piece, wide = piece + one, stop or cells(one) > 1
    if piece:
        yield piece
