"""What the app sent is not HTTP."""

from gateway.diagnose.rule import Rule, first, heard, in_status, only, said
from gateway.model.cause import Cause

RULE = Rule(
    cause=Cause.CLIENT_MALFORMED_REQUEST,
    match=first(
        only(
            in_status(400),
            said(
                "bad request|malformed|invalid http|plain http request was sent to https|http request was sent|"
                "request header or cookie too large|request line|invalid host header|header too large|bad header",
                "plain http request|malformed request|invalid http|could not understand|"
                "header or cookie too large|https port|request line|invalid request line|invalid host|"
                "header too large|sent a request that this server could not understand",
            ),
        ),
        heard("malformed request|invalid request line|not valid http"),
    ),
    authors=None,
    outranks=("request.invalid_parameter", "network.blocked_page", "network.captive_portal"),
)
