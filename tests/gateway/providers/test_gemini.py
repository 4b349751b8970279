"""Gemini's bodies, as they have been seen, and what they mean."""

import httpx2
import orjson
import pytest
from openai import OpenAI

from gateway.model.cause import Cause
from gateway.model.provider import Usage
from gateway.providers.gemini import GENERATE_STREAM, PROVIDER
from tests.gateway.providers import test_openai
from tests.gateway.providers.contract import ProviderContract

_RPC = "type.googleapis.com/google.rpc."
_EXCEEDED = "You exceeded your current quota, please check your plan and billing details."


def _error(status: int, name: str, message: str = "", *details: dict[str, object]) -> bytes:
    return orjson.dumps({"error": {"code": status, "message": message, "status": name, "details": list(details)}})


def _info(reason: str) -> dict[str, object]:
    return {"@type": f"{_RPC}ErrorInfo", "reason": reason, "domain": "googleapis.com"}


def _quota(*quotas: tuple[str, str]) -> bytes:
    violations = [{"quotaId": name, "quotaValue": value} for name, value in quotas]
    retry: dict[str, object] = {"@type": f"{_RPC}RetryInfo", "retryDelay": "26s"}
    return _error(
        429, "RESOURCE_EXHAUSTED", _EXCEEDED, {"@type": f"{_RPC}QuotaFailure", "violations": violations}, retry
    )


_PER_DAY = "GenerateRequestsPerDayPerProjectPerModel-FreeTier"
_PER_MINUTE = "GenerateRequestsPerMinutePerProjectPerModel-FreeTier"
_TOKENS = "GenerateContentInputTokensPerModelPerMinute-FreeTier"
_PART = b'data: {"candidates":[{"content":{"parts":[{"text":"Hi"}],"role":"model"},"index":0}],"usageMetadata":%b}\n\n'
_LAST = (
    b'data: {"candidates":[{"content":{"parts":[{"text":"!"}],"role":"model"},"finishReason":"STOP","index":0}],'
    b'"usageMetadata":{"promptTokenCount":4,"candidatesTokenCount":2,"thoughtsTokenCount":10}}\n\n'
)
_BLOCKED = b'data: {"promptFeedback":{"blockReason":"PROHIBITED_CONTENT"},"usageMetadata":{"promptTokenCount":4}}\n\n'


