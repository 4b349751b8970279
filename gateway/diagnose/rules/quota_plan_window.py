"""A subscription's window of hours or days is used up and opens again at a stated time."""

from gateway.diagnose.rule import Basis, Rule, first, heard, named, only, said, shown
from gateway.model.cause import Cause


def _full(percent: str) -> bool:
    try:
        return float(percent) >= 100
    except ValueError:
        return False


RULE = Rule(
    cause=Cause.QUOTA_PLAN_WINDOW,
    match=first(
        heard("usage limit|session limit|weekly limit|5 hour limit", "reached|resets|hit"),
        only(
            lambda seen: seen.status in {429, 403, 400, 402, 200, 0},
            first(
                named(
                    "usage_limit_reached|usage_limit_exceeded|session_limit_reached|model_cap_exceeded|"
                    "weekly_limit_reached"
                ),
                shown(
                    lambda seen: seen.headers.get("anthropic-ratelimit-unified-status", "") == "rejected",
                    "the header anthropic-ratelimit-unified-status says rejected",
                    Basis.NAMED,
                ),
                shown(
                    lambda seen: _full(seen.headers.get("x-codex-primary-used-percent", "")) and seen.status == 429,
                    "the header x-codex-primary-used-percent says 100",
                    Basis.NAMED,
                ),
                said(
                    "usage limit|session limit|weekly limit|5 hour|five hour|hour limit|usage window|"
                    "weekly usage|fair use|周限额|每周|5小时|小时使用",
                    "reached|exceeded|hit|used|resets|reset|limit|达到|上限",
                ),
                said("would exceed your account's rate limit"),
            ),
        ),
    ),
    outranks=("rate_limit.", "quota.exhausted", "account.plan_required"),
)
