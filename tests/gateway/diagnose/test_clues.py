"""Every line of evidence that the code can give has its words in every language, and keeps its facts there."""

import ast
import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from importlib.resources import files
from itertools import combinations
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

import gateway.diagnose
from gateway.diagnose import account
from gateway.diagnose.engine import diagnose
from gateway.diagnose.evidence import Evidence
from gateway.diagnose.remedy import LANGUAGES, fill, words
from gateway.diagnose.say import say
from gateway.egress.retry import Halt
from gateway.model.attempt import ReplyHead
from gateway.model.cause import Cause
from gateway.model.diagnosis import Diagnosis
from gateway.model.failure import NetCode, NetFailure, Phase
from gateway.providers.openai import PROVIDER as OPENAI

TRANSLATED: Final = LANGUAGES[1:]
"""English is the key and needs no translation."""

NEVER_SHOWN: Final = {"its words", "the client's words", "the client's general words", "the attempt itself"}
"""What a rule found is then better told by the answer's or the client's own words."""

_FOLDER = Path(gateway.diagnose.__file__).parent
_SOURCES = (
    *(_FOLDER / f"{name}.py" for name in ("account", "past", "author", "engine", "rule")),
    *sorted((_FOLDER / "rules").glob("*.py")),
    _FOLDER.parent / "fallback.py",
)
_ARGUMENT = {"Clue": (0, "text"), "shown": (1, "seen"), "Finding": (1, "seen"), "Author": (2, "clue")}
"""Where the text stands in a call."""
_TABLES = ("_WRITTEN", "_CLUES")
"""Tables whose values are texts."""


def _texts_below(node: ast.AST) -> Iterator[str]:
    """Give every text that an expression can come to; one put together at run time is not a text to translate."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value:
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from (*_texts_below(node.body), *_texts_below(node.orelse))


def _texts_in(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _ARGUMENT:
            place, name = _ARGUMENT[node.func.id]
            for given in (*node.args[place : place + 1], *(one.value for one in node.keywords if one.arg == name)):
                yield from _texts_below(given)
        elif isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Dict):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(one, ast.Name) and one.id in _TABLES for one in targets):
                for entry in node.value.values:
                    yield from _texts_below(entry)


TEXTS: Final = tuple(
    dict.fromkeys(
        text
        for source in _SOURCES
        for text in _texts_in(ast.parse(source.read_text("utf-8")))
        if text not in NEVER_SHOWN
    )
) + tuple(why.value for why in Halt)

NAME = re.compile(r"{(\w+)}")
SEGMENT = re.compile(r"\[([^\[\]]*)\]")
UNTIDY = re.compile(
    r"[{}\[\]]|\s\s|\( ?\)|\uff08\s*\uff09|\s[.,:;)\u3002\uff0c\uff1a\uff1b\uff09]|[\uff08(][ ,:;\uff0c\uff1a\uff1b]"
    r"|[:,;\uff1a\uff0c\uff1b\u3001] ?[.,:;)\u3002\uff0c\uff1a\uff1b\uff09]|\.\.|^\s|\s$|^[,:;\uff0c\uff1a\uff1b]|[,;\uff0c\uff1b]$"
)
SENTENCE = re.compile(r"[A-Za-z][\w'-]*(?:,? [A-Za-z][\w'-]*){3,}", re.ASCII)
"""Four words of English, or of Italian without its accents."""


def names_of(text: str) -> tuple[Counter[str], Counter[frozenset[str]]]:
    """What a text names, and what each of its bracketed parts names."""
    return Counter(NAME.findall(text)), Counter(frozenset(NAME.findall(part)) for part in SEGMENT.findall(text))


def fillings(text: str) -> Iterator[str]:
    """The text with all facts that it needs and with every choice of those that it can do without."""
    needed = set(NAME.findall(SEGMENT.sub("", text)))
    spare = sorted(set(NAME.findall(text)) - needed)
    for size in range(len(spare) + 1):
        for chosen in combinations(spare, size):
            yield fill(text, {name: name for name in (*needed, *chosen)})


def test_the_texts_are_found_where_they_stand() -> None:
    """One of each place: an argument, either branch of a condition, both tables, a default of the rules."""
    assert {
        "it says: {detail}",
        "the request was never sent",
        "the request may have reached the provider",
        account._WRITTEN[next(iter(account._WRITTEN))],
        "it redirects to \u201c{mark}\u201d",
        "it answered in place of the host",
        "a code or wording that the provider documents",
        "the edge's error code",
        "another key from this machine works now",
    } <= set(TEXTS)
    assert set(account._WRITTEN.values()) <= set(TEXTS)
    assert not any(text != text.strip() for text in TEXTS)
    assert NEVER_SHOWN <= account._GENERAL


def table(language: str) -> dict[str, str]:
    """Give the lines of evidence of a language, without what the doctor's checks say."""
    path = files("gateway.diagnose") / "remedies" / f"{language}.toml"
    found: dict[str, str] = tomllib.loads(path.read_text("utf-8"))["clues"]
    return found


