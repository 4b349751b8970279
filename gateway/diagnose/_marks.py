"""Tables of marks, and finding the best of them. Pure; shared by `vendors` and `edges`.

A mark is a text that one author's own pages, headers, redirects or certificates carry. Its parts stand between ` & `,
and all of them have to be there; a part that begins with `^` or ends with `$` stands at that end of the whole text.
What is looked through is in lower case, with one space for any white space. All look-ups are total and bounded.
"""

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import chain, islice, pairwise
from typing import NamedTuple

PAGE_CHARACTERS = 65_536
"""No more of a page is looked at: whoever wrote it says so at its top."""

LINE_CHARACTERS = 8_192
AND = " & "
HEADERS_MAX = 512
_PART_CHARACTERS_MIN = 5
_WORD = re.compile(rb"[a-z0-9\x80-\xff]+")
_ENDS = re.compile(rb"\A[a-z0-9\x80-\xff]+|[a-z0-9\x80-\xff]+\Z")
_APART = bytes(byte if _WORD.fullmatch(bytes((byte,))) else 0x20 for byte in range(256))
_SPACED = bytes(0x20 if byte < 0x80 and chr(byte).isspace() else byte for byte in range(256))

type Rank = tuple[int | str, ...]
"""What sorts the most telling mark first."""


class Rule[M](NamedTuple):
    """A mark, ready to be looked for."""

    rank: Rank
    parts: tuple[str, ...]
    mark: M


def rules[M](marks: Iterable[M], text: Callable[[M], str], rank: Callable[[M], Rank]) -> tuple[Rule[M], ...]:
    """Make marks ready, the most telling first."""
    made = [Rule(rank(mark), tuple(text(mark).split(AND)), mark) for mark in marks]
    return tuple(sorted(made, key=lambda rule: rule.rank))


def plain(text: str) -> str:
    """Give a text as marks are written: in lower case, one space for any white space."""
    return " ".join(text.lower().split())


def framed(text: str) -> str:
    """Give the top of a line as marks are written, with `^` at its begin and, when it is whole, `$` at its end."""
    return f"^{plain(text[:LINE_CHARACTERS])}{'$' if len(text) <= LINE_CHARACTERS else ''}"


def found[M](text: str, those: Iterable[Rule[M]]) -> M | None:
    """Give the first that fits a framed text; the rules stand in the order of what they tell."""
    return next((rule.mark for rule in those if all(part in text for part in rule.parts)), None)


class _Sought[M](NamedTuple):
    """A rule for pages: what a page has to have so that it is worth a search, cheapest first."""

    words: frozenset[bytes]
    pieces: tuple[bytes, ...]
    parts: tuple[bytes, ...]
    mark: M


class Pages[M]:
    """Rules for pages, each kept under the rarest word that it needs, so that a page is searched for few of them.

    A rule that needs no whole word is kept by a piece of one, which is looked for in the words of the page.
    """

    def __init__(self, those: tuple[Rule[M], ...]) -> None:
        self._sought = tuple(_sought(rule) for rule in those)
        often = Counter(chain.from_iterable(rule.words for rule in self._sought))
        self._by_word: dict[bytes, list[int]] = {}
        self._by_piece: list[tuple[bytes, int]] = []
        for place, rule in enumerate(self._sought):
            if rule.words:
                word = min(rule.words, key=lambda word: (often[word], -len(word), word))
                self._by_word.setdefault(word, []).append(place)
            else:
                self._by_piece.append((max(rule.pieces, key=len, default=b""), place))

    def best(self, text: str) -> M | None:
        """Find the most telling mark on a page."""
        page = _page(text)
        words = set(page.translate(_APART).split())
        together = b" ".join(words)
        places = {place for piece, place in self._by_piece if piece in together}
        places.update(chain.from_iterable(self._by_word[word] for word in self._by_word.keys() & words))
        for place in sorted(places):
            rule = self._sought[place]
            if (
                rule.words <= words
                and all(piece in together for piece in rule.pieces)
                and all(part in page for part in rule.parts)
            ):
                return rule.mark
        return None


