"""What the gate has learned and counted, as a document that outlives the process.

A restart brings no second burst, and nothing has to be found out twice. Pure; ages are seconds before the moment of
writing, so that no clock matters here.
"""

import math
from contextlib import suppress
from typing import Any

from gateway.limit.bucket import Bucket
from gateway.limit.gate import Gate
from gateway.limit.learn import Learned, Shape
from gateway.limit.refusal import PASSED_ON_SECONDS
from gateway.limit.rule import Held
from gateway.limit.scope import Scope, ScopeKey
from gateway.limit.window import Window
from gateway.model.secret import scrub

VERSION = 1
KEPT_MAX = 200
"""Scopes: the latest used."""

_KEPT_SECONDS = 86_400.0
DAMAGE = (KeyError, TypeError, ValueError, AttributeError, ArithmeticError)


def document_of(gate: Gate) -> dict[str, Any]:
    """Give what is to be kept, as JSON-ready values."""
    now = gate.clock.now()
    scopes = [scope for scope in reversed(gate.scopes.values()) if now - scope.used_at < _KEPT_SECONDS]
    scopes = [scope for scope in scopes if scrub(scope.key.model) == scope.key.model]  # a key in a model's place
    return {
        "version": VERSION,
        "accounts": [[*name, account] for name, account in list(gate.accounts.items())[-KEPT_MAX:]],
        "scopes": [_scope(scope, now) for scope in scopes[:KEPT_MAX]],
    }


def restore(gate: Gate, document: object, elapsed_seconds: float) -> None:
    """Begin with what was kept. What is not understood is left out: it will be learned again.

    Args:
        elapsed_seconds: Since the document was written.
    """
    if not isinstance(document, dict) or document.get("version") != VERSION:
        return
    elapsed = max(0.0, elapsed_seconds)
    for entry in as_list(document.get("accounts")):
        if isinstance(entry, list) and len(entry) == 4 and all(isinstance(part, str) for part in entry):
            gate.accounts[entry[0], entry[1], entry[2]] = entry[3]
    for entry in reversed(as_list(document.get("scopes"))):  # the latest used comes last, as it was
        try:
            _restore_scope(gate, entry, elapsed)
        except DAMAGE:
            continue


def _scope(scope: Scope, now: float) -> dict[str, Any]:
    return {
        "provider": scope.key.provider,
        "account": scope.key.account,
        "account_kind": "organisation" if scope.is_organisation else "key",
        "model": scope.key.model,
        "started": scope.starting.over,
        "paused_seconds": max(0.0, scope.paused_until - now) if math.isfinite(scope.paused_until) else 0.0,
        "limits": [
            learned_document(learned, now)
            for learned in scope.learned.values()
            if learned.shape and not learned.faded(now)
        ],
        "configured": [_held(held, now) for held in scope.configured],
    }


def learned_document(learned: Learned, now: float) -> dict[str, Any]:
    """Give what is known of one limit, as JSON-ready values."""
    assert learned.meter is not None
    assert learned.shape is not None
    return {
        "kind": learned.kind,
        "limit": learned.meter.limit,
        "window_seconds": learned.shape.seconds,
        "stepwise": learned.shape.stepwise,
        "burst": learned.meter.capacity if isinstance(learned.meter, Bucket) else None,
        "capacity": learned.capacity,
        "source": learned.source,
        "said_seconds_ago": now - learned.said_at,
        "left": max(0.0, learned.meter.level(now)),
    }


def _held(held: Held, now: float) -> dict[str, Any]:
    kept: dict[str, Any] = {"kind": held.kind, "window_seconds": held.seconds, "burst": held.burst}
    if isinstance(held.meter, Window):
        return kept | {"spent": held.meter.spent(now)}
    return kept | {"missing": held.meter.capacity - held.meter.level(now)} if isinstance(held.meter, Bucket) else kept


def _restore_scope(gate: Gate, entry: dict[str, Any], elapsed: float) -> None:
    now = gate.clock.now()
    key = ScopeKey(str(entry["provider"]), str(entry["account"]), str(entry["model"]))
    scope = gate.scope_at(key)
    scope.is_organisation = entry.get("account_kind") == "organisation"
    scope.starting.over = scope.starting.over or entry.get("started") is True
    for said in as_list(entry.get("limits")):
        with suppress(*DAMAGE):
            restore_learned(scope, said, elapsed, now)
    for held, kept in zip(scope.configured, as_list(entry.get("configured")), strict=False):
        with suppress(*DAMAGE):
            _restore_configured(held, kept, elapsed, now)
    paused = min(PASSED_ON_SECONDS, as_number(entry.get("paused_seconds", 0.0))) - elapsed
    if paused > 0:
        scope.paused_until, scope.pause_reason = now + paused, "the provider asked to wait"


def _restore_configured(held: Held, kept: dict[str, Any], elapsed: float, now: float) -> None:
    if (held.kind, held.seconds, held.burst) != (kept["kind"], kept["window_seconds"], kept["burst"]):
        return  # another limit is configured now
    if isinstance(held.meter, Window):
        for age, amount in as_list(kept.get("spent")):
            held.meter.restore(as_number(age) + elapsed, as_number(amount), now)
    elif isinstance(held.meter, Bucket):
        missing = min(held.meter.capacity, as_number(kept.get("missing", 0.0))) - elapsed * held.meter.rate
        held.meter.drain(now, held.meter.capacity - max(0.0, missing), now)


def restore_learned(scope: Scope, said: dict[str, Any], elapsed: float, now: float) -> None:
    """Begin with what is known of one limit. Raises one of `DAMAGE` when it is not understood."""
    learned = Learned(str(said["kind"]), now - as_number(said["said_seconds_ago"]) - elapsed)
    learned.source = "headers" if said.get("source") == "headers" else "refusal"
    if learned.faded(now):
        return
    limit, seconds = as_number(said["limit"]), as_number(said["window_seconds"])
    shape = Shape(stepwise=said.get("stepwise") is True, seconds=seconds)
    left = as_number(said["left"]) + (elapsed * limit / seconds if not shape.stepwise or elapsed >= seconds else 0.0)
    learned.restore(shape, limit, as_number(said.get("capacity", 0.0)), max(0.0, min(left, limit)), now)
    scope.learned[learned.kind] = learned


def as_list(value: object) -> list[Any]:
    """Give a list; an empty one for anything else."""
    return value if isinstance(value, list) else []


def as_number(value: object) -> float:
    """Give a finite number that is not negative. Raises ValueError for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise ValueError(value)
    return float(value)
