"""What happened lately, counted as rows are made: failures by cause over time, and how hosts and apps fare.

Counting beats asking the log: a look at the last day would read a million rows. What is older than this process comes
from the log once, by minute and cause alone. Written by one thread; readers copy a place in one step.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any, NamedTuple

from gateway.model.cause import Fault
from gateway.model.flow import FlowRow
from gateway.model.tenant import DEFAULT
from gateway.record.row import utc_text

MINUTES_KEPT = 24 * 60
NAMES_MAX = 100
TENANTS_MAX = 500
LATELY_SECONDS = 900
SAMPLES = 200
_TO_THE_MINUTE = len("2026-11-22T16:12")
_MEANS_TROUBLE = frozenset({Fault.NETWORK.value, Fault.EDGE.value, Fault.PROVIDER.value})
"""A call that failed by its app's own fault tells nothing of the host."""
_DOWN_AFTER = 3


class MinuteCount(NamedTuple):
    """Rows of one minute with one cause; ``minute`` is the start of an ISO 8601 time, ``cause`` empty for success."""

    minute: str
    cause: str
    rows: int


class _Sample(NamedTuple):
    at: str
    cause: str | None
    fault: str | None
    ttft_ms: float | None


@dataclass(slots=True)
class _Use:
    samples: deque[_Sample] = field(default_factory=lambda: deque(maxlen=SAMPLES))
    told: dict[str, Any] = field(default_factory=dict)


