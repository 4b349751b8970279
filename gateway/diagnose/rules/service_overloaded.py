"""The provider, or this model of it, has more to do than it can, whatever the status."""

from gateway.diagnose.rule import Rule, first, in_status, named, only, said, status, unless
from gateway.model.cause import Cause

RULE = Rule(
    cause=Cause.SERVICE_OVERLOADED,
    match=first(
        only(
            lambda seen: seen.status >= 400 or seen.status in {0, 200},
            unless(
                said("\u8d1f\u8f7d\u5df2\u9971\u548c|your account|your organization|requests per|tokens per"),
                first(
                    only(
                        lambda seen: "aiplatform" in seen.evidence.host and seen.declared.type == "RESOURCE_EXHAUSTED",
                        said("resource exhausted|resource has been exhausted", "try again"),
                    ),
                    said("\u8bbf\u95ee\u91cf\u8fc7\u5927"),
                    named(
                        "server_is_overloaded",
                        "overloaded_error",
                        "engine_overloaded_error",
                        "nocapacity",
                        "no_capacity",
                        "model_overloaded",
                        "capacity_exceeded",
                        "modeloverloaded",
                        "server_busy",
                        "serveroverloaded",
                        "serviceunavailable.overloaded",
                        "overloaded",
                        "serveroverloadedexception",
                        "capacity",
                    ),
                    said(
                        "overload|over capacity|at capacity|out of capacity|high demand|high traffic|high load|heavy load|too busy|is busy|are busy|server busy|servers are busy|currently loading|no capacity|insufficient capacity|capacity exceeded|lack of capacity|not enough capacity|capacity constraints|capacity limit|queue is full|excessive load|\u7e41\u5fd9|\u8d1f\u8f7d\u8fc7\u9ad8|\u8fc7\u8f7d|\u62e5\u6324|\u8fc7\u8d1f\u8377|\u8d1f\u8f7d\u8f83\u9ad8"
                    ),
                    said("capacity", "exceeded|insufficient|unavailable|not available|limited"),
                    only(in_status(503, 529), said("try again later", "model")),
                ),
            ),
        ),
        status(529),
    ),
    outranks=(
        "rate_limit.",
        "service.server_error",
        "service.unavailable",
        "request.invalid_parameter",
        "service.stream_error",
        "request.model_not_found",
        "quota.exhausted",
    ),
)
