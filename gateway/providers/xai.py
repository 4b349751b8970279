"""xAI: api.x.ai.

Sources (read 2026-11): docs.x.ai/docs/key-information/debugging, /docs/consumption-and-rate-limits,
/docs/api-reference.

An error is ``{"code": text, "error": text}``; the codes are gRPC's in words, later in kebab case. A wrong key is a 400,
an account without credits a 403. ``XAI_API_BASE`` is LiteLLM's; xAI's own SDK speaks gRPC, which is not HTTP to us.
"""

from dataclasses import replace

from gateway.model.cause import Cause
from gateway.model.provider import below
from gateway.providers import openai_compatible
from gateway.providers._refine import Said, by_message

PROVIDER = replace(
    openai_compatible.PROVIDER,
    name="xai",
    hosts=("api.x.ai",),
    base_url_variables=("XAI_API_BASE",),
    name_target=below("/v1"),
    declared={
        **openai_compatible.DECLARED,
        (0, "Client specified an invalid argument"): Cause.REQUEST_INVALID_PARAMETER,
        (0, "The caller does not have permission to execute the specified operation"): Cause.AUTH_PERMISSION,
        (0, "permission-denied"): Cause.AUTH_PERMISSION,
        (0, "Some requested entity was not found"): Cause.REQUEST_NOT_FOUND,
        (0, "Some resource has been exhausted"): Cause.RATE_LIMIT_UNKNOWN,
    },
    refine=by_message(
        (
            Said(400, "incorrect api key", Cause.AUTH_INVALID_KEY),
            Said(401, "no authorization header", Cause.AUTH_MISSING_KEY),
            Said(403, "credits", Cause.QUOTA_EXHAUSTED),
            Said(429, "used all available credits", Cause.QUOTA_EXHAUSTED),
            Said(429, "monthly spending limit", Cause.QUOTA_SPEND_LIMIT),
            Said(404, "no handler found on route", Cause.REQUEST_INVALID_URL),
            Said(404, "the model", Cause.REQUEST_MODEL_NOT_FOUND),
            Said(400, "maximum prompt length", Cause.REQUEST_CONTEXT_LENGTH),
        ),
        openai_compatible.refine,
    ),
    request_id_headers=(b"x-request-id",),
)
