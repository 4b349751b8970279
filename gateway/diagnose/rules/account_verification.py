"""The organisation, the e-mail address, the phone or the person must be verified first."""

from gateway.diagnose.rule import Rule, first, in_status, named, only, said, unless
from gateway.model.cause import Cause

RULE = Rule(
    cause=Cause.ACCOUNT_VERIFICATION,
    match=only(
        in_status(4),
        unless(
            said("certificate|signature|token|webhook"),
            first(
                named(
                    "organization_must_be_verified|verification_required|phone_not_verified|email_not_verified|"
                    "identity_not_verified|real_name_required|phone_verification_required"
                ),
                said(
                    "verif|identity|real name|kyc|phone number|e mail|email|age",
                    "must be verified|must verify|not verified|verify your organization|verify your identity|"
                    "verify your email|verify your phone|verify your account|verify your age|"
                    "requires verification|verification required|need to verify|needs to be verified|"
                    "please verify|complete verification|bind|unverified|has to be verified|to be verified",
                ),
                said("实名|认证|绑定手机|手机号", "请|未|需"),
            ),
        ),
    ),
    outranks=("request.", "auth.permission", "auth.invalid_key", "account.plan_required", "auth.missing_key"),
)