class Headers[M]:
    """Rules for headers, `name: part` each, by the header's name."""

    def __init__(self, those: Iterable[Rule[M]]) -> None:
        self._by_name: dict[str, list[Rule[M]]] = {}
        for rule in those:
            name, _, part = rule.parts[0].partition(":")
            self._by_name.setdefault(name, []).append(rule._replace(parts=(part.strip(),)))

    def best(self, headers: Iterable[tuple[str, str]]) -> Rule[M] | None:
        """Find the most telling rule that fits any header."""
        fitting: list[Rule[M]] = []
        for name, value in islice(headers, HEADERS_MAX):
            those = self._by_name.get(name[:LINE_CHARACTERS].strip().lower(), ())
            text = framed(value) if those else ""
            fitting.extend(islice((rule for rule in those if rule.parts[0] in text), 1))
        return min(fitting, key=lambda rule: rule.rank, default=None)


def read[M](text: str, columns: list[str], mark: Callable[[list[str]], M], key: Callable[[M], Rank]) -> tuple[M, ...]:
    """Read a table that is sorted by `key`, in which no place holds a mark twice.

    Args:
        columns: Their names: who, place, mark, means, source.
        mark: Makes a mark of a row; raises `ValueError` for one that is not well-formed.

    Raises:
        ValueError: It is not well-formed; says in which line.
    """
    marks: list[M] = []
    seen: set[tuple[str, str]] = set()
    for line, row in enumerate(csv.reader(text.splitlines(), strict=True), 1):
        if line == 1:
            if row != columns:
                raise ValueError(f"line 1: the columns are {','.join(columns)}")
            continue
        try:
            _check(row, columns, seen)
            marks.append(mark(row))
        except ValueError as error:
            raise ValueError(f"line {line}: {error}") from error
    for line, (before, after) in enumerate(pairwise(key(mark) for mark in marks), 3):
        if after < before:
            raise ValueError(f"line {line}: not sorted by {columns[1]} and {columns[0]}")
    return tuple(marks)


def check_text(mark: str) -> None:
    """Refuse a mark for a text that is too short to tell anything."""
    if any(len(part) < _PART_CHARACTERS_MIN for part in mark.split(AND)):
        raise ValueError("a part of the mark is too short to tell anything")


def check_header(mark: str) -> None:
    """Refuse a header's mark that is no 'name: part'."""
    name, colon, _ = mark.partition(":")
    if not colon or not name or name != name.strip():
        raise ValueError("a header's mark is 'name: part'")


def _check(row: list[str], columns: list[str], seen: set[tuple[str, str]]) -> None:
    if len(row) != len(columns):
        raise ValueError(f"{len(row)} fields instead of {len(columns)}")
    if any(field != " ".join(field.split()) for field in row):
        raise ValueError("white space at an end, or twice")
    _, place, mark, _, source = row
    if not source:
        raise ValueError("no source")
    if mark != mark.lower():
        raise ValueError("the mark is not in lower case")
    if (place, mark) in seen:
        raise ValueError("the mark stands there twice")
    seen.add((place, mark))


def _page(text: str) -> bytes:
    """Give the top of a page as `framed` does, only faster."""
    top = text[:PAGE_CHARACTERS].lower()
    if not top.isascii():
        top = " ".join(top.split())
    page = top.encode("utf-8", "surrogatepass").translate(_SPACED).strip(b" ")
    while b"  " in page:
        page = page.replace(b"  ", b" ")
    return b"^" + page + (b"$" if len(text) <= PAGE_CHARACTERS else b"")


def _sought[M](rule: Rule[M]) -> _Sought[M]:
    """Tell the words that stand whole in a page with these parts from those at their ends, which may go on there."""
    parts = tuple(part.encode() for part in rule.parts)
    whole = frozenset(chain.from_iterable(_WORD.findall(_ENDS.sub(b"", part)) for part in parts))
    every = frozenset(chain.from_iterable(_WORD.findall(part) for part in parts))
    return _Sought(whole, tuple(sorted(every - whole)), parts, rule.mark)
