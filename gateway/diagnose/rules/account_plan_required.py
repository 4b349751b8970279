"""The plan, tier or subscription does not include this; waiting does not help."""

from gateway.diagnose.observation import Observation
from gateway.diagnose.rule import Basis, Rule, first, named, only, said, shown, unless
from gateway.model.cause import Cause


def _none_at_all(seen: Observation) -> bool:
    """``Limit: 0``, ``Limit: 0/1min``, ``limit: 0, model``; not ``Limit 0.5``, and not where something was used."""
    return not seen.message.has("used ") and any(
        f" {word} " in f"{sentence} " for sentence in seen.message.sentences for word in ("limit 0", "limit 0 1min")
    )


RULE = Rule(
    cause=Cause.ACCOUNT_PLAN_REQUIRED,
    match=only(
        lambda seen: seen.status // 100 == 4 or seen.status == 0,
        first(
            shown(_none_at_all, "the stated limit is 0: there never was an allowance", Basis.NAMED),
            unless(
                said(
                    "per minute|calls minute|requests minute|per min|latest app|newer version|cli |"
                    "check your plan and billing|credit|credits|balance|limit reached|usage limit|per day"
                ),
                first(
                    named(
                        "chatgpt_account_missing|plan_required|subscription_required|upgrade_required|"
                        "tier_not_allowed|feature_not_available|plan_not_supported|tier_restricted|"
                        "accessdenied.unpurchased|not_subscribed"
                    ),
                    said(
                        "plan |plans |tier |tiers|subscription|upgrade|paid |pro plan|pro users|pro subscription|"
                        "to pro |premium|enterprise|free users|free tier|workspaces|extra usage|usage tier|"
                        "membership|member benefits|套餐|会员|升级|订阅",
                        "add more|not your plan|require|requires|required|does not include|not include|"
                        "not included|not available|only available|upgrade|need a|needs a|must be on|"
                        "not eligible|no eligible|not support|does not support|no access|"
                        "does not have access to this|exclusive|limited to|available for|please subscribe|"
                        "subscribe to|not entitled|需要|请升级|未订阅|未开通|仅限",
                    ),
                ),
            ),
        ),
    ),
    outranks=(
        "rate_limit.",
        "auth.permission",
        "request.invalid_parameter",
        "request.model_not_found",
        "request.unsupported_parameter",
        "quota.exhausted",
        "auth.wrong_organization",
    ),
)