class Tally:
    """Counts of the last day by minute, and the last calls of each host and app."""

    def __init__(self) -> None:
        self._minutes: dict[str, Counter[str]] = {}
        self._hosts: dict[str, _Use] = {}
        self._apps: dict[str, _Use] = {}

    def load(self, counts: Iterable[MinuteCount]) -> None:
        """Take in what the log tells of the time before."""
        for minute, cause, rows in counts:
            self._minute(minute)[cause] += rows
        self._bound()

    def add(self, row: FlowRow) -> None:
        """Count a finished call; a tunnel to somewhere else is none."""
        if row.kind == "tunnel":
            return
        self._minute(row.started_at[:_TO_THE_MINUTE])[row.cause or ""] += 1
        self._bound()
        sample = _Sample(row.started_at, row.cause, row.fault, row.ttft_ms)
        host = row.upstream or row.host
        if row.attempts and host and not row.fallback:  # answered from the cache, it tells nothing of the host
            _of(self._hosts, host, {"provider": row.provider}).samples.append(sample)
        name = row.app or row.client.rpartition(":")[0]
        if name:
            _of(self._apps, name, {"client": row.client, "agent": _agent(row), "tenant": row.tenant}).samples.append(
                sample
            )

    def view(self, now: float, *, minutes: int, bucket_minutes: int) -> dict[str, Any]:
        """Give what ``/api/overview`` answers.

        Args:
            now: Seconds since the epoch, UTC.
            minutes: How far back, `MINUTES_KEPT` at most.
            bucket_minutes: How many minutes are put together; divides 60.

        Returns:
            ``bucket_seconds``; ``buckets``: ``{at, calls, causes: {slug: calls}}`` from the oldest on, empty ones
            included; ``hosts`` and ``apps`` of the last quarter of an hour, the busiest first.
        """
        end = datetime.fromtimestamp(now, UTC).replace(second=0, microsecond=0)
        end -= timedelta(minutes=end.minute % bucket_minutes)
        first = end - timedelta(minutes=(minutes // bucket_minutes - 1) * bucket_minutes)
        known = dict(self._minutes)
        starts = [first + timedelta(minutes=at) for at in range(0, minutes, bucket_minutes)]
        since = utc_text(now - LATELY_SECONDS)
        return {
            "bucket_seconds": bucket_minutes * 60,
            "buckets": [_bucket(start, bucket_minutes, known) for start in starts],
            "hosts": _shown(self._hosts, since, "host", _host),
            "apps": _shown(self._apps, since, "app", _app),
        }

    def _minute(self, minute: str) -> Counter[str]:
        found = self._minutes.get(minute)
        if found is None:
            found = self._minutes[minute] = Counter()
        return found

    def _bound(self) -> None:
        while len(self._minutes) > MINUTES_KEPT + 60:
            del self._minutes[min(self._minutes)]


class Tallies:
    """Counts of everybody, and of each tenant by itself since the start."""

    def __init__(self) -> None:
        self._all = Tally()
        self._own: dict[str, Tally] = {}

    def load(self, counts: Iterable[MinuteCount]) -> None:
        """See `Tally.load`; the log's counts know no tenants."""
        self._all.load(counts)

    def add(self, row: FlowRow) -> None:
        """See `Tally.add`."""
        self._all.add(row)
        if row.tenant not in {"", DEFAULT}:
            tally = self._own.get(row.tenant)
            if tally is None and len(self._own) < TENANTS_MAX:
                tally = self._own[row.tenant] = Tally()
            if tally is not None:
                tally.add(row)

    def view(self, now: float, *, minutes: int, bucket_minutes: int, tenant: str | None = None) -> dict[str, Any]:
        """See `Tally.view`. ``tenant`` alone, None for everybody."""
        tally = self._all if tenant is None else self._own.get(tenant) or Tally()
        return tally.view(now, minutes=minutes, bucket_minutes=bucket_minutes)


def _of(uses: dict[str, _Use], name: str, told: dict[str, Any]) -> _Use:
    use = uses[name] = uses.pop(name) if name in uses else _Use()  # in the order of use
    if len(uses) > NAMES_MAX:
        del uses[next(iter(uses))]
    use.told = told
    return use


def _bucket(start: datetime, minutes: int, known: dict[str, Counter[str]]) -> dict[str, Any]:
    causes: Counter[str] = Counter()
    for at in range(minutes):
        found = known.get((start + timedelta(minutes=at)).strftime("%Y-%m-%dT%H:%M"))
        if found:
            causes.update(dict(found))
    calls = causes.total()
    causes.pop("", None)
    return {"at": utc_text(start.timestamp()), "calls": calls, "causes": dict(causes.most_common())}


def _shown(
    uses: dict[str, _Use], since: str, called: str, more: Callable[[list[_Sample]], dict[str, Any]]
) -> list[dict[str, Any]]:
    found = []
    for name, use in dict(uses).items():
        samples = [sample for sample in tuple(use.samples) if sample.at >= since]
        if samples:
            counted = {"calls": len(samples), "failed": sum(sample.cause is not None for sample in samples)}
            found.append({called: name, **use.told, **counted, "last_at": samples[-1].at, **more(samples)})
    return sorted(found, key=lambda one: -one["calls"])


def _host(samples: list[_Sample]) -> dict[str, Any]:
    """Say how a host fares: ``down`` when its last calls failed, and not by their apps' fault."""
    ill = [sample.fault in _MEANS_TROUBLE for sample in samples]
    waits = [sample.ttft_ms for sample in samples if sample.ttft_ms is not None and sample.cause is None]
    lately = ill[-_DOWN_AFTER:]
    is_down = all(lately) and len(lately) == _DOWN_AFTER
    return {
        "state": "down" if is_down else "trouble" if any(ill) else "ok",
        "last_cause": next((sample.cause for sample in reversed(samples) if sample.fault in _MEANS_TROUBLE), None),
        "last_good_at": next((sample.at for sample in reversed(samples) if sample.cause is None), None),
        "ttft_p50_ms": round(median(waits), 1) if waits else None,
    }


def _app(samples: list[_Sample]) -> dict[str, Any]:
    return {"last_cause": next((sample.cause for sample in reversed(samples) if sample.cause), None)}


def _agent(row: FlowRow) -> str:
    told = next((value for name, value in row.request_headers if name == "user-agent"), "")
    return told.partition(" ")[0][:60]
