"""The shape that keeps the code readable: small modules, small functions, plug-ins that are whole."""

import ast
import statistics
from pathlib import Path

import pytest

from gateway._discover import discover
from gateway.cache.backend import Backend
from gateway.diagnose.engine import RULES
from gateway.diagnose.remedy import LANGUAGES, words
from gateway.model.cause import Cause
from gateway.model.provider import Provider

ROOT = Path(__file__).parent.parent
MODULES = sorted(path for top in ("gateway", "addons") for path in (ROOT / top).rglob("*.py"))
LINES_MAX, FUNCTION_LINES_MAX, MEDIAN_LINES_MAX = 400, 60, 120


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_and_no_function_is_long(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= LINES_MAX
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < FUNCTION_LINES_MAX, node.name


def test_modules_are_short_as_a_rule() -> None:
    assert statistics.median(path.read_text().count("\n") for path in MODULES) <= MEDIAN_LINES_MAX


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_cause_has_words(language: str) -> None:
    assert set(words(language).remedies) == set(Cause)


@pytest.mark.parametrize("cause", [cause for cause in Cause if not cause.startswith("proxy.")])
def test_every_cause_that_evidence_decides_has_a_rule_and_every_cause_a_scenario(cause: Cause) -> None:
    assert cause in RULES or cause is Cause.UNKNOWN
    assert list((ROOT / "tests" / "scenarios" / cause.value).iterdir())


@pytest.mark.parametrize(
    ("package", "constant", "kind"),
    [("gateway.providers", "PROVIDER", Provider), ("gateway.cache.backends", "BACKEND", Backend)],
)
def test_every_plug_in_has_a_test_of_its_name(package: str, constant: str, kind: type) -> None:
    folder = ROOT / "tests" / Path(*package.split("."))
    assert [name for name in discover(package, constant, kind) if not (folder / f"test_{name}.py").exists()] == []
