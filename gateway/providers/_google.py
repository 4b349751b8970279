"""Google's error model, as the Gemini API uses it: ``google.rpc.Status`` with details.

Sources (read 2026-11): cloud.google.com/apis/design/errors, github.com/googleapis/googleapis google/rpc/code.proto,
google/rpc/error_details.proto, google/api/error_reason.proto; ai.google.dev/gemini-api/docs/troubleshooting,
/rate-limits, /api-errors (the names in lower case, of the Interactions API).
"""

from collections.abc import Iterator, Mapping
from itertools import islice

import orjson

from gateway.model.call import Headers
from gateway.model.cause import Cause
from gateway.model.provider import Declared, StatedLimit
from gateway.providers import _refusals
from gateway.providers._envelope import declare
from gateway.providers._headers import whole
from gateway.providers._json import parsed, word
from gateway.providers._refine import Said, by_message

DECLARED: Mapping[tuple[int, str], Cause] = {
    # ErrorInfo.reason
    (0, "API_KEY_INVALID"): Cause.AUTH_INVALID_KEY,
    (0, "API_KEY_SERVICE_BLOCKED"): Cause.AUTH_PERMISSION,
    (0, "API_KEY_HTTP_REFERRER_BLOCKED"): Cause.AUTH_PERMISSION,
    (0, "API_KEY_ANDROID_APP_BLOCKED"): Cause.AUTH_PERMISSION,
    (0, "API_KEY_IOS_APP_BLOCKED"): Cause.AUTH_PERMISSION,
    (0, "API_KEY_IP_ADDRESS_BLOCKED"): Cause.AUTH_IP_NOT_ALLOWED,
    (0, "ACCESS_TOKEN_EXPIRED"): Cause.AUTH_EXPIRED_KEY,
    (0, "ACCESS_TOKEN_SCOPE_INSUFFICIENT"): Cause.AUTH_PERMISSION,
    (0, "ACCESS_TOKEN_TYPE_UNSUPPORTED"): Cause.AUTH_INVALID_KEY,
    (0, "CREDENTIALS_MISSING"): Cause.AUTH_MISSING_KEY,
    (0, "ACCOUNT_STATE_INVALID"): Cause.ACCOUNT_DEACTIVATED,
    (0, "CONSUMER_SUSPENDED"): Cause.ACCOUNT_DEACTIVATED,
    (0, "CONSUMER_INVALID"): Cause.AUTH_WRONG_ORGANIZATION,
    (0, "USER_PROJECT_DENIED"): Cause.AUTH_WRONG_ORGANIZATION,
    (0, "BILLING_DISABLED"): Cause.ACCOUNT_BILLING_INACTIVE,
    (0, "SERVICE_DISABLED"): Cause.AUTH_PERMISSION,
    (0, "IAM_PERMISSION_DENIED"): Cause.AUTH_PERMISSION,
    (0, "SECURITY_POLICY_VIOLATED"): Cause.AUTH_PERMISSION,
    (0, "RATE_LIMIT_EXCEEDED"): Cause.RATE_LIMIT_UNKNOWN,
    (0, "RESOURCE_QUOTA_EXCEEDED"): Cause.RATE_LIMIT_UNKNOWN,
    # error.status
    (0, "INVALID_ARGUMENT"): Cause.REQUEST_INVALID_PARAMETER,
    (0, "OUT_OF_RANGE"): Cause.REQUEST_INVALID_PARAMETER,
    (0, "UNAUTHENTICATED"): Cause.AUTH_INVALID_KEY,
    (0, "PERMISSION_DENIED"): Cause.AUTH_PERMISSION,
    (0, "NOT_FOUND"): Cause.REQUEST_NOT_FOUND,
    (0, "ABORTED"): Cause.REQUEST_CONFLICT,
    (0, "ALREADY_EXISTS"): Cause.REQUEST_CONFLICT,
    (0, "RESOURCE_EXHAUSTED"): Cause.RATE_LIMIT_UNKNOWN,
    (0, "UNIMPLEMENTED"): Cause.REQUEST_WRONG_ENDPOINT,
    (0, "INTERNAL"): Cause.SERVICE_SERVER_ERROR,
    (0, "UNKNOWN"): Cause.SERVICE_SERVER_ERROR,
    (0, "UNAVAILABLE"): Cause.SERVICE_OVERLOADED,
    (0, "DEADLINE_EXCEEDED"): Cause.SERVICE_TIMEOUT,
    # error.code of the Interactions API
    (0, "invalid_request"): Cause.REQUEST_INVALID_PARAMETER,
    (0, "out_of_range"): Cause.REQUEST_INVALID_PARAMETER,
    (0, "parameter_unknown"): Cause.REQUEST_UNSUPPORTED_PARAMETER,
    (0, "authentication"): Cause.AUTH_INVALID_KEY,
    (0, "payment_required"): Cause.QUOTA_EXHAUSTED,
    (0, "permission_denied"): Cause.AUTH_PERMISSION,
    (0, "not_found"): Cause.REQUEST_NOT_FOUND,
    (0, "model_not_found"): Cause.REQUEST_MODEL_NOT_FOUND,
    (0, "already_exists"): Cause.REQUEST_CONFLICT,
    (0, "aborted"): Cause.REQUEST_CONFLICT,
    (0, "rate_limit_exceeded"): Cause.RATE_LIMIT_UNKNOWN,
    (0, "too_many_requests"): Cause.RATE_LIMIT_UNKNOWN,
    (0, "quota_exceeded"): Cause.RATE_LIMIT_DAILY,
    (0, "api_error"): Cause.SERVICE_SERVER_ERROR,
    (0, "unimplemented"): Cause.REQUEST_WRONG_ENDPOINT,
    (0, "service_unavailable"): Cause.SERVICE_OVERLOADED,
}
"""(0; reason, status or code) -> cause. The reason says more than the status, so it goes first."""

