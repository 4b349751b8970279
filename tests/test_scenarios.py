"""Remembered failures: every folder below `scenarios` holds one, and what the diagnosis has to say about it.

``case.json`` is what was seen, ``expected.json`` the verdict. Both are read strictly. A case shows either what a person
saw (``seen``: a request with its response or with what was observed instead) or what the running gateway saw
(``evidence``: the fields of `Evidence`). What is expected of ``alternatives`` has to be among them, what stands in
``not`` must be neither the verdict nor an alternative.
"""

import json
import re
from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from gateway._discover import discover
from gateway.diagnose.engine import candidates, diagnose, weigh
from gateway.diagnose.evidence import CallShape, Certificate, Evidence, History
from gateway.diagnose.observation import Observation
from gateway.explain.judge import Judge
from gateway.explain.rows import of_row
from gateway.model.attempt import Attempt, Mark, ReplyHead
from gateway.model.cause import Cause, Precision
from gateway.model.decision import Refuse
from gateway.model.diagnosis import Diagnosis
from gateway.model.failure import NetCode, NetFailure, Phase
from gateway.model.provider import Provider

SCENARIOS = Path(__file__).parent / "scenarios"
FOLDERS = sorted(path for path in SCENARIOS.glob("*/*") if path.is_dir())
NAMES = [f"{path.parent.name}/{path.name}" for path in FOLDERS]

EXPECTED = frozenset({"cause", "precision", "vendor", "alternatives", "not"})
PARTS = {
    "request": frozenset({"method", "url", "model", "headers", "notes"}),
    "response": frozenset({"status", "headers", "body"}),
    "observed": frozenset(
        {
            *("stage", "status", "headers", "body", "location", "exception"),
            *("cert_issuer", "cert_subject", "dns_answers"),
        }
    ),
}
REAL_KEY = re.compile(
    r"\b(?:sk|pk|rk|sess|gsk|xai|pplx|fw|hf|r8|nvapi|csk|tgp)[-_](?=[\w-]*\d)(?=[\w-]*[A-Za-z])[\w-]{16,}"
    r"|\bA[KS]IA[0-9A-Z]{16}|\bAIza[\w-]{30,}|\beyJ[\w-]{10,}\.|\b[0-9a-f]{32}\.[A-Za-z0-9]{16}\b"
    r"|(?i:bearer|basic) [A-Za-z0-9+/_=-]{16,}|-----BEGIN [A-Z ]*PRIVATE KEY-----"
)


# reading a case


@cache
def _judge() -> Judge:
    return Judge()


@cache
def _providers() -> dict[str, Provider]:
    return {one.name: one for one in discover("gateway.providers", "PROVIDER", Provider).values()}


def _known(part: dict[str, Any], names: frozenset[str], where: str) -> dict[str, Any]:
    assert isinstance(part, dict), f"{where} is no object"
    assert not part.keys() - names, f"{where} has unknown fields: {sorted(part.keys() - names)}"
    return part


def _named[T](kind: type[T], part: dict[str, Any]) -> T:
    return kind(**_known(part, frozenset(one.name for one in fields(kind)), kind.__name__))  # type: ignore[arg-type]


def _json(path: Path) -> dict[str, Any]:
    document = json.loads(path.read_text("utf-8"))
    assert isinstance(document, dict), f"{path} is no object"
    return document


def evidence_of(case: dict[str, Any], name: str = "") -> Evidence:
    """Build what the engine is shown."""
    _known(case, frozenset({"about", "source", "seen", "evidence"}), "case.json")
    assert ("seen" in case) != ("evidence" in case), "a case has `seen` or `evidence`, and not both"
    return _of_seen(case["seen"], name) if "seen" in case else _of_gateway(case["evidence"])


def _of_seen(seen: dict[str, Any], name: str) -> Evidence:
    _known(seen, frozenset(PARTS), "seen")
    for part, names in PARTS.items():
        _known(seen.get(part, {}), names, part)
    return _judge().evidence(of_row({"id": name, **seen}))