class TestGemini(ProviderContract):
    provider = PROVIDER
    errors = (
        (400, _error(400, "INVALID_ARGUMENT", "API key not valid.", _info("API_KEY_INVALID")), Cause.AUTH_INVALID_KEY),
        (
            400,
            _error(400, "INVALID_ARGUMENT", "API key expired. Please renew the API key.", _info("API_KEY_INVALID")),
            Cause.AUTH_EXPIRED_KEY,
        ),
        (
            400,
            _error(400, "INVALID_ARGUMENT", "Please use a valid role: user, model."),
            Cause.REQUEST_INVALID_PARAMETER,
        ),
        (
            400,
            _error(
                400, "INVALID_ARGUMENT", "The input token count (9) exceeds the maximum number of tokens allowed (1)."
            ),
            Cause.REQUEST_CONTEXT_LENGTH,
        ),
        (
            400,
            _error(400, "INVALID_ARGUMENT", 'Invalid JSON payload received. Unknown name "temp": Cannot find field.'),
            Cause.REQUEST_UNSUPPORTED_PARAMETER,
        ),
        (
            400,
            _error(400, "FAILED_PRECONDITION", "User location is not supported for the API use."),
            Cause.REGION_UNSUPPORTED,
        ),
        (
            400,
            b'[{"error":{"code":400,"message":"Invalid Authorization header.","status":"INVALID_ARGUMENT"}}]',
            Cause.AUTH_MALFORMED_HEADER,
        ),
        (403, _error(403, "PERMISSION_DENIED", "blocked.", _info("API_KEY_SERVICE_BLOCKED")), Cause.AUTH_PERMISSION),
        (403, _error(403, "PERMISSION_DENIED", "suspended.", _info("CONSUMER_SUSPENDED")), Cause.ACCOUNT_DEACTIVATED),
        (403, _error(403, "PERMISSION_DENIED", "Your API key was reported as leaked."), Cause.AUTH_EXPIRED_KEY),
        (
            403,
            _error(403, "PERMISSION_DENIED", "Method doesn't allow unregistered callers"),
            Cause.AUTH_MISSING_KEY,
        ),
        (
            404,
            _error(404, "NOT_FOUND", "models/gemini-9 is not found for API version v1beta"),
            Cause.REQUEST_MODEL_NOT_FOUND,
        ),
        (404, _error(404, "NOT_FOUND", "Requested entity was not found."), Cause.REQUEST_NOT_FOUND),
        (429, _quota((_TOKENS, "250000")), Cause.RATE_LIMIT_TOKENS),
        (429, _quota((_PER_MINUTE, "5")), Cause.RATE_LIMIT_REQUESTS),
        (429, _quota((_PER_MINUTE, "5"), (_PER_DAY, "25")), Cause.RATE_LIMIT_DAILY),
        (429, b"[" + _quota((_PER_DAY, "25")) + b"]", Cause.RATE_LIMIT_DAILY),
        (429, _quota((_PER_DAY, "0"), (_TOKENS, "0")), Cause.ACCOUNT_PLAN_REQUIRED),
        (
            429,
            _error(429, "RESOURCE_EXHAUSTED", f"{_EXCEEDED}\n* Quota exceeded, limit: 0, model: x"),
            Cause.ACCOUNT_PLAN_REQUIRED,
        ),
        (429, _error(429, "RESOURCE_EXHAUSTED", "Resource has been exhausted"), Cause.RATE_LIMIT_UNKNOWN),
        (500, _error(500, "INTERNAL"), Cause.SERVICE_SERVER_ERROR),
        (503, _error(503, "UNAVAILABLE", "The model is overloaded."), Cause.SERVICE_OVERLOADED),
        (504, _error(504, "DEADLINE_EXCEEDED"), Cause.SERVICE_TIMEOUT),
        (429, b'{"error":{"code":"quota_exceeded","message":"no"}}', Cause.RATE_LIMIT_DAILY),
    )
    streams = {  # noqa: RUF012 - a constant of the contract
        "streamGenerateContent": (_PART % b'{"promptTokenCount":4}', _LAST),
        "chat.completions": test_openai.TestOpenAI.streams["chat.completions"],
    }
    finish = {"streamGenerateContent": _BLOCKED}  # noqa: RUF012 - the same
    failures = {  # noqa: RUF012 - the same
        "streamGenerateContent": b"data: " + _error(503, "UNAVAILABLE", "The model is overloaded.") + b"\n\n"
    }
    usages = (
        (
            b'{"usageMetadata":{"promptTokenCount":4,"candidatesTokenCount":2,"thoughtsTokenCount":10,"totalTokenCount":16}}',
            Usage(4, 12),
        ),
        (b'{"usageMetadata":{"promptTokenCount":4,"toolUsePromptTokenCount":3}}', Usage(7, None)),
        (b'{"usageMetadata":{"promptTokenCount":-4,"candidatesTokenCount":true}}', Usage(None, None)),
        (b'{"usage":{"prompt_tokens":8,"completion_tokens":2}}', Usage(8, 2)),
        (b'{"usageMetadata":7}', None),
    )
    targets = (
        (b"/v1beta/models/gemini-2.5-pro:generateContent", "generateContent", "gemini-2.5-pro"),
        (b"/v1/models/g:generateContent?key=k", "generateContent", "g"),
        (b"/v1beta/models/g:streamGenerateContent?alt=sse", "streamGenerateContent", "g"),
        (b"/v1beta/models/g:streamGenerateContent?key=k&alt=sse", "streamGenerateContent", "g"),
        (b"/v1alpha/models/g:streamGenerateContent?key=alt=sse", "streamGenerateContent.json", "g"),
        (b"/v1beta/tunedModels/mine-1:generateContent", "generateContent", "mine-1"),
        (b"/v1beta/models/g:countTokens", "countTokens", "g"),
        (b"/v1beta/models/g:embedContent", "embedContent", "g"),
        (b"/v1beta/models/g:batchEmbedContents", "batchEmbedContents", "g"),
        (b"/v1beta/models", "models", ""),
        (b"/v1beta/models/g", "models", "g"),
        (b"/upload/v1beta/files", "upload.files", ""),
        (b"/v1beta/files", "files", ""),
        (b"/v1beta/cachedContents", "cachedContents", ""),
        (b"/v1beta/openai/chat/completions", "chat.completions", ""),
        (b"/v1beta/openai/embeddings", "embeddings", ""),
        (b"/v2/models/g:generateContent", "generateContent", "g"),
        (b"/nothing", "other", ""),
    )

    refusals = (
        (_quota((_TOKENS, "250000")), (("input_tokens", 250000, 0, None, 60.0),)),
        (
            b"[" + _quota((_PER_MINUTE, "5"), (_PER_DAY, "25")) + b"]",
            (("requests", 5, 0, None, 60.0), ("requests", 25, 0, None, 86400.0)),
        ),
        (_quota((_PER_DAY, "0"), (_PER_MINUTE, "many"), ("BatchEnqueuedJobsPerDay", "7")), ()),
        (
            _error(
                429,
                "RESOURCE_EXHAUSTED",
                "Quota exceeded.",
                {
                    **_info("RATE_LIMIT_EXCEEDED"),
                    "metadata": {"quota_limit": "GenerateContentRequestsPerMinute", "quota_limit_value": "60"},
                },
            ),
            (("requests", 60, 0, None, 60.0),),
        ),
        (
            _error(
                429,
                "RESOURCE_EXHAUSTED",
                f"{_EXCEEDED}\n* Quota exceeded for metric: generativelanguage.googleapis.com/free_tier_requests, limit: 20,"
                " model: g",
            ),
            (("requests", 20, 0, None, None),),
        ),
        (_error(429, "RESOURCE_EXHAUSTED", "Resource has been exhausted"), ()),
    )

    def _envelope(self, code: str, kind: str) -> bytes:
        return _error(418, kind, "", _info(code))


