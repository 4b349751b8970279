"""Calls as spans and metrics, told to a real collector; one that hangs or is gone hinders nobody."""

import logging
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from gateway.model.cause import Cause
from gateway.model.exchange import Concluded
from gateway.observe.ended import Ended, of_call, of_row
from gateway.observe.otel import Otel
from gateway.observe.switch import Wanted
from tests.gateway.observe.collector import collecting, plain
from tests.gateway.record.made import a_call, a_concluded, a_diagnosis, a_live, a_route, a_row, an_attempt, until

PARENT = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SECRET = "sk-proj-abcdefghijklmnop0123456789"


@contextmanager
def telling(url: str, monkeypatch: pytest.MonkeyPatch, *, traces: bool = True, metrics: bool = True) -> Iterator[Otel]:
    """Tell a collector what is taken until the block ends."""
    for name in ("OTEL_EXPORTER_OTLP_HEADERS", "OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
    monkeypatch.setenv("NO_PROXY", "*")
    otel = Otel(Wanted(traces, metrics), {}, "1.2.3")
    try:
        yield otel
    finally:
        otel.close()


def a_retried(**changes: Any) -> Ended:
    """Give a call that waited in the queue, failed once and then went well."""
    call = a_call(headers=((b"authorization", f"Bearer {SECRET}".encode()), (b"traceparent", PARENT)), arrived=100.0)
    attempts = (
        an_attempt(1, status=503, cause=Cause.SERVICE_OVERLOADED, began=100.5, queued_seconds=0.4),
        an_attempt(2, waited_seconds=0.3, began=101.2),
    )
    concluded: Concluded = a_concluded(
        call, attempts=attempts, seconds=2.0, queued_seconds=0.4, route=a_route(tenant="red", stream=True)
    )
    return of_call(a_live(call), concluded)._replace(**changes)


def test_a_call_is_a_span_below_the_apps_with_an_attempt_for_each_try(monkeypatch: pytest.MonkeyPatch) -> None:
    call = a_retried()
    with collecting() as collector:
        with telling(collector.url, monkeypatch, metrics=False) as otel:
            otel.take(call)
        (root,) = collector.roots()
        attributes = plain(root.attributes)
        assert root.name == "chat gpt-5-mini"
        assert root.kind == 3  # CLIENT
        assert root.trace_id.hex() == "0af7651916cd43dd8448eb211c80319c"
        assert root.parent_span_id.hex() == "b7ad6b7169203331"
        assert attributes["gen_ai.operation.name"] == "chat"
        assert attributes["gen_ai.provider.name"] == "openai"
        assert attributes["gen_ai.request.model"] == "gpt-5-mini"
        assert attributes["gen_ai.usage.input_tokens"] == 12
        assert attributes["gen_ai.usage.output_tokens"] == 34
        assert attributes["server.address"] == call.host
        assert attributes["whygate.flow.id"] == call.id
        assert attributes["whygate.tenant"] == "red"
        assert "error.type" not in attributes
        assert root.status.code == 0
        assert root.end_time_unix_nano - root.start_time_unix_nano == pytest.approx(2e9, abs=1e6)
        assert [event.name for event in root.events] == ["whygate.retry"]
        inside = sorted(collector.inside(root), key=lambda span: span.start_time_unix_nano)
        assert [span.name for span in inside] == ["queue", "attempt", "attempt"]
        queue, first, second = inside
        assert queue.end_time_unix_nano == first.start_time_unix_nano
        assert queue.end_time_unix_nano - queue.start_time_unix_nano == pytest.approx(0.4e9, abs=1e6)
        assert plain(first.attributes)["error.type"] == "service.overloaded"
        assert plain(second.attributes)["http.request.resend_count"] == 1
        assert first.start_time_unix_nano - root.start_time_unix_nano == pytest.approx(0.5e9, abs=1e6)
        assert [event.name for event in first.events] == ["dns", "connect", "tls", "first_byte", "body"]
        assert collector.resources[0]["service.name"] == "whygate"
        assert SECRET not in repr(collector.spans)


def test_a_failure_has_its_cause_and_no_words_of_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    call = a_call()
    failed = of_call(a_live(call), a_concluded(call, diagnosis=a_diagnosis()))
    with collecting() as collector:
        with telling(collector.url, monkeypatch, metrics=False) as otel:
            otel.take(failed)
        (root,) = collector.roots()
        attributes = plain(root.attributes)
        assert attributes["error.type"] == "rate_limit.tokens"
        assert attributes["whygate.fault"] == "caller"
        assert root.status.code == 2
        assert root.status.message == "Tokens per minute used up"
        assert root.parent_span_id == b""
        assert "200,000" not in repr(root)


@pytest.mark.parametrize(
    "parent", [b"garbage", b"00-0-0-0", b"\xff" * 2000, b"00-" + b"0" * 32 + b"-" + b"0" * 16 + b"-01"]
)
def test_a_traceparent_that_is_none_makes_a_new_trace(monkeypatch: pytest.MonkeyPatch, parent: bytes) -> None:
    with collecting() as collector:
        with telling(collector.url, monkeypatch, metrics=False) as otel:
            otel.take(a_retried(traceparent=parent, tracestate=parent))
        (root,) = collector.roots()
        assert root.parent_span_id == b""


def test_who_does_not_sample_gets_no_span(monkeypatch: pytest.MonkeyPatch) -> None:
    with collecting() as collector:
        with telling(collector.url, monkeypatch, metrics=False) as otel:
            otel.take(a_retried(traceparent=PARENT[:-1] + b"0"))
        assert collector.spans == []


def test_what_was_no_call_to_a_provider_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with collecting() as collector:
        with telling(collector.url, monkeypatch) as otel:
            otel.take(of_row(a_row(1, kind="tunnel", provider="", model="")))
        assert collector.spans == []
        assert [point for metric in collector.metrics for point in metric.histogram.data_points] == []


def test_durations_and_tokens_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    call = a_call()
    failed = of_call(a_live(call), a_concluded(call, diagnosis=a_diagnosis()))
    with collecting() as collector:
        with telling(collector.url, monkeypatch, traces=False) as otel:
            otel.take(a_retried())
            otel.take(failed)
        assert collector.spans == []
        found = {metric.name: metric for metric in collector.metrics}
        assert {metric.name: metric.unit for metric in collector.metrics} == {
            "gen_ai.client.operation.duration": "s",
            "gen_ai.client.token.usage": "{token}",
            "gen_ai.client.operation.time_to_first_chunk": "s",
        }
        points = found["gen_ai.client.operation.duration"].histogram.data_points
        assert sorted(plain(point.attributes).get("error.type", "") for point in points) == ["", "rate_limit.tokens"]
        assert sum(point.sum for point in points) == pytest.approx(2.5)
        tokens = found["gen_ai.client.token.usage"].histogram.data_points
        sums = {plain(point.attributes)["gen_ai.token.type"]: point.sum for point in tokens}
        assert sums == {"input": 24, "output": 68}


def test_models_are_bounded_in_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    with collecting() as collector:
        with telling(collector.url, monkeypatch, traces=False) as otel:
            for number in range(2000):
                otel.take(a_retried(model=f"m{number}"))
        (metric,) = [one for one in collector.metrics if one.name == "gen_ai.client.operation.duration"]
        models = {plain(point.attributes)["gen_ai.request.model"] for point in metric.histogram.data_points}
        assert len(models) <= 201


def test_a_collector_that_hangs_holds_up_neither_calls_nor_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    with collecting(hangs=True) as collector, telling(collector.url, monkeypatch) as otel:
        call = a_retried()
        began = time.monotonic()
        for _ in range(3000):
            otel.take(call)
        assert time.monotonic() - began < 5  # the work itself; each export takes its three seconds elsewhere
        began = time.monotonic()
        otel.close()
        assert time.monotonic() - began < 2.5
        assert collector.asked


def test_a_collector_that_is_down_is_told_of_once_and_without_its_credentials(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with caplog.at_level(logging.WARNING):
        with telling(f"http://user:hunter2hunter2@127.0.0.1:{port}", monkeypatch) as otel:
            otel.take(a_retried())
        until(lambda: otel.delivery.degraded)  # it goes on trying for three seconds
        until(lambda: len(otel.delivery._failing) == 2)
    (record,) = caplog.records
    assert f"http://127.0.0.1:{port}" in record.getMessage()
    assert "hunter2" not in caplog.text


def test_a_collector_that_comes_back_mends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with collecting() as collector:
        with telling(collector.url, monkeypatch, metrics=False) as otel:
            otel.delivery.note(ok=False, endpoint=f"{collector.url}/v1/traces")
            otel.take(a_retried())
        assert not otel.delivery.degraded


def test_a_fallbacks_attempt_is_not_shown_as_one_at_the_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    call = a_retried()
    both = (call.attempts[0], replace(call.attempts[1], fallback="spare"))
    with collecting() as collector:
        with telling(collector.url, monkeypatch, metrics=False) as otel:
            otel.take(call._replace(attempts=both, fallback="spare"))
        (root,) = collector.roots()
        assert [span.name for span in collector.inside(root)].count("attempt") == 1
        assert plain(root.attributes)["whygate.fallback"] == "spare"