def test_english_is_the_key_and_has_no_table() -> None:
    assert not words("en").clues


@pytest.mark.parametrize("language", TRANSLATED)
def test_every_text_is_translated_and_none_that_is_gone(language: str) -> None:
    translated = table(language)
    assert [text for text in TEXTS if not translated.get(text, "").strip()] == []
    assert [text for text in translated if text not in TEXTS] == []


@pytest.mark.parametrize("language", TRANSLATED)
def test_a_translation_names_the_same_facts(language: str) -> None:
    translated = table(language)
    assert {text: there for text, there in translated.items() if names_of(there) != names_of(text)} == {}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_line_reads_well_whatever_is_known(language: str) -> None:
    for text in TEXTS:
        for line in fillings(words(language).clues.get(text, text)):
            assert line, text
            assert not UNTIDY.search(line), line
            assert not line.endswith((".", "\u3002")), line
            assert language == "zh" or not line[0].isupper(), line


@pytest.mark.parametrize("language", TRANSLATED)
def test_no_two_texts_share_a_translation(language: str) -> None:
    twice = [line for line, count in Counter(table(language).values()).items() if count > 1]
    assert twice == []


# real verdicts


def _say(**changes: Any) -> Diagnosis:
    values: dict[str, Any] = {"provider": OPENAI, "host": "api.openai.com", "model": "gpt-5", "attempts": 1}
    return diagnose(Evidence(**(values | changes)))


def _quota() -> Diagnosis:
    message = "You exceeded your current quota, please check your plan and billing details."
    error = {"message": message, "type": "insufficient_quota", "param": None, "code": "insufficient_quota"}
    head = ReplyHead(
        status=429,
        headers=(
            (b"content-type", b"application/json"),
            (b"x-ratelimit-limit-requests", b"500"),
            (b"x-ratelimit-remaining-requests", b"499"),
            (b"x-ratelimit-reset-requests", b"120ms"),
        ),
    )
    return _say(head=head, text=orjson.dumps({"error": error}).decode())


def _blocked() -> Diagnosis:
    page = (
        "<!DOCTYPE html><html><head><title>Access denied | api.openai.com used Cloudflare to restrict access</title></head>"
        '<body><h1><span class="inline-block">Error</span> 1020</h1><p>You do not have access to api.openai.com. The site '
        "owner may have set restrictions that prevent you from accessing the site. Error code: 1020</p>"
        '<span class="cf-error-code">1020</span> Cloudflare Ray ID: 8c1f2a3b4c5d6e7f</body></html>'
    )
    headers = ((b"content-type", b"text/html"), (b"server", b"cloudflare"), (b"cf-ray", b"8c1f2a3b4c5d6e7f-FRA"))
    return _say(head=ReplyHead(status=403, headers=headers), text=page)


def _no_name() -> Diagnosis:
    detail = "[Errno -2] Name or service not known by this resolver"
    return _say(failure=NetFailure(phase=Phase.DNS, code=NetCode.DNS_FAILURE, detail=detail, sent=False))


def _left() -> Diagnosis:
    return _say(client_left=True, waited_seconds=10.1, stated_seconds=10.0)


REAL: Final = {
    Cause.QUOTA_EXHAUSTED: _quota,
    Cause.EDGE_BLOCKED: _blocked,
    Cause.NETWORK_DNS_FAILURE: _no_name,
    Cause.CLIENT_TIMEOUT_TOO_SHORT: _left,
}


def _lines(verdict: Diagnosis) -> list[str]:
    """The lines of a verdict without what others said, which stays in their language."""
    clues = (*verdict.clues, *(one.clue for one in verdict.ruled_out))
    lines = [*verdict.evidence, *(one.why for one in verdict.ruled_out)]
    assert len(lines) == len(clues)
    return [_without(line, [value for _, value in clue.facts]) for line, clue in zip(lines, clues, strict=True)]


def _without(line: str, quoted: list[str]) -> str:
    for value in sorted((" ".join(one.split()) for one in quoted), key=len, reverse=True):
        line = line.replace(value, "\u2026") if value else line
    return line


@pytest.mark.parametrize("language", TRANSLATED)
@pytest.mark.parametrize("cause", REAL)
def test_no_line_of_a_real_verdict_is_left_in_english(cause: Cause, language: str) -> None:
    verdict = REAL[cause]()
    assert verdict.cause is cause
    english, there = _lines(verdict), _lines(say(verdict, language))
    assert len(verdict.evidence) >= 2
    assert any(SENTENCE.search(line) for line in english), "the check would notice"
    assert not set(english) & set(there)
    if language == "zh":
        assert [line for line in there if SENTENCE.search(line)] == []


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("cause", REAL)
def test_what_others_said_stays_as_they_said_it(cause: Cause, language: str) -> None:
    verdict = REAL[cause]()
    for line, clue in zip(say(verdict, language).evidence, verdict.clues, strict=True):
        assert all(
            " ".join(dict(clue.facts)[name].split()) in line for name in NAME.findall(SEGMENT.sub("", clue.text))
        )
