"""The provider failed inside and says no more."""

from gateway.diagnose.rule import Rule, first, named, only, said, status
from gateway.model.cause import Cause

RULE = Rule(
    cause=Cause.SERVICE_SERVER_ERROR,
    match=first(
        only(
            lambda seen: seen.status >= 500 or seen.wire_status in {0, 200},
            first(
                named(
                    "server_error|api_error|internal_error|internal_server_error|internalservererror|internal|"
                    "internalfailure|internalerror|systemerror|internalserverexception|internal.algo.systemerror"
                ),
                said(
                    "internal server error|internal error|unexpected error|server had an error|"
                    "something went wrong|an error occurred while processing|unknown error|internal exception|"
                    "unexpected condition|服务器内部|内部错误|系统错误|系统异常"
                ),
            ),
        ),
        status(500, 501, 505, 507, 599),
    ),
    general=1,
)
