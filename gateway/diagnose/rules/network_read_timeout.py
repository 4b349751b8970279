"""Connected and asked, and then silence."""

from gateway.diagnose.rule import Layer, Rule, failed, first, heard, only, shown
from gateway.model.cause import Cause
from gateway.model.failure import NetCode, Phase

RULE = Rule(
    cause=Cause.NETWORK_READ_TIMEOUT,
    match=first(
        only(
            lambda seen: seen.evidence.failure is not None and seen.evidence.failure.phase is not Phase.BODY,
            failed(NetCode.READ_TIMEOUT),
        ),
        heard(
            "read timed out|read timeout|readtimeout|read operation timed out|headers timeout|"
            "und err headers timeout|body timeout|und err body timeout|timed out reading|"
            "timeout awaiting response headers|response timeout|awaiting headers|timeout exceeded while reading|"
            "operation timed out after|sock read|socket timeout|sockettimeoutexception|no response from|"
            "no response received|waiting for response|read etimedout|timed out waiting for"
        ),
        heard("read tcp|read udp", "timeout"),
        shown(
            lambda seen: (
                seen.words.has(
                    "request timed out",
                    "client timeout",
                    "timeout of",
                    "api timeout",
                    "apitimeout",
                    "request timeout",
                    "the operation was aborted due to timeout",
                    "operation has timed out",
                    "deadline exceeded",
                    "timeout was reached",
                    "httpclient timeout",
                    "timed out after",
                    "operation timed out",
                    "client timeout exceeded",
                    "the request timed out",
                    "the operation timed out",
                )
                and not seen.words.has("connect timeout", "failed to connect")
            ),
            "it timed out, and does not say in which phase",
        ),
        only(lambda seen: seen.evidence.stage == "http" and not seen.answered, heard("timed out|timeout")),
    ),
    layer=Layer.NETWORK,
    authors=None,
)
