"""Groq's bodies, as they have been seen, and what they mean."""

from gateway.model.cause import Cause
from gateway.providers.groq import PROVIDER
from tests.gateway.providers.compatible import CompatibleContract, error

_TPM = "Request too large for model `x` on tokens per minute (TPM): Limit 6000, Requested 14368"


class TestGroq(CompatibleContract):
    provider = PROVIDER
    errors = (
        (400, error("model_decommissioned", "invalid_request_error"), Cause.REQUEST_MODEL_DEPRECATED),
        (400, error("organization_restricted", "invalid_request_error"), Cause.ACCOUNT_DEACTIVATED),
        (401, error("invalid_api_key", "invalid_request_error", "Invalid API Key"), Cause.AUTH_INVALID_KEY),
        (413, error("rate_limit_exceeded", "tokens", _TPM), Cause.RATE_LIMIT_TOKENS),
        (429, error("rate_limit_exceeded", "tokens", "on tokens per day (TPD): Limit 100000"), Cause.RATE_LIMIT_DAILY),
        (429, error("rate_limit_exceeded", "requests", "on requests per minute (RPM)"), Cause.RATE_LIMIT_REQUESTS),
        (400, error("tool_use_failed", "invalid_request_error"), Cause.SERVICE_MODEL_ERROR),
        (498, error("capacity_exceeded"), Cause.SERVICE_OVERLOADED),
        (503, error(None, "internal_server_error", "Service Unavailable"), Cause.SERVICE_UNAVAILABLE),
    )
    targets = (
        (b"/openai/v1/chat/completions", "chat.completions", ""),
        (b"/openai/v1/audio/transcriptions", "audio.transcriptions", ""),
    )
    limits = (
        (
            (
                (b"x-ratelimit-limit-requests", b"14400"),
                (b"x-ratelimit-limit-tokens", b"18000"),
                (b"x-ratelimit-remaining-requests", b"14370"),
                (b"x-ratelimit-remaining-tokens", b"17997"),
                (b"x-ratelimit-reset-requests", b"2m59.56s"),
                (b"x-ratelimit-reset-tokens", b"7.66s"),
            ),
            (("requests", 14400, 14370, 179.56, 86400.0), ("tokens", 18000, 17997, 7.66, 60.0)),
        ),
    )
