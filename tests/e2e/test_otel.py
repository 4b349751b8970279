"""A real gateway tells a real collector; one that hangs, is gone, or cannot be spoken to hinders no call."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from tests.e2e.world import MARK, Provider, World, job, row_of
from tests.gateway.observe.collector import Collector, collecting, plain
from tests.running import CLEAN, ROOT, GatewayProcess, config_for

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@contextmanager
def told_to(directory: Path, url: str, **env: str) -> Iterator[World]:
    """A gateway that tells this address, and a provider behind it."""
    provider = Provider()
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_METRIC_EXPORT_INTERVAL": "500"} | env
    try:
        world = World(provider, GatewayProcess(directory, config_for(provider.port), env=variables), directory)
    except BaseException:
        provider.close()
        raise
    try:
        yield world
    finally:
        world.close()


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as made:
        yield made


def test_calls_of_the_official_sdks_are_spans_below_the_apps_own(tmp_path: Path, collector: Collector) -> None:
    with told_to(tmp_path, collector.url) as world:
        asked = job(model="simulate:service.overloaded?times=1", max_retries=0, headers={"traceparent": PARENT})
        failed = job("messages", model="simulate:auth.invalid_key", max_retries=0)
        good, bad = world.based.ask([asked, failed])
        row, bad_row = world.row(good), world.row(bad)
        roots = {
            plain(span.attributes)["whygate.flow.id"]: span
            for span in world.gateway.until(lambda: collector.roots() if len(collector.roots()) == 2 else None)
        }
        span, attributes = roots[row["id"]], plain(roots[row["id"]].attributes)
        assert span.name == f"chat {asked['model']}"
        assert span.trace_id.hex() == PARENT.split("-")[1]
        assert span.parent_span_id.hex() == PARENT.split("-")[2]
        assert attributes["gen_ai.usage.output_tokens"] == row["tokens_out"]
        assert attributes["whygate.attempts"] == 2
        took_ms = (span.end_time_unix_nano - span.start_time_unix_nano) / 1e6
        assert took_ms == pytest.approx(row["total_ms"], abs=0.2)
        tries = [one for one in collector.inside(span) if one.name == "attempt"]
        assert [plain(one.attributes).get("error.type") for one in tries] == ["service.overloaded", None]
        assert all(one.start_time_unix_nano >= span.start_time_unix_nano for one in tries)
        assert all(one.end_time_unix_nano <= span.end_time_unix_nano + 1_000_000 for one in tries)
        bad_span = roots[bad_row["id"]]
        assert plain(bad_span.attributes)["error.type"] == bad_row["cause"]
        assert bad_span.status.code == 2
        assert bad_span.parent_span_id == b""
        world.gateway.until(lambda: any(one.name == "gen_ai.client.operation.duration" for one in collector.metrics))
        # Told at the end, if not before.
        world.gateway.stop()
        assert {one.name for one in collector.metrics} >= {"gen_ai.client.token.usage"}
    everything = repr(collector.spans) + repr(collector.metrics)
    assert MARK not in everything
    assert "Echo" not in everything


def test_the_apps_traceparent_goes_on_to_the_provider_unchanged(tmp_path: Path, collector: Collector) -> None:
    from tests.running import RawUpstream

    upstream = RawUpstream()
    heads: list[bytes] = []

    async def answer(head: bytes, _reader: object, writer: object) -> None:
        heads.append(head)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-type: application/json\r\n\r\n{}")  # type: ignore[attr-defined]

    path = upstream.on(answer)
    gateway = GatewayProcess(tmp_path, config_for(upstream.port), env={"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url})
    try:
        headers = {"traceparent": PARENT, "tracestate": "vendor=1", "authorization": "Bearer sk-x"}
        answered = httpx2.get(f"{gateway.proxy}/openai{path}", headers=headers, trust_env=False)
        assert answered.status_code == 200
        (head,) = heads
        assert f"traceparent: {PARENT}\r\n".encode() in head.lower()
        assert b"tracestate: vendor=1\r\n" in head.lower()
    finally:
        gateway.stop()
        upstream.close()
    assert [span.trace_state for span in collector.roots()] == ["vendor=1"]


@pytest.mark.parametrize("hangs", [True, False], ids=["hangs", "is down"])
def test_a_collector_that_does_not_answer_hinders_no_call_and_not_the_end(tmp_path: Path, hangs: bool) -> None:
    with collecting(hangs=hangs) as collector:
        url = collector.url if hangs else "http://127.0.0.1:9"
        with told_to(tmp_path, url) as world:
            results = world.based.ask([job(prompt=str(number)) for number in range(30)])
            assert [result["error"] for result in results] == [None] * 30
            gateway = world.gateway
            gateway.until(lambda: 'whygate_degraded{part="otel"} 1.0' in metrics_of(gateway), 20)
            assert row_of(gateway, results[0]["headers"]["x-whygate-flow-id"])["overhead_ms"] < 1000
            began = time.monotonic()
            assert gateway.stop() == 0
            assert time.monotonic() - began < 6  # connections of the app have a second of grace, the collector two
            said = [line for line in gateway.log.read_text().splitlines() if "collector" in line]
            assert len(said) == 1
            assert "calls are not affected" in said[0]


def metrics_of(gateway: GatewayProcess) -> str:
    answer = httpx2.get(
        f"http://{gateway.runtime['page']}/metrics",
        headers={"authorization": f"Bearer {gateway.runtime['token']}"},
        trust_env=False,
    )
    return answer.text


def start(directory: Path, config: str, *more: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Start a gateway that cannot start."""
    file = directory / "whygate.toml"
    file.write_text(config)
    return subprocess.run(
        [
            sys.executable, "-m", "gateway", "start", "--state", str(directory / "state"), "--config", str(file),
            "--listen", "127.0.0.1:0", "--page", "127.0.0.1:0", *more,
        ],
        capture_output=True, text=True, cwd=ROOT, env=CLEAN | env, timeout=30, check=False,
    )  # fmt: skip


