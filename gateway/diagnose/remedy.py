"""What to tell a person about a cause, in every language we speak, and how it is filled in for one call.

The words stand in ``remedies/<language>.toml``, one table a cause and one for the lines of evidence, and in
``remedies/checks_<language>.toml`` those of the doctor's checks. English is the reference: tests hold the other
languages to its keys and placeholders.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cache
from importlib.resources import files
from itertools import zip_longest
from types import MappingProxyType
from typing import Any, Final

from gateway.model.cause import Cause

LANGUAGES: Final = ("en", "zh", "it")
"""ISO 639-1; the first is the default."""

PLACEHOLDERS: Final = (
    "provider", "model", "host", "status", "detail",  # of every call
    "vendor", "issuer", "address", "proxy",  # who stands on the path
    "limit", "used", "requested", "over", "max_tokens", "wait", "seconds",  # numbers of this very call
    "keys_page", "limits_page", "billing_page", "status_page", "models_page", "settings_page",  # of its provider
    "variable", "count",
)  # fmt: skip
"""Facts that a text may name. A text in [square brackets] is left out as a whole when one of its facts is missing."""

_SEGMENT: Final = re.compile(r"\[([^\[\]]*)\]")
_NAME: Final = re.compile(r"\{(\w+)\}")
_NUMBER: Final = r"\d+(?:\.\d+)?"
_NUMBERS: Final = frozenset({"seconds", "status", "port"})
_ERRNO: Final = re.compile(r"^\[Errno -?\d+\] ")
_OWN_CHARACTERS_MAX: Final = 300
"""Of a fact that may be a text of our own: a longer one is what somebody else said."""
_TIDYING: Final = (
    (re.compile(r"\s+"), " "),
    (re.compile(r"\s*[\uff08]\s*[\uff09]"), ""),
    (re.compile(r"(?<=[\u2e80-\u9fff\uff00-\uffef]) (?=[\u2e80-\u9fff\uff00-\uffef])"), ""),
    (re.compile(r" ?\( ?\)"), ""),
    (re.compile(r" ?[:,](?= ?[.:,])"), ""),
    (re.compile(r"[\uff1a\uff0c]\s*(?=[\u3002\uff1a\uff0c])"), ""),
    (re.compile(r" (?=[.,:;])"), ""),
)
_DOUBLED_END: Final = re.compile(r"([.!?\u2026\u3002\uff01\uff1f])[.\u3002]$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """The fixed words for one cause in one language.

    Attributes:
        title: A few words without a full stop.
        what_it_means: The cause in general, in one or two sentences.
        how_we_know: What in an answer, an error or a history makes us say so.
        what_happened: One sentence about a single call. It may hold PLACEHOLDERS and must read well without them.
        what_to_do: Steps, most likely first; the same holds for each.
        not_to_be_confused_with: What looks alike, and how it differs.
        source: Where it can be read: an RFC, a provider's page with its date, a product's manual.
    """

    title: str
    what_it_means: str
    how_we_know: str
    what_happened: str
    what_to_do: tuple[str, ...]
    not_to_be_confused_with: str
    source: str


@dataclass(frozen=True, slots=True)
class Words:
    """All words of one language.

    Attributes:
        clues: Lines of evidence and what checks say, by their English text; empty in English.
        facts: Texts of our own that such a line may quote as a fact, likewise.
        shapes: Those of them that have facts themselves, as patterns.
    """

    remedies: Mapping[Cause, Remedy]
    clues: Mapping[str, str]
    facts: Mapping[str, str]
    shapes: tuple[tuple[re.Pattern[str], str], ...]

    def line(self, text: str, facts: Iterable[tuple[str, str]]) -> str:
        """Say a line that has ``text`` as its key. What others said stays as they said it."""
        return fill(self.clues.get(text, text), self.spoken(facts))

    def spoken(self, facts: Iterable[tuple[str, str]]) -> dict[str, str]:
        """Give facts with those in this language that are texts of our own."""
        return {name: self._own(value) for name, value in facts}

    def _own(self, text: str) -> str:
        if (known := self.facts.get(text)) is not None:
            return known
        if len(text) <= _OWN_CHARACTERS_MAX:
            bare = _ERRNO.sub("", text)
            for shape, there in self.shapes:
                if (found := shape.fullmatch(bare)) is not None:
                    return fill(there, self.spoken(found.groupdict().items()))
        return text


@cache
def words(language: str) -> Words:
    """Give the words of a language, those of English for one that we do not speak.

    Raises:
        ValueError, KeyError: The catalogue is damaged; a test reads all of them.
    """
    if language not in LANGUAGES:
        return words(LANGUAGES[0])
    document = _read(f"{language}.toml")
    checks = {} if language == LANGUAGES[0] else _read(f"checks_{language}.toml")
    clues = {**document.pop("clues", {}), **checks.get("clues", {})}
    remedies = {Cause(slug): _remedy(entry) for slug, entry in document.items()}
    facts = checks.get("facts", {})
    shapes = tuple((_shape(text), there) for text, there in facts.items() if _NAME.search(text))
    return Words(MappingProxyType(remedies), MappingProxyType(clues), MappingProxyType(facts), shapes)


def _shape(text: str) -> re.Pattern[str]:
    """Give what a text looks like once it is filled in."""
    pieces = _NAME.split(text)  # every other one is a name
    named = (f"(?P<{name}>{_NUMBER if name in _NUMBERS else '.+?'})" for name in pieces[1::2])
    fixed = (re.escape(piece) for piece in pieces[::2])
    return re.compile("".join(piece for pair in zip_longest(fixed, named, fillvalue="") for piece in pair))


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((files(__package__) / "remedies" / name).read_text("utf-8"))


def _remedy(entry: Mapping[str, object]) -> Remedy:
    texts = {one.name: entry[one.name] for one in fields(Remedy)}
    steps = texts.pop("what_to_do")
    assert isinstance(steps, list)
    return Remedy(what_to_do=tuple(str(step) for step in steps), **{name: str(text) for name, text in texts.items()})


def fill(template: str, facts: Mapping[str, str]) -> str:
    """Put the facts of a call into a text, on one line.

    A fact that is missing or blank leaves no trace, nor does the bracketed part that names it. Values appear as they
    are: braces and brackets in them mean nothing.
    """
    known = {name: " ".join(value.split()) for name, value in facts.items()}

    def optional(segment: re.Match[str]) -> str:
        return segment[1] if all(known.get(name) for name in _NAME.findall(segment[1])) else ""

    text = _SEGMENT.sub(optional, template)
    text = _NAME.sub(lambda name: name[0] if known.get(name[1]) else "", text)
    for untidy, tidy in _TIDYING:
        text = untidy.sub(tidy, text)
    return _DOUBLED_END.sub(r"\1", _NAME.sub(lambda name: known[name[1]], text).strip())