_NO_QUOTA = "quotaValue 0"


def read_error(body: bytes) -> Declared | None:
    """Read ``{"error": {"code", "message", "status", "details"}}``, or an array of one.

    The code is the reason of an `ErrorInfo`, else the names of the quotas that a `QuotaFailure` lists.
    """
    error = _error(body)
    if error is None:
        return None
    declared = declare(error)
    reason = next((text for detail in _details(error) if (text := word(detail.get("reason")))), "")
    quotas = list(_quotas(error))
    code = reason or ", ".join(dict.fromkeys(name for name, _ in quotas))
    if not code and isinstance(error.get("code"), str):
        code = declared.code
    none_at_all = bool(quotas) and all(value == "0" for _, value in quotas)
    return declared._replace(code=code[:500], param=_NO_QUOTA if none_at_all else "")


def read_refusal(body: bytes, headers: Headers) -> tuple[StatedLimit, ...]:
    """Give the quotas that were exceeded, of all of which nothing is left; without them, what the message says."""
    error = _error(body) if len(body) <= _refusals.BODY_MAX else None
    quotas = () if error is None else tuple(islice((*_quotas(error), *_quota_limits(error)), _QUOTAS_MAX))
    if not quotas:
        return _refusals.read_refusal(body, headers)
    stated = (
        StatedLimit(kind, limit, 0, None, _window(name))
        for name, value in dict(quotas).items()
        if (kind := _refusals.google_kind(name)) and (limit := whole(value.encode("utf-8", "replace")))
    )
    return tuple(stated)


_QUOTAS_MAX = 8
_PERIODS = {"PerMinute": 60.0, "PerDay": 86_400.0, "PerSecond": 1.0, "PerHour": 3_600.0}


def _window(name: str) -> float | None:
    return next((seconds for period, seconds in _PERIODS.items() if period in name), None)


