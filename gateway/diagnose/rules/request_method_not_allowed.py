"""The method is not one that the path takes; often a redirect turned POST into GET."""

from gateway.diagnose.rule import Rule, first, in_status, named, only, said, status
from gateway.model.cause import Cause

RULE = Rule(
    cause=Cause.REQUEST_METHOD_NOT_ALLOWED,
    match=first(
        only(
            in_status(4, 500, 501),
            first(
                named(
                    "method_not_allowed|methodnotallowed|method_not_supported|invalid_method|http_method_not_allowed"
                ),
                said(
                    "method|方法",
                    "not allowed|not supported|is not supported|must be post|invalid method|unsupported|use post|"
                    "不支持|不允许",
                ),
                said("only post|only accepts post|not allowed to get"),
            ),
        ),
        status(405),
    ),
    outranks=("request.invalid_url", "request.not_found", "request.invalid_parameter"),
    reads_pages=True,
)
