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
                    "server_error",
                    "api_error",
                    "internal_error",
                    "internal_server_error",
                    "internalservererror",
                    "internal",
                    "internalfailure",
                    "internalerror",
                    "systemerror",
                    "internalserverexception",
                    "internal.algo.systemerror",
                ),
                said(
                    "internal server error|internal error|unexpected error|server had an error|something went wrong|an error occurred while processing|unknown error|internal exception|unexpected condition|\u670d\u52a1\u5668\u5185\u90e8|\u5185\u90e8\u9519\u8bef|\u7cfb\u7edf\u9519\u8bef|\u7cfb\u7edf\u5f02\u5e38"
                ),
            ),
        ),
        status(500, 501, 505, 507, 599),
    ),
    general=1,
)
