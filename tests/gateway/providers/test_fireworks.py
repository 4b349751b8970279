"""Fireworks' bodies, as they have been seen, and what they mean."""

from gateway.model.cause import Cause
from gateway.providers.fireworks import PROVIDER
from tests.gateway.providers.compatible import CompatibleContract, error

_MISSING = "Model not found, inaccessible, and/or not deployed"


class TestFireworks(CompatibleContract):
    provider = PROVIDER
    errors = (
        (401, error("UNAUTHORIZED", "error", "The API key you provided is invalid."), Cause.AUTH_INVALID_KEY),
        (402, error(None, "error", "pay"), Cause.QUOTA_EXHAUSTED),
        (404, error("NOT_FOUND", "error", _MISSING), Cause.REQUEST_MODEL_NOT_FOUND),
        (412, error("PRECONDITION_FAILED", "error", "Account is suspended"), Cause.ACCOUNT_DEACTIVATED),
        (400, error(None, "invalid_request_error", "The prompt is too long: 9"), Cause.REQUEST_CONTEXT_LENGTH),
        (429, error(None, "error", "slower"), Cause.RATE_LIMIT_UNKNOWN),
        (503, error(None, "error", "busy"), Cause.SERVICE_OVERLOADED),
    )
    targets = ((b"/inference/v1/chat/completions", "chat.completions", ""),)
    limits = (
        (
            (
                (b"x-ratelimit-limit-requests", b"600"),
                (b"x-ratelimit-remaining-requests", b"599"),
                (b"x-ratelimit-limit-tokens-prompt", b"60000"),
                (b"x-ratelimit-remaining-tokens-prompt", b"59000"),
                (b"x-ratelimit-limit-tokens-generated", b"6000"),
            ),
            (
                ("requests", 600, 599, None, None),
                ("input_tokens", 60000, 59000, None, 60.0),
                ("output_tokens", 6000, None, None, 60.0),
            ),
        ),
    )
