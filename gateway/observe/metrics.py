"""The figures behind ``/metrics``: counted from calls that are over, joined with what is so at the moment.

Labels are bounded and hold no key, no user, no path and no host: providers that the settings know, 200 models, 100
tenants, everything else ``other``; ``none`` stands where there is nothing to say.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import pairwise
from typing import NamedTuple

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from gateway.cache.counts import NOT_BOUGHT
from gateway.model.attempt import Attempt
from gateway.observe.ended import Ended, model_of, seconds_of, spans_of
from gateway.observe.series import NONE, OTHER, Counter, Histogram, Labels, Names

MODELS_MAX = 200
TENANTS_MAX = 100
SERIES_MAX = 5000
"""Of one counter."""
SPREADS_MAX = 300
"""Of one histogram: each has a line for every bucket."""

_LONG = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0)
_WAITS = (0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 60.0, 120.0)
_OURS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
_STATUSES = frozenset({int(status) for status in HTTPStatus} | {529} | set(range(520, 528)))
_CACHE_WORDS = {"hit": "hit", "stored": "miss", "collapsed": "collapsed", "stale": "stale", "bypass": "bypass"}


class Remaining(NamedTuple):
    """What is left of a limit; ``kind`` is as in `gateway.model.provider.StatedLimit`."""

    provider: str
    model: str
    kind: str
    level: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Now:
    """What is so at this moment.

    Attributes:
        remaining: Of every limit that is known; of several accounts the one with the least counts.
        degraded: Part of the gateway -> whether it does not work as it should.
        record: Rows of the log by what became of them: ``written``, ``dropped``, ``queued``.
        lost: Finished calls that are counted nowhere, since too many ended at once.
        pool: Connections to upstreams: ``busy`` and ``idle``.
    """

    inflight: int = 0
    queue_depth: int = 0
    remaining: Iterable[Remaining] = ()
    degraded: Mapping[str, bool] = field(default_factory=dict)
    record: Mapping[str, int] = field(default_factory=dict)
    lost: int = 0
    pool: Mapping[str, int] = field(default_factory=dict)


def _fold_call(labels: Labels) -> Labels:
    provider, _model, _operation, status, cause, fault, _tenant = labels
    return provider, OTHER, OTHER, status, cause, fault, OTHER


def _fold_tokens(labels: Labels) -> Labels:
    return labels[0], labels[1], OTHER, OTHER


def _fold_model(labels: Labels) -> Labels:
    return labels[0], OTHER


class Metrics:
    """Counts finished calls.

    Args:
        providers: Whose names may stand in a label: those of the settings.
        version: Of the gateway.
    """

    def __init__(self, providers: frozenset[str], version: str) -> None:
        self._providers, self._version = providers, version
        self._models, self._tenants = Names(MODELS_MAX), Names(TENANTS_MAX)
        whom = ("provider", "model")
        self._requests = Counter(
            "whygate_requests_total",
            "Finished calls, tunnels and WebSockets.",
            ("provider", "model", "operation", "status_code", "cause", "fault", "tenant"),
            room=SERIES_MAX,
            fold=_fold_call,
        )
        self._failures = Counter("whygate_failures_total", "Those that failed, by why.", ("cause", "fault"))
        self._retries = Counter(
            "whygate_retries_total",
            "Attempts after the first, by why it was tried again and what came of it.",
            ("cause", "outcome"),
        )
        self._cache = Counter("whygate_cache_requests_total", "Calls that the cache had to do with.", ("result",))
        self._tokens = Counter(
            "whygate_tokens_total",
            "Tokens of calls that a provider was asked.",
            ("type", "provider", "model", "tenant"),
            room=SERIES_MAX,
            fold=_fold_tokens,
        )
        self._saved = Counter("whygate_cache_saved_tokens_total", "Tokens of answers that came again.", ("type",))
        self._retry_wait = Histogram("whygate_retry_wait_seconds", "Waits before an attempt was repeated.", _WAITS)
        self._queue_wait = Histogram(
            "whygate_queue_wait_seconds",
            "Time in the queue, of all calls that were to be sent.",
            _WAITS,
            ("provider",),
        )
        self._upstream = Histogram(
            "whygate_upstream_duration_seconds",
            "Attempts at providers, from the connection to the end of the answer.",
            _LONG,
            whom,
            room=SPREADS_MAX,
            fold=_fold_model,
        )
        self._overhead = Histogram(
            "whygate_overhead_seconds", "What the gateway itself added to a call, waits and queue apart.", _OURS
        )
        self._first_token = Histogram(
            "whygate_time_to_first_token_seconds",
            "From a streamed call's arrival to the first event of its answer.",
            _LONG,
            whom,
            room=SPREADS_MAX,
            fold=_fold_model,
        )

    def take(self, ended: Ended) -> None:
        """Count a call."""
        provider = self._provider(ended.provider)
        good = ended.cause is None and ended.status is not None and ended.status < 400
        model = self._models.of(model_of(ended), proven=good and bool(ended.attempts))
        tenant = self._tenants.of(ended.tenant, proven=good)
        cause = NONE if ended.cause is None else ended.cause.value
        fault = NONE if ended.fault is None else ended.fault.value
        status = NONE if ended.status is None else str(ended.status) if ended.status in _STATUSES else OTHER
        self._requests.add((provider, model, ended.operation or NONE, status, cause, fault, tenant))
        if ended.cause is not None:
            self._failures.add((cause, fault))
        if ended.total_seconds is None:
            self._take_call(ended, provider, model)
        self._take_tokens(ended, provider, model, tenant)

    def families(self, now: Now) -> Iterator[Metric]:
        """Give everything, as it is read."""
        yield InfoMetricFamily("whygate_build", "What runs.", {"version": self._version})
        for counted in (
            self._requests, self._failures, self._retries, self._retry_wait, self._queue_wait, self._cache,
            self._upstream, self._overhead, self._first_token, self._tokens, self._saved,
        ):  # fmt: skip
            yield counted.family()
        yield GaugeMetricFamily("whygate_inflight_requests", "Calls under way.", now.inflight)
        yield GaugeMetricFamily("whygate_queue_depth", "Calls that wait for a limit.", now.queue_depth)
        yield self._left(now.remaining)
        yield _by("whygate_degraded", "Parts that do not work as they should: 1.", "part", now.degraded)
        yield _by("whygate_upstream_connections", "Connections to upstreams.", "state", now.pool)
        yield _total("whygate_record_written_total", "Rows in the log.", now.record.get("written", 0))
        yield _total("whygate_record_dropped_total", "Rows that were lost.", now.record.get("dropped", 0))
        queued = now.record.get("queued", 0)
        yield GaugeMetricFamily("whygate_record_queued_rows", "Rows that wait to be written.", queued)
        yield _total("whygate_observe_dropped_total", "Finished calls that no figure here counts.", now.lost)

    def _take_call(self, ended: Ended, provider: str, model: str) -> None:
        spans = spans_of(ended)
        attempts = [attempt for attempt in ended.attempts if not attempt.fallback]
        if spans.overhead is not None:
            self._overhead.add(spans.overhead)
        if attempts or ended.queued_seconds:
            self._queue_wait.add(ended.queued_seconds, (provider,))
        for attempt in attempts:
            self._upstream.add(seconds_of(attempt), (provider, model))
        if ended.stream and attempts and spans.first_byte is not None and not ended.fallback:
            self._first_token.add(spans.first_byte, (provider, model))
        if len(attempts) > 1:
            self._take_retries(ended, attempts)
        word = _CACHE_WORDS.get(ended.cache) or ("miss" if ended.could_be_cached else "")
        if word:
            self._cache.add((word,))

    def _take_retries(self, ended: Ended, attempts: list[Attempt]) -> None:
        for number, (before, attempt) in enumerate(pairwise(attempts), 2):
            outcome = "failed"
            if number == len(attempts) and attempt.cause is None:
                outcome = "abandoned" if ended.client_left else "succeeded" if ended.cause is None else "failed"
            self._retries.add((before.cause.value if before.cause is not None else "unknown", outcome))
            self._retry_wait.add(attempt.waited_seconds)

    def _take_tokens(self, ended: Ended, provider: str, model: str, tenant: str) -> None:
        if ended.usage is None or ended.fallback:
            return
        for kind, count in zip(("input", "output"), ended.usage, strict=True):
            if not count:
                continue
            if ended.cache in NOT_BOUGHT:
                self._saved.add((kind,), count)
            else:
                self._tokens.add((kind, provider, model, tenant), count)

    def _left(self, remaining: Iterable[Remaining]) -> Metric:
        least: dict[Labels, float] = {}
        for one in remaining:
            labels: Labels = (self._provider(one.provider), self._models.of(one.model), one.kind)
            least[labels] = min(least.get(labels, one.level), one.level)
        names = ("provider", "model", "kind")
        family = GaugeMetricFamily("whygate_ratelimit_remaining", "What is left of a provider's limit.", labels=names)
        for labels, level in least.items():
            family.add_metric(labels, level)
        return family

    def _provider(self, name: str) -> str:
        return NONE if not name else name if name in self._providers else OTHER


class _Read(Collector):
    def __init__(self, metrics: Metrics, now: Now) -> None:
        self._metrics, self._now = metrics, now

    def collect(self) -> Iterator[Metric]:
        return self._metrics.families(self._now)


def exposition(metrics: Metrics, now: Now, accept: str) -> tuple[bytes, str]:
    """Give the text and its media type: Prometheus's own, or OpenMetrics for who asks for that."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Read(metrics, now))
    ProcessCollector(registry=registry)
    encode, media_type = choose_encoder(accept)
    return encode(registry), media_type


def _by(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=(label,))
    for value, number in values.items():
        family.add_metric((value,), float(number))
    return family


def _total(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(name, text, value)
