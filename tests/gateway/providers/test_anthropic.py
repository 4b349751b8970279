"""Anthropic's bodies, as they have been seen, and what they mean."""

import orjson
import pytest

from gateway.model.cause import Cause
from gateway.model.provider import Usage
from gateway.providers.anthropic import MESSAGES_STREAM, PROVIDER
from tests.gateway.providers.contract import ProviderContract


def _error(kind: str, message: str = "", code: str | None = None) -> bytes:
    error: dict[str, object] = {"type": kind, "message": message}
    if code is not None:
        error["details"] = {"error_code": code}
    return orjson.dumps({"type": "error", "error": error, "request_id": "req_011CSHoEeqs5C35K2UUqR7Fy"})


_START = (
    b'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_1","role":"assistant","content":[],'
    b'"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":25,"output_tokens":1}}}\n\n'
)
_DELTA = (
    b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},'
    b'"usage":{"output_tokens":15}}\n\n'
)


class TestAnthropic(ProviderContract):
    provider = PROVIDER
    errors = (
        (400, _error("invalid_request_error", "messages: Field required"), Cause.REQUEST_MISSING_PARAMETER),
        (
            400,
            _error("invalid_request_error", "top_k2: Extra inputs are not permitted"),
            Cause.REQUEST_UNSUPPORTED_PARAMETER,
        ),
        (400, _error("invalid_request_error", "something"), Cause.REQUEST_INVALID_PARAMETER),
        (
            400,
            _error("invalid_request_error", "prompt is too long: 209690 tokens > 200000 maximum"),
            Cause.REQUEST_CONTEXT_LENGTH,
        ),
        (
            400,
            _error("invalid_request_error", "Your credit balance is too low to access the Anthropic API."),
            Cause.QUOTA_EXHAUSTED,
        ),
        (
            400,
            _error("invalid_request_error", "You have reached your specified API usage limits."),
            Cause.QUOTA_SPEND_LIMIT,
        ),
        (401, _error("authentication_error", "invalid x-api-key"), Cause.AUTH_INVALID_KEY),
        (401, _error("authentication_error", "x-api-key header is required"), Cause.AUTH_MISSING_KEY),
        (403, _error("permission_error", "no"), Cause.AUTH_PERMISSION),
        (404, _error("not_found_error", "model: claude-9"), Cause.REQUEST_MODEL_NOT_FOUND),
        (404, _error("not_found_error", "Not found"), Cause.REQUEST_NOT_FOUND),
        (413, _error("request_too_large", "too large"), Cause.REQUEST_PAYLOAD_TOO_LARGE),
        (
            413,
            b'{"error":{"type":"request_too_large","message":"Request exceeds the maximum size"}}',
            Cause.REQUEST_PAYLOAD_TOO_LARGE,
        ),
        (
            413,
            _error("invalid_request_error", "Request size exceeds model context window"),
            Cause.REQUEST_CONTEXT_LENGTH,
        ),
        (
            429,
            _error("rate_limit_error", "Extra usage is required for long context requests."),
            Cause.ACCOUNT_PLAN_REQUIRED,
        ),
        (
            429,
            _error("rate_limit_error", "Number of request tokens has exceeded your daily rate limit"),
            Cause.RATE_LIMIT_DAILY,
        ),
        (
            429,
            _error("rate_limit_error", "Number of requests has exceeded your per-minute rate limit"),
            Cause.RATE_LIMIT_REQUESTS,
        ),
        (
            429,
            _error("rate_limit_error", "would exceed your rate limit of 50 requests per minute"),
            Cause.RATE_LIMIT_REQUESTS,
        ),
        (429, _error("rate_limit_error", "limit of 30,000 input tokens per minute"), Cause.RATE_LIMIT_TOKENS),
        (429, _error("rate_limit_error", "Number of concurrent connections"), Cause.RATE_LIMIT_CONCURRENCY),
        (429, _error("rate_limit_error", "slower"), Cause.RATE_LIMIT_UNKNOWN),
        (429, _error("rate_limit_error", "slower", "enforced_spend_limit_reached"), Cause.QUOTA_SPEND_LIMIT),
        (500, _error("api_error", "Internal server error"), Cause.SERVICE_SERVER_ERROR),
        (500, _error("api_error", "Overloaded"), Cause.SERVICE_OVERLOADED),
        (529, _error("overloaded_error", "Overloaded"), Cause.SERVICE_OVERLOADED),
        (504, _error("timeout_error", "Request timed out"), Cause.SERVICE_TIMEOUT),
        (502, _error("strange_error", "bad gateway"), Cause.SERVICE_UNAVAILABLE),
    )
    streams = {  # noqa: RUF012 - a constant of the contract
        "messages": (
            _START,
            b'event: ping\ndata: {"type": "ping"}\n\n',
            b'event: content_block_delta\ndata: {"type":"content_block_delta","delta":{"text":"Hi"}}\n\n',
            _DELTA,
            b'event: message_stop\ndata: {"type":"message_stop"}\n\n',
        )
    }
    finish = {"messages": _DELTA}  # noqa: RUF012 - the same
    failures = {  # noqa: RUF012 - the same
        "messages": b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n'
    }
    usages = (
        (b'{"usage":{"input_tokens":8,"output_tokens":2}}', Usage(8, 2)),
        (
            b'{"usage":{"input_tokens":8,"cache_creation_input_tokens":4,"cache_read_input_tokens":2,"output_tokens":2}}',
            Usage(14, 2),
        ),
        (b'{"type":"message_start","message":{"usage":{"input_tokens":25,"output_tokens":1}}}', Usage(25, 1)),
        (b'{"type":"message_delta","usage":{"output_tokens":15}}', Usage(None, 15)),
        (b'{"usage":{"input_tokens":-3,"output_tokens":true}}', Usage(None, None)),
        (b'{"usage":7}', None),
        (b"{}", None),
    )

    targets = (
        (b"/v1/messages?beta=true", "messages", ""),
        (b"/v1/messages/count_tokens", "messages.count_tokens", ""),
        (b"/v1/nothing", "other", ""),
    )
    limits = (
        (
            (
                (b"date", b"Fri, 20 Nov 2026 09:59:48 GMT"),
                (b"anthropic-ratelimit-requests-limit", b"50"),
                (b"anthropic-ratelimit-requests-remaining", b"0"),
                (b"anthropic-ratelimit-requests-reset", b"2026-11-20T10:00:00Z"),
                (b"anthropic-ratelimit-input-tokens-limit", b"30000"),
                (b"anthropic-ratelimit-input-tokens-remaining", b"29000"),
                (b"anthropic-ratelimit-input-tokens-reset", b"2026-11-20T09:00:00Z"),
            ),
            (("requests", 50, 0, 12.0, 60.0), ("input_tokens", 30000, 29000, 0.0, 60.0)),
        ),
        (
            (
                (b"anthropic-ratelimit-tokens-remaining", b"7"),
                (b"anthropic-ratelimit-tokens-reset", b"2026-11-20T10:00:00Z"),
            ),
            (("tokens", None, 7, None, 60.0),),
        ),
    )

    refusals = (
        (
            _error(
                "rate_limit_error",
                "This would exceed your organization's rate limit of 40,000 input tokens per minute.",
            ),
            (("input_tokens", 40000, None, None, 60.0),),
        ),
        (
            _error("rate_limit_error", "Number of request tokens has exceeded your per-minute rate limit (https://x)"),
            (("tokens", None, 0, None, 60.0),),
        ),
        (
            _error(
                "rate_limit_error", "This would exceed your maximum usage increase rate for input tokens per minute."
            ),
            (),
        ),
    )

    def _envelope(self, code: str, kind: str) -> bytes:
        return _error(kind or "x", "", code) if code == "enforced_spend_limit_reached" else _error(code)


def test_the_start_of_a_message_in_the_same_piece_does_not_hide_its_stop_reason() -> None:
    """The first event of every stream says ``"stop_reason":null``."""
    assert MESSAGES_STREAM.finished(_START + _DELTA)


@pytest.mark.parametrize("body", [b'{"error":{"type":"api_error","message":"x"}}', b'{"type":"error","error":"x"}'])
def test_an_error_without_anthropics_own_frame_is_somebody_elses(body: bytes) -> None:
    assert PROVIDER.read_error(body) is None


def test_an_error_of_ours_has_the_type_that_its_status_has_there() -> None:
    types = {
        status: orjson.loads(PROVIDER.write_error(status, "a.b", "m"))["error"]["type"] for status in (429, 401, 502)
    }
    assert types == {429: "rate_limit_error", 401: "authentication_error", 502: "api_error"}
