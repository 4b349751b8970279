"""The same request comes again and again: the retries of an SDK, a framework and a loop multiply."""

from gateway.diagnose.rule import Basis, Layer, Rule, shown
from gateway.model.cause import Cause

_OFTEN = 8
"""An SDK alone makes three attempts; a framework around it nine."""

_RESTARTS = 2

RULE = Rule(
    cause=Cause.CLIENT_RETRY_STORM,
    match=shown(
        lambda seen: (
            seen.evidence.history.same_body >= _OFTEN
            and seen.evidence.history.restarts >= _RESTARTS
            and (seen.status == 429 or seen.status >= 500 or seen.evidence.failure is not None)
        ),
        "the very same request came many times within a minute",
        Basis.SHOWN,
    ),
    layer=Layer.CLIENT,
    authors=None,
    outranks=("rate_limit.unknown", "rate_limit.requests", "service.overloaded", "service.server_error"),
)