def _of_gateway(part: dict[str, Any]) -> Evidence:
    values = dict(_known(part, frozenset(one.name for one in fields(Evidence)), "evidence"))
    name = values.pop("provider", "")
    values["provider"] = _providers()[name] if name else None
    for key, read in _READERS.items():
        if key in values:
            values[key] = read(values[key])
    return Evidence(**values)


def _head(part: dict[str, Any]) -> ReplyHead:
    _known(part, frozenset({"status", "headers"}), "head")
    pairs = tuple((key.lower().encode("latin-1"), value.encode("latin-1")) for key, value in part["headers"].items())
    return ReplyHead(status=part["status"], headers=pairs)


def _failure(part: dict[str, Any]) -> NetFailure:
    return _named(NetFailure, part | {"phase": Phase(part["phase"]), "code": NetCode(part["code"])})


def _refused(part: dict[str, Any]) -> Refuse:
    return _named(Refuse, part | {"cause": Cause(part["cause"])})


def _tried(parts: list[dict[str, Any]]) -> tuple[Attempt, ...]:
    tried: list[Attempt] = []
    for number, part in enumerate(parts, 1):
        _known(part, frozenset({"status", "phases", "failure", "waited_seconds"}), "tried")
        marks = [_known(one, frozenset({"name", "start_ms", "end_ms", "ok"}), "phases") for one in part["phases"]]
        tried.append(
            Attempt(
                number=number,
                waited_seconds=part.get("waited_seconds", 0.0),
                marks=tuple(Mark(Phase(one["name"]), one["start_ms"], one["end_ms"], one["ok"]) for one in marks),
                head=ReplyHead(status=part["status"], headers=()) if part.get("status") else None,
                failure=_failure(part["failure"]) if "failure" in part else None,
            )
        )
    return tuple(tried)


_READERS: dict[str, Any] = {
    "head": _head,
    "failure": _failure,
    "refused": _refused,
    "tried": _tried,
    "call": lambda part: _named(CallShape, part),
    "history": lambda part: _named(History, part),
    "certificate": lambda part: _named(Certificate, part),
    "addresses": tuple,
    "stream_error": lambda text: text.encode(),
}


# what is wrong with a verdict


def _differences(expected: dict[str, Any], verdict: Diagnosis) -> list[str]:
    said: dict[str, Any] = {
        "cause": verdict.cause.value,
        "precision": verdict.precision.value,
        "vendor": verdict.vendor,
    }
    lines = [
        f"{sign} {key}: {value}"
        for key in said.keys() & expected.keys()
        if expected[key] != said[key]
        for sign, value in (("-", expected[key]), ("+", said[key]))
    ]
    also = {cause.value for cause in verdict.alternatives}
    lines += [f"- alternative: {cause}" for cause in expected.get("alternatives", ()) if cause not in also]
    unwanted = {verdict.cause.value, *also} & set(expected.get("not", ()))
    return lines + [f"+ must not be named: {cause}" for cause in sorted(unwanted)]


def _shown(name: str, case: dict[str, Any], evidence: Evidence, verdict: Diagnosis, lines: list[str]) -> str:
    """Give a wrong verdict as a diff, with what it rests on."""
    observation = Observation(evidence)
    weighed = weigh(candidates(observation))
    clues = verdict.evidence or tuple(clue.text for clue in verdict.clues)
    return "\n".join(
        [
            f"tests/scenarios/{name}: {case['about']} ({case['source']})",
            *lines,
            f"  said: {verdict.cause.value}, {verdict.precision.value}: {verdict.what_happened}",
            f"  alternatives: {', '.join(cause.value for cause in verdict.alternatives) or 'none'}",
            f"  author: {observation.author.kind.value} {observation.author.name} ({observation.author.clue})",
            *(f"  evidence: {clue}" for clue in clues),
            *(
                f"  set aside: {one.rule.cause.value}, {one.finding.basis.name}, {one.finding.seen}"
                for one in weighed.aside
            ),
        ]
    )


# the scenarios


