"""Anthropic: api.anthropic.com.

Sources (read 2026-11): docs.claude.com/en/api/errors, /en/api/rate-limits, /en/api/messages,
/en/docs/build-with-claude/streaming.
"""

import re
from collections.abc import Mapping

import orjson

from gateway.model.cause import Cause
from gateway.model.provider import Declared, Endpoint, Provider, StreamNews, StreamShape, Usage, below
from gateway.providers._envelope import declare
from gateway.providers._headers import Named, limits_of, until
from gateway.providers._json import count, parsed, word
from gateway.providers._refine import Said, by_message
from gateway.providers._refusals import read_refusal
from gateway.providers._texts import write_message

DECLARED: Mapping[tuple[int, str], Cause] = {
    (0, "enforced_spend_limit_reached"): Cause.QUOTA_SPEND_LIMIT,
    (0, "claude_code_key_creator_not_member"): Cause.AUTH_NOT_A_MEMBER,
    (0, "billing_error"): Cause.ACCOUNT_BILLING_INACTIVE,
    (0, "authentication_error"): Cause.AUTH_INVALID_KEY,
    (0, "permission_error"): Cause.AUTH_PERMISSION,
    (413, "request_too_large"): Cause.REQUEST_PAYLOAD_TOO_LARGE,
    (404, "not_found_error"): Cause.REQUEST_NOT_FOUND,
    (409, "conflict_error"): Cause.REQUEST_CONFLICT,
    (0, "rate_limit_error"): Cause.RATE_LIMIT_UNKNOWN,
    (0, "timeout_error"): Cause.SERVICE_TIMEOUT,
    (0, "overloaded_error"): Cause.SERVICE_OVERLOADED,
    (0, "api_error"): Cause.SERVICE_SERVER_ERROR,
    (400, "invalid_request_error"): Cause.REQUEST_INVALID_PARAMETER,
}
"""(status, or 0 for any; ``details.error_code`` or ``error.type``) -> cause."""

BY_STATUS: Mapping[int, Cause] = {
    400: Cause.REQUEST_INVALID_PARAMETER,
    401: Cause.AUTH_INVALID_KEY,
    402: Cause.ACCOUNT_BILLING_INACTIVE,
    403: Cause.AUTH_PERMISSION,
    404: Cause.REQUEST_NOT_FOUND,
    405: Cause.REQUEST_METHOD_NOT_ALLOWED,
    409: Cause.REQUEST_CONFLICT,
    413: Cause.REQUEST_PAYLOAD_TOO_LARGE,
    415: Cause.REQUEST_UNSUPPORTED_MEDIA_TYPE,
    429: Cause.RATE_LIMIT_UNKNOWN,
    500: Cause.SERVICE_SERVER_ERROR,
    502: Cause.SERVICE_UNAVAILABLE,
    503: Cause.SERVICE_UNAVAILABLE,
    504: Cause.SERVICE_TIMEOUT,
    529: Cause.SERVICE_OVERLOADED,
}

refine = by_message(
    (
        Said(400, "credit balance is too low", Cause.QUOTA_EXHAUSTED),
        Said(400, "specified api usage limits", Cause.QUOTA_SPEND_LIMIT),
        Said(400, "prompt is too long", Cause.REQUEST_CONTEXT_LENGTH),
        Said(400, "exceed context limit", Cause.REQUEST_CONTEXT_LENGTH),
        Said(413, "exceeds model context window", Cause.REQUEST_CONTEXT_LENGTH),
        Said(400, "organization has been disabled", Cause.ACCOUNT_DEACTIVATED),
        Said(400, "anthropic-version", Cause.REQUEST_API_VERSION),
        Said(400, "field required", Cause.REQUEST_MISSING_PARAMETER),
        Said(400, "extra inputs are not permitted", Cause.REQUEST_UNSUPPORTED_PARAMETER),
        Said(400, "this model does not support", Cause.REQUEST_UNSUPPORTED_PARAMETER),
        Said(400, "is not supported on this api", Cause.REQUEST_WRONG_ENDPOINT),
        Said(400, "body is not valid json", Cause.REQUEST_INVALID_JSON),
        Said(401, "x-api-key header is required", Cause.AUTH_MISSING_KEY),
        Said(401, "authentication is required", Cause.AUTH_MISSING_KEY),
        Said(404, "model:", Cause.REQUEST_MODEL_NOT_FOUND),
        Said(429, "extra usage is required", Cause.ACCOUNT_PLAN_REQUIRED),
        Said(429, "daily rate limit", Cause.RATE_LIMIT_DAILY),
        Said(429, "number of request tokens", Cause.RATE_LIMIT_TOKENS),
        Said(429, "number of requests", Cause.RATE_LIMIT_REQUESTS),
        Said(429, "requests per minute", Cause.RATE_LIMIT_REQUESTS),
        Said(429, "tokens per minute", Cause.RATE_LIMIT_TOKENS),
        Said(429, "concurrent connections", Cause.RATE_LIMIT_CONCURRENCY),
        Said(500, "overloaded", Cause.SERVICE_OVERLOADED),
    )
)
"""What one ``error.type`` covers and only the message tells apart."""


