"""xAI's bodies, as they have been seen, and what they mean."""

import orjson

from gateway.model.cause import Cause
from gateway.providers.xai import PROVIDER
from tests.gateway.providers.compatible import CompatibleContract

_DENIED = "The caller does not have permission to execute the specified operation"


def _error(code: str, said: str) -> bytes:
    return orjson.dumps({"code": code, "error": said})


class TestXAI(CompatibleContract):
    provider = PROVIDER
    errors = (
        (
            400,
            _error("Client specified an invalid argument", "Incorrect API key provided: na***ys."),
            Cause.AUTH_INVALID_KEY,
        ),
        (400, _error("Client specified an invalid argument", "Invalid temperature"), Cause.REQUEST_INVALID_PARAMETER),
        (403, _error(_DENIED, "Your newly created team doesn't have any credits yet."), Cause.QUOTA_EXHAUSTED),
        (403, _error("permission-denied", "Access to the chat endpoint is denied."), Cause.AUTH_PERMISSION),
        (
            404,
            _error("Some requested entity was not found", "No handler found on route. Please double check your URL"),
            Cause.REQUEST_INVALID_URL,
        ),
        (
            404,
            _error("Some requested entity was not found", "The model grok-9 does not exist"),
            Cause.REQUEST_MODEL_NOT_FOUND,
        ),
        (
            429,
            _error(
                "Some resource has been exhausted",
                "Your team has either used all available credits or reached its monthly spending limit.",
            ),
            Cause.QUOTA_EXHAUSTED,
        ),
        (429, _error("Some resource has been exhausted", "Too many requests"), Cause.RATE_LIMIT_UNKNOWN),
    )
    targets = ((b"/v1/chat/completions", "chat.completions", ""), (b"/v1/responses", "responses", ""))

    def _envelope(self, code: str, kind: str) -> bytes:
        return orjson.dumps({"code": code, "error": "x", "type": kind})
