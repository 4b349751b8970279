"""The answer had begun, and the connection was cut in the middle of it."""

from gateway.diagnose.rule import Layer, Rule, failed, first, heard, hinted, only, unless
from gateway.model.cause import Cause
from gateway.model.failure import NetCode, Phase

RULE = Rule(
    cause=Cause.NETWORK_STREAM_INTERRUPTED,
    match=unless(
        heard("closed before response|idle timeout"),
        first(
            hinted("curl 18 ", "curl error 18 ", "curl 92 ", "curl error 92 "),
            failed(NetCode.CONNECTION_RESET, phase=Phase.BODY),
            only(
                lambda seen: seen.headers.get("content-type", "").startswith("text/event-stream"),
                failed(NetCode.TRUNCATED, phase=Phase.BODY),
            ),
            heard(
                "incomplete chunked read|incomplete read|incompleteread|without sending complete message body|"
                "incomplete message body|response ended prematurely|content length mismatch|transfer closed with|"
                "outstanding read data|unexpected end of stream|content length header|payload is not completed|"
                "payload error|err incomplete chunked encoding|incomplete chunked|terminated|"
                "unexpected eof during chunk|error decoding response body|body stream|premature close|"
                "ended prematurely|bytes missing|bytes remaining to read|mid stream|midstream|"
                "stream disconnected before completion|stream was interrupted|error reading a body|"
                "unexpected eof reading|invalid chunk length|stream error in the http/2|not closed cleanly|"
                "internal_error received|rst_stream|err http2 protocol error|err quic|stream reset|"
                "response payload|premature end of|not enough bytes|connection closed mid"
            ),
        ),
    ),
    layer=Layer.NETWORK,
    authors=None,
    outranks=("network.connection_reset", "service.protocol_error", "service.stream_truncated"),
)
