"""Too many calls for a second or a minute."""

from gateway.diagnose.observation import Observation
from gateway.diagnose.rule import Rule, first, named, only, said, shown
from gateway.model.cause import Cause


def _paced(seen: Observation) -> bool:
    return seen.status in {429, 413, 200, 403, 503, 0, 400} and not _tokens_alone(seen)


def _tokens_alone(seen: Observation) -> bool:
    """``Requests to the ... Operation ... have exceeded token rate limit`` speaks of calls, and means tokens."""
    return seen.message.has(
        "token rate limit", "tokens per min", "tokens per minute", "tpm", "request tokens", "input tokens per"
    )


RULE = Rule(
    cause=Cause.RATE_LIMIT_REQUESTS,
    match=only(
        _paced,
        first(
            named("requests|rpm_limit|rate_limit_requests|requests_per_minute|requestlimitexceeded|limitrequests"),
            said(
                "request|requests|call|calls|rpm|rps|qps|rpm:|请求",
                "per min|per minute|per second|minute|rpm|qps|rps|call rate limit|number of requests|"
                "requests/min|rate of|per 1m|requests in|每分钟|每秒|频率",
            ),
            said("call rate limit|rpm|requests rate limit|request rate limit|requests per|free models per min"),
            shown(lambda seen: seen.spent == "requests", "its headers say that no calls are left while tokens are"),
        ),
    ),
    outranks=("rate_limit.unknown", "quota.exhausted"),
)
