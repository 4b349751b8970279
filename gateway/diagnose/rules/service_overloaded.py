"""The provider, or this model of it, has more to do than it can, whatever the status."""

from gateway.diagnose.rule import Rule, first, in_status, named, only, said, status, unless
from gateway.model.cause import Cause

RULE = Rule(
    cause=Cause.SERVICE_OVERLOADED,
    match=first(
        only(
            lambda seen: seen.status >= 400 or seen.status in {0, 200},
            unless(
                said("负载已饱和|your account|your organization|requests per|tokens per"),
                first(
                    only(
                        lambda seen: "aiplatform" in seen.evidence.host and seen.declared.type == "RESOURCE_EXHAUSTED",
                        said("resource exhausted|resource has been exhausted", "try again"),
                    ),
                    said("访问量过大"),
                    named(
                        "server_is_overloaded|overloaded_error|engine_overloaded_error|nocapacity|no_capacity|"
                        "model_overloaded|capacity_exceeded|modeloverloaded|server_busy|serveroverloaded|"
                        "serviceunavailable.overloaded|overloaded|serveroverloadedexception|capacity"
                    ),
                    said(
                        "overload|over capacity|at capacity|out of capacity|high demand|high traffic|high load|"
                        "heavy load|too busy|is busy|are busy|server busy|servers are busy|currently loading|"
                        "no capacity|insufficient capacity|capacity exceeded|lack of capacity|"
                        "not enough capacity|capacity constraints|capacity limit|queue is full|excessive load|"
                        "繁忙|负载过高|过载|拥挤|过负荷|负载较高"
                    ),
                    said("capacity", "exceeded|insufficient|unavailable|not available|limited"),
                    only(in_status(503, 529), said("try again later", "model")),
                ),
            ),
        ),
        status(529),
    ),
    outranks=(
        "rate_limit.unknown",
        "rate_limit.requests",
        "rate_limit.tokens",
        "service.server_error",
        "service.unavailable",
        "request.invalid_parameter",
        "service.stream_error",
        "request.model_not_found",
        "quota.exhausted",
    ),
)
