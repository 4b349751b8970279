"""Moonshot AI (Kimi): api.moonshot.ai and api.moonshot.cn, two platforms whose keys do not fit each other.

Sources (read 2026-11): platform.kimi.ai/docs/api/errors, platform.kimi.com/docs/api/errors, /docs/pricing/limits.
The first host is the one that ``MOONSHOT_API_BASE`` leads to in LiteLLM when it is not set. Which limit was reached
stands in the message only.
"""

from dataclasses import replace

from gateway.model.cause import Cause
from gateway.model.provider import below
from gateway.providers import openai_compatible
from gateway.providers._refine import Said, by_message

PROVIDER = replace(
    openai_compatible.PROVIDER,
    name="moonshot",
    hosts=("api.moonshot.ai", "api.moonshot.cn"),
    base_url_variables=("MOONSHOT_API_BASE",),
    name_target=below("/anthropic/v1", "/v1"),
    declared={
        **openai_compatible.DECLARED,
        (0, "content_filter"): Cause.REQUEST_CONTENT_POLICY,
        (0, "invalid_authentication_error"): Cause.AUTH_INVALID_KEY,
        (0, "incorrect_api_key_error"): Cause.AUTH_INVALID_KEY,
        (0, "permission_denied_error"): Cause.AUTH_PERMISSION,
        (0, "resource_not_found_error"): Cause.REQUEST_MODEL_NOT_FOUND,
        (0, "engine_overloaded_error"): Cause.SERVICE_OVERLOADED,
        (0, "exceeded_current_quota_error"): Cause.QUOTA_EXHAUSTED,
        (0, "rate_limit_reached_error"): Cause.RATE_LIMIT_UNKNOWN,
        (0, "unexpected_output"): Cause.SERVICE_MODEL_ERROR,
    },
    refine=by_message(
        (
            Said(429, "max concurrency", Cause.RATE_LIMIT_CONCURRENCY),
            Said(429, " tpd", Cause.RATE_LIMIT_DAILY),
            Said(429, " rpd", Cause.RATE_LIMIT_DAILY),
            Said(429, " rpm", Cause.RATE_LIMIT_REQUESTS),
            Said(429, " tpm", Cause.RATE_LIMIT_TOKENS),
            Said(400, "token length too long", Cause.REQUEST_CONTEXT_LENGTH),
            Said(400, "exceeded model token limit", Cause.REQUEST_CONTEXT_LENGTH),
            Said(400, "file size is too large", Cause.REQUEST_PAYLOAD_TOO_LARGE),
        ),
        openai_compatible.refine,
    ),
    request_id_headers=(b"msh-request-id", b"x-request-id"),
)
