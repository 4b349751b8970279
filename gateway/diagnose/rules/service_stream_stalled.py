"""The answer had begun, and then nothing came any more."""

from gateway.diagnose.rule import Layer, Rule, failed, first, heard
from gateway.model.cause import Cause
from gateway.model.failure import NetCode, Phase

RULE = Rule(
    cause=Cause.SERVICE_STREAM_STALLED,
    match=first(
        failed(NetCode.READ_TIMEOUT, phase=Phase.BODY),
        heard("stream|chunk|event|sse", "stalled|idle timeout|no data|no chunk|no events|silent|inactivity|stuck|hang"),
    ),
    layer=Layer.NETWORK,
    authors=None,
    outranks=("network.read_timeout",),
)
