"""The allowance of a day is used up."""

from gateway.diagnose.rule import Rule, first, named, only, said, shown
from gateway.model.cause import Cause

_LONG_SECONDS = 7200.0
"""No allowance by the minute makes anybody wait that long."""

RULE = Rule(
    cause=Cause.RATE_LIMIT_DAILY,
    match=only(
        lambda seen: seen.status in {429, 200, 400, 403, 0, 413},
        first(
            named(
                "free_models_per_day|daily_limit_exceeded|rate_limit_daily|requests_per_day|tokens_per_day|"
                "quota_exceeded_daily|1304"
            ),
            only(
                lambda seen: seen.status == 429 and (seen.wait_seconds or 0.0) >= _LONG_SECONDS,
                shown(lambda _seen: True, "it says to wait for hours"),
            ),
            said("per day|rpd|tpd|daily|per 24 hours|24 hours|day limit|86400 seconds|每天|每日|当日|今日|当天"),
        ),
    ),
    outranks=(
        "rate_limit.requests",
        "rate_limit.tokens",
        "rate_limit.unknown",
        "quota.exhausted",
        "quota.plan_window",
        "account.plan_required",
    ),
)
