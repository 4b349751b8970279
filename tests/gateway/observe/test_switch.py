"""OpenTelemetry is off unless somebody asks for it, in the words of its own specification."""

import pytest

from gateway.observe.switch import wanted

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}


@pytest.mark.parametrize(
    ("setting", "env", "traces", "metrics"),
    [
        (None, {}, False, False),
        (None, {"OTEL_SERVICE_NAME": "x"}, False, False),
        (True, {}, True, True),
        (None, ENDPOINT, True, True),
        (False, ENDPOINT, False, False),
        (None, {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://h/v1/traces"}, True, False),
        (None, {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://h/v1/metrics"}, False, True),
        (True, {"OTEL_SDK_DISABLED": "true"}, False, False),
        (None, ENDPOINT | {"OTEL_METRICS_EXPORTER": "none"}, True, False),
        (None, ENDPOINT | {"OTEL_TRACES_EXPORTER": "none"}, False, True),
    ],
)
def test_what_is_wanted(setting: bool | None, env: dict[str, str], traces: bool, metrics: bool) -> None:
    assert wanted(setting, env) == (traces, metrics, None)


@pytest.mark.parametrize(
    "env",
    [
        ENDPOINT | {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
        ENDPOINT | {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/json"},
        ENDPOINT | {"OTEL_EXPORTER_OTLP_TIMEOUT": "soon"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "user:secret@collector:4318"},
    ],
)
def test_what_cannot_be_done_is_told_with_the_variable_and_without_a_secret(env: dict[str, str]) -> None:
    problem = wanted(None, env).problem
    assert problem is not None
    assert "OTEL_EXPORTER_OTLP" in problem[1]
    assert "otel = false" in problem[2]
    assert "secret" not in "".join(problem)


def test_a_problem_of_what_is_off_is_none() -> None:
    assert wanted(False, ENDPOINT | {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}).problem is None
