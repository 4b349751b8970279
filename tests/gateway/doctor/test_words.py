"""Everything that a check can say has its words in every language, and keeps its facts there."""

import ast
import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import pytest

import gateway.doctor
from gateway.diagnose.remedy import LANGUAGES, fill, words
from gateway.doctor.case import Case, Target
from gateway.doctor.measured import Keyed, Lookup, Machine, Names, Plain
from gateway.doctor.measured_here import Clock, Installed, ProxyVariable, Trust, Variables
from gateway.doctor.probe import Done, Outcome, Status
from gateway.doctor.report import Report, document, report
from gateway.doctor.run import probes, run
from gateway.doctor.wire import Answer
from gateway.model.cause import Cause
from gateway.model.diagnosis import Clue
from gateway.providers.openai import PROVIDER as OPENAI
from tests.gateway.diagnose.test_clues import SENTENCE, UNTIDY, fillings, names_of
from tests.gateway.doctor.fakes import a_probe, bad

TRANSLATED: Final = LANGUAGES[1:]
"""English is the key and needs no translation."""

_FOLDER: Final = Path(gateway.doctor.__file__).parent
_PLACE: Final = {"Clue": 0, "clue": 0, "ok": 0, "note": 0, "skipped": 0, "trouble": 2, "_line": 0}
"""Which argument of a call is the text."""
_LEFT_OUT: Final = {"leave_out": "Probe", "why": "Outcome"}
"""Keywords that hold a reason, by the call."""
_DEPTH: Final = 8
_BARE: Final = re.compile(r"\s*\{\w+\}\s*")
_LOGS: Final = frozenset({"exception", "warning", "info"})
_SENTENCE: Final = re.compile(r"\S*[A-Za-z{][\w{}'’-]*,? (?:\S+ )+\S+$")
_QUOTING: Final = frozenset({"telling", *_PLACE})
"""Calls whose keywords are facts of a text."""
_READS_AS_WORDS: Final = re.compile(r"[A-Za-z'-]+ (?:[A-Za-z'-]+|\{\w+\})( |$)")


