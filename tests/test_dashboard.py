"""The dashboard that comes with docker-compose.yml: what it draws exists, and it is found where it is looked for."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from ruamel.yaml import YAML

from gateway.model.cause import Cause, Fault
from tests.gateway.observe.test_metrics import FULL, ended, metrics, text_of
from tests.gateway.record.made import an_attempt
from tests.running import ROOT

FOLDER = ROOT / "config" / "grafana"
DASHBOARD: dict[str, Any] = json.loads((FOLDER / "dashboard.json").read_text())
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]


def traffic() -> str:
    """Give the text of ``/metrics`` after calls that make every counter count."""
    attempts = (an_attempt(1, status=503, cause=Cause.SERVICE_OVERLOADED), an_attempt(2, waited_seconds=0.3))
    failed = ended(status=429, cause=Cause.RATE_LIMIT_TOKENS, fault=Fault.CALLER)
    calls = [ended(stream=True, attempts=attempts, cache="stored"), ended(cache="hit"), failed]
    return text_of(metrics(*calls), FULL)


def exported() -> dict[str, set[str]]:
    """Give what ``/metrics`` says, name by name, and by which labels; a histogram is there in its parts."""
    found: dict[str, set[str]] = {}
    for sample in (sample for family in text_string_to_metric_families(traffic()) for sample in family.samples):
        found.setdefault(sample.name, set()).update(sample.labels)
    return found


METRICS = exported()
EXPRESSIONS: list[str] = [target["expr"] for panel in PANELS for target in panel["targets"]]


def loaded(name: str) -> dict[str, Any]:
    document: dict[str, Any] = YAML(typ="safe", pure=True).load(FOLDER / name)
    return document


def unknown(expression: str) -> set[str]:
    """Give the names and labels that an expression asks for in vain."""
    names = set(re.findall(r"\bwhygate_\w+", expression))
    found = names - set(METRICS)
    known = set.intersection(*(METRICS.get(name, set()) for name in names)) if names else set()
    grouped = {label.strip() for by in re.findall(r"\bby \(([^)]*)\)", expression) for label in by.split(",")}
    found |= grouped - known
    for name, chosen in re.findall(r"\b(whygate_\w+)\{([^}]*)\}", expression):
        found |= set(re.findall(r"(\w+)\s*[=!]~?", chosen)) - METRICS.get(name, set())
    return found


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_metric_and_label_that_is_drawn_is_exported(expression: str) -> None:
    assert "whygate_" in expression
    assert unknown(expression) == set()


@pytest.mark.parametrize(
    ("expression", "missing"),
    [
        ("sum(rate(whygate_requests_total[5m]))", set()),
        ("sum(rate(whygate_request_total[5m]))", {"whygate_request_total"}),
        ("rate(whygate_overhead_seconds[5m])", {"whygate_overhead_seconds"}),
        ("sum by (host) (rate(whygate_requests_total[5m]))", {"host"}),
        ('rate(whygate_failures_total{cause!="x", model=~".+"}[5m])', {"model"}),
        ("sum by (le) (rate(whygate_requests_total[5m]))", {"le"}),
    ],
)
def test_what_is_not_exported_is_found(expression: str, missing: set[str]) -> None:
    assert unknown(expression) == missing


def test_every_metric_was_seen_with_a_value_and_so_with_its_labels() -> None:
    families = list(text_string_to_metric_families(traffic()))
    assert len(families) > 15
    assert [family.name for family in families if not family.samples] == []


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_counters_are_drawn_as_rates_and_brackets_close(expression: str) -> None:
    for name in re.findall(r"whygate_\w+(?:_total|_bucket|_sum|_count)\b", expression):
        assert re.search(rf"(rate|increase)\({name}(\{{[^}}]*\}})?\[(5m|\$__rate_interval)\]", expression)
    for opening, closing in ("()", "{}", "[]"):
        assert expression.count(opening) == expression.count(closing)


def test_every_panel_says_what_it_shows_and_lies_on_no_other() -> None:
    assert len(PANELS) >= 10
    assert len({panel["id"] for panel in PANELS}) == len({panel["title"] for panel in PANELS}) == len(PANELS)
    taken: set[tuple[int, int]] = set()
    for panel in PANELS:
        assert panel["description"].endswith((".", "?"))
        assert panel["fieldConfig"]["defaults"]["unit"]
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken
        assert at["x"] + at["w"] <= 24
        taken |= cells


def test_names_in_legends_are_labels_that_are_there() -> None:
    for panel in PANELS:
        for target in panel["targets"]:
            for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
                assert re.search(rf"by \([^)]*\b{label}\b", target["expr"]), panel["title"]


def test_it_reads_from_the_source_that_is_set_up() -> None:
    (source,) = loaded("datasource.yml")["datasources"]
    asked = [panel["datasource"] for panel in PANELS] + [one["datasource"] for one in DASHBOARD["templating"]["list"]]
    asked += [target["datasource"] for panel in PANELS for target in panel["targets"]]
    assert {(one["type"], one["uid"]) for one in asked} == {(source["type"], source["uid"])}
    compose: dict[str, Any] = YAML(typ="safe", pure=True).load(ROOT / "docker-compose.yml")
    assert source["url"] == "http://prometheus:9090"
    assert "prometheus" in compose["services"]
    (provider,) = loaded("dashboards.yml")["providers"]
    mounted = {
        one["target"]: compose["configs"][one["source"]]["file"] for one in compose["services"]["grafana"]["configs"]
    }
    assert all((ROOT / file).is_file() for file in mounted.values())
    assert mounted[f"{provider['options']['path']}/whygate.json"] == "./config/grafana/dashboard.json"
    assert {Path(target).parent.name for target in mounted} == {"datasources", "dashboards"}
