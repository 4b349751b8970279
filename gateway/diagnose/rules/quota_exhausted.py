"""The prepaid credit is gone, or never was: words of money, not of time."""

from gateway.diagnose.rule import Rule, first, named, only, said, status, unless
from gateway.model.cause import Cause

RULE = Rule(
    cause=Cause.QUOTA_EXHAUSTED,
    match=first(
        only(
            lambda seen: seen.status // 100 == 4 or seen.status in {0, 200, 500, 503},
            unless(
                said("per min|per minute|per second|concurrency|requests per|tokens per"),
                first(
                    named(
                        "insufficient_quota|credit_balance_exhausted|insufficient_balance|"
                        "exceeded_current_quota_error|insufficient_g1_credits_balance|insufficient_user_quota|"
                        "insufficientbalance|quota_exhausted|out_of_credits|insufficient_credits|"
                        "insufficient_funds|allocationquota.freetieronly|pre_consume_token_quota_failed|"
                        "payment_required|billing_quota_exceeded"
                    ),
                    said(
                        "credit|credits|balance|fund|funds|wallet|prepaid|prepayment|余额|额度|资源包|点数|积分",
                        "insufficient|not enough|too low|exhausted|depleted|used up|run out|ran out|out of|"
                        "no remaining|zero|negative|can only afford|requires more|need more|no credits|has no|"
                        "do not have|does not have any|low balance|add credits|top up|purchase|recharge|exceeded|"
                        "不足|用尽|耗尽|用完|已用|欠",
                    ),
                    only(
                        lambda seen: seen.declared.type != "RESOURCE_EXHAUSTED",
                        said("exceeded your current quota|current quota", "billing|plan|exceed"),
                    ),
                    said(
                        "quota|配额",
                        "out of|insufficient|used up|exhausted|not enough|has been exhausted|不足|用尽|已用",
                    ),
                    said("free", "quota|allocated|trial|credits", "exhausted|exceeded|used up|expired|ended|over"),
                ),
            ),
        ),
        status(402),
    ),
    outranks=(
        "rate_limit.unknown",
        "service.server_error",
        "auth.invalid_key",
        "auth.permission",
        "request.invalid_parameter",
        "request.context_length",
        "request.invalid_url",
    ),
)
