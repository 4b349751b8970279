"""OpenAI: api.openai.com.

Sources (read 2026-11): platform.openai.com/docs/guides/error-codes, /docs/guides/rate-limits, /docs/api-reference
(chat, responses, embeddings, moderations, streaming), help.openai.com/en/articles/5955604.
"""

import re
from collections.abc import Mapping

import orjson

from gateway.model.cause import Cause
from gateway.model.provider import Declared, Endpoint, Provider, StreamNews, StreamShape, Usage, below
from gateway.providers._envelope import read_object
from gateway.providers._headers import read_openai_limits
from gateway.providers._json import count, event_data, parsed
from gateway.providers._refine import Said, by_message
from gateway.providers._refusals import read_refusal
from gateway.providers._texts import write_chat, write_completion, write_response

DECLARED: Mapping[tuple[int, str], Cause] = {
    (0, "insufficient_quota"): Cause.QUOTA_EXHAUSTED,
    (0, "credit_balance_exhausted"): Cause.QUOTA_EXHAUSTED,
    (0, "organization_spend_limit_exceeded"): Cause.QUOTA_SPEND_LIMIT,
    (0, "project_spend_limit_exceeded"): Cause.QUOTA_SPEND_LIMIT,
    (0, "organization_usage_limit_exceeded"): Cause.QUOTA_SPEND_LIMIT,
    (0, "billing_hard_limit_reached"): Cause.QUOTA_SPEND_LIMIT,
    (0, "usage_limit_reached"): Cause.QUOTA_PLAN_WINDOW,
    (0, "billing_not_active"): Cause.ACCOUNT_BILLING_INACTIVE,
    (0, "rate_limit_exceeded/tokens"): Cause.RATE_LIMIT_TOKENS,
    (0, "rate_limit_exceeded/requests"): Cause.RATE_LIMIT_REQUESTS,
    (0, "rate_limit_exceeded/tokens_usage_based"): Cause.RATE_LIMIT_TOKENS,
    (0, "rate_limit_exceeded"): Cause.RATE_LIMIT_UNKNOWN,
    (0, "token_limit_exceeded"): Cause.RATE_LIMIT_TOKENS,
    (429, "tokens"): Cause.RATE_LIMIT_TOKENS,
    (429, "requests"): Cause.RATE_LIMIT_REQUESTS,
    (0, "slow_down"): Cause.RATE_LIMIT_RAMP,
    (0, "server_is_overloaded"): Cause.SERVICE_OVERLOADED,
    (429, "server_error"): Cause.SERVICE_OVERLOADED,
    (413, "server_error"): Cause.REQUEST_PAYLOAD_TOO_LARGE,
    (504, "server_error"): Cause.SERVICE_TIMEOUT,
    (503, "service_unavailable_error"): Cause.SERVICE_OVERLOADED,
    (503, "server_error"): Cause.SERVICE_OVERLOADED,
    (0, "invalid_api_key"): Cause.AUTH_INVALID_KEY,
    (0, "invalid_jwt"): Cause.AUTH_INVALID_KEY,
    (0, "invalid_issuer"): Cause.AUTH_INVALID_KEY,
    (0, "token_expired"): Cause.AUTH_EXPIRED_KEY,
    (0, "token_revoked"): Cause.AUTH_EXPIRED_KEY,
    (0, "token_invalidated"): Cause.AUTH_EXPIRED_KEY,
    (0, "mismatched_organization"): Cause.AUTH_WRONG_ORGANIZATION,
    (0, "mismatched_project"): Cause.AUTH_WRONG_ORGANIZATION,
    (0, "invalid_organization"): Cause.AUTH_WRONG_ORGANIZATION,
    (0, "no_organization"): Cause.AUTH_NOT_A_MEMBER,
    (0, "missing_scope"): Cause.AUTH_PERMISSION,
    (0, "insufficient_permissions"): Cause.AUTH_PERMISSION,
    (0, "ip_not_authorized"): Cause.AUTH_IP_NOT_ALLOWED,
    (0, "account_deactivated"): Cause.ACCOUNT_DEACTIVATED,
    (0, "deactivated_workspace"): Cause.ACCOUNT_DEACTIVATED,
    (0, "unsupported_country_region_territory"): Cause.REGION_UNSUPPORTED,
    (403, "model_not_found"): Cause.AUTH_PERMISSION,
    (0, "model_not_found"): Cause.REQUEST_MODEL_NOT_FOUND,
    (0, "unknown_url"): Cause.REQUEST_INVALID_URL,
    (0, "context_length_exceeded"): Cause.REQUEST_CONTEXT_LENGTH,
    (0, "string_above_max_length"): Cause.REQUEST_INVALID_PARAMETER,
    (0, "array_above_max_length"): Cause.REQUEST_INVALID_PARAMETER,
    (0, "invalid_json_schema"): Cause.REQUEST_INVALID_PARAMETER,
    (0, "invalid_value"): Cause.REQUEST_INVALID_PARAMETER,
    (0, "invalid_type"): Cause.REQUEST_INVALID_PARAMETER,
    (0, "invalid_image_url"): Cause.REQUEST_INVALID_PARAMETER,
    (0, "invalid_image_format"): Cause.REQUEST_INVALID_PARAMETER,
    (0, "unsupported_format"): Cause.REQUEST_INVALID_PARAMETER,
    (0, "unknown_parameter"): Cause.REQUEST_UNSUPPORTED_PARAMETER,
    (0, "unsupported_parameter"): Cause.REQUEST_UNSUPPORTED_PARAMETER,
    (0, "unsupported_value"): Cause.REQUEST_UNSUPPORTED_PARAMETER,
    (0, "missing_required_parameter"): Cause.REQUEST_MISSING_PARAMETER,
    (0, "content_policy_violation"): Cause.REQUEST_CONTENT_POLICY,
    (0, "moderation_blocked"): Cause.REQUEST_CONTENT_POLICY,
    (0, "invalid_prompt"): Cause.REQUEST_CONTENT_POLICY,
    (0, "previous_response_not_found"): Cause.REQUEST_NOT_FOUND,
    (0, "conversation_locked"): Cause.REQUEST_CONFLICT,
    (0, "model_error"): Cause.SERVICE_MODEL_ERROR,
    (0, "server_error"): Cause.SERVICE_SERVER_ERROR,
}
"""(status, or 0 for any; code, ``code/type`` or type) -> cause."""

