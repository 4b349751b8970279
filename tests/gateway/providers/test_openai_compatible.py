"""Bodies of relays and local model servers, as they have been seen, and what they mean."""

import orjson

from gateway.model.cause import Cause
from gateway.model.provider import Usage
from gateway.providers.openai_compatible import PROVIDER
from tests.gateway.providers.compatible import CompatibleContract, error


class TestOpenAICompatible(CompatibleContract):
    provider = PROVIDER
    has_hosts = False
    errors = (
        # LiteLLM
        (401, error("401", "token_not_found_in_db", "Invalid proxy server token passed"), Cause.AUTH_INVALID_KEY),
        (400, error("400", "budget_exceeded", "Budget has been exceeded!"), Cause.QUOTA_SPEND_LIMIT),
        # vLLM
        (
            404,
            b'{"object":"error","message":"The model `x` does not exist.","type":"NotFoundError","param":null,"code":404}',
            Cause.REQUEST_MODEL_NOT_FOUND,
        ),
        (
            400,
            b'{"object":"error","message":"This model\'s maximum context length is 4096 tokens.","type":"BadRequestError","code":400}',
            Cause.REQUEST_CONTEXT_LENGTH,
        ),
        (404, b'{"detail":"Not Found"}', Cause.REQUEST_INVALID_URL),
        (
            422,
            b'{"detail":[{"type":"missing","loc":["body","messages"],"msg":"Field required","input":{}}]}',
            Cause.REQUEST_MISSING_PARAMETER,
        ),
        # Ollama
        (404, b'{"error":"model \'qwen3\' not found"}', Cause.REQUEST_MODEL_NOT_FOUND),
        (
            503,
            b'{"error":"server busy, please try again.  maximum pending requests exceeded"}',
            Cause.SERVICE_OVERLOADED,
        ),
        # LM Studio
        (404, b'{"error":"Unexpected endpoint or method. (POST /chat/completions)"}', Cause.REQUEST_INVALID_URL),
        # one-api and new-api
        (401, error(None, "one_api_error", "该令牌额度已用尽 (request id: 2026)"), Cause.QUOTA_EXHAUSTED),
        (
            503,
            error(None, "one_api_error", "当前分组 default 下对于模型 gpt-4 无可用渠道 (request id: 2026)"),
            Cause.REQUEST_MODEL_NOT_FOUND,
        ),
        (429, error(None, "new_api_error", "当前分组上游负载已饱和，请稍后再试"), Cause.RATE_LIMIT_UNKNOWN),
        (
            429,
            error("insufficient_quota", "new_api_error", "当前分组上游负载已饱和，请稍后再试"),
            Cause.QUOTA_EXHAUSTED,
        ),
        (
            500,
            b'{"error":{"message":" (request id: 1)","type":"upstream_error","param":"429","code":"bad_response_status_code"}}',
            Cause.RATE_LIMIT_UNKNOWN,
        ),
        # an error of somebody else's inside a message
        (
            401,
            b'{"error":{"code":"error","message":{"code":"token_expired","message":"expired"},"type":"401 Unauthorized"}}',
            Cause.AUTH_EXPIRED_KEY,
        ),
        (429, b'{"type":"error","error":{"type":"rate_limit_error","message":"no"}}', Cause.RATE_LIMIT_UNKNOWN),
        (504, b'{"message":"The upstream server is timing out"}', Cause.SERVICE_TIMEOUT),
    )
    usages = (
        (b'{"usage":{"prompt_tokens":8,"completion_tokens":2}}', Usage(8, 2)),
        (b'{"type":"response.completed","response":{"usage":{"input_tokens":8,"output_tokens":2}}}', Usage(8, 2)),
        (b'{"type":"message_start","message":{"usage":{"input_tokens":25,"output_tokens":1}}}', Usage(25, 1)),
        (b'{"usage":{"input_tokens":8,"cache_read_input_tokens":2,"output_tokens":2}}', Usage(10, 2)),
    )
    targets = (
        (b"/v1/chat/completions", "chat.completions", ""),
        (b"/proxy/v1/messages?beta=true", "messages", ""),
        (b"/v1/rerank", "rerank", ""),
        (b"/chat/completions", "chat.completions", ""),
        (b"/api/chat", "other", ""),
    )
    limits = (
        (
            ((b"x-ratelimit-remaining-requests", b"9"), (b"x-ratelimit-limit-requests", b"10")),
            (("requests", 10, 9, None, None),),
        ),
        (
            ((b"ratelimit-policy", b'"default";q=100;w=10'), (b"ratelimit", b'"default";r=50;t=30')),
            (("requests", 100, 50, 30.0, 10.0),),
        ),
        (
            ((b"x-ratelimit-limit-requests", b"10"), (b"ratelimit-limit", b"7"), (b"ratelimit-remaining", b"7")),
            (("requests", 10, None, None, None),),
        ),
    )


def test_what_stands_deep_inside_is_found_and_no_deeper_than_that() -> None:
    body: dict[str, object] = {"message": "inner", "code": "x"}
    for _ in range(50):
        body = {"message": body}
    assert PROVIDER.read_error(orjson.dumps({"error": body})) is not None


def test_the_field_that_is_wrong_is_named() -> None:
    declared = PROVIDER.read_error(
        b'{"detail":[{"type":"missing","loc":["body","messages",0,"role"],"msg":"Field required"}]}'
    )
    assert declared is not None
    assert declared.param == "messages.0.role"
    assert declared.message == "Field required"
