"""Fireworks AI: api.fireworks.ai.

Sources (read 2026-11): docs.fireworks.ai/guides/inference-error-codes, /guides/quotas_usage/rate-limits, and
/serverless/rate-limits (tokens are counted by the minute). A 412 means
that the account is suspended. ``FIREWORKS_API_BASE`` is read by LiteLLM and LangChain.
"""

from dataclasses import replace

from gateway.model.cause import Cause
from gateway.model.provider import below
from gateway.providers import openai_compatible
from gateway.providers._headers import Named, duration, limits_of
from gateway.providers._refine import Said, by_message

PROVIDER = replace(
    openai_compatible.PROVIDER,
    name="fireworks",
    hosts=("api.fireworks.ai",),
    base_url_variables=("FIREWORKS_API_BASE", "FIREWORKS_BASE_URL"),
    base_path="/inference/v1",
    name_target=below("/inference/v1"),
    declared={**openai_compatible.DECLARED, (0, "NOT_FOUND"): Cause.REQUEST_MODEL_NOT_FOUND},
    by_status={
        **openai_compatible.BY_STATUS,
        402: Cause.QUOTA_EXHAUSTED,
        412: Cause.ACCOUNT_DEACTIVATED,
        503: Cause.SERVICE_OVERLOADED,
    },
    refine=by_message(
        (
            Said(404, "model not found", Cause.REQUEST_MODEL_NOT_FOUND),
            Said(400, "prompt is too long", Cause.REQUEST_CONTEXT_LENGTH),
        ),
        openai_compatible.refine,
    ),
    request_id_headers=(b"x-request-id",),
    read_limits=limits_of(
        (
            Named("requests", b"x-ratelimit-limit-requests", b"x-ratelimit-remaining-requests"),
            Named(
                "input_tokens", b"x-ratelimit-limit-tokens-prompt", b"x-ratelimit-remaining-tokens-prompt", b"", 60.0
            ),
            Named(
                "output_tokens",
                b"x-ratelimit-limit-tokens-generated",
                b"x-ratelimit-remaining-tokens-generated",
                b"",
                60.0,
            ),
        ),
        duration,
    ),
)