class _Module:
    """A module whose expressions can be followed to the texts that they come to."""

    def __init__(self, path: Path) -> None:
        self.tree = ast.parse(path.read_text("utf-8"))
        self.around: dict[ast.AST, ast.AST] = {}
        for outer in ast.walk(self.tree):
            self.around |= dict.fromkeys(ast.iter_child_nodes(outer), outer)
        self.functions = {
            one.name: one for one in ast.walk(self.tree) if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)
        }

    def texts(self) -> Iterator[str]:
        """Give each text that a check, a line of evidence, a step or a reason to leave out begins from."""
        for call, name in self._calls():
            if name in _PLACE:
                for given in call.args[_PLACE[name] : _PLACE[name] + 1]:
                    yield from self.of(given)
            for keyword in call.keywords:
                if _LEFT_OUT.get(keyword.arg or "") == name:
                    yield from self.of(keyword.value)

    def facts(self) -> Iterator[str]:
        """Give each text of ours that stands for a fact in one of these."""
        for call, name in self._calls():
            if name in _QUOTING:
                for keyword in call.keywords:
                    yield from (text for text in self.of(keyword.value) if text in LITERALS)

    def literals(self) -> Iterator[str]:
        """Give every literal that is none of an f-string's pieces."""
        pieces = {id(one) for node in ast.walk(self.tree) if isinstance(node, ast.JoinedStr) for one in ast.walk(node)}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in pieces:
                yield node.value

    def put_together(self, *, said: bool = False) -> Iterator[str]:
        """Give every f-string, ``{}`` for each of its holes; ``said`` without those of errors and of the log."""
        aside = self._aside() if said else set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.JoinedStr) and id(node) not in aside:
                yield "".join(str(one.value) if isinstance(one, ast.Constant) else "{}" for one in node.values)

    def sentences(self) -> Iterator[str]:
        """Give what reads as words and is no docstring, no error and no line of the log."""
        aside = self._aside()
        for node in ast.walk(self.tree):
            literal = isinstance(node, ast.Constant) and isinstance(node.value, str)
            if literal and id(node) not in aside and _SENTENCE.match(ast.literal_eval(node)):
                yield ast.literal_eval(node)
        yield from (text for text in self.put_together(said=True) if _READS_AS_WORDS.search(text))

    def _aside(self) -> set[int]:
        aside: set[int] = set()
        for node in ast.walk(self.tree):
            logs = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _LOGS
            if logs or isinstance(node, ast.Raise):
                aside |= {id(one) for one in ast.walk(node)}
            elif isinstance(node, ast.JoinedStr):
                aside |= {id(one) for one in ast.walk(node)} - {id(node)}
            elif isinstance(node, ast.Expr):
                aside.add(id(node.value))
            elif isinstance(node, ast.Assign) and any(
                isinstance(one, ast.Name) and one.id == "message" for one in node.targets
            ):
                aside |= {id(one) for one in ast.walk(node.value)}
        return aside

    def of(self, node: ast.AST, depth: int = 0) -> Iterator[str]:
        """Follow an expression: through conditions, names, tables and functions of this module.

        One put together at run time is no key to a translation: it is given as its source, which nobody translates.
        """
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.JoinedStr | ast.BinOp):
            yield ast.unparse(node)
        elif depth < _DEPTH:
            for part in self._parts(node):
                yield from self.of(part, depth + 1)

    def _parts(self, node: ast.AST) -> Iterator[ast.AST]:
        match node:
            case ast.IfExp(body=first, orelse=second):
                yield from (first, second)
            case ast.BoolOp(values=every) | ast.Dict(values=every) | ast.Tuple(elts=every):
                yield from every
            case ast.Name():
                yield from self._values(node)
            case ast.Subscript(value=one) | ast.Lambda(body=one):
                yield one
            case ast.Call(func=ast.Attribute(value=one, attr="get"), args=[_, *rest]):
                yield from (one, *rest)
            case ast.Call(func=ast.Name(id=name)) if name in self.functions and name not in _PLACE:
                yield from self._returned(name)

    def _returned(self, name: str) -> Iterator[ast.AST]:
        for one in ast.walk(self.functions[name]):
            if isinstance(one, ast.Return) and one.value is not None:
                yield one.value

    def _values(self, name: ast.Name) -> Iterator[ast.AST]:
        """Give what a name was set to: in its function where it is set there, else in the module."""
        scope: ast.AST = name
        while scope in self.around:
            scope = self.around[scope]
            if isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef | ast.Module):
                found = list(self._set(scope, name.id))
                if found:
                    yield from found
                    return
        if name.id in self.functions:  # a function as the value of a keyword
            yield from self._returned(name.id)

    @staticmethod
    def _set(scope: ast.AST, name: str) -> Iterator[ast.AST]:
        for one in ast.walk(scope):
            targets: list[Any] = []
            value: ast.AST | None = None
            match one:
                case ast.Assign(targets=targets, value=value):
                    pass
                case ast.AnnAssign(target=target, value=value) | ast.NamedExpr(target=target, value=value):
                    targets = [target]
                case ast.For(target=target, iter=value):
                    targets = [target]
            if value is not None and any(
                isinstance(part, ast.Name) and part.id == name for target in targets for part in ast.walk(target)
            ):
                yield value

    def _calls(self) -> Iterator[tuple[ast.Call, str]]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                yield node, node.func.id


_MODULES: Final = tuple(_Module(path) for path in sorted(_FOLDER.rglob("*.py")))
TEXTS: Final = tuple(
    dict.fromkeys(text for module in _MODULES for text in module.texts() if not _BARE.fullmatch(text) and " " in text)
)
LITERALS: Final = frozenset(text for module in _MODULES for text in module.literals())
FACTS: Final = tuple(
    dict.fromkeys(text for module in _MODULES for text in module.facts() if _READS_AS_WORDS.search(text))
)

_HOLE: Final = re.compile(r"\{[^{}]*\}")
SHAPES: Final = frozenset(
    _HOLE.sub("{}", text) for module in _MODULES for text in (*module.literals(), *module.put_together())
)
"""Every literal and every text put together at run time, whatever stands in its holes."""

NOT_SAID: Final = frozenset({
    "a host like api.openai.com, with :PORT or as a URL if you like",  # how to call the command
    "the other report",  # of an error of the caller
    "this system shows routers only to an administrator", "no router on the way says anything",  # measured alone
    "there was no need to look", "there is no address", "the other end answered",  # likewise
    "Microsoft Connect Test", "back to normal", "%Y-%m-%d %H:%M UTC",  # others' words and form
    "The certificate authority has expired, and a gateway uses it. Stop that first, then mend again.",  # of the command
    "Removed runtime.json, which a gateway that no longer runs had left.",  # likewise
    "Closed {} to others (mode 0700).", "Closed {} to others (mode 0600).", "{} could not be mended ({}).",
    "Made a new certificate authority (valid until {}). Start apps anew to trust it.",
    "The state directory cannot be written. Choose another with --state DIR ({})",  # as the gateway's start says it
    "The disk of the state directory is full. Free some space ({})", "Others may read {}. Close it: chmod 600 {}",
})  # fmt: skip


