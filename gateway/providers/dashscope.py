"""Alibaba Cloud Model Studio (DashScope, Qwen): one host for each region, with a face of its own beside OpenAI's.

Sources (read 2026-11): help.aliyun.com/zh/model-studio/error-code, alibabacloud.com/help/en/model-studio/error-code,
/rate-limit, /compatibility-of-openai-with-dashscope, /claude-code (Anthropic's face). Errors are flat
(``{"code", "message", "request_id"}``) or in OpenAI's envelope with the same codes. ``DASHSCOPE_API_BASE`` is
LiteLLM's; ``DASHSCOPE_HTTP_BASE_URL`` of Alibaba's own SDK names the other face.
"""

from dataclasses import replace

from gateway.model.cause import Cause
from gateway.model.provider import Declared, Endpoint, below
from gateway.providers import openai_compatible
from gateway.providers._refine import Said, by_message


def _structure(status: int, cause: Cause | None, declared: Declared) -> Cause | None:
    if declared.code.startswith("InternalError.Algo"):
        # Named internal, but it is what the model's code thinks of the request.
        return Cause.REQUEST_INVALID_PARAMETER
    return openai_compatible.refine(status, cause, declared)


_DECLARED = {
    (0, "InvalidParameter"): Cause.REQUEST_INVALID_PARAMETER,
    (0, "BadRequest.EmptyInput"): Cause.REQUEST_MISSING_PARAMETER,
    (0, "BadRequest.EmptyParameters"): Cause.REQUEST_MISSING_PARAMETER,
    (0, "BadRequest.EmptyModel"): Cause.REQUEST_MISSING_PARAMETER,
    (0, "BadRequest.TooLarge"): Cause.REQUEST_PAYLOAD_TOO_LARGE,
    (0, "InvalidURL"): Cause.REQUEST_INVALID_URL,
    (0, "UnsupportedOperation"): Cause.REQUEST_WRONG_ENDPOINT,
    (0, "DataInspectionFailed"): Cause.REQUEST_CONTENT_POLICY,
    (0, "data_inspection_failed"): Cause.REQUEST_CONTENT_POLICY,
    (0, "InvalidApiKey"): Cause.AUTH_INVALID_KEY,
    (0, "AccessDenied"): Cause.AUTH_PERMISSION,
    (0, "access_denied"): Cause.AUTH_PERMISSION,
    (0, "Model.AccessDenied"): Cause.AUTH_PERMISSION,
    (0, "Workspace.AccessDenied"): Cause.AUTH_PERMISSION,
    (0, "AccessDenied.Unpurchased"): Cause.ACCOUNT_PLAN_REQUIRED,
    (0, "CommodityNotPurchased"): Cause.ACCOUNT_PLAN_REQUIRED,
    (0, "Arrearage"): Cause.ACCOUNT_BILLING_INACTIVE,
    (0, "PrepaidBillOverdue"): Cause.ACCOUNT_BILLING_INACTIVE,
    (0, "PostpaidBillOverdue"): Cause.ACCOUNT_BILLING_INACTIVE,
    (0, "AllocationQuota.FreeTierOnly"): Cause.QUOTA_EXHAUSTED,
    (0, "ModelNotFound"): Cause.REQUEST_MODEL_NOT_FOUND,
    (0, "model_not_supported"): Cause.REQUEST_WRONG_ENDPOINT,
    (0, "WorkSpaceNotFound"): Cause.REQUEST_NOT_FOUND,
    (0, "Throttling"): Cause.RATE_LIMIT_UNKNOWN,
    (0, "Throttling.RateQuota"): Cause.RATE_LIMIT_REQUESTS,
    (0, "limit_requests"): Cause.RATE_LIMIT_REQUESTS,
    (0, "Throttling.BurstRate"): Cause.RATE_LIMIT_RAMP,
    (0, "limit_burst_rate"): Cause.RATE_LIMIT_RAMP,
    (0, "Throttling.AllocationQuota"): Cause.RATE_LIMIT_TOKENS,
    # The code is OpenAI's, the meaning is not: tokens a minute, as the other face's AllocationQuota.
    (429, "insufficient_quota"): Cause.RATE_LIMIT_TOKENS,
    (0, "RequestTimeOut"): Cause.SERVICE_TIMEOUT,
    (0, "ResponseTimeout"): Cause.SERVICE_TIMEOUT,
    (0, "InternalError.Timeout"): Cause.SERVICE_TIMEOUT,
    (0, "InternalError"): Cause.SERVICE_SERVER_ERROR,
    (0, "internal_error"): Cause.SERVICE_SERVER_ERROR,
    (0, "SystemError"): Cause.SERVICE_SERVER_ERROR,
    (0, "ModelServiceFailed"): Cause.SERVICE_SERVER_ERROR,
    (0, "ModelServingError"): Cause.SERVICE_UNAVAILABLE,
    (0, "ModelUnavailable"): Cause.SERVICE_UNAVAILABLE,
}

PROVIDER = replace(
    openai_compatible.PROVIDER,
    name="dashscope",
    hosts=(
        "dashscope.aliyuncs.com",
        "dashscope-intl.aliyuncs.com",
        "dashscope-us.aliyuncs.com",
        "cn-hongkong.dashscope.aliyuncs.com",
        "*.maas.aliyuncs.com",
    ),
    base_url_variables=("DASHSCOPE_API_BASE",),
    base_path="/compatible-mode/v1",
    name_target=below("/compatible-mode/v1", "/compatible-api/v1", "/apps/anthropic/v1"),
    endpoints={
        **openai_compatible.ENDPOINTS,
        "/api/v1/services/aigc/text-generation/generation": Endpoint(
            name="text-generation", pure=True, prompt_fields=("input",), max_output_fields=("parameters.max_tokens",)
        ),
        "/api/v1/services/aigc/multimodal-generation/generation": Endpoint(
            name="multimodal-generation", prompt_fields=("input",), max_output_fields=("parameters.max_tokens",)
        ),
        "/api/v1/services/embeddings/text-embedding/text-embedding": Endpoint(
            name="text-embedding", pure=True, prompt_fields=("input",)
        ),
        "/api/v1/services/rerank/text-rerank/text-rerank": Endpoint(
            name="text-rerank", pure=True, prompt_fields=("input",)
        ),
    },
    declared={**openai_compatible.DECLARED, **_DECLARED},
    refine=by_message(
        (
            Said(0, "free allocated quota exceeded", Cause.QUOTA_EXHAUSTED),
            Said(400, "must provide a model parameter", Cause.REQUEST_MISSING_PARAMETER),
            Said(401, "didn't provide an api key", Cause.AUTH_MISSING_KEY),
            Said(400, "range of input length should be", Cause.REQUEST_CONTEXT_LENGTH),
        ),
        _structure,
    ),
    request_id_headers=(b"x-request-id", b"x-dashscope-request-id"),
)
