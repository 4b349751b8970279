"""The connection works, and takes far longer than it usually does here."""

from gateway.diagnose.observation import Observation
from gateway.diagnose.rule import Layer, Rule, first, heard, shown
from gateway.model.cause import Cause
from gateway.model.failure import Phase

_FACTOR = 8.0
_SECONDS_MIN = 1.5


def _slow(seen: Observation) -> float:
    """Give how long connecting took when that is far above what is usual here; 0 when it is not, or not known."""
    usual = seen.evidence.history.usual_connect_seconds
    last = seen.evidence.tried[-1] if seen.evidence.tried else None
    if usual <= 0 or last is None:
        return 0.0
    took = sum(mark.end_ms - mark.start_ms for mark in last.marks if mark.phase in {Phase.CONNECT, Phase.TLS}) / 1000
    return took if took > _SECONDS_MIN and took > _FACTOR * usual else 0.0


RULE = Rule(
    cause=Cause.NETWORK_DEGRADED,
    match=first(
        shown(lambda seen: _slow(seen) > 0, "connecting took far longer than it usually does"),
        heard("packet loss|packets transmitted"),
    ),
    layer=Layer.NETWORK,
    authors=None,
    general=1,
)
