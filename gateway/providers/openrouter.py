"""OpenRouter: openrouter.ai.

Sources (read 2026-11): openrouter.ai/docs/api/reference/errors-and-debugging, /limits, /streaming, and the Responses
API's error handling page. ``code`` is the status as a number; ``error_type`` is OpenRouter's own name for what
happened; what the model's host answered stands as text in ``metadata.raw``. ``OPENROUTER_API_BASE`` is LiteLLM's.

An answer that fails on its way has status 200: a chunk with a top-level ``error`` and finish reason ``error``. While
the model's host is silent, comments keep the stream open.
"""

from dataclasses import replace

from gateway.model.call import Headers
from gateway.model.cause import Cause
from gateway.model.provider import Declared, StatedLimit, below
from gateway.providers import openai_compatible
from gateway.providers._envelope import read_any
from gateway.providers._headers import Named, answered_at, limits_of, stated_by, until_epoch
from gateway.providers._json import parsed, word
from gateway.providers._refine import Said, by_message
from gateway.providers._refusals import BODY_MAX, limits_in, window_in


def read_error(body: bytes) -> Declared | None:
    """Read OpenRouter's envelope; what the model's host said completes a message that only says that it failed."""
    declared = read_any(body)
    document = parsed(body)
    if declared is None or not isinstance(document, dict) or not isinstance(error := document.get("error"), dict):
        return declared
    metadata = error.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    kind = declared.type or word(metadata.get("error_type")) or word(document.get("error_type"))
    raw = metadata.get("raw")
    if not isinstance(raw, str) or not raw:
        return declared._replace(type=kind)
    inner = read_any(raw.encode("utf-8", "replace"))
    if inner is None:
        return declared._replace(type=kind, message=f"{declared.message}: {raw[:2000]}")
    return declared._replace(type=kind or inner.code or inner.type, message=f"{declared.message}: {inner.message}")


_NAMES = (Named("requests", b"x-ratelimit-limit", b"x-ratelimit-remaining", b"x-ratelimit-reset"),)
_SECONDS = until_epoch(0.001)


def read_refusal(body: bytes, headers: Headers) -> tuple[StatedLimit, ...]:
    """Read the headers that stand in ``error.metadata``, else the words.

    The words also name the window: ``Rate limit exceeded: free-models-per-day``.
    """
    declared = read_error(body) if len(body) <= BODY_MAX else None
    if declared is None:
        return ()
    stated = stated_by(_NAMES, _inner_headers(body), _SECONDS, answered_at(headers))
    if stated:
        window_seconds = window_in(declared.message)
        return tuple(one._replace(window_seconds=window_seconds) for one in stated)
    return limits_in(declared.message, declared.type)


def _inner_headers(body: bytes) -> dict[bytes, bytes]:
    at = parsed(body)
    for name in ("error", "metadata", "headers"):
        at = at.get(name) if isinstance(at, dict) else None
    if not isinstance(at, dict):
        return {}
    return {
        name.lower().encode("utf-8", "replace"): word(value).encode("utf-8", "replace") for name, value in at.items()
    }


PROVIDER = replace(
    openai_compatible.PROVIDER,
    name="openrouter",
    hosts=("openrouter.ai",),
    base_url_variables=("OPENROUTER_API_BASE",),
    base_path="/api/v1",
    name_target=below("/api/v1"),
    declared={
        **openai_compatible.DECLARED,
        (0, "invalid_request"): Cause.REQUEST_INVALID_PARAMETER,
        (0, "invalid_prompt"): Cause.REQUEST_INVALID_PARAMETER,
        (0, "string_too_long"): Cause.REQUEST_INVALID_PARAMETER,
        (0, "token_limit_exceeded"): Cause.QUOTA_EXHAUSTED,
        (0, "image_content_policy_violation"): Cause.REQUEST_CONTENT_POLICY,
    },
    by_status=openai_compatible.BY_STATUS,
    read_error=read_error,
    refine=by_message(
        (
            Said(401, "no auth credentials", Cause.AUTH_MISSING_KEY),
            Said(401, "no cookie auth credentials", Cause.AUTH_MISSING_KEY),
            Said(401, "user not found", Cause.AUTH_EXPIRED_KEY),
            Said(402, "/settings/keys", Cause.QUOTA_SPEND_LIMIT),
            Said(402, "monthly limit", Cause.QUOTA_SPEND_LIMIT),
            Said(403, "key limit exceeded", Cause.QUOTA_SPEND_LIMIT),
            Said(403, "flagged", Cause.REQUEST_CONTENT_POLICY),
            Said(404, "no endpoints found that", Cause.REQUEST_UNSUPPORTED_PARAMETER),
            Said(404, "data policy", Cause.AUTH_PERMISSION),
            Said(404, "no endpoints found for", Cause.REQUEST_MODEL_NOT_FOUND),
            Said(400, "is not a valid model id", Cause.REQUEST_MODEL_NOT_FOUND),
            Said(400, "maximum context length", Cause.REQUEST_CONTEXT_LENGTH),
            Said(429, "free-models-per-min", Cause.RATE_LIMIT_REQUESTS),
            Said(429, "free-models-per-day", Cause.RATE_LIMIT_DAILY),
        ),
        openai_compatible.refine,
    ),
    request_id_headers=(b"x-generation-id", b"x-request-id"),
    read_limits=limits_of(_NAMES, _SECONDS, dated=True),
    read_refusal=read_refusal,
)
