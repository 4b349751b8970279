"""Too many calls at the same time."""

from gateway.diagnose.rule import Rule, first, named, only, said
from gateway.model.cause import Cause

RULE = Rule(
    cause=Cause.RATE_LIMIT_CONCURRENCY,
    match=only(
        lambda seen: seen.status in {429, 503, 403, 200, 0, 400},
        first(
            named(
                "concurrency|concurrency_limit|concurrency_limit_exceeded|too_many_concurrent_requests|"
                "concurrent_limit|1302|max_parallel_request_limiter|concurrentrequestlimit"
            ),
            said("one message at a time|one request at a time|only one request|other responses to complete"),
            said(
                "concurren|parallel requests|parallel calls|simultaneous|at the same time|in flight|max parallel|"
                "并发|同时",
                "limit|exceed|exceeds|too many|max|reached|maximum|many|过|超|上限|限",
            ),
        ),
    ),
    outranks=("rate_limit.", "quota.exhausted"),
)
