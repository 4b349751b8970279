"""The same request comes again and again: the retries of an SDK, a framework, a loop and ours multiply."""

from gateway.diagnose.observation import Observation
from gateway.diagnose.rule import Basis, Layer, Rule, shown
from gateway.model.cause import Cause

_OFTEN = 8
"""An SDK alone makes three attempts; a framework around it nine."""

_RESTARTS = 2

_SENT_OFTEN, _ROUNDS = 18, 6
"""Where no SDK repeats, since it is told that we do: so often in a minute nobody starts a program by hand."""


def _multiplies(seen: Observation) -> bool:
    before, evidence = seen.evidence.history, seen.evidence
    if seen.status != 429 and seen.status < 500 and evidence.failure is None:
        return False
    of_sdk = before.same_body >= _OFTEN and before.restarts >= _RESTARTS
    with_ours = before.same_sent + evidence.attempts >= _SENT_OFTEN and before.rounds >= _ROUNDS
    return of_sdk or (with_ours and evidence.attempts > 1)


RULE = Rule(
    cause=Cause.CLIENT_RETRY_STORM,
    match=shown(_multiplies, "the very same request came many times within a minute", Basis.SHOWN),
    layer=Layer.CLIENT,
    authors=None,
    outranks=(
        "rate_limit.unknown", "rate_limit.requests", "service.overloaded", "service.server_error",
        "service.unavailable", "service.timeout",
    ),
)  # fmt: skip
