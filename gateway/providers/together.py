"""Together AI: api.together.ai, formerly api.together.xyz; both answer.

Sources (read 2026-11): docs.together.ai/docs/error-codes, /docs/rate-limits, github.com/togethercomputer/together-py
(``TOGETHER_BASE_URL``). A 403 means that prompt and ``max_tokens`` exceed the model's context.
"""

from dataclasses import replace

from gateway.model.cause import Cause
from gateway.model.provider import below
from gateway.providers import openai_compatible
from gateway.providers._headers import Named, duration, limits_of
from gateway.providers._refine import Said, by_message

PROVIDER = replace(
    openai_compatible.PROVIDER,
    name="together",
    hosts=("api.together.ai", "api.together.xyz"),
    base_url_variables=("TOGETHER_BASE_URL", "TOGETHER_AI_API_BASE", "TOGETHER_API_BASE"),
    name_target=below("/v1"),
    declared={
        **openai_compatible.DECLARED,
        (0, "credit_limit"): Cause.QUOTA_EXHAUSTED,
        (0, "model_not_available"): Cause.REQUEST_MODEL_NOT_FOUND,
        (0, "dynamic_request_limited"): Cause.RATE_LIMIT_REQUESTS,
        (0, "dynamic_token_limited"): Cause.RATE_LIMIT_TOKENS,
    },
    by_status={
        **openai_compatible.BY_STATUS,
        402: Cause.QUOTA_SPEND_LIMIT,
        403: Cause.REQUEST_CONTEXT_LENGTH,
        503: Cause.SERVICE_OVERLOADED,
    },
    refine=by_message(
        (Said(404, "unable to access model", Cause.REQUEST_MODEL_NOT_FOUND),),
        openai_compatible.refine,
    ),
    request_id_headers=(b"x-request-id", b"cf-ray"),
    read_limits=limits_of(
        (
            Named("requests", b"x-ratelimit-limit", b"x-ratelimit-remaining", b"x-ratelimit-reset"),
            Named("tokens", b"x-tokenlimit-limit", b"x-tokenlimit-remaining"),
        ),
        duration,
    ),
)
