"""Bills are unpaid, or billing was never switched on."""

from gateway.diagnose.rule import Rule, first, named, only, said
from gateway.model.cause import Cause

RULE = Rule(
    cause=Cause.ACCOUNT_BILLING_INACTIVE,
    match=only(
        lambda seen: seen.status // 100 == 4 or seen.status == 0,
        first(
            named(
                "billing_not_active|billing_disabled|arrearage|accountoverdueerror|billing_error|payment_failed|"
                "account_overdue|overdue|billing_inactive|payment_past_due|accountoverdue"
            ),
            said(
                "billing|payment|invoice|subscription|card|bill|bills|账户|账号|费用",
                "not active|inactive|past due|overdue|unpaid|payment failed|failed payment|delinquent|in arrears|"
                "arrears|not enabled|must be enabled|to be enabled|enable billing|disabled|good standing|"
                "declined|payment method is|valid payment|outstanding|欠费|逾期",
            ),
            said(
                "overdue account|arrears|account is not active|account is inactive|account not active|"
                "account is past due|account is overdue|account is in arrears|account is delinquent|"
                "good standing|check your billing details on our website|requires billing|billing account|"
                "enable billing"
            ),
        ),
    ),
    outranks=(
        "auth.permission",
        "auth.invalid_key",
        "rate_limit.unknown",
        "account.deactivated",
        "request.invalid_parameter",
        "account.plan_required",
    ),
)