def table(language: str, name: str) -> dict[str, str]:
    """Give one table of the doctor's file of words."""
    path = files("gateway.diagnose") / "remedies" / f"checks_{language}.toml"
    found: dict[str, str] = tomllib.loads(path.read_text("utf-8"))[name]
    return found


def test_the_texts_are_found_where_they_stand() -> None:
    """One of each place: an argument, a condition, a table, a tuple in one, a name, a function, a reason, a fold."""
    assert {
        "nobody said the time",
        "HTTP_PROXY is set and HTTPS_PROXY is not: calls to providers go past the proxy",
        "whygate {version}; no gateway runs",
        "{variable} has quotes around the key",
        "{names} names {place}, where nothing listens",
        "the line loses packets, so nothing can be said of their size",
        "this machine's clock is {span} ahead of {by}",
        "the name leads to other addresses: {here} here, {there} there",
        "“{title}” fails in both places: it is this gateway's own doing",
        "it is called over plain HTTP",
        "nobody asked for it",
        "it took too long",
        "the probe itself failed ({detail})",
        "without them nobody can sign in",
        "connections to {host}[ at {address}] are cut once TLS begins",
    } <= set(TEXTS)
    assert {"nobody asked for this run", "nothing listens there"} <= set(FACTS)
    assert len(TEXTS) > 250


@pytest.mark.parametrize("language", TRANSLATED)
def test_every_text_of_a_check_is_translated(language: str) -> None:
    translated = words(language).clues
    assert [text for text in TEXTS if not translated.get(text, "").strip()] == []


def test_no_sentence_in_the_code_is_forgotten() -> None:
    """Whatever way it takes to the reader: a literal that reads as one is translated, or known to be none of ours."""
    known = {_HOLE.sub("{}", text) for text in (*words("it").clues, *words("it").facts, *NOT_SAID)}
    found = {_HOLE.sub("{}", text) for module in _MODULES for text in module.sentences()} - known
    assert {text for text in found if not any(one.startswith(text) for one in known)} == set()
    assert NOT_SAID <= SHAPES


@pytest.mark.parametrize("language", TRANSLATED)
def test_every_fact_of_our_own_is_translated(language: str) -> None:
    translated = words(language).facts
    assert [text for text in FACTS if not translated.get(text, "").strip()] == []


@pytest.mark.parametrize("language", TRANSLATED)
@pytest.mark.parametrize("name", ["clues", "facts"])
def test_no_translation_is_of_a_text_that_is_gone(language: str, name: str) -> None:
    assert [text for text in table(language, name) if _HOLE.sub("{}", text) not in SHAPES] == []


@pytest.mark.parametrize("language", TRANSLATED)
def test_no_text_is_translated_in_two_files(language: str) -> None:
    path = files("gateway.diagnose") / "remedies" / f"{language}.toml"
    evidence = tomllib.loads(path.read_text("utf-8"))["clues"]
    assert set(evidence) & set(table(language, "clues")) == set()


@pytest.mark.parametrize("language", TRANSLATED)
def test_a_translation_names_the_same_facts(language: str) -> None:
    translated = {**table(language, "clues"), **table(language, "facts")}
    assert {text: there for text, there in translated.items() if names_of(there) != names_of(text)} == {}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_line_reads_well_whatever_is_known(language: str) -> None:
    for text in (*TEXTS, *FACTS):
        spoken = {**words(language).clues, **words(language).facts}.get(text, text)
        for line in fillings(spoken):
            assert line, text
            assert not UNTIDY.search(line.replace("...", "")), line


@pytest.mark.parametrize("language", TRANSLATED)
def test_no_two_texts_share_a_translation(language: str) -> None:
    twice = [line for line, count in Counter(table(language, "clues").values()).items() if count > 1]
    assert twice == []


# a whole report


def _case(language: str) -> Case:
    target = Target(host="api.openai.com", provider=OPENAI, name="openai", key="'sk-x'", key_variable="OPENAI_API_KEY")
    return Case(target=target, language=language)


_MEASURED: Final = (
    Machine(ipv4=True, ipv6=False),
    Names(
        host="api.openai.com",
        system=Lookup(by="system", code="nxdomain"),
        controls=(Lookup(by="Cloudflare", addresses=("172.66.0.243",)),),
        nameservers=("10.0.0.53",),
    ),
    Keyed(form="quotes"),
    Plain(answer=Answer(status=503, headers=((b"content-type", b"text/html"),), text="<html>upstream</html>")),
    Clock(skew_seconds=-700.0, by=("api.openai.com",)),
    Trust(roots=0, versions=("TLSv1.3",), library="OpenSSL 3.5", variables=(("SSL_CERT_FILE", "missing"),)),
    Variables(
        proxies=(
            ProxyVariable(name="HTTPS_PROXY", scheme="http", place="127.0.0.1:9", problem="stale"),
            ProxyVariable(name="http_proxy", scheme="http", place="proxy.corp:3128", problem="refused"),
        )
    ),
    Installed(
        version="1.0",
        problems=(("stale_runtime", "runtime.json is of a gateway that no longer runs; the next start replaces it"),),
    ),
)
"""What was seen on a machine where much is wrong; nothing in it quotes anybody."""


