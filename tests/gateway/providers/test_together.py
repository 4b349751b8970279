"""Together's bodies, as they have been seen, and what they mean."""

import orjson

from gateway.model.cause import Cause
from gateway.providers.together import PROVIDER
from tests.gateway.providers.compatible import CompatibleContract, error


class TestTogether(CompatibleContract):
    provider = PROVIDER
    errors = (
        (401, error("invalid_api_key", "invalid_request_error"), Cause.AUTH_INVALID_KEY),
        (402, error(None, "credit_limit", "Credit limit exceeded"), Cause.QUOTA_EXHAUSTED),
        (402, error(None, "x", "monthly limit"), Cause.QUOTA_SPEND_LIMIT),
        (403, error(None, "x", "inputs tokens + max_new_tokens"), Cause.REQUEST_CONTEXT_LENGTH),
        (404, error("model_not_available", "invalid_request_error"), Cause.REQUEST_MODEL_NOT_FOUND),
        (
            429,
            orjson.dumps({"error": {"message": "slower", "error_type": "dynamic_token_limited"}}),
            Cause.RATE_LIMIT_TOKENS,
        ),
        (503, error(None, "x", "engine"), Cause.SERVICE_OVERLOADED),
    )
    targets = ((b"/v1/chat/completions", "chat.completions", ""), (b"/v1/rerank", "rerank", ""))
    limits = (
        (
            (
                (b"x-ratelimit-limit", b"10"),
                (b"x-ratelimit-remaining", b"0"),
                (b"x-ratelimit-reset", b"1"),
                (b"x-tokenlimit-limit", b"3000"),
                (b"x-tokenlimit-remaining", b"2500"),
            ),
            (("requests", 10, 0, 1.0, None), ("tokens", 3000, 2500, None, None)),
        ),
    )
