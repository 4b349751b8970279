"""Mistral: api.mistral.ai, and codestral.mistral.ai for code completion.

Sources (read 2026-11): docs.mistral.ai/api, docs.mistral.ai/deployment/laplateforme/tier, error bodies and headers in
github.com/mistralai/client-ts and client-python issues. Its SDKs read no base URL; LiteLLM and LangChain do.
"""

from dataclasses import replace

from gateway.model.cause import Cause
from gateway.model.provider import Endpoint, below
from gateway.providers import openai, openai_compatible
from gateway.providers._headers import Named, duration, limits_of
from gateway.providers._refine import Said, by_message
from gateway.providers._texts import write_chat

_FIM = replace(
    openai.ENDPOINTS["/completions"],
    name="fim.completions",
    prompt_fields=("prompt", "suffix"),
    max_output_fields=("max_tokens",),
    write_text=write_chat,
    elsewhere="",
)
_AGENTS = replace(openai.ENDPOINTS["/chat/completions"], name="agents.completions", elsewhere="")

PROVIDER = replace(
    openai_compatible.PROVIDER,
    name="mistral",
    hosts=("api.mistral.ai", "codestral.mistral.ai"),
    base_url_variables=("MISTRAL_API_BASE", "MISTRAL_BASE_URL", "CODESTRAL_API_BASE"),
    name_target=below("/v1"),
    key_headers=(b"authorization",),
    endpoints={
        **openai.ENDPOINTS,
        "/fim/completions": _FIM,
        "/agents/completions": _AGENTS,
        "/chat/moderations": Endpoint(name="chat.moderations", pure=True, prompt_fields=("input",)),
        "/classifications": Endpoint(name="classifications", pure=True, prompt_fields=("input",)),
        "/ocr": Endpoint(name="ocr", pure=True, prompt_fields=("document",)),
    },
    declared={
        **openai_compatible.DECLARED,
        (0, "1300"): Cause.RATE_LIMIT_UNKNOWN,
        (0, "1500"): Cause.REQUEST_MODEL_NOT_FOUND,
        (0, "3505"): Cause.SERVICE_OVERLOADED,
        (0, "rate_limited"): Cause.RATE_LIMIT_UNKNOWN,
        (0, "invalid_model"): Cause.REQUEST_MODEL_NOT_FOUND,
        (0, "service_tier_capacity_exceeded"): Cause.SERVICE_OVERLOADED,
    },
    refine=by_message(
        (
            Said(429, "capacity exceeded", Cause.SERVICE_OVERLOADED),
            Said(422, "extra inputs are not permitted", Cause.REQUEST_UNSUPPORTED_PARAMETER),
        ),
        openai_compatible.refine,
    ),
    request_id_headers=(b"mistral-correlation-id", b"x-kong-request-id"),
    read_limits=limits_of(
        (
            Named("requests", b"x-ratelimit-limit-req-minute", b"x-ratelimit-remaining-req-minute", b"", 60.0),
            Named("tokens", b"x-ratelimit-limit-tokens-minute", b"x-ratelimit-remaining-tokens-minute", b"", 60.0),
        ),
        duration,
    ),
)