@pytest.mark.parametrize("folder", FOLDERS, ids=NAMES)
def test_a_remembered_failure_has_its_verdict(folder: Path) -> None:
    name = f"{folder.parent.name}/{folder.name}"
    case, expected = _json(folder / "case.json"), _json(folder / "expected.json")
    evidence = evidence_of(case, name)
    verdict = diagnose(evidence)
    lines = _differences(expected, verdict)
    if lines:
        pytest.fail(_shown(name, case, evidence, verdict, lines), pytrace=False)


@pytest.mark.parametrize("folder", FOLDERS, ids=NAMES)
def test_order_and_case_of_headers_do_not_matter(folder: Path) -> None:
    evidence = evidence_of(_json(folder / "case.json"))
    if evidence.head is None:
        return
    turned = tuple((name.upper(), value) for name, value in reversed(evidence.head.headers))
    first, second = diagnose(evidence), diagnose(replace(evidence, head=replace(evidence.head, headers=turned)))
    assert (second.cause, second.precision, second.vendor) == (first.cause, first.precision, first.vendor)


# the collection


def test_every_cause_has_a_scenario_and_every_folder_is_a_cause() -> None:
    causes = {cause.value for cause in Cause}
    assert {path.parent.name for path in FOLDERS} == causes
    assert {path.name for path in SCENARIOS.iterdir()} == causes


@pytest.mark.parametrize("folder", FOLDERS, ids=NAMES)
def test_a_folder_holds_a_case_and_what_is_expected_of_it(folder: Path) -> None:
    assert re.fullmatch(r"[a-z0-9]+(?:-[a-z0-9]+)*", folder.name)
    assert sorted(path.name for path in folder.iterdir()) == ["case.json", "expected.json"]
    case, expected = _json(folder / "case.json"), _json(folder / "expected.json")
    assert case["about"].strip()
    assert case["source"].strip()
    assert expected["cause"] == folder.parent.name
    assert not expected.keys() - EXPECTED
    assert expected.get("precision", "declared") in set(Precision)
    assert {*expected.get("alternatives", ()), *expected.get("not", ())} <= set(Cause) - {expected["cause"]}


def test_no_two_cases_show_the_same() -> None:
    shown: dict[str, str] = {}
    for folder, name in zip(FOLDERS, NAMES, strict=True):
        case = _json(folder / "case.json")
        key = json.dumps([case.get("seen"), case.get("evidence")], sort_keys=True)
        assert key not in shown, f"{name} shows the same as {shown[key]}"
        shown[key] = name


@pytest.mark.parametrize("folder", FOLDERS, ids=NAMES)
def test_no_case_holds_what_looks_like_a_real_key(folder: Path) -> None:
    found = REAL_KEY.search((folder / "case.json").read_text("utf-8"))
    assert found is None, found[0]


@pytest.mark.parametrize(
    "text",
    ["sk-proj-0a1B2c3D4e5F6g7H8i9J", "AIza" + "Sy0" * 12, "Bearer abcdefghijklmnop1234", "AKIA" + "1B2C3D4E" * 2],
)
def test_what_looks_like_a_real_key_is_found(text: str) -> None:
    assert REAL_KEY.search(f'"x-api-key": "{text}"')


@pytest.mark.parametrize(
    "case",
    [
        {"about": "x", "source": "y"},
        {"seen": {"response": {}}, "evidence": {}},
        {"seen": {"response": {"status": 500}, "extra": {}}},
        {"seen": {"response": {"status": 500, "reason": "no"}}},
        {"seen": {"request": {"uri": "https://x"}, "response": {"status": 500}}},
        {"evidence": {"host": "x", "extra": 1}},
        {"evidence": {"host": "x", "call": {"verb": "POST"}}},
        {"evidence": {"host": "x", "head": {"status": 500, "headers": {}, "text": ""}}},
        {"evidence": {"host": "x", "tried": [{"status": 500, "phases": [{"phase": "dns"}]}]}},
        {"verdict": "unknown", "evidence": {"host": "x"}},
    ],
)
def test_a_case_is_read_strictly(case: dict[str, Any]) -> None:
    with pytest.raises((AssertionError, KeyError)):
        evidence_of(case)
