"""What a text says, whatever its exact words: groups of synonyms that must meet in one sentence.

A wording that nobody has seen yet still has to name its subject and what is wrong with it ("balance" and "not enough"),
so a rule asks for those two, not for a sentence. Substring tests on text of bounded length: linear, no backtracking.
"""

import re
from collections.abc import Iterable
from functools import lru_cache

MAX_CHARACTERS = 4_000
"""Of one message. What is wrong stands at its beginning; behind that comes what the caller had sent."""

MAX_SENTENCES = 120

_NOISE = re.compile(r"[^\w.!?\u3002\uff01\uff1f\uff1b;\n]+|_+")
_END = re.compile(r"[.!?;](?=\s|$)|[\u3002\uff01\uff1f\uff1b\n]")
_DOTS = re.compile(r"[.!?;]+(?=\s|$)")
_QUALIFIED = re.compile(r"\.(?=[A-Za-z_])")
"""As in ``httpx.ConnectTimeout``: what stands behind the dot is a word of its own."""

_JOINT = re.compile(r"(?<=[a-z0-9])(?=[A-Z][a-z])")

Groups = tuple[tuple[str, ...], ...]


class Text:
    """A message, in sentences of lower-case words; punctuation is white space."""

    __slots__ = ("sentences", "whole")

    def __init__(self, text: str, *, by_line: bool = False) -> None:
        """Read the start of a text; ``by_line`` where only a new line ends a sentence, as in what programs print."""
        bounded = text[:MAX_CHARACTERS]
        plain = _plain(_QUALIFIED.sub(" ", bounded) if by_line else bounded)
        lines = [_clean(line) for line in (plain.split("\n") if by_line else _END.split(plain))]
        self.sentences = tuple(line for line in lines if line != "  ")[:MAX_SENTENCES]
        """Each with one space at both ends."""
        self.whole = "".join(self.sentences)

    def __bool__(self) -> bool:
        """Whether it says anything."""
        return bool(self.sentences)

    def says(self, groups: Groups) -> bool:
        """Whether one sentence holds a member of every group."""
        if not all(any(part in self.whole for part in group) for group in groups):
            return False  # most rules end here
        return any(all(any(part in sentence for part in group) for group in groups) for sentence in self.sentences)

    def has(self, *parts: str) -> bool:
        """Whether any of these phrases occurs anywhere, at the beginning of a word."""
        return any(phrase(part) in self.whole for part in parts)


def joints_opened(text: str) -> str:
    """Give ``ConnectTimeoutError`` as three words: programs name what went wrong in one."""
    return _JOINT.sub(" ", text)


def _plain(text: str) -> str:
    """Give the text without what tells nothing: case, punctuation, the contractions of English."""
    text = text.lower().replace("\u2019", "'").replace("can't", "can not").replace("cannot", "can not")
    return _NOISE.sub(" ", text.replace("n't", " not"))


def _clean(line: str) -> str:
    return f" {' '.join(_DOTS.sub(' ', line).split())} "


@lru_cache(maxsize=4096)
def phrase(part: str) -> str:
    """Give a phrase as it stands in a `Text`: at the beginning of a word where words are told apart by spaces.

    A space at its end closes the word as well: ``"model "`` is not in ``models``.
    """
    words = " ".join(_plain(part).split())
    tail = " " if part.endswith(" ") else ""
    return f" {words}{tail}" if words[:1].isascii() else words


def groups(*alternatives: str) -> Groups:
    """Give groups of phrases, each written ``"a|b|c"``."""
    return tuple(tuple(phrase(part) for part in _split(group)) for group in alternatives)


def _split(group: str) -> Iterable[str]:
    return (part for part in group.split("|") if part.strip())