def test_arguments_of_a_function_call_do_not_end_a_stream() -> None:
    """They are plain JSON inside the event."""
    call = b'data: {"candidates":[{"content":{"parts":[{"functionCall":{"args":{"finishReason":"x"}}}]}}]}\n\n'
    assert not GENERATE_STREAM.finished(call)


def test_a_stream_without_events_is_one_array() -> None:
    endpoint = PROVIDER.endpoints["/models:streamGenerateContent"]
    assert (endpoint.streams, endpoint.stream, endpoint.last_byte) == (True, None, b"]")


def test_the_quotas_that_were_exceeded_are_named() -> None:
    declared = PROVIDER.read_error(_quota((_PER_MINUTE, "5"), (_PER_DAY, "25")))
    assert declared is not None
    assert declared.code == f"{_PER_MINUTE}, {_PER_DAY}"


def test_an_error_of_ours_is_what_googles_own_sdk_looks_for_in_a_stream() -> None:
    """It raises for a piece that begins like this, and takes a number from its code."""
    data = GENERATE_STREAM.error_event("network.stream_interrupted", "it broke", 3).removeprefix(b"data: ")
    assert data.startswith(b'{"error":')
    assert type(orjson.loads(data)["error"]["code"]) is int


@pytest.mark.parametrize("status", [429, 503])
def test_openais_sdk_reads_an_error_of_ours_on_the_openai_face(status: int) -> None:
    body = PROVIDER.write_error(status, "proxy.queue_full", "whygate: it is full")
    answer = httpx2.Response(status, content=body, request=httpx2.Request("POST", "http://127.0.0.1/"))
    with OpenAI(api_key="k", base_url="http://127.0.0.1/") as client:
        error = client._make_status_error_from_response(answer)
    assert error.status_code == status
    assert "whygate: it is full" in str(error)
    assert "proxy.queue_full" in str(error.body)
