"""Moonshot's bodies, as they have been seen, and what they mean."""

from gateway.model.cause import Cause
from gateway.providers.moonshot import PROVIDER
from tests.gateway.providers.compatible import CompatibleContract, error

_REACHED = "rate_limit_reached_error"


class TestMoonshot(CompatibleContract):
    provider = PROVIDER
    errors = (
        (400, error(400, "content_filter", "considered high risk"), Cause.REQUEST_CONTENT_POLICY),
        (
            400,
            error(None, "invalid_request_error", "Your request exceeded model token limit : 8192"),
            Cause.REQUEST_CONTEXT_LENGTH,
        ),
        (401, error(None, "invalid_authentication_error", "Invalid Authentication"), Cause.AUTH_INVALID_KEY),
        (
            404,
            error(None, "resource_not_found_error", "Not found the model or Permission denied"),
            Cause.REQUEST_MODEL_NOT_FOUND,
        ),
        (429, error(None, "engine_overloaded_error", "overloaded"), Cause.SERVICE_OVERLOADED),
        (429, error(None, "exceeded_current_quota_error", "check your account balance"), Cause.QUOTA_EXHAUSTED),
        (429, error(None, _REACHED, "request reached organization max RPM: 3, please try"), Cause.RATE_LIMIT_REQUESTS),
        (429, error(None, _REACHED, "request reached project TPM rate limit, current: 1"), Cause.RATE_LIMIT_TOKENS),
        (429, error(None, _REACHED, "request reached organization TPD rate limit"), Cause.RATE_LIMIT_DAILY),
        (429, error(None, _REACHED, "request reached organization max concurrency: 1"), Cause.RATE_LIMIT_CONCURRENCY),
        (429, error(None, _REACHED, "Your account org-arpma<ak-xtpmx> is too fast"), Cause.RATE_LIMIT_UNKNOWN),
    )
    targets = (
        (b"/v1/chat/completions", "chat.completions", ""),
        (b"/anthropic/v1/messages", "messages", ""),
        (b"/v1/files", "files", ""),
    )
