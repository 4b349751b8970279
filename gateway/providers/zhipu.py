"""Zhipu AI (GLM): api.z.ai and open.bigmodel.cn, two platforms with one API.

Sources (read 2026-11): docs.bigmodel.cn/cn/api/api-code, docs.z.ai/api-reference/api-code, github.com/zai-org/
z-ai-sdk-python. A code of four digits says what happened, most of it under status 429. ``ZAI_BASE_URL`` is read by
clients of either platform, so only ``ZAI_API_BASE`` (LiteLLM, for the first host) can be set for everybody.
"""

from dataclasses import replace

from gateway.model.cause import Cause
from gateway.model.provider import below
from gateway.providers import openai_compatible

_DECLARED = {
    (0, "500"): Cause.SERVICE_SERVER_ERROR,
    (0, "1000"): Cause.AUTH_INVALID_KEY,
    (0, "1001"): Cause.AUTH_MISSING_KEY,
    (0, "1002"): Cause.AUTH_INVALID_KEY,
    (0, "1003"): Cause.AUTH_EXPIRED_KEY,
    (0, "1004"): Cause.AUTH_INVALID_KEY,
    (0, "1110"): Cause.ACCOUNT_DEACTIVATED,
    (0, "1111"): Cause.ACCOUNT_DEACTIVATED,
    (0, "1112"): Cause.ACCOUNT_DEACTIVATED,
    (0, "1113"): Cause.QUOTA_EXHAUSTED,
    (0, "1120"): Cause.SERVICE_SERVER_ERROR,
    (0, "1121"): Cause.ACCOUNT_DEACTIVATED,
    (0, "1210"): Cause.REQUEST_INVALID_PARAMETER,
    (0, "1211"): Cause.REQUEST_MODEL_NOT_FOUND,
    (0, "1212"): Cause.REQUEST_WRONG_ENDPOINT,
    (0, "1213"): Cause.REQUEST_MISSING_PARAMETER,
    (0, "1214"): Cause.REQUEST_INVALID_PARAMETER,
    (0, "1215"): Cause.REQUEST_INVALID_PARAMETER,
    (0, "1220"): Cause.AUTH_PERMISSION,
    (0, "1221"): Cause.REQUEST_WRONG_ENDPOINT,
    (0, "1222"): Cause.REQUEST_INVALID_URL,
    (0, "1230"): Cause.SERVICE_SERVER_ERROR,
    (0, "1231"): Cause.REQUEST_CONFLICT,
    (0, "1234"): Cause.SERVICE_SERVER_ERROR,
    (0, "1261"): Cause.REQUEST_CONTEXT_LENGTH,
    (0, "1300"): Cause.REQUEST_CONTENT_POLICY,
    (0, "1301"): Cause.REQUEST_CONTENT_POLICY,
    (0, "1302"): Cause.RATE_LIMIT_CONCURRENCY,
    (0, "1303"): Cause.RATE_LIMIT_REQUESTS,
    (0, "1304"): Cause.RATE_LIMIT_DAILY,
    (0, "1305"): Cause.SERVICE_OVERLOADED,
    (0, "1308"): Cause.QUOTA_PLAN_WINDOW,
    (0, "1309"): Cause.ACCOUNT_PLAN_REQUIRED,
    (0, "1310"): Cause.QUOTA_PLAN_WINDOW,
    (0, "1311"): Cause.ACCOUNT_PLAN_REQUIRED,
    (0, "1312"): Cause.SERVICE_OVERLOADED,
    (0, "1313"): Cause.RATE_LIMIT_UNKNOWN,
}

PROVIDER = replace(
    openai_compatible.PROVIDER,
    name="zhipu",
    hosts=("api.z.ai", "open.bigmodel.cn"),
    base_url_variables=("ZAI_API_BASE", "ZAI_BASE_URL"),
    base_path="/api/paas/v4",
    name_target=below("/api/paas/v4", "/api/coding/paas/v4", "/api/anthropic/v1"),
    declared={**openai_compatible.DECLARED, **_DECLARED},
    by_status={
        **openai_compatible.BY_STATUS,
        434: Cause.AUTH_PERMISSION,
        435: Cause.REQUEST_PAYLOAD_TOO_LARGE,
    },
    request_id_headers=(b"x-log-id",),
)
