"""An error stood inside an answer that had begun well, and says no more of its cause."""

from gateway.diagnose.rule import Rule, only, shown
from gateway.model.cause import Cause

RULE = Rule(
    cause=Cause.SERVICE_STREAM_ERROR,
    match=only(
        lambda seen: (
            bool(seen.evidence.stream_error)
            or (seen.enveloped and (seen.wire_status == 101 or (seen.wire_status == 200 and seen.streamed)))
        ),
        shown(lambda _seen: True, "an error stood inside an answer that had begun with status 200"),
    ),
    authors=None,
    general=2,
)
