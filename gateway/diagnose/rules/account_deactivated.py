"""The account, organisation or workspace is switched off."""

from gateway.diagnose.rule import Rule, first, in_status, named, only, said, unless
from gateway.model.cause import Cause

RULE = Rule(
    cause=Cause.ACCOUNT_DEACTIVATED,
    match=only(
        in_status(4, 0),
        unless(
            said("billing|payment|balance|credit|credits|overdue|quota|invoice|free tier|api key|prepaid"),
            first(
                named(
                    "account_deactivated|deactivated_workspace|organization_restricted|consumer_suspended|"
                    "account_state_invalid|account_suspended|user_suspended|organization_disabled|"
                    "account_disabled|account_banned|user_banned|accountsuspended|org_disabled"
                ),
                said(
                    "account|organization|organisation|user|workspace|tenant|consumer|resource|service|access|"
                    "you|subscription|账户|账号|用户|帐号",
                    "has been deactivated|deactivated|suspended|has been disabled|is disabled|banned|terminated|"
                    "has been restricted|been restricted|temporarily blocked|locked|closed|has been blocked|封禁|"
                    "停用|异常|冻结|锁定|禁用|被封",
                ),
                said("violation of terms|terms of service violation|violat", "account|terms|suspended|disabled"),
            ),
        ),
    ),
    outranks=(
        "auth.invalid_key",
        "auth.permission",
        "request.invalid_parameter",
        "auth.wrong_organization",
        "quota.exhausted",
        "request.content_policy",
    ),
)
