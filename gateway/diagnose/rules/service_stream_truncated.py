"""A stream ended in good order, but without the event that ends an answer."""

from gateway.diagnose.observation import Observation
from gateway.diagnose.rule import Basis, Layer, Rule, failed, first, heard, only, shown
from gateway.model.cause import Cause
from gateway.model.failure import NetCode


def _stream(seen: Observation) -> bool:
    return seen.headers.get("content-type", "").startswith("text/event-stream")


RULE = Rule(
    cause=Cause.SERVICE_STREAM_TRUNCATED,
    match=first(
        shown(
            lambda seen: seen.evidence.stream_truncated,
            "the stream ended cleanly, but without the event that ends an answer of this protocol",
            Basis.NAMED,
        ),
        failed(NetCode.STREAM_TRUNCATED),
        only(lambda seen: seen.evidence.failure is not None and not _stream(seen), failed(NetCode.TRUNCATED)),
        heard(
            "stream",
            "closed before response|ended without|closed before|without finish reason|without a finish|"
            "without response completed|without message stop|without completion|without sending|terminated early|"
            "empty stream|no final",
        ),
    ),
    layer=Layer.NETWORK,
    authors=None,
    outranks=("network.connection_reset",),
)
