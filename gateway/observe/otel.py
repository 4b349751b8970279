"""Calls as OpenTelemetry spans and metrics, made when a call is over; sent by threads of the SDK's own.

Names: the semantic conventions for generative AI clients, status Development, in their newest form
(https://github.com/open-telemetry/semantic-conventions-genai, read 2026-11-22). ``error.type`` is the cause. No prompt,
no answer, no key, no path is told. Imported by who wants it alone: the SDK is an extra.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExportResult, MetricsData, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.trace import SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from gateway.model.attempt import Attempt
from gateway.observe.ended import Ended, model_of, seconds_of, spans_of
from gateway.observe.series import Names
from gateway.observe.switch import Wanted

logger = logging.getLogger("whygate.observe")

CLOSE_SECONDS = 2.0
EXPORT_SECONDS = 3.0
QUEUE_SPANS, BATCH_SPANS, BATCH_MILLISECONDS = 8192, 512, 1000
_MODELS_MAX = 200
_LEAST_QUEUE_SECONDS = 0.001
_OPERATIONS = {
    "chat.completions": "chat",
    "messages": "chat",
    "responses": "chat",
    "completions": "text_completion",
    "complete": "text_completion",
    "generateContent": "generate_content",
    "streamGenerateContent": "generate_content",
    "streamGenerateContent.json": "generate_content",
    "embedContent": "embeddings",
    "batchEmbedContents": "embeddings",
    "text-embedding": "embeddings",
}
_PROVIDERS = {"azure": "azure.ai.openai", "gemini": "gcp.gemini", "mistral": "mistral_ai", "xai": "x_ai"}
_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_TOKENS = tuple(float(4**power) for power in range(14))
_Attributes = dict[str, str | bool | int | float]


class Delivery:
    """How sending goes. Trouble is said once."""

    def __init__(self) -> None:
        self._failing: set[str] = set()
        self._said = False
        self._lock = threading.Lock()

    @property
    def degraded(self) -> bool:
        """Whether the last attempt at sending failed, of spans or of metrics."""
        return bool(self._failing)

    def note(self, *, ok: bool, endpoint: str) -> None:
        """Take note of what became of something that was sent."""
        with self._lock:  # spans and metrics are sent by a thread each
            self._failing = self._failing - {endpoint} if ok else self._failing | {endpoint}
            if ok or self._said:
                return
            self._said = True
        logger.warning(
            "whygate: OpenTelemetry: the collector at %s does not take what it is sent. It is tried again and again,"
            " which is not said any more; calls are not affected. Check OTEL_EXPORTER_OTLP_ENDPOINT and the collector.",
            _origin(endpoint),
        )


class _SpanExporter(OTLPSpanExporter):
    def __init__(self, delivery: Delivery, **how: Any) -> None:
        super().__init__(**how)
        self._delivery = delivery

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = SpanExportResult.FAILURE
        try:
            result = super().export(spans)
        finally:
            self._delivery.note(ok=result is SpanExportResult.SUCCESS, endpoint=self._endpoint)
        return result


class _MetricExporter(OTLPMetricExporter):
    def __init__(self, delivery: Delivery, **how: Any) -> None:
        super().__init__(**how)
        self._delivery = delivery

    def export(
        self, metrics_data: MetricsData, timeout_millis: float | None = 10_000, **kwargs: Any
    ) -> MetricExportResult:
        result = MetricExportResult.FAILURE
        try:
            result = super().export(metrics_data, timeout_millis, **kwargs)
        finally:
            self._delivery.note(ok=result is MetricExportResult.SUCCESS, endpoint=self._endpoint)
        return result


class Otel:
    """Tells finished calls.

    Args:
        wanted: Which signals.
        env: Whose OTEL_SERVICE_NAME counts; the exporters read the process's own.
        version: Of the gateway.

    Raises:
        ValueError: A variable of OpenTelemetry's has a value that its SDK does not take.
    """

    def __init__(self, wanted: Wanted, env: Mapping[str, str], version: str) -> None:
        _silence()
        self.delivery = Delivery()
        self._models = Names(_MODELS_MAX)
        self._propagator = TraceContextTextMapPropagator()
        resource = Resource.create(_about(env, version))
        self._tracer: trace.Tracer | None = None
        self._closing: list[Callable[[], Any]] = []
        patience = {} if _says_timeout(env) else {"timeout": EXPORT_SECONDS}
        if wanted.traces:
            tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
            tracers.add_span_processor(
                BatchSpanProcessor(
                    _SpanExporter(self.delivery, **patience),
                    max_queue_size=QUEUE_SPANS,
                    max_export_batch_size=BATCH_SPANS,
                    schedule_delay_millis=BATCH_MILLISECONDS,
                    export_timeout_millis=EXPORT_SECONDS * 1000,
                )
            )
            self._tracer = tracers.get_tracer("whygate", version)
            self._closing.append(tracers.shutdown)
        self._instruments: _Instruments | None = None
        if wanted.metrics:
            reader = PeriodicExportingMetricReader(
                _MetricExporter(self.delivery, **patience), export_timeout_millis=EXPORT_SECONDS * 1000
            )
            meters = MeterProvider((reader,), resource, shutdown_on_exit=False)
            self._instruments = _Instruments(meters, version)
            self._closing.append(meters.shutdown)

    def take(self, ended: Ended) -> None:
        """Tell a call. What was no call to a provider is not told."""
        if not ended.provider:
            return
        operation = _OPERATIONS.get(ended.operation, ended.operation or "other")
        provider = _PROVIDERS.get(ended.provider, ended.provider)
        if self._tracer is not None:
            self._span(self._tracer, ended, operation, provider)
        if self._instruments is not None:
            good = ended.cause is None
            common: _Attributes = {"gen_ai.operation.name": operation, "gen_ai.provider.name": provider}
            if ended.model:
                common["gen_ai.request.model"] = self._models.of(model_of(ended), proven=good)
            self._instruments.take(ended, common)

    def close(self) -> None:
        """Send what is left, for at most two seconds; a collector that hangs is left behind."""
        threads = [threading.Thread(target=_quietly, args=(end,), daemon=True) for end in self._closing]
        until = time.monotonic() + CLOSE_SECONDS
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _span(self, tracer: trace.Tracer, ended: Ended, operation: str, provider: str) -> None:
        model = model_of(ended)
        attributes: _Attributes = {"gen_ai.operation.name": operation, "gen_ai.provider.name": provider}
        if model:
            attributes["gen_ai.request.model"] = model
        root = tracer.start_span(
            f"{operation} {model}".rstrip(),
            self._parent(ended),
            SpanKind.CLIENT,
            attributes,
            start_time=_ns(ended.arrived_at),
        )
        if root.is_recording():
            root.set_attributes(_attributes(ended))
            if ended.cause is not None:
                # The title is ours; what happened may repeat words of the answer.
                root.set_status(trace.StatusCode.ERROR, ended.title or None)
            inside = trace.set_span_in_context(root)
            self._children(tracer, ended, root, inside)
        root.end(_at(ended, ended.ended))

    def _children(self, tracer: trace.Tracer, ended: Ended, root: trace.Span, inside: Context) -> None:
        attempts = [one for one in ended.attempts if one.began and not one.fallback]
        until = attempts[0].began if attempts else ended.ended
        queued = min(attempts[0].queued_seconds if attempts else ended.queued_seconds, until - ended.arrived)
        if queued >= _LEAST_QUEUE_SECONDS:
            span = tracer.start_span("queue", inside, SpanKind.INTERNAL, start_time=_at(ended, until - queued))
            span.end(_at(ended, until))
        for number, attempt in enumerate(attempts):
            if number:
                told: _Attributes = {"whygate.waited_seconds": round(attempt.waited_seconds, 4)}
                if (cause := attempts[number - 1].cause) is not None:
                    told["error.type"] = cause.value
                root.add_event("whygate.retry", told, _at(ended, attempt.began))
            _attempt(tracer, ended, attempt, inside)

    def _parent(self, ended: Ended) -> Context | None:
        """Give what the app's span is, so that ours stands below it (https://www.w3.org/TR/trace-context/)."""
        if ended.traceparent is None:
            return Context()
        carrier = {"traceparent": ended.traceparent.decode("latin-1")}
        if ended.tracestate is not None:
            carrier["tracestate"] = ended.tracestate.decode("latin-1")
        return self._propagator.extract(carrier, Context())