BY_STATUS: Mapping[int, Cause] = {
    401: Cause.AUTH_INVALID_KEY,
    404: Cause.REQUEST_NOT_FOUND,
    405: Cause.REQUEST_METHOD_NOT_ALLOWED,
    408: Cause.SERVICE_TIMEOUT,
    409: Cause.REQUEST_CONFLICT,
    413: Cause.REQUEST_PAYLOAD_TOO_LARGE,
    415: Cause.REQUEST_UNSUPPORTED_MEDIA_TYPE,
    422: Cause.REQUEST_INVALID_PARAMETER,
    429: Cause.RATE_LIMIT_UNKNOWN,
    400: Cause.REQUEST_INVALID_PARAMETER,
    500: Cause.SERVICE_SERVER_ERROR,
    502: Cause.SERVICE_UNAVAILABLE,
    503: Cause.SERVICE_UNAVAILABLE,
    504: Cause.SERVICE_TIMEOUT,
}
"""What a status means when the envelope is OpenAI's but names no known code."""


read_error = read_object

_BY_NAME = {"(TPM)": Cause.RATE_LIMIT_TOKENS, "(RPM)": Cause.RATE_LIMIT_REQUESTS}
_NO_LIMIT = re.compile(r"\bLimit: 0\b")


def _structure(status: int, cause: Cause | None, declared: Declared) -> Cause | None:
    message = declared.message
    if cause is not None and cause.startswith("rate_limit."):
        if _NO_LIMIT.search(message):
            return Cause.ACCOUNT_PLAN_REQUIRED
        if "per day" in message or "(RPD)" in message or "(TPD)" in message:
            return Cause.RATE_LIMIT_DAILY
        if cause is Cause.RATE_LIMIT_UNKNOWN:  # inside a stream the type is left out
            return next((better for name, better in _BY_NAME.items() if name in message), cause)
    if status == 404 and not declared.code and declared.param == "model":
        return Cause.REQUEST_WRONG_ENDPOINT
    return cause


