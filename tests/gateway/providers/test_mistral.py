"""Mistral's bodies, as they have been seen, and what they mean."""

import orjson

from gateway.model.cause import Cause
from gateway.providers.mistral import PROVIDER
from tests.gateway.providers.compatible import CompatibleContract


def _flat(code: str | None, kind: str, message: object = "") -> bytes:
    return orjson.dumps({"object": "error", "message": message, "type": kind, "param": None, "code": code})


_EXTRA = [
    {"type": "extra_forbidden", "loc": ["body", "store"], "msg": "Extra inputs are not permitted", "input": False}
]


class TestMistral(CompatibleContract):
    provider = PROVIDER
    errors = (
        (401, b'{"message":"Unauthorized","request_id":"1"}', Cause.AUTH_INVALID_KEY),
        (401, b'{"detail":"Unauthorized"}', Cause.AUTH_INVALID_KEY),
        (400, _flat("1500", "invalid_model", "Invalid model: x"), Cause.REQUEST_MODEL_NOT_FOUND),
        (422, _flat(None, "invalid_request_error", {"detail": _EXTRA}), Cause.REQUEST_UNSUPPORTED_PARAMETER),
        (422, orjson.dumps({"detail": _EXTRA}), Cause.REQUEST_UNSUPPORTED_PARAMETER),
        (429, _flat("1300", "rate_limited", "Rate limit exceeded"), Cause.RATE_LIMIT_UNKNOWN),
        (429, _flat("3505", "service_tier_capacity_exceeded"), Cause.SERVICE_OVERLOADED),
        (
            429,
            _flat(None, "invalid_request_error", "Service tier capacity exceeded for this model."),
            Cause.SERVICE_OVERLOADED,
        ),
        (404, b'{"detail":"Not Found"}', Cause.REQUEST_INVALID_URL),
    )
    targets = (
        (b"/v1/chat/completions", "chat.completions", ""),
        (b"/v1/fim/completions", "fim.completions", ""),
        (b"/v1/agents/completions", "agents.completions", ""),
        (b"/v1/ocr", "ocr", ""),
    )
    limits = (
        (
            (
                (b"x-ratelimit-limit-tokens-minute", b"5000000"),
                (b"x-ratelimit-remaining-tokens-minute", b"4999911"),
                (b"x-ratelimit-tokens-query-cost", b"52"),
                (b"x-ratelimit-limit-req-minute", b"720"),
                (b"x-ratelimit-remaining-req-minute", b"717"),
            ),
            (("requests", 720, 717, None, 60.0), ("tokens", 5000000, 4999911, None, 60.0)),
        ),
    )

    def _envelope(self, code: str, kind: str) -> bytes:
        return _flat(code, kind)