async def _report(language: str) -> Report:
    case = _case(language)
    done = Done(*_MEASURED)
    outcomes = []
    for probe in probes():
        measured = done.get(probe.gives)
        if measured is not None:
            outcomes.append(Outcome(probe=probe, measured=measured, checks=tuple(probe.judge(case, done))))
        elif why := probe.leave_out(case):
            outcomes.append(Outcome(probe=probe, why=why))

    async def breaks(_case: Case, _done: Done) -> object:
        raise RuntimeError

    outcomes += await run(case, [a_probe("broken", measure=breaks)])
    lines = (Clue("all {total} tenants fail at {host}: it is not one person's machine or key",
                  (("total", "3"), ("host", "api.openai.com"))),)  # fmt: skip
    return report(case, outcomes, version="1.0", began_at=0.0, took_ms=1.0, scope=lines)


_KEPT = re.compile(r"`[^`]*`|Debian and Ubuntu")
_NOT_WORDS = frozenset({"version", "target", "way", "name", "group", "status", "cause", "fault", "precision", "about"})


def _texts_of(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield _KEPT.sub("", value)
    elif isinstance(value, dict):
        for name, one in value.items():
            if name not in _NOT_WORDS:
                yield from _texts_of(one)
    elif isinstance(value, list):
        for one in value:
            yield from _texts_of(one)


async def test_no_sentence_of_a_report_in_chinese_is_left_in_english() -> None:
    english = document(await _report("en"), "en", measured=False)
    told = document(await _report("zh"), "zh", measured=False)
    assert len(told["checks"]) > 15
    assert sum(check["cause"] is not None for check in told["checks"]) >= 6
    assert len([text for text in _texts_of(english) if SENTENCE.search(text)]) > 40, "the check would notice"
    assert [text for text in _texts_of(told) if SENTENCE.search(text)] == []


async def test_no_sentence_of_a_report_in_italian_is_the_english_one() -> None:
    english = document(await _report("en"), "en", measured=False)
    told = document(await _report("it"), "it", measured=False)
    same = {text for text in _texts_of(english) if SENTENCE.search(text)} & set(_texts_of(told))
    assert same == set()


async def test_the_steps_of_a_check_of_its_own_reach_the_reader() -> None:
    told = document(await _report("it"), "it", measured=False)
    (stale,) = [one for one in told["checks"] if one["name"] == "proxy-variables" and "127.0.0.1:9" in one["told"]]
    assert stale["what_to_do"][0] == "Apri un nuovo terminale, oppure toglila da questo: `unset HTTPS_PROXY`."


def test_a_verdict_in_another_language_is_said_anew() -> None:
    case = _case("en")
    outcome = Outcome(probe=a_probe(), measured=object(), checks=tuple(bad(Cause.NETWORK_OFFLINE)(case, Done())))
    found = report(case, [outcome], version="1.0", began_at=0.0, took_ms=1.0)
    (check,) = document(found, "zh", measured=False)["checks"]
    assert check["status"] == Status.FAIL
    assert check["title"] == words("zh").remedies[Cause.NETWORK_OFFLINE].title


def test_a_fact_of_our_own_is_said_in_the_language_and_anothers_is_not() -> None:
    text = "there was no control: {detail}"
    assert (
        words("it").line(text, [("detail", "nobody asked for this run")]).endswith("nessuno ha chiesto questa diagnosi")
    )
    assert words("it").line(text, [("detail", "[Errno 110] no answer within 1.5 s")]).endswith("risposta entro 1.5 s")
    nested = "the proxy http://p:3128 cannot be reached: p:3128 did not answer within 2 s"
    assert words("it").line("{detail}", [("detail", nested)]) == (
        "il proxy http://p:3128 non si raggiunge: p:3128 non ha risposto entro 2 s"
    )
    for theirs in ("timed out", "status of the nation", "no answer within 2 s of asking"):
        assert words("it").line(text, [("detail", theirs)]).endswith(f": {theirs}")
    assert words("en").line(text, [("detail", "no route")]) == fill(text, {"detail": "no route"})