refine = by_message(
    (
        Said(401, "you didn't provide an api key", Cause.AUTH_MISSING_KEY),
        Said(401, "missing bearer", Cause.AUTH_MISSING_KEY),
        Said(401, "invalid authorization header", Cause.AUTH_MALFORMED_HEADER),
        Said(401, "missing scopes", Cause.AUTH_PERMISSION),
        Said(0, "organization must be verified", Cause.ACCOUNT_VERIFICATION),
        Said(404, "has been deprecated", Cause.REQUEST_MODEL_DEPRECATED),
        Said(404, "invalid url (", Cause.REQUEST_INVALID_URL),
        Said(400, "could not parse the json body", Cause.REQUEST_INVALID_JSON),
        Said(400, "maximum context length is", Cause.REQUEST_CONTEXT_LENGTH),
        Said(400, "unrecognized request argument", Cause.REQUEST_UNSUPPORTED_PARAMETER),
        Said(400, "rejected as a result of our safety system", Cause.REQUEST_CONTENT_POLICY),
        Said(400, "unsupported content type", Cause.REQUEST_UNSUPPORTED_MEDIA_TYPE),
    ),
    _structure,
)
"""What OpenAI says only in the message: daily limits, a key that was not sent, a URL that is none."""


def read_usage(document: dict[str, object]) -> Usage | None:
    """Read ``usage`` of a chat, completion, embedding or Responses body, or of one of their events."""
    usage = document.get("usage")
    if usage is None and isinstance(response := document.get("response"), dict):
        usage = response.get("usage")
    if not isinstance(usage, dict):
        return None
    tokens_in = usage.get("prompt_tokens", usage.get("input_tokens"))
    tokens_out = usage.get("completion_tokens", usage.get("output_tokens"))
    return Usage(count(tokens_in), count(tokens_out))


def write_error(status: int, code: str, message: str) -> bytes:
    """Write an error of ours in OpenAI's envelope."""
    kind = "rate_limit_error" if status == 429 else "whygate_error"
    return orjson.dumps({"error": {"message": message, "type": kind, "param": None, "code": code}})


def _read_chat(events: bytes) -> StreamNews:
    if b"[DONE]" in events and any(line.strip() == b"[DONE]" for line in event_data(events)):
        return StreamNews.ENDED
    if b'"error"' in events and any(_is_error(line) for line in event_data(events)):
        return StreamNews.FAILED
    return StreamNews.GOING


def _is_error(line: bytes) -> bool:
    document = parsed(line)
    return isinstance(document, dict) and (bool(document.get("error")) or document.get("object") == "error")


_FINISH = re.compile(rb'"finish_reason": ?"')


def _chat_finished(events: bytes) -> bool:
    """Whether a choice says why it ended; the mark itself may still be on its way."""
    return _FINISH.search(events) is not None


def _chat_error(code: str, message: str, _number: int) -> bytes:
    error = {"error": {"message": message, "type": "whygate_error", "param": None, "code": code}}
    return b"data: " + orjson.dumps(error) + b"\n\n"


CHAT_STREAM = StreamShape(read=_read_chat, finished=_chat_finished, error_event=_chat_error)

_ENDS = {
    b"response.completed": StreamNews.ENDED,
    b"response.incomplete": StreamNews.ENDED,
    b"response.cancelled": StreamNews.ENDED,
}
_FAILS = (b"response.failed", b"error")


