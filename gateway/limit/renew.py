"""Sets the configured limits anew while calls run and wait. What is counted under a limit that stays, stays.

A limit that changes in its amount alone goes on from what was counted under the old one, so that no reload is a second
burst. One that is new begins with an empty count.
"""

from collections.abc import Sequence

from gateway.limit.cost import Meter
from gateway.limit.gate import DOUBT, Gate
from gateway.limit.rule import Held, LimitRule, held_by
from gateway.limit.scope import Scope


def renew(gate: Gate, rules: Sequence[LimitRule], *, queue_max: int, queue_max_bytes: int, shadow: bool) -> None:
    """Have a gate go by other settings from the next grant on. Not to be interrupted: it waits for nothing."""
    gate.queue_max, gate.queue_max_bytes = queue_max, queue_max_bytes
    gate.shadow = shadow
    now, moved = gate.clock.now(), list[tuple[Meter, Meter]]()
    if tuple(rules) != gate.rules:
        gate.govern(rules)
        for scope in gate.scopes.values():
            moved += _renew(scope, gate.rules_of(scope.key), now)
        gate.heirs.pass_on(moved, anybody_holds=gate.reservations > 0)
    for scope in gate.scopes.values():
        if not scope.queue:
            continue
        if shadow:
            for waiter in scope.queue.clear():
                if not waiter.is_gone:
                    waiter.serve(scope.take(waiter.cost, now))
        else:
            _let_go_who_never_fits(scope)
        scope.pump()


def _renew(scope: Scope, rules: Sequence[LimitRule], now: float) -> list[tuple[Meter, Meter]]:
    """Give a scope the meters of other rules.

    Returns:
        Meters that went, each with the one that took over.
    """
    before, wanted = list(scope.configured), [held for rule in rules for held in held_by(rule, now)]
    found: dict[int, Held] = {}
    for is_like in (_is_same, _is_alike):  # what did not change goes first
        for place, held in enumerate(wanted):
            if place not in found and (old := next((one for one in before if is_like(one, held)), None)) is not None:
                before.remove(old)
                found[place] = old
    moved: list[tuple[Meter, Meter]] = []
    scope.configured = []
    for place, held in enumerate(wanted):
        old = found.get(place)
        if old is not None and not _is_same(old, held):
            held.meter.join(old.meter, now)
            moved.append((old.meter, held.meter))
        scope.configured.append(old if old is not None and _is_same(old, held) else held)
    scope.concurrency = min((rule.concurrency for rule in rules if rule.concurrency), default=None)
    scope.starting.over = scope.starting.over or any(rule.paces for rule in rules)
    if scope.turns is not None:
        scope.turns.renewed()
    return moved


def _is_same(old: Held, new: Held) -> bool:
    return _is_alike(old, new) and (old.limit, old.burst) == (new.limit, new.burst)


def _is_alike(old: Held, new: Held) -> bool:
    """Whether one can go on from the count of the other."""
    return (old.kind, old.seconds, type(old.meter)) == (new.kind, new.seconds, type(new.meter))


def _let_go_who_never_fits(scope: Scope) -> None:
    """Let out who is larger than a limit is now: it would hold up everybody behind it, and is refused."""
    for waiter in list(scope.queue):
        if scope.too_large(waiter.cost, DOUBT) is not None and not waiter.is_gone and scope.queue.remove(waiter):
            waiter.serve(None)
