"""Whoever speaks OpenAI's protocol without being OpenAI: relays, local model servers, and the base of many providers.

What they have in common: OpenAI's endpoints, often Anthropic's Messages beside them, a bearer key, and an error
envelope that is one of several (`_envelope`). A provider with a file of its own (`deepseek`, `groq`, ...) starts from
`PROVIDER` and says what differs.

Sources (read 2026-11): github.com/songquanpeng/one-api and github.com/QuantumNous/new-api (relay error texts),
docs.litellm.ai/docs/exception_mapping and `ProxyErrorTypes` of LiteLLM 1.106, docs.vllm.ai (OpenAI-compatible server),
github.com/ollama/ollama/blob/main/docs/api.md, lmstudio.ai/docs/app/api, fastapi.tiangolo.com/tutorial/handling-errors.
"""

from collections.abc import Mapping
from dataclasses import replace

from gateway.model.cause import Cause
from gateway.model.provider import Declared, Endpoint, below
from gateway.providers import _messages, anthropic, openai
from gateway.providers._envelope import read_any
from gateway.providers._ratelimit import read_any_limits
from gateway.providers._refine import Said, by_message

DECLARED: Mapping[tuple[int, str], Cause] = {
    **{key: cause for key, cause in anthropic.DECLARED.items() if key[0] == 0},
    **openai.DECLARED,
    # LiteLLM's proxy
    (0, "budget_exceeded"): Cause.QUOTA_SPEND_LIMIT,
    (0, "token_not_found_in_db"): Cause.AUTH_INVALID_KEY,
    (0, "expired_key"): Cause.AUTH_EXPIRED_KEY,
    (0, "auth_error"): Cause.AUTH_INVALID_KEY,
    (0, "key_model_access_denied"): Cause.AUTH_PERMISSION,
    (0, "team_model_access_denied"): Cause.AUTH_PERMISSION,
    (0, "user_model_access_denied"): Cause.AUTH_PERMISSION,
    (0, "org_model_access_denied"): Cause.AUTH_PERMISSION,
    (0, "project_model_access_denied"): Cause.AUTH_PERMISSION,
    # vLLM names the class of what it raised
    (400, "BadRequestError"): Cause.REQUEST_INVALID_PARAMETER,
    (404, "NotFoundError"): Cause.REQUEST_MODEL_NOT_FOUND,
    (0, "InternalServerError"): Cause.SERVICE_SERVER_ERROR,
    # FastAPI and pydantic name what is wrong with a field
    (422, "extra_forbidden"): Cause.REQUEST_UNSUPPORTED_PARAMETER,
    (422, "missing"): Cause.REQUEST_MISSING_PARAMETER,
    (422, "json_invalid"): Cause.REQUEST_INVALID_JSON,
}
"""(status, or 0 for any; code, ``code/type`` or type) -> cause."""

BY_STATUS: Mapping[int, Cause] = {
    **openai.BY_STATUS,
    402: Cause.QUOTA_EXHAUSTED,
    403: Cause.AUTH_PERMISSION,
    529: Cause.SERVICE_OVERLOADED,
}


def _structure(status: int, cause: Cause | None, declared: Declared) -> Cause | None:
    if status == 404 and declared.message in {"Not Found", "404 page not found"}:
        # The web framework's own words: no route has this path.
        return Cause.REQUEST_INVALID_URL
    if declared.code == "bad_response_status_code" and declared.param.isdecimal():
        # new-api lost the upstream's text; its status stands in `param`.
        return BY_STATUS.get(int(declared.param[:3]), cause)
    return openai.refine(status, cause, declared)


refine = by_message(
    (
        Said(0, "额度已用尽", Cause.QUOTA_EXHAUSTED),  # one-api, new-api: this token's quota is used up
        Said(0, "额度不足", Cause.QUOTA_EXHAUSTED),
        Said(0, "余额不足", Cause.QUOTA_EXHAUSTED),
        Said(0, "无可用渠道", Cause.REQUEST_MODEL_NOT_FOUND),  # the same: no channel for the model in this group
        Said(401, "无效的令牌", Cause.AUTH_INVALID_KEY),
        Said(401, "未提供令牌", Cause.AUTH_MISSING_KEY),
        Said(401, "api key required", Cause.AUTH_MISSING_KEY),
        Said(429, "concurrency", Cause.RATE_LIMIT_CONCURRENCY),
        Said(429, "per-day", Cause.RATE_LIMIT_DAILY),
        Said(404, "model '", Cause.REQUEST_MODEL_NOT_FOUND),  # Ollama: model 'x' not found
        Said(404, 'model "', Cause.REQUEST_MODEL_NOT_FOUND),
        Said(404, "unexpected endpoint or method", Cause.REQUEST_INVALID_URL),  # LM Studio
        Said(503, "overloaded", Cause.SERVICE_OVERLOADED),
        Said(503, "server busy", Cause.SERVICE_OVERLOADED),  # Ollama's queue is full
        Said(400, "unsupported media type", Cause.REQUEST_UNSUPPORTED_MEDIA_TYPE),
    ),
    _structure,
)
"""What relays and local servers say only in the message."""

ENDPOINTS: Mapping[str, Endpoint] = {
    **openai.ENDPOINTS,
    **_messages.ENDPOINTS,
    "/rerank": Endpoint(name="rerank", pure=True, prompt_fields=("query", "documents")),
}

PROVIDER = replace(
    openai.PROVIDER,
    name="openai_compatible",
    hosts=(),
    base_url_variables=(),
    name_target=below("/v1"),
    key_headers=(b"authorization", b"x-api-key"),
    scope_headers=(),
    version_headers=(*openai.PROVIDER.version_headers, *anthropic.PROVIDER.version_headers),
    endpoints=ENDPOINTS,
    declared=DECLARED,
    by_status=BY_STATUS,
    read_error=read_any,
    refine=refine,
    read_usage=_messages.read_usage,
    request_id_headers=(b"x-request-id", b"x-oneapi-request-id", b"x-litellm-call-id"),
    read_limits=read_any_limits,
    account_headers=(),
)
