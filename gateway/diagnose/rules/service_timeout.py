"""The provider, or the relay before it, gave up waiting for its own back end."""

from gateway.diagnose.author import Kind
from gateway.diagnose.rule import WROTE_ANSWERS, Rule, first, named, only, said, status, unless
from gateway.model.cause import Cause

RULE = Rule(
    cause=Cause.SERVICE_TIMEOUT,
    match=first(
        only(
            lambda seen: seen.status >= 400 or seen.status in {0, 200},
            unless(
                said("upstream connect error|image|url|download|downloading|fetch the", "timeout|timed out|reset"),
                first(
                    named(
                        "timeout_error|deadline_exceeded|timeout|request_timeout|gateway_timeout|requesttimeout|"
                        "modeltimeoutexception|upstream_timeout|function_invocation_timeout|inferencetimeout|"
                        "requesttimeout.algo"
                    ),
                    said(
                        "timed out|timeout|time out|deadline exceeded|deadline expired|took too long|"
                        "gateway time-out|gateway timeout|did not respond in time|timely response|超时"
                    ),
                ),
            ),
        ),
        status(408, 504),
    ),
    authors=WROTE_ANSWERS | {Kind.EDGE},
    outranks=("service.server_error", "service.unavailable", "service.stream_error", "request.invalid_parameter"),
)
