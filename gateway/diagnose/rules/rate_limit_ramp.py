"""Within the limits, but rising too fast."""

from gateway.diagnose.rule import Rule, first, in_status, named, only, said
from gateway.model.cause import Cause

RULE = Rule(
    cause=Cause.RATE_LIMIT_RAMP,
    match=only(
        in_status(429, 503, 200, 0),
        first(
            named("slow_down|limitburst|limit_burst_rate|acceleration_limit|ramp_up"),
            said(
                "slow down|acceleration limit|ramp|too quickly|sharp increase|gradual|gradually|burst rate|"
                "increased too|增速|增长过快",
                "request|requests|rate|traffic|usage|increase|scale|limit|slow down|请求",
            ),
        ),
    ),
    outranks=(
        "service.overloaded",
        "service.unavailable",
        "rate_limit.unknown",
        "rate_limit.requests",
        "rate_limit.tokens",
    ),
)
