"""Groq: api.groq.com.

Sources (read 2026-11): console.groq.com/docs/errors, /docs/rate-limits, /docs/spend-limits, /docs/deprecations;
github.com/groq/groq-python (its paths begin with /openai/v1, so ``GROQ_BASE_URL`` is the origin alone).

The limit headers have OpenAI's names; requests are counted by the day, tokens by the minute.
"""

from dataclasses import replace

from gateway.model.cause import Cause
from gateway.model.provider import below
from gateway.providers import openai_compatible
from gateway.providers._headers import duration, limits_of, openai_names

PROVIDER = replace(
    openai_compatible.PROVIDER,
    name="groq",
    hosts=("api.groq.com",),
    base_url_variables=("GROQ_BASE_URL", "GROQ_API_BASE"),
    base_path="",
    name_target=below("/openai/v1"),
    declared={
        **openai_compatible.DECLARED,
        (0, "model_decommissioned"): Cause.REQUEST_MODEL_DEPRECATED,
        (0, "organization_restricted"): Cause.ACCOUNT_DEACTIVATED,
        (0, "blocked_api_access"): Cause.QUOTA_SPEND_LIMIT,
        (0, "capacity_exceeded"): Cause.SERVICE_OVERLOADED,
        (0, "expired_api_key"): Cause.AUTH_EXPIRED_KEY,
        (0, "model_permission_blocked_org"): Cause.AUTH_PERMISSION,
        (0, "model_permission_blocked_project"): Cause.AUTH_PERMISSION,
        (0, "model_terms_required"): Cause.AUTH_PERMISSION,
        (0, "request_too_large"): Cause.REQUEST_PAYLOAD_TOO_LARGE,
        (0, "tool_use_failed"): Cause.SERVICE_MODEL_ERROR,
        (0, "json_validate_failed"): Cause.SERVICE_MODEL_ERROR,
    },
    by_status={**openai_compatible.BY_STATUS, 498: Cause.SERVICE_OVERLOADED, 503: Cause.SERVICE_UNAVAILABLE},
    request_id_headers=(b"x-request-id",),
    read_limits=limits_of(openai_names(requests=86_400.0, tokens=60.0), duration),
)
