"""OpenRouter's bodies, as they have been seen, and what they mean."""

from typing import ClassVar

import orjson

from gateway.model.cause import Cause
from gateway.model.provider import StreamNews
from gateway.providers.openai import CHAT_STREAM
from gateway.providers.openrouter import PROVIDER
from tests.gateway.providers.compatible import FAILED, CompatibleContract, error

_LATE = (
    b'data: {"id":"gen-1","object":"chat.completion.chunk","error":{"code":"server_error","message":"Provider'
    b' disconnected"},"choices":[{"index":0,"delta":{"content":""},"finish_reason":"error"}]}\n\n'
)


def _error(code: int, message: str, **metadata: object) -> bytes:
    return orjson.dumps({"error": {"code": code, "message": message, "metadata": metadata}, "user_id": "user_1"})


class TestOpenRouter(CompatibleContract):
    provider = PROVIDER
    errors = (
        (401, _error(401, "User not found."), Cause.AUTH_EXPIRED_KEY),
        (401, _error(401, "No auth credentials found"), Cause.AUTH_MISSING_KEY),
        (401, _error(401, "No cookie auth credentials found"), Cause.AUTH_MISSING_KEY),
        (
            402,
            _error(402, "Insufficient credits. Add more at https://openrouter.ai/settings/credits"),
            Cause.QUOTA_EXHAUSTED,
        ),
        (
            402,
            _error(402, "visit https://openrouter.ai/settings/keys and create a key with a higher monthly limit"),
            Cause.QUOTA_SPEND_LIMIT,
        ),
        (
            403,
            _error(403, "Your chosen model requires moderation and your input was flagged"),
            Cause.REQUEST_CONTENT_POLICY,
        ),
        (404, _error(404, "No endpoints found that support tool use."), Cause.REQUEST_UNSUPPORTED_PARAMETER),
        (404, _error(404, "No endpoints found for nobody/nothing."), Cause.REQUEST_MODEL_NOT_FOUND),
        (400, _error(400, "nobody/nothing is not a valid model ID"), Cause.REQUEST_MODEL_NOT_FOUND),
        (400, _error(400, "This endpoint's maximum context length is 32768 tokens."), Cause.REQUEST_CONTEXT_LENGTH),
        (429, _error(429, "Rate limit exceeded: free-models-per-day."), Cause.RATE_LIMIT_DAILY),
        (429, _error(429, "Rate limit exceeded: free-models-per-min."), Cause.RATE_LIMIT_REQUESTS),
        (
            400,
            _error(400, "Provider returned error", provider_name="x", raw=error("context_length_exceeded").decode()),
            Cause.REQUEST_CONTEXT_LENGTH,
        ),
        (
            429,
            _error(429, "Provider returned error", provider_name="x", raw="too much at once"),
            Cause.RATE_LIMIT_UNKNOWN,
        ),
        (408, _error(408, "Timed out"), Cause.SERVICE_TIMEOUT),
        (502, _error(502, "Provider returned error"), Cause.SERVICE_UNAVAILABLE),
        (500, _error(500, "no", error_type="rate_limit_exceeded"), Cause.RATE_LIMIT_UNKNOWN),
    )
    failures: ClassVar = {"chat.completions": _LATE, "completions": FAILED}
    targets = (
        (b"/api/v1/chat/completions", "chat.completions", ""),
        (b"/api/v1/messages", "messages", ""),
        (b"/api/v1/models", "models", ""),
        (b"/docs", "other", ""),
    )
    limits = (
        (
            (
                (b"date", b"Fri, 20 Nov 2026 10:00:00 GMT"),
                (b"x-ratelimit-limit", b"50"),
                (b"x-ratelimit-remaining", b"0"),
                (b"x-ratelimit-reset", b"1795219200000"),
            ),
            (("requests", 50, 0, 50400.0, None),),
        ),
        (
            ((b"x-ratelimit-limit", b"50"), (b"x-ratelimit-reset", b"1795219200000")),
            (("requests", 50, None, None, None),),
        ),
    )
    refusals = (
        (
            _error(
                429,
                "Rate limit exceeded: free-models-per-day. Add 10 credits to unlock 1000 free model requests per day",
                headers={"X-RateLimit-Limit": "50", "X-RateLimit-Remaining": 0, "X-RateLimit-Reset": "1795219200000"},
            ),
            (("requests", 50, 0, 50400.0, 86400.0),),
        ),
        (
            _error(429, "Rate limit exceeded: limited to 1 requests per minute.", headers=[]),
            (("requests", 1, 0, None, 60.0),),
        ),
        (
            _error(429, "Provider returned error", raw='{"error":{"message":"reached organization max TPM: 128000"}}'),
            (("tokens", 128000, None, None, 60.0),),
        ),
        (_error(429, "Rate limit exceeded: free-models-per-day."), ()),
    )


def test_what_the_models_host_said_is_shown_beside_openrouters_own_words() -> None:
    declared = PROVIDER.read_error(_error(502, "Provider returned error", raw="the GPU is on fire"))
    assert declared is not None
    assert declared.message == "Provider returned error: the GPU is on fire"


def test_a_comment_while_the_models_host_is_silent_is_no_news() -> None:
    assert CHAT_STREAM.read(b": OPENROUTER PROCESSING\n\n") is StreamNews.GOING
