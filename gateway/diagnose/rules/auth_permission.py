"""The key is good and may not do this: a scope, a role, an entitlement is missing."""

from gateway.diagnose.rule import Rule, first, in_status, named, only, said, status, unless
from gateway.model.cause import Cause

RULE = Rule(
    cause=Cause.AUTH_PERMISSION,
    match=first(
        only(
            in_status(4),
            unless(
                said("country|region|territory"),
                first(
                    named(
                        "authenticationtypedisabled|permissiondenied|permission_denied|insufficient_permissions|"
                        "missing_scope|permission_error|iam_permission_denied|api_key_service_blocked|"
                        "api_key_http_referrer_blocked|service_disabled|access_token_scope_insufficient|"
                        "accessdeniedexception|accessdenied|access_denied|insufficient_scope|forbidden_scope|"
                        "authorization_error|permissiondeniederror|model_access_denied|accessdenied.unpurchased|"
                        "operationdenied|insufficient_privileges|not_authorized"
                    ),
                    said(
                        "permission|permissions|scope|scopes|role|privilege|privileges|entitlement|entitled|"
                        "authorized|authorization policy|principal|access|authorised|权限|授权",
                        "missing|insufficient|denied|restricted to|not have|lack|lacks|not authorized|"
                        "not allowed|does not have|no access|not been used|is disabled|required|requires|"
                        "restricted|are blocked|currently not allowed|not granted|can only be used|not permitted|"
                        "unauthorized to|无|没有|不足",
                    ),
                    only(
                        in_status(403),
                        said(
                            "api|service|method|requests to this",
                            "are blocked|is disabled|not been used|has not been enabled|not enabled",
                        ),
                    ),
                    only(in_status(403), said("request not allowed|forbidden|not allowed")),
                    said(
                        "only authorized for|only master key|only admin|only be used with|is not allowed to use|"
                        "not allowed to access|not allowed to perform|not allowed for this|not authorized to|"
                        "restricted to|only available to|data policy|privacy settings|guardrail restrictions"
                    ),
                ),
            ),
        ),
        only(lambda seen: seen.enveloped, status(403)),
    ),
    general=1,
)
