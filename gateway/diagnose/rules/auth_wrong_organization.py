"""The organisation or project that the request names does not fit the key."""

from gateway.diagnose.rule import Rule, first, in_status, named, only, said, shown, unless
from gateway.model.cause import Cause

RULE = Rule(
    cause=Cause.AUTH_WRONG_ORGANIZATION,
    match=only(
        in_status(400, 401, 403, 404, 500),
        first(
            named(
                "mismatched_organization|mismatched_project|invalid_organization|invalid_project|"
                "consumer_invalid|user_project_denied|invalid_workspace_selected|organization_not_found|"
                "project_not_found|workspace_not_found"
            ),
            unless(
                said(
                    "model|restricted|disabled|deactivated|suspended|verified|member|permission|access to|scope|"
                    "scopes|quota|billing|rate limit|oauth|not allowed"
                ),
                said(
                    "organization|organisation|project|workspace|tenant|openai organization",
                    "no such|should match|does not match|mismatch|not belong|does not exist|not found|invalid|"
                    "unknown|not associated|wrong|no eligible",
                ),
            ),
            shown(
                lambda seen: (
                    (seen.evidence.call.organization or "openai-project" in seen.evidence.call.notes.lower())
                    and seen.status == 500
                    and seen.message.has("the server had an error")
                ),
                "a 500 on a request that names a project without its organisation",
            ),
        ),
    ),
    outranks=(
        "auth.invalid_key",
        "request.not_found",
        "request.invalid_parameter",
        "auth.permission",
        "request.model_not_found",
    ),
)
