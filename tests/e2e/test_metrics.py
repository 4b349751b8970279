"""The figures of a real gateway after real traffic: well-formed, true, behind the token, without secrets."""

import json
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from tests.e2e.world import MARK, World, job, new_world
from tests.gateway.observe.lint import problems, total, values
from tests.running import GatewayProcess

NAMES = {
    "whygate_requests_total",
    "whygate_failures_total",
    "whygate_retries_total",
    "whygate_retry_wait_seconds_count",
    "whygate_queue_depth",
    "whygate_queue_wait_seconds_count",
    "whygate_cache_requests_total",
    "whygate_upstream_duration_seconds_count",
    "whygate_overhead_seconds_count",
    "whygate_time_to_first_token_seconds_count",
    "whygate_ratelimit_remaining",
    "whygate_tokens_total",
    "whygate_inflight_requests",
    "whygate_build_info",
    "whygate_record_dropped_total",
    "whygate_degraded",
}


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A gateway that has seen a bit of everything."""
    with new_world(tmp_path_factory.mktemp("busy"), '[observe]\nlog = "json"\n') as world:
        static = {"more": {"temperature": 0}, "key": job()["key"]}
        world.based.ask_one(job(prompt="the same", **static))
        world.based.ask_one(job(prompt="the same", **static))
        world.based.ask([job(stream=True), job("messages", stream=True), job("responses"), job()])
        world.based.ask(
            [
                job(model="simulate:rate_limit.requests?times=1", max_retries=0),
                job(model="simulate:quota.exhausted", max_retries=0),
                job(model="simulate:auth.invalid_key", max_retries=0),
                job("messages", model="simulate:service.overloaded", max_retries=0),
            ]
        )
        with world.gateway.client() as client, pytest.raises(httpx2.HTTPError):
            client.get("https://nowhere.invalid/")
        yield world


def scraped(gateway: GatewayProcess, **headers: str) -> httpx2.Response:
    return httpx2.get(
        f"http://{gateway.runtime['page']}/metrics",
        headers={"authorization": f"Bearer {gateway.runtime['token']}", **headers},
        trust_env=False,
    )


def settled(gateway: GatewayProcess) -> list[dict[str, Any]]:
    """Give all rows, when all calls have ended."""

    def look() -> list[dict[str, Any]] | None:
        rows = gateway.flows()
        return rows if rows and all(row["state"] == "done" for row in rows) else None

    return gateway.until(look)


def test_the_text_is_what_prometheus_reads(busy: World) -> None:
    answer = scraped(busy.gateway)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert problems(answer.text) == []
    assert set(values(answer.text)) >= NAMES


def test_the_figures_agree_with_the_rows(busy: World) -> None:
    rows = settled(busy.gateway)
    text = scraped(busy.gateway).text
    counted = Counter(
        (
            row["provider"] or "none",
            row["model"] or "none",
            row["endpoint"] or (row["kind"] if row["kind"] != "api" else "none"),
            str(row["status"] or "none"),
            row["cause"] or "none",
            row["fault"] or "none",
            row["tenant"] or "none",
        )
        for row in rows
    )
    names = ("provider", "model", "operation", "status_code", "cause", "fault", "tenant")
    told = {
        tuple(dict(labels)[name] for name in names): value
        for labels, value in values(text)["whygate_requests_total"].items()
    }
    assert told == counted
    causes = Counter(row["cause"] for row in rows if row["cause"])
    assert len(causes) >= 4
    assert {cause: total(text, "whygate_failures_total", cause=str(cause)) for cause in causes} == causes
    overheads = [float(str(row["overhead_ms"])) / 1000 for row in rows if row["overhead_ms"] is not None]
    assert total(text, "whygate_overhead_seconds_count") == len(overheads)
    assert total(text, "whygate_overhead_seconds_sum") == pytest.approx(sum(overheads))
    bought = [row for row in rows if row["cache"] != "hit"]
    for kind, name in (("input", "tokens_in"), ("output", "tokens_out")):
        assert total(text, "whygate_tokens_total", type=kind) == sum(int(str(row[name] or 0)) for row in bought)
    attempts = [attempt for row in rows for attempt in row["attempts"]]
    assert total(text, "whygate_upstream_duration_seconds_count") == len(attempts)
    retried = sum(max(0, len(row["attempts"]) - 1) for row in rows)
    assert total(text, "whygate_retries_total") == total(text, "whygate_retry_wait_seconds_count") == retried > 0
    assert total(text, "whygate_retries_total", cause="rate_limit.requests", outcome="succeeded") == 1
    assert total(text, "whygate_cache_requests_total", result="hit") == 1
    assert total(text, "whygate_cache_requests_total", result="miss") == 1
    assert total(text, "whygate_time_to_first_token_seconds_count") == 2
    assert total(text, "whygate_inflight_requests") == 0
    assert total(text, "whygate_ratelimit_remaining", provider="openai", kind="requests") > 0
    assert total(text, "whygate_degraded") == 0


def test_strangers_see_nothing(busy: World) -> None:
    url = f"http://{busy.gateway.runtime['page']}/metrics"
    for headers in ({}, {"authorization": "Bearer wrong"}):
        answer = httpx2.get(url, headers=headers, trust_env=False)
        assert answer.status_code == 401
        assert "whygate_" not in answer.text
    assert httpx2.post(url, trust_env=False).status_code == 405


def test_no_secret_and_no_address_stands_in_the_text(busy: World) -> None:
    text = scraped(busy.gateway).text
    assert MARK not in text
    assert str(busy.gateway.runtime["token"]) not in text
    assert "127.0.0.1" not in text
    assert "nowhere.invalid" not in text
    assert "Echo" not in text
    assert "the same" not in text


def test_curl_reads_it_with_the_line_of_the_readme(busy: World) -> None:
    runtime = busy.gateway.runtime
    done = subprocess.run(
        ["curl", "-sS", "-H", f"Authorization: Bearer {runtime['token']}", f"http://{runtime['page']}/metrics"],
        capture_output=True, text=True, timeout=20, check=True,
    )  # fmt: skip
    assert "\nwhygate_requests_total{" in done.stdout


def test_openmetrics_is_spoken_too(busy: World) -> None:
    answer = scraped(busy.gateway, accept="application/openmetrics-text; version=1.0.0; charset=utf-8")
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


def test_each_line_of_the_log_is_json_and_each_call_one_of_them(busy: World) -> None:
    rows = {str(row["id"]): row for row in settled(busy.gateway)}

    def logged() -> dict[str, dict[str, Any]]:
        lines = [json.loads(line) for line in busy.gateway.log.read_text().splitlines()]
        assert all({"time", "level", "event", "message"} <= set(line) for line in lines)
        assert lines[0]["event"] == "ready"
        return {line["flow"]: line for line in lines if line["event"] == "call"}

    told = busy.gateway.until(lambda: found if len(found := logged()) >= len(rows) else None)
    assert set(told) == set(rows)
    for flow, line in told.items():
        row = rows[flow]
        for name in ("tenant", "provider", "model", "status", "cause", "fault", "queue_ms", "overhead_ms", "cache"):
            assert line[name] == row[name], name
        assert line["total_ms"] == pytest.approx(row["total_ms"], abs=0.11)
        assert line["attempts"] == len(row["attempts"])
    text = busy.gateway.log.read_text()
    assert MARK not in text
    assert str(busy.gateway.runtime["token"]) not in text
    assert not re.search("Echo|the same|nowhere.invalid", text)