def _read_responses(events: bytes) -> StreamNews:
    news = StreamNews.GOING
    for line in events.splitlines():
        if line.startswith(b"event:"):
            name = line[6:].strip()
            if name in _FAILS:
                return StreamNews.FAILED
            news = _ENDS.get(name, news)
    return news


def _responses_error(code: str, message: str, number: int) -> bytes:
    # Nested: the SDK reads only `error` and raises; a flat event of this type raises nothing.
    error = {
        "type": "error",
        "sequence_number": number,
        "error": {"type": "whygate_error", "code": code, "message": message, "param": None},
    }
    return b"event: error\ndata: " + orjson.dumps(error) + b"\n\n"


RESPONSES_STREAM = StreamShape(read=_read_responses, finished=lambda _events: False, error_event=_responses_error)

_OUTPUT = ("max_completion_tokens", "max_tokens")

ENDPOINTS: Mapping[str, Endpoint] = {
    "/chat/completions": Endpoint(
        name="chat.completions",
        pure=True,
        stream=CHAT_STREAM,
        prompt_fields=("messages", "tools", "functions", "response_format"),
        max_output_fields=_OUTPUT,
        write_text=write_chat,
        elsewhere="/v1/chat/completions",
    ),
    "/completions": Endpoint(
        name="completions",
        pure=True,
        stream=CHAT_STREAM,
        prompt_fields=("prompt", "suffix"),
        max_output_fields=_OUTPUT,
        write_text=write_completion,
        elsewhere="/v1/completions",
    ),
    "/responses": Endpoint(
        name="responses",
        pure=True,
        stream=RESPONSES_STREAM,
        prompt_fields=("input", "instructions", "tools", "text"),
        max_output_fields=("max_output_tokens",),
        write_text=write_response,
        elsewhere="/v1/responses",
    ),
    "/embeddings": Endpoint(name="embeddings", pure=True, prompt_fields=("input",)),
    "/moderations": Endpoint(name="moderations", pure=True, prompt_fields=("input",)),
    "/models": Endpoint(name="models"),
    "/images/generations": Endpoint(name="images.generations", prompt_fields=("prompt",)),
    "/images/edits": Endpoint(name="images.edits"),
    "/audio/speech": Endpoint(name="audio.speech", prompt_fields=("input",)),
    "/audio/transcriptions": Endpoint(name="audio.transcriptions"),
    "/audio/translations": Endpoint(name="audio.translations"),
    "/files": Endpoint(name="files"),
    "/uploads": Endpoint(name="uploads"),
    "/batches": Endpoint(name="batches"),
    "/fine_tuning/jobs": Endpoint(name="fine_tuning.jobs"),
    "/vector_stores": Endpoint(name="vector_stores"),
    "/assistants": Endpoint(name="assistants"),
    "/threads": Endpoint(name="threads"),
    "/conversations": Endpoint(name="conversations"),
    "/realtime": Endpoint(name="realtime"),
}
"""Path below the base path; a longer path belongs to its longest prefix, and only an exact one is pure."""

PROVIDER = Provider(
    name="openai",
    hosts=("api.openai.com",),
    base_url_variables=("OPENAI_BASE_URL", "OPENAI_API_BASE", "OPENAI_API_HOST"),
    base_path="/v1",
    name_target=below("/v1"),
    key_headers=(b"authorization",),
    scope_headers=(b"openai-organization", b"openai-project"),
    version_headers=(b"openai-beta", b"openai-version"),
    endpoints=ENDPOINTS,
    declared=DECLARED,
    by_status=BY_STATUS,
    read_error=read_error,
    refine=refine,
    read_usage=read_usage,
    write_error=write_error,
    request_id_headers=(b"x-request-id",),
    read_limits=read_openai_limits,
    read_refusal=read_refusal,
    account_headers=(b"openai-organization", b"openai-project"),
)