@pytest.fixture
def without_otel(tmp_path: Path) -> str:
    """Give a PYTHONPATH on which OpenTelemetry is not installed."""
    package = tmp_path / "without" / "opentelemetry"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise ModuleNotFoundError('No module named opentelemetry')\n")
    return str(package.parent)


@pytest.mark.parametrize("wish", ["setting", "variable"])
def test_what_is_wanted_and_not_installed_is_told_at_the_start(tmp_path: Path, without_otel: str, wish: str) -> None:
    config = "[observe]\notel = true\n" if wish == "setting" else ""
    env = {} if wish == "setting" else {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}
    done = start(tmp_path, config, PYTHONPATH=without_otel, **env)
    assert done.returncode == 2
    assert "pip install 'whygate[otel]'" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "state" / "runtime.json").exists()


def test_the_same_is_one_line_of_json_where_the_log_is(tmp_path: Path, without_otel: str) -> None:
    import json

    done = start(tmp_path, '[observe]\notel = true\nlog = "json"\n', PYTHONPATH=without_otel)
    assert done.returncode == 2
    (line,) = [json.loads(line) for line in done.stderr.splitlines()]
    assert (line["level"], line["event"]) == ("error", "cannot_start")
    assert "pip install 'whygate[otel]'" in line["fix"]
    assert done.stdout == ""


def test_a_protocol_that_is_not_spoken_is_told_at_the_start(tmp_path: Path) -> None:
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
    done = start(tmp_path, "", **env)
    assert done.returncode == 2
    assert "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf" in done.stderr


def test_without_a_wish_nothing_of_it_is_needed(tmp_path: Path, without_otel: str) -> None:
    gateway = GatewayProcess(tmp_path / "gateway", "", env={"PYTHONPATH": without_otel})
    try:
        assert 'part="otel"' not in metrics_of(gateway)
    finally:
        assert gateway.stop() == 0


def test_a_gateway_that_a_run_started_goes_without(tmp_path: Path, without_otel: str) -> None:
    """The variable is the app's then, and may be for the app alone."""
    env = {"PYTHONPATH": without_otel, "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}
    gateway = GatewayProcess(tmp_path / "gateway", "", "--end-with-runs", env=env)
    try:
        assert "no OpenTelemetry" in gateway.log.read_text()
    finally:
        gateway.stop()
