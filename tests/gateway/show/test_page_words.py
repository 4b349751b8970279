"""The page has its words in one place, in every language, and nowhere else."""

import json
import re
from collections.abc import Iterable
from functools import cache
from html.parser import HTMLParser
from importlib.resources import files

import pytest

from gateway.diagnose.author import Kind
from gateway.diagnose.remedy import LANGUAGES
from gateway.model.cause import Fault, Precision
from gateway.model.failure import NetCode, Phase
from gateway.model.flow import State
from tests.gateway.show.javascript import Literal, literals

PAGE = files("gateway.show") / "page"
MODULES = sorted(one.name for one in PAGE.iterdir() if one.name.endswith(".js"))
_TABLE = re.compile(r"^const (\w+) = \{\n(.*?)^\};", re.MULTILINE | re.DOTALL)
_LINE = re.compile(r'  ("[a-z_.]+"): ("(?:[^"\\]|\\.)*"),')
_HOLE = re.compile(r"\{(\w+)\}")

NOT_SHOWN = {"Arrow", "Escape", ".total span", "input, select, textarea", "noopener noreferrer"}
"""Names of keys, selectors, values of attributes: nobody reads them."""


def source(name: str) -> str:
    return (PAGE / name).read_text("utf-8")


@cache
def tables() -> dict[str, dict[str, str]]:
    found = {}
    for name, block in _TABLE.findall(source("words.js")):
        lines = block.splitlines()
        if name == "TAGS":
            continue
        pairs = [_LINE.fullmatch(line) for line in lines]
        assert all(pairs), [line for line, pair in zip(lines, pairs, strict=True) if not pair]
        entries = [(json.loads(pair[1]), json.loads(pair[2])) for pair in pairs if pair]
        assert len(entries) == len(dict(entries)), "a key stands twice"
        found[name] = dict(entries)
    return found


def test_the_page_speaks_what_verdicts_speak() -> None:
    assert tuple(tables()) == LANGUAGES


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_table_has_the_same_keys_and_places_for_values(language: str) -> None:
    english, table = tables()["en"], tables()[language]
    assert list(table) == list(english)
    for key, text in table.items():
        assert text.strip(), key
        assert set(_HOLE.findall(text)) == set(_HOLE.findall(english[key])), key


def test_nothing_is_left_untranslated() -> None:
    """But for names, and for words that the three have in common."""
    english = {key: text for key, text in tables()["en"].items() if re.search("[a-z]{2}", _HOLE.sub("", text))}
    kept = [key for key in english if not re.search(r"[\u4e00-\u9fff]", tables()["zh"][key])]
    assert set(kept) == {"kind.websocket", "col.tokens", "fact.tokens", "capture.command", "doctor.command.line"}
    alike = {text for key, text in english.items() if tables()["it"][key] == text}
    assert alike == {
        "Provider",
        "Status",
        "Cache",
        "whygate capture --stop",
        "whygate doctor --for-it",
        "stream",
        "tunnel",
        "WebSocket",
        "Endpoint",
        "App",
        "Tenant",
        "{n} ms",
        "{n} token",
        "{min} min {s} s",
        "{h} h {min} min",
    }


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_closed_set_has_its_words(language: str) -> None:
    table = tables()[language]
    wanted: dict[str, Iterable[str]] = {
        "fault": Fault,
        "precision": Precision,
        "phase": Phase,
        "code": NetCode,
        "by": Kind,
        "state": set(State) - {State.DONE},
    }
    for family, names in wanted.items():
        missing = [name for name in names if f"{family}.{name}" not in table]
        assert missing == [], family


def test_every_key_that_is_asked_for_is_there_and_every_key_is_asked_for() -> None:
    code = "\n".join(source(name) for name in MODULES if name != "words.js")
    named = re.findall(r'data-t(?:-\w+)?="([^"]+)"', source("index.html") + source("trust.html")) + re.findall(
        r'\bt\("([^"]+)"', code
    )
    keys = set(tables()["en"])
    assert set(named) <= keys
    told = {literal.text for literal in literals(code)}
    # `fault.${...}` and named("fault", ...): one of a family.
    families = {text for text in told if re.fullmatch(r"(?:[a-z]+\.)+(?:[a-z]+_)?", text)}
    families |= {f"{name}." for name in re.findall(r'\b(?:named|counted)\("([^"]+)"', code)}
    unsaid = [key for key in keys - told - set(named) if not key.startswith(tuple(families))]
    assert unsaid == []


def looks_like_words(literal: Literal) -> bool:
    """Whether a person could be meant to read it: two words, one that begins like a sentence, letters beyond ASCII."""
    text = re.sub(r"\\u[0-9a-f]{4}|\\n", " ", literal.text)
    if text in NOT_SHOWN or re.search(r"class: [^,}]*$", literal.before):
        return False
    return bool(re.search(r"[A-Za-z]{2,},? [A-Za-z]{2,}|^\s*[A-Z][a-z]+|[^\W\da-zA-Z_]", text))


@pytest.mark.parametrize("name", [name for name in MODULES if name != "words.js"])
def test_no_other_module_has_words_of_its_own(name: str) -> None:
    found = [literal.text for literal in literals(source(name)) if looks_like_words(literal)]
    assert found == []


def test_the_check_would_find_words() -> None:
    """Else it would prove nothing."""
    code = 'el("p", { class: "big note" }, "Close", `${n} calls kept`, t("close")); // "A comment"\nx = /"A b/.test("安全");'
    assert [one.text for one in literals(code) if looks_like_words(one)] == ["Close", " calls kept", "安全"]


class Reader(HTMLParser):
    """Collects what a browser would show of a document without its scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[str] = []
        self.inside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.inside.append(tag)
        self.shown += [
            value for name, value in attrs if name in {"title", "placeholder", "aria-label", "alt"} and value
        ]

    def handle_endtag(self, tag: str) -> None:
        while self.inside and self.inside.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if data.strip() and self.inside[-1] != "kbd":
            self.shown.append(data.strip())


def test_the_document_has_no_words_of_its_own() -> None:
    """But for the product's name and the keys on a keyboard."""
    reader = Reader()
    reader.feed(source("index.html"))
    assert set(reader.shown) == {"whygate"}


def code_of(*path: str) -> str:
    return files("gateway").joinpath(*path).read_text("utf-8")


def test_what_the_gateway_says_in_english_is_known_to_the_page() -> None:
    """Why a call waits and what is wrong with the log: another wording has to be written into format.js, too."""
    limits = code_of("limit", "block.py") + code_of("limit", "scope.py")
    for words in (
        'f"configured limit of {',
        "f\"the provider's limit of {",
        " requests at the same time",
        '"no limit is known yet',
        '"the provider has refused calls lately',
        'f"the provider asked to wait',
    ):
        assert words in limits
        assert words.strip('f"').partition("{")[0].strip() in source("format.js")
    assert 'f"waiting to try again: {' in code_of("attempts.py")
    recorder = code_of("record", "recorder.py")
    for begin in ("The disk is full", "Another program holds the log", "The log file is damaged"):
        assert f'return "{begin}' in recorder
        assert f"/^{begin}/" in source("format.js")
    assert 'return f"The log cannot be written ({' in recorder