def read_error(body: bytes) -> Declared | None:
    """Read ``{"type": "error", "error": {"type", "message"}}``; None when it is no such envelope.

    A body that is too large is refused before it reaches the API, in an envelope without the outer type.
    """
    document = parsed(body)
    if not isinstance(document, dict) or not isinstance(error := document.get("error"), dict):
        return None
    if document.get("type") != "error" and error.get("type") != "request_too_large":
        return None
    details = error.get("details")
    code = word(details.get("error_code")) if isinstance(details, dict) else ""
    return declare(error)._replace(code=code, param="")


_INPUT = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")


def read_usage(document: dict[str, object]) -> Usage | None:
    """Read ``usage`` of a Messages body, or of the events `message_start` and `message_delta`."""
    usage = document.get("usage")
    if usage is None and isinstance(message := document.get("message"), dict):
        usage = message.get("usage")
    if not isinstance(usage, dict):
        return None
    parts = (count(usage.get(key)) for key in _INPUT)
    counted = [part for part in parts if part is not None]
    return Usage(sum(counted) if counted else None, count(usage.get("output_tokens")))


_TYPES = {429: "rate_limit_error", 401: "authentication_error", 403: "permission_error", 413: "request_too_large"}


def write_error(status: int, code: str, message: str) -> bytes:
    """Write an error of ours in Anthropic's envelope; our slug stands beside the type."""
    return orjson.dumps(
        {"type": "error", "error": {"type": _TYPES.get(status, "api_error"), "message": message, "code": code}}
    )


def _read_messages(events: bytes) -> StreamNews:
    news = StreamNews.GOING
    for line in events.splitlines():
        if line.startswith(b"event:"):
            name = line[6:].strip()
            if name == b"error":
                return StreamNews.FAILED
            if name == b"message_stop":
                news = StreamNews.ENDED
    return news


_STOP = re.compile(rb'"stop_reason": ?"')


def _finished(events: bytes) -> bool:
    return _STOP.search(events) is not None


def _error_event(code: str, message: str, _number: int) -> bytes:
    error = {"type": "error", "error": {"type": "api_error", "message": message, "code": code}}
    return b"event: error\ndata: " + orjson.dumps(error) + b"\n\n"


MESSAGES_STREAM = StreamShape(read=_read_messages, finished=_finished, error_event=_error_event)

read_limits = limits_of(
    (
        Named(
            name.replace("-", "_"),
            f"anthropic-ratelimit-{name}-limit".encode(),
            f"anthropic-ratelimit-{name}-remaining".encode(),
            f"anthropic-ratelimit-{name}-reset".encode(),
            60.0,
        )
        for name in ("requests", "tokens", "input-tokens", "output-tokens")
    ),
    until,
    dated=True,
)
"""Every limit is documented as so many a minute, of a bucket that is filled steadily."""

PROVIDER = Provider(
    name="anthropic",
    hosts=("api.anthropic.com",),
    base_url_variables=("ANTHROPIC_BASE_URL", "ANTHROPIC_API_BASE", "ANTHROPIC_API_URL"),
    base_path="",
    name_target=below(""),
    # The official SDKs put /v1 behind ANTHROPIC_BASE_URL; others (Vercel's AI SDK up to 2026) expect it inside.
    implied_base="/v1",
    key_headers=(b"x-api-key", b"authorization"),
    scope_headers=(),
    version_headers=(b"anthropic-version", b"anthropic-beta"),
    endpoints={
        "/v1/messages": Endpoint(
            name="messages",
            pure=True,
            stream=MESSAGES_STREAM,
            prompt_fields=("system", "messages", "tools"),
            max_output_fields=("max_tokens",),
            write_text=write_message,
            elsewhere="/v1/messages",
        ),
        "/v1/messages/count_tokens": Endpoint(name="messages.count_tokens", pure=True),
        "/v1/messages/batches": Endpoint(name="messages.batches"),
        "/v1/complete": Endpoint(
            name="complete", prompt_fields=("prompt",), max_output_fields=("max_tokens_to_sample",)
        ),
        "/v1/models": Endpoint(name="models"),
        "/v1/files": Endpoint(name="files"),
    },
    declared=DECLARED,
    by_status=BY_STATUS,
    read_error=read_error,
    refine=refine,
    read_usage=read_usage,
    write_error=write_error,
    request_id_headers=(b"request-id",),
    read_limits=read_limits,
    read_refusal=read_refusal,
    account_headers=(b"anthropic-organization-id",),
)
