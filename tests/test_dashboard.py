"""The dashboard that comes with docker-compose.yml: what it draws exists, and it is found where it is looked for."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.running import ROOT

FOLDER = ROOT / "config" / "grafana"
DASHBOARD: dict[str, Any] = json.loads((FOLDER / "dashboard.json").read_text())
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
COUNTED = {
    "whygate_requests_total": {"provider", "model", "operation", "status_code", "cause", "fault", "tenant"},
    "whygate_failures_total": {"cause", "fault"},
    "whygate_retries_total": {"cause", "outcome"},
    "whygate_cache_requests_total": {"result"},
    "whygate_tokens_total": {"type", "provider", "model", "tenant"},
    "whygate_inflight_requests": set(),
    "whygate_queue_depth": set(),
    "whygate_ratelimit_remaining": {"provider", "model", "kind"},
}
SPREAD = {
    "whygate_retry_wait_seconds": set(),
    "whygate_queue_wait_seconds": {"provider"},
    "whygate_upstream_duration_seconds": {"provider", "model"},
    "whygate_overhead_seconds": set(),
    "whygate_time_to_first_token_seconds": {"provider", "model"},
}
"""Histograms."""
METRICS: dict[str, set[str]] = COUNTED | {
    f"{name}_{part}": labels | ({"le"} if part == "bucket" else set())
    for name, labels in SPREAD.items()
    for part in ("bucket", "sum", "count")
}
"""What ``/metrics`` says, and by which labels."""


EXPRESSIONS: list[str] = [target["expr"] for panel in PANELS for target in panel["targets"]]


def loaded(name: str) -> dict[str, Any]:
    document: dict[str, Any] = YAML(typ="safe", pure=True).load(FOLDER / name)
    return document


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_metric_and_label_that_is_drawn_exists(expression: str) -> None:
    names = set(re.findall(r"\bwhygate_\w+", expression))
    assert names
    assert names <= set(METRICS)
    known = set.intersection(*(METRICS[name] for name in names))
    grouped = {label.strip() for by in re.findall(r"\bby \(([^)]*)\)", expression) for label in by.split(",")}
    assert grouped <= known
    for name, chosen in re.findall(r"\b(whygate_\w+)\{([^}]*)\}", expression):
        assert set(re.findall(r"(\w+)\s*[=!]~?", chosen)) <= METRICS[name]


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