def _quota_limits(error: dict[str, object]) -> Iterator[tuple[str, str]]:
    """Give quota and value of an `ErrorInfo`, as Google's older services name them."""
    for detail in _details(error):
        metadata = detail.get("metadata")
        if isinstance(metadata, dict) and (name := word(metadata.get("quota_limit"))):
            yield name, word(metadata.get("quota_limit_value"))


def _error(body: bytes) -> dict[str, object] | None:
    document = parsed(body)
    if isinstance(document, list):
        document = next((item for item in document if isinstance(item, dict)), None)
    error = document.get("error") if isinstance(document, dict) else None
    return error if isinstance(error, dict) else None


def _details(error: dict[str, object]) -> Iterator[dict[str, object]]:
    details = error.get("details")
    if isinstance(details, list):
        yield from (detail for detail in details if isinstance(detail, dict))


def _quotas(error: dict[str, object]) -> Iterator[tuple[str, str]]:
    """Give id and value of the quotas that were exceeded."""
    for detail in _details(error):
        violations = detail.get("violations")
        for one in violations if isinstance(violations, list) else ():
            if isinstance(one, dict) and (name := word(one.get("quotaId"))):
                yield name, word(one.get("quotaValue"))


def _quota(_status: int, cause: Cause | None, declared: Declared) -> Cause | None:
    """Tell which quota it was by its id: ``GenerateRequestsPerDayPerProjectPerModel-FreeTier``."""
    if declared.type not in {"RESOURCE_EXHAUSTED", ""} or "Per" not in declared.code:
        return cause
    if declared.param == _NO_QUOTA:
        return Cause.ACCOUNT_PLAN_REQUIRED
    if "PerDay" in declared.code:
        # Beside a quota by the minute this one decides: the minute's wait would not help.
        return Cause.RATE_LIMIT_DAILY
    return Cause.RATE_LIMIT_TOKENS if "Token" in declared.code else Cause.RATE_LIMIT_REQUESTS


refine = by_message(
    (
        Said(429, "limit: 0,", Cause.ACCOUNT_PLAN_REQUIRED),
        Said(400, "location is not supported", Cause.REGION_UNSUPPORTED),
        Said(400, "free tier is not available in your country", Cause.ACCOUNT_BILLING_INACTIVE),
        Said(400, "api key expired", Cause.AUTH_EXPIRED_KEY),
        Said(400, "invalid authorization header", Cause.AUTH_MALFORMED_HEADER),
        Said(400, "exceeds the maximum number of tokens", Cause.REQUEST_CONTEXT_LENGTH),
        Said(400, "request payload size exceeds", Cause.REQUEST_PAYLOAD_TOO_LARGE),
        Said(400, "invalid json payload received. unknown name", Cause.REQUEST_UNSUPPORTED_PARAMETER),
        Said(400, "invalid json payload", Cause.REQUEST_INVALID_JSON),
        Said(403, "reported as leaked", Cause.AUTH_EXPIRED_KEY),
        Said(403, "unregistered callers", Cause.AUTH_MISSING_KEY),
        Said(404, "models/", Cause.REQUEST_MODEL_NOT_FOUND),
        Said(429, "prepayment credits are depleted", Cause.QUOTA_EXHAUSTED),
        Said(429, "monthly spending cap", Cause.QUOTA_SPEND_LIMIT),
    ),
    _quota,
)
"""What only the message tells, then which quota it was."""

_STATUS_NAMES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    504: "DEADLINE_EXCEEDED",
}


def write_error(status: int, code: str, message: str) -> bytes:
    """Write an error of ours in Google's envelope; our slug is the reason, in a domain of our own.

    OpenAI's SDK reads message and code of the same object, so it serves Google's OpenAI face, too.
    """
    info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": code, "domain": "whygate"}
    name = _STATUS_NAMES.get(status, "UNAVAILABLE")
    return orjson.dumps({"error": {"code": status, "message": message, "status": name, "details": [info]}})
