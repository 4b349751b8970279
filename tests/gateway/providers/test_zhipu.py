"""Zhipu's bodies, as they have been seen, and what they mean."""

import orjson
import pytest

from gateway.model.cause import Cause
from gateway.providers.zhipu import PROVIDER
from tests.gateway.providers.compatible import CompatibleContract


def _error(code: str, message: str = "no") -> bytes:
    return orjson.dumps({"error": {"code": code, "message": message}})


class TestZhipu(CompatibleContract):
    provider = PROVIDER
    errors = (
        (401, _error("1000", "身份验证失败"), Cause.AUTH_INVALID_KEY),
        (401, _error("1001"), Cause.AUTH_MISSING_KEY),
        (401, _error("1003"), Cause.AUTH_EXPIRED_KEY),
        (429, _error("1113", "余额不足或无可用资源包,请充值。"), Cause.QUOTA_EXHAUSTED),
        (400, _error("1211", "模型不存在，请检查模型代码。"), Cause.REQUEST_MODEL_NOT_FOUND),
        (400, _error("1213"), Cause.REQUEST_MISSING_PARAMETER),
        (400, _error("1261"), Cause.REQUEST_CONTEXT_LENGTH),
        (400, _error("1301"), Cause.REQUEST_CONTENT_POLICY),
        (429, _error("1302", "您当前使用该API的并发数过高"), Cause.RATE_LIMIT_CONCURRENCY),
        (429, _error("1303"), Cause.RATE_LIMIT_REQUESTS),
        (429, _error("1304"), Cause.RATE_LIMIT_DAILY),
        (429, _error("1308"), Cause.QUOTA_PLAN_WINDOW),
        (429, _error("1312"), Cause.SERVICE_OVERLOADED),
        (434, _error("9999"), Cause.AUTH_PERMISSION),
    )

    targets = (
        (b"/api/paas/v4/chat/completions", "chat.completions", ""),
        (b"/api/coding/paas/v4/chat/completions", "chat.completions", ""),
        (b"/api/anthropic/v1/messages", "messages", ""),
    )


@pytest.mark.parametrize("code", ["1113", 1113])
def test_a_code_may_be_a_number(code: object) -> None:
    declared = PROVIDER.read_error(orjson.dumps({"error": {"code": code, "message": "x"}}))
    assert declared is not None
    assert declared.code == "1113"
