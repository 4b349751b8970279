"""DashScope's bodies, as they have been seen, and what they mean."""

import orjson

from gateway.model.cause import Cause
from gateway.providers.dashscope import PROVIDER
from tests.gateway.providers.compatible import CompatibleContract, error


def _flat(code: str, message: str = "no") -> bytes:
    return orjson.dumps({"request_id": "1", "code": code, "message": message})


_NATIVE = b"/api/v1/services/aigc/text-generation/generation"


class TestDashScope(CompatibleContract):
    provider = PROVIDER
    errors = (
        (400, _flat("DataInspectionFailed"), Cause.REQUEST_CONTENT_POLICY),
        (400, _flat("Arrearage"), Cause.ACCOUNT_BILLING_INACTIVE),
        (400, _flat("InternalError.Algo.InvalidParameter"), Cause.REQUEST_INVALID_PARAMETER),
        (
            400,
            error(None, "invalid_request_error", "you must provide a model parameter. "),
            Cause.REQUEST_MISSING_PARAMETER,
        ),
        (401, _flat("InvalidApiKey", "Invalid API-key provided."), Cause.AUTH_INVALID_KEY),
        (401, error("invalid_api_key", "invalid_request_error", "Incorrect API key provided."), Cause.AUTH_INVALID_KEY),
        (403, _flat("AccessDenied.Unpurchased"), Cause.ACCOUNT_PLAN_REQUIRED),
        (404, error("model_not_found", "invalid_request_error"), Cause.REQUEST_MODEL_NOT_FOUND),
        (429, _flat("Throttling.RateQuota"), Cause.RATE_LIMIT_REQUESTS),
        (429, error("limit_requests", "limit_requests"), Cause.RATE_LIMIT_REQUESTS),
        (429, _flat("Throttling.BurstRate"), Cause.RATE_LIMIT_RAMP),
        (429, _flat("Throttling.AllocationQuota"), Cause.RATE_LIMIT_TOKENS),
        (429, error("insufficient_quota", "insufficient_quota", "see #token-limit"), Cause.RATE_LIMIT_TOKENS),
        (429, _flat("Throttling.AllocationQuota", "Free allocated quota exceeded."), Cause.QUOTA_EXHAUSTED),
        (500, _flat("InternalError.Timeout"), Cause.SERVICE_TIMEOUT),
        (503, _flat("ModelUnavailable"), Cause.SERVICE_UNAVAILABLE),
    )
    targets = (
        (b"/compatible-mode/v1/chat/completions", "chat.completions", ""),
        (b"/apps/anthropic/v1/messages", "messages", ""),
        (_NATIVE, "text-generation", ""),
    )

    def _envelope(self, code: str, kind: str) -> bytes:
        return orjson.dumps({"code": code, "type": kind, "message": "no"})


def test_a_customer_may_have_a_host_of_its_own() -> None:
    assert "*.maas.aliyuncs.com" in PROVIDER.hosts
