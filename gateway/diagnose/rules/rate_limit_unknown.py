"""A 429 that does not say of what there was too much."""

from gateway.diagnose.author import Kind
from gateway.diagnose.rule import Rule, first, named, only, said, status, unless
from gateway.model.cause import Cause

RULE = Rule(
    cause=Cause.RATE_LIMIT_UNKNOWN,
    match=first(
        only(
            lambda seen: seen.status in {429, 200, 400, 403, 0, 503},
            unless(
                said("overloaded|high demand"),
                first(
                    named(
                        "rate_limit_exceeded|rate_limit_error|rate_limited|too_many_requests|resource_exhausted|"
                        "throttlingexception|throttled|throttling|rate_limit_reached_error|ratelimitreached|"
                        "toomanyrequestsexception|1300|limit_requests|ratelimitexceeded|throttling.ratequota|"
                        "resource_quota_exceeded"
                    ),
                    said(
                        "rate limit|rate limited|rate limiting|too many requests|throttl|resource exhausted|"
                        "request limit|exhausted your capacity|quota will reset|请求过于频繁|请求过多|限流|"
                        "负载已饱和|频繁|速率限制"
                    ),
                ),
            ),
        ),
        only(lambda seen: not seen.by(Kind.EDGE), status(429)),
    ),
    general=1,
    reads_pages=True,
)
