"""What the gate knows, for people: limits, where they come from, what is left, who waits and who uses them. Pure."""

import math
from collections.abc import Callable
from typing import Any

from gateway.limit.bucket import Bucket
from gateway.limit.cost import CONCURRENCY, REQUESTS, Cost, Meter
from gateway.limit.gate import Gate
from gateway.limit.learn import Learned
from gateway.limit.scope import Scope
from gateway.model.secret import scrub

SHOWN_MAX = 200
"""Scopes in one view: the latest used."""

_FORGOTTEN_SECONDS = 3_600.0
_LATELY_SECONDS = 5.0
Names = Callable[[str], str | None]
"""``address:port`` of an app's connection -> what runs there, None when nobody knows."""


def view(gate: Gate, names: Names) -> dict[str, Any]:
    """Give what ``/api/limits`` answers; the latest used scope first."""
    now = gate.clock.now()
    scopes = [scope for scope in reversed(gate.scopes.values()) if _is_worth_a_line(scope, now)]
    return {
        "shadow": gate.shadow,
        "waiting": gate.waiting,
        "waiting_bytes": gate.waiting_bytes,
        "queue_max": gate.queue_max,
        "queue_max_bytes": gate.queue_max_bytes,
        "scopes": [_scope(scope, now, names) for scope in scopes[:SHOWN_MAX]],
    }


def levels(gate: Gate) -> list[tuple[str, str, str, float]]:
    """Give provider, model, kind and what is left of every limit; of several of a kind, of the one most used up."""
    now, found = gate.clock.now(), []
    for scope in [one for one in reversed(gate.scopes.values()) if _is_worth_a_line(one, now)][:SHOWN_MAX]:
        tightest: dict[str, dict[str, Any]] = {}
        for line in _limits(scope, now):
            if line["level_ratio"] <= tightest.get(line["kind"], line)["level_ratio"]:
                tightest[line["kind"]] = line
        model = scrub(scope.key.model)
        found += [(scope.key.provider, model, kind, line["level"]) for kind, line in tightest.items()]
    return found


def _is_worth_a_line(scope: Scope, now: float) -> bool:
    return bool(scope.queue or scope.in_flight or now - scope.used_at < _FORGOTTEN_SECONDS)


def _scope(scope: Scope, now: float, names: Names) -> dict[str, Any]:
    limits = list(_limits(scope, now))
    waiting = len(scope.queue)
    first = scope.queue.peek()
    ends = [] if first is None else [scope.expected(first.cost, now, Cost(0)), _last(scope, now)]
    demand = scope.users.demand(now)
    return {
        "provider": scope.key.provider,
        "account": scope.key.account,
        "account_kind": "organisation" if scope.is_organisation else "key",
        "model": scrub(scope.key.model),
        "state": _state(scope, now),
        "paused_ms": _ms(scope.paused_until - now) if scope.paused_until > now else None,
        "pause_reason": scope.pause_reason if scope.paused_until > now else None,
        "limits": limits,
        "in_flight": scope.in_flight,
        "queued": waiting,
        "next_eta_ms": _ms(ends[0]) if ends else None,
        "last_eta_ms": _ms(max(ends)) if ends else None,
        "demand_per_second": round(demand, 3),
        "next_429_seconds": _next_429(scope, demand, now),
        "users": _users(scope, names),
    }


def _state(scope: Scope, now: float) -> str:
    if scope.paused_until > now:
        return "paused"
    if scope.queue:
        return "waiting"
    return "open" if scope.starting.over or not scope.in_flight else "starting"


def _last(scope: Scope, now: float) -> float:
    """Say when the last of all will have gone."""
    requests, tokens_in, tokens_out = scope.queue.cost
    return scope.expected(Cost(0), now, Cost(requests, tokens_in, tokens_out))


def _limits(scope: Scope, now: float) -> list[dict[str, Any]]:
    found = [
        _limit(held.kind, held.meter, held.seconds, now, source="configured", burst=held.burst)
        for held in scope.configured
    ]
    found += [_learned(one, now) for one in scope.learned.values() if one.meter is not None and one.shape is not None]
    if scope.pace is not None:
        line = _limit(REQUESTS, scope.pace.meter, scope.pace.meter.seconds, now, source="observed")
        found.append(line | {"learned_seconds_ago": max(0.0, round(now - scope.pace.refused_at, 1))})
    most = scope.most_at_once(now)
    if most is not None:
        left = max(0, most - scope.in_flight)
        source = "configured" if most == scope.concurrency else "observed"
        found.append(_line(CONCURRENCY, most, None, source=source, level=left, ratio=left / most))
    return found


def _learned(learned: Learned, now: float) -> dict[str, Any]:
    assert learned.meter is not None
    assert learned.shape is not None
    meter = learned.meter
    burst = meter.capacity if isinstance(meter, Bucket) else None
    line = _limit(learned.kind, meter, learned.shape.seconds, now, source=learned.source, burst=burst)
    if now - learned.said_at > _LATELY_SECONDS:
        line["foreign_per_second"] = 0.0  # what others spend now, nobody has said
    return line | {
        "remembered": learned.remembered,
        "learned_seconds_ago": round(now - learned.said_at, 1),
        "enforced": learned.enforced,
    }


def _limit(
    kind: str, meter: Meter, seconds: float, now: float, *, source: str, burst: float | None = None
) -> dict[str, Any]:
    level, others = meter.level(now), 0.0
    most = meter.limit
    if isinstance(meter, Bucket):
        others, most = meter.others, meter.capacity
    refill = meter.limit / seconds if isinstance(meter, Bucket) else None
    line = _line(kind, meter.limit, seconds, burst=burst, source=source, level=level, ratio=level / most)
    return line | {"refill_per_second": refill, "foreign_per_second": round(others, 3)}


def _line(
    kind: str,
    limit: float,
    seconds: float | None,
    *,
    source: str,
    level: float,
    ratio: float,
    burst: float | None = None,
) -> dict[str, Any]:
    return {
        "kind": kind,
        "limit": limit if limit != int(limit) else int(limit),
        "window_seconds": seconds,
        "burst": burst,
        "source": source,
        "remembered": False,
        "learned_seconds_ago": None,
        "level": round(level, 2),
        "level_ratio": round(min(1.0, max(0.0, ratio)), 4),
        "refill_per_second": None,
        "foreign_per_second": 0.0,
        "enforced": True,
    }


def _next_429(scope: Scope, demand: float, now: float) -> float | None:
    """Say when the provider would refuse, were calls let through as they come; None when it would not."""
    soonest = math.inf
    for learned in scope.learned.values():
        meter = learned.meter
        if not isinstance(meter, Bucket) or not learned.enforced:
            continue
        each = 1.0 if learned.kind == REQUESTS else scope.users.tokens_each
        spent = demand * each + meter.others - meter.limit / meter.seconds
        if spent > 0:
            soonest = min(soonest, max(0.0, meter.level(now)) / spent)
    return round(soonest, 1) if soonest < _FORGOTTEN_SECONDS else None


def _users(scope: Scope, names: Names) -> list[dict[str, Any]]:
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    for user, use in reversed(scope.users.uses.items()):
        client = names(user.client) or user.client.rpartition(":")[0] or user.client
        known = found.setdefault(
            (user.tenant, user.key, client),
            {"tenant": user.tenant, "key": user.key, "client": client, "in_flight": 0, "queued": 0, "calls": 0},
        )
        known["in_flight"] += use.in_flight
        known["queued"] += use.queued
        known["calls"] += use.calls
    return list(found.values())


def _ms(seconds: float) -> int | None:
    return round(seconds * 1000) if math.isfinite(seconds) else None
