"""The provider's own status page says so at the same time."""

from gateway.diagnose.rule import Basis, Rule, shown
from gateway.model.cause import Cause

RULE = Rule(
    cause=Cause.SERVICE_INCIDENT,
    match=shown(
        lambda seen: (
            bool(seen.evidence.incident)
            and (seen.status >= 500 or (seen.evidence.failure is not None and seen.evidence.failure.sent))
        ),
        "an open incident on the provider's status page",
        Basis.NAMED,
    ),
    authors=None,
    outranks=(
        "service.",
        "edge.origin_error",
        "network.read_timeout",
        "network.connection_reset",
        "network.tcp_timeout",
    ),
)
