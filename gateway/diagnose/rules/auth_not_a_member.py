"""The account belongs to no organisation that may use the API, or not to this one."""

from gateway.diagnose.rule import Rule, first, in_status, named, only, said
from gateway.model.cause import Cause

RULE = Rule(
    cause=Cause.AUTH_NOT_A_MEMBER,
    match=only(
        in_status(4),
        first(
            named(
                "no_organization|claude_code_key_creator_not_member|not_a_member|user_not_in_organization|"
                "not_organization_member"
            ),
            said(
                "member |members|belong", "organization|organisation|project|workspace|team", "must|not|no longer|need"
            ),
        ),
    ),
    outranks=("auth.invalid_key", "auth.permission", "auth.wrong_organization"),
)
