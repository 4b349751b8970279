"""A cap that somebody set on spending was reached: of the organisation, the project, the key or the month."""

from gateway.diagnose.rule import Rule, first, named, only, said, unless
from gateway.model.cause import Cause

RULE = Rule(
    cause=Cause.QUOTA_SPEND_LIMIT,
    match=only(
        lambda seen: seen.status // 100 == 4 or seen.status == 0,
        first(
            named(
                "organization_spend_limit_exceeded|project_spend_limit_exceeded|"
                "organization_usage_limit_exceeded|billing_hard_limit_reached|enforced_spend_limit_reached|"
                "budget_exceeded|spend_limit_reached|monthly_limit_exceeded|key_limit_exceeded|spending_limit|"
                "setlimitexceeded|personal-team-blocked:spending-limit"
            ),
            unless(
                said("included credits|free credits|purchase|buy"),
                said(
                    "spend|spending|budget|hard limit|monthly|usage limits|monthly usage|key limit|max budget|"
                    "credit limit|inference limit|消费限额|预算",
                    "limit|cap|reached|exceeded|exceed|higher monthly limit|crossed|over budget|regain access|达到|超",
                ),
            ),
            said("settings/keys", "limit|afford|monthly"),
        ),
    ),
    outranks=(
        "rate_limit.",
        "quota.exhausted",
        "request.invalid_parameter",
        "auth.permission",
        "account.billing_inactive",
        "auth.invalid_key",
    ),
)
