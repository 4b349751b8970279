"""What came back breaks HTTP."""

from gateway.diagnose.rule import Layer, Rule, failed, first, heard
from gateway.model.cause import Cause
from gateway.model.failure import NetCode

RULE = Rule(
    cause=Cause.SERVICE_PROTOCOL_ERROR,
    match=first(
        failed(NetCode.PROTOCOL_ERROR),
        heard(
            "http protocol error|bad status line|badstatusline|invalid http|malformed http|illegal chunk|"
            "chunk size|hpe invalid|parse error expected http|invalid chunk|invalid header token|"
            "malformed response|illegal status line|invalid status line|invalid content length|http parse|"
            "illegal response|could not parse http|received http/0.9|http2 framing layer|weird server reply|"
            "net::err invalid http response|err invalid chunked encoding|bad http response|unexpected http"
        ),
    ),
    layer=Layer.NETWORK,
    authors=None,
    outranks=("network.connection_reset",),
)
