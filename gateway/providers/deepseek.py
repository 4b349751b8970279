"""DeepSeek: api.deepseek.com.

Sources (read 2026-11): api-docs.deepseek.com (quick start, error codes, rate limit, Anthropic API), and the default of
``DEEPSEEK_API_BASE`` in LiteLLM 1.106, which is the beta address: it serves all that the plain one does.

While a request waits, DeepSeek sends comments into a stream and empty lines before a JSON body.
"""

from dataclasses import replace

from gateway.model.cause import Cause
from gateway.model.provider import below
from gateway.providers import openai_compatible
from gateway.providers._refine import Said, by_message

PROVIDER = replace(
    openai_compatible.PROVIDER,
    name="deepseek",
    hosts=("api.deepseek.com",),
    base_url_variables=("DEEPSEEK_API_BASE",),
    base_path="/beta",
    name_target=below("/anthropic/v1", "/v1", "/beta", ""),
    declared={
        **openai_compatible.DECLARED,
        (402, "invalid_request_error"): Cause.QUOTA_EXHAUSTED,
    },
    by_status={
        **openai_compatible.BY_STATUS,
        402: Cause.QUOTA_EXHAUSTED,
        422: Cause.REQUEST_INVALID_PARAMETER,
        503: Cause.SERVICE_OVERLOADED,
    },
    refine=by_message(
        (
            Said(400, "model not exist", Cause.REQUEST_MODEL_NOT_FOUND),
            Said(401, "auth header format", Cause.AUTH_MALFORMED_HEADER),
        ),
        openai_compatible.refine,
    ),
    request_id_headers=(b"x-ds-trace-id",),
)