class _Instruments:
    def __init__(self, meters: MeterProvider, version: str) -> None:
        meter = meters.get_meter("whygate", version)
        self._duration = meter.create_histogram(
            "gen_ai.client.operation.duration",
            "s",
            "Duration of a call, from its arrival at the gateway to the end of its answer.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self._tokens = meter.create_histogram(
            "gen_ai.client.token.usage",
            "{token}",
            "Tokens of a call that a provider was asked.",
            explicit_bucket_boundaries_advisory=_TOKENS,
        )
        self._first = meter.create_histogram(
            "gen_ai.client.operation.time_to_first_chunk",
            "s",
            "From a streamed call's arrival to the first event of its answer.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )

    def take(self, ended: Ended, common: _Attributes) -> None:
        spans = spans_of(ended)
        failed: _Attributes = {} if ended.cause is None else {"error.type": ended.cause.value}
        self._duration.record(spans.total, common | failed)
        if ended.stream and spans.first_byte is not None:
            self._first.record(spans.first_byte, common)
        if ended.usage is None or not ended.attempts or ended.fallback:
            return
        for kind, count in zip(("input", "output"), ended.usage, strict=True):
            if count is not None:
                self._tokens.record(count, common | {"gen_ai.token.type": kind})


def _attributes(ended: Ended) -> _Attributes:
    told: _Attributes = {
        "server.address": ended.host,
        "server.port": ended.port,
        "whygate.flow.id": ended.id,
        "whygate.tenant": ended.tenant,
        "whygate.cache": ended.cache,
        "whygate.attempts": len(ended.attempts),
        "whygate.queue_seconds": round(ended.queued_seconds, 4),
        "whygate.fallback": ended.fallback,
        "http.response.status_code": ended.status or 0,
        "error.type": "" if ended.cause is None else ended.cause.value,
        "whygate.fault": "" if ended.fault is None else ended.fault.value,
    }
    if ended.stream:
        told["gen_ai.request.stream"] = True
    if ended.possible_duplicate:
        told["whygate.possible_duplicate"] = True
    tokens_in, tokens_out = ended.usage or (None, None)
    known = {name: value for name, value in told.items() if value not in {"", 0} or name.endswith("seconds")}
    known |= {} if tokens_in is None else {"gen_ai.usage.input_tokens": tokens_in}
    return known | ({} if tokens_out is None else {"gen_ai.usage.output_tokens": tokens_out})


def _attempt(tracer: trace.Tracer, ended: Ended, attempt: Attempt, inside: Context) -> None:
    told: _Attributes = {"server.address": ended.host, "server.port": ended.port}
    if attempt.number > 1:
        told["http.request.resend_count"] = attempt.number - 1
    if attempt.head is not None:
        told["http.response.status_code"] = attempt.head.status
    if attempt.cause is not None:
        told["error.type"] = attempt.cause.value
    elif attempt.failure is not None:
        told["error.type"] = attempt.failure.code.value
    span = tracer.start_span("attempt", inside, SpanKind.CLIENT, told, start_time=_at(ended, attempt.began))
    for mark in attempt.marks:
        span.add_event(mark.phase.value, None, _at(ended, attempt.began + mark.start_ms / 1000))
    if "error.type" in told:
        span.set_status(trace.StatusCode.ERROR)
    span.end(_at(ended, attempt.began + seconds_of(attempt)))


def _at(ended: Ended, moment: float) -> int:
    """Give a monotonic moment of the call on the wall's clock."""
    return _ns(ended.arrived_at + moment - ended.arrived)


def _ns(epoch_seconds: float) -> int:
    return int(epoch_seconds * 1e9)


def _about(env: Mapping[str, str], version: str) -> dict[str, str]:
    told = {"service.version": version}
    if not env.get("OTEL_SERVICE_NAME") and "service.name=" not in env.get("OTEL_RESOURCE_ATTRIBUTES", ""):
        told["service.name"] = "whygate"
    return told


def _says_timeout(env: Mapping[str, str]) -> bool:
    return any(env.get(f"OTEL_EXPORTER_OTLP_{signal}TIMEOUT") for signal in ("", "TRACES_", "METRICS_"))


def _origin(endpoint: str) -> str:
    """Give what of an address holds no credential."""
    try:
        parts = urlsplit(endpoint)
        return f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")
    except ValueError:
        return "the configured address"


def _silence() -> None:
    """Keep the SDK from saying the same thing every few seconds: `Delivery` says it once."""
    theirs = logging.getLogger("opentelemetry")
    theirs.addHandler(logging.NullHandler())
    theirs.propagate = False
    theirs.setLevel(logging.CRITICAL)


def _quietly(end: Callable[[], Any]) -> None:
    try:
        end()
    except Exception:  # a metric reader raises when its collector does not answer in time
        logger.debug("OpenTelemetry ended badly", exc_info=True)
