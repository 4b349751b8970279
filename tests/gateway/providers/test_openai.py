"""OpenAI's bodies, as they have been seen, and what they mean."""

import orjson
import pytest

from gateway.model.cause import Cause
from gateway.model.provider import StreamNews, Usage
from gateway.providers.openai import CHAT_STREAM, PROVIDER, RESPONSES_STREAM
from tests.gateway.providers.contract import ProviderContract


def _error(code: str | None, kind: str | None, message: str = "") -> bytes:
    return orjson.dumps({"error": {"message": message, "type": kind, "param": None, "code": code}})


_CHUNK = b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","choices":[{"index":0,"delta":%b,"finish_reason":%b}]}\n\n'
_CHAT = (
    _CHUNK % (b'{"role":"assistant","content":"","refusal":null}', b"null"),
    _CHUNK % (b'{"content":"Hello"}', b"null"),
    b'data: {"id":"chatcmpl-1","choices":[],"usage":{"prompt_tokens":8,"completion_tokens":2,"total_tokens":10}}\n\n',
    b"data: [DONE]\n\n",
)
_RESPONSES = (
    b'event: response.created\ndata: {"type":"response.created","response":{"id":"resp_1","error":null}}\n\n',
    b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"Hello"}\n\n',
    (
        b'event: response.completed\ndata: {"type":"response.completed","response":{"id":"resp_1","status":"completed",'
        b'"error":null,"usage":{"input_tokens":8,"output_tokens":2,"total_tokens":10}}}\n\n'
    ),
)


class TestOpenAI(ProviderContract):
    provider = PROVIDER
    errors = (
        (401, _error("invalid_api_key", "invalid_request_error", "Incorrect API key provided"), Cause.AUTH_INVALID_KEY),
        (
            401,
            _error(None, "invalid_request_error", "You didn't provide an API key. You need to provide your API key in"),
            Cause.AUTH_MISSING_KEY,
        ),
        (429, _error("insufficient_quota", "insufficient_quota", "You exceeded your quota"), Cause.QUOTA_EXHAUSTED),
        (429, _error(None, "insufficient_quota", "You exceeded your quota"), Cause.QUOTA_EXHAUSTED),
        (429, _error("rate_limit_exceeded", "tokens", "on tokens per min (TPM)"), Cause.RATE_LIMIT_TOKENS),
        (429, _error("rate_limit_exceeded", "requests", "on requests per min (RPM)"), Cause.RATE_LIMIT_REQUESTS),
        (429, _error("rate_limit_exceeded", "requests", "requests per day (RPD): Limit 200"), Cause.RATE_LIMIT_DAILY),
        (429, _error("rate_limit_exceeded", None, "slower please"), Cause.RATE_LIMIT_UNKNOWN),
        (0, _error("rate_limit_exceeded", None, "on tokens per min (TPM): Limit 250000"), Cause.RATE_LIMIT_TOKENS),
        (
            429,
            _error("rate_limit_exceeded", "requests", "images per minute. Limit: 0/1min."),
            Cause.ACCOUNT_PLAN_REQUIRED,
        ),
        (401, _error(None, "invalid_request_error", "Invalid authorization header"), Cause.AUTH_MALFORMED_HEADER),
        (401, _error(None, "invalid_request_error", "Missing scopes: api.responses.write."), Cause.AUTH_PERMISSION),
        (404, _error(None, "invalid_request_error", "Invalid URL (POST /chat/completions)"), Cause.REQUEST_INVALID_URL),
        (404, _error("model_not_found", "x", "The model `d` has been deprecated"), Cause.REQUEST_MODEL_DEPRECATED),
        (
            404,
            b'{"error":{"message":"This is a chat model","type":"invalid_request_error","param":"model","code":null}}',
            Cause.REQUEST_WRONG_ENDPOINT,
        ),
        (
            400,
            _error("unsupported_value", "invalid_request_error", "Your organization must be verified to stream this"),
            Cause.ACCOUNT_VERIFICATION,
        ),
        (404, _error("model_not_found", "invalid_request_error", "does not exist"), Cause.REQUEST_MODEL_NOT_FOUND),
        (403, _error("model_not_found", "invalid_request_error", "no access to model"), Cause.AUTH_PERMISSION),
        (
            403,
            _error("unsupported_country_region_territory", "request_forbidden", "not supported"),
            Cause.REGION_UNSUPPORTED,
        ),
        (400, _error("context_length_exceeded", "invalid_request_error", "maximum"), Cause.REQUEST_CONTEXT_LENGTH),
        (
            400,
            _error(None, "invalid_request_error", "We could not parse the JSON body of your request."),
            Cause.REQUEST_INVALID_JSON,
        ),
        (400, _error(None, "invalid_request_error", "something"), Cause.REQUEST_INVALID_PARAMETER),
        (500, _error(None, "server_error", "The server had an error"), Cause.SERVICE_SERVER_ERROR),
        (503, _error(None, "service_unavailable_error", "overloaded"), Cause.SERVICE_OVERLOADED),
        (503, _error(None, "server_error", "The server is overloaded or not ready yet."), Cause.SERVICE_OVERLOADED),
        (502, _error(None, None, "bad gateway"), Cause.SERVICE_UNAVAILABLE),
        (504, _error(None, None, "gateway timeout"), Cause.SERVICE_TIMEOUT),
    )
    streams = {"chat.completions": _CHAT, "completions": _CHAT, "responses": _RESPONSES}  # noqa: RUF012 - a constant of the contract
    finish = {  # noqa: RUF012 - the same
        "chat.completions": _CHUNK % (b"{}", b'"stop"'),
        "completions": b'data: {"choices":[{"text":"","finish_reason": "length"}]}\n\n',
        "responses": None,
    }
    failures = {  # noqa: RUF012 - the same
        "chat.completions": b'data: {"error":{"message":"The server had an error","type":"server_error"}}\n\n',
        "completions": b'data: {"error": {"message": "no", "type": "server_error", "code": null}}\n\n',
        "responses": b'event: response.failed\ndata: {"type":"response.failed","response":{"error":{"code":"x"}}}\n\n',
    }
    usages = (
        (b'{"usage":{"prompt_tokens":8,"completion_tokens":2}}', Usage(8, 2)),
        (b'{"usage":{"input_tokens":8,"output_tokens":2}}', Usage(8, 2)),
        (b'{"usage":{"prompt_tokens":5,"total_tokens":5}}', Usage(5, None)),
        (b'{"type":"response.completed","response":{"usage":{"input_tokens":8,"output_tokens":2}}}', Usage(8, 2)),
        (b'{"usage":{"prompt_tokens":-1,"completion_tokens":true}}', Usage(None, None)),
        (b'{"usage":null}', None),
        (b"{}", None),
    )

    targets = (
        (b"/v1/chat/completions", "chat.completions", ""),
        (b"/v1/responses?stream=1", "responses", ""),
        (b"/relay/v1/embeddings", "embeddings", ""),
        (b"/chat/completions", "chat.completions", ""),
        (b"/", "other", ""),
    )
    limits = (
        (
            (
                (b"x-ratelimit-limit-requests", b"500"),
                (b"x-ratelimit-remaining-requests", b"0"),
                (b"x-ratelimit-reset-requests", b"6m0s"),
                (b"x-ratelimit-limit-tokens", b"30000"),
                (b"x-ratelimit-remaining-tokens", b"29985"),
                (b"x-ratelimit-reset-tokens", b"20ms"),
                (b"x-ratelimit-limit-input-images", b"5"),
            ),
            (("requests", 500, 0, 360.0, None), ("tokens", 30000, 29985, 0.02, None)),
        ),
        (((b"x-ratelimit-remaining-requests", b"many"),), ()),
        (((b"x-ratelimit-limit-requests", b"0"), (b"x-ratelimit-remaining-requests", b"0")), ()),
    )
    refusals = (
        (
            orjson.dumps(
                {
                    "error": {
                        "message": "Rate limit reached for gpt-4 in organization org-x on tokens per min (TPM): Limit 10000,"
                        " Used 9500, Requested 800. Please try again in 1.8s.",
                        "type": "tokens",
                    }
                }
            ),
            (("tokens", 10000, 500, None, 60.0),),
        ),
        (b'{"error":{"message":"You exceeded your current quota.","type":"insufficient_quota"}}', ()),
    )

    def _envelope(self, code: str, kind: str) -> bytes:
        return _error(code, kind or None)


def test_a_late_finish_reason_counts_after_earlier_chunks_without_one() -> None:
    many = _CHUNK % (b'{"content":"a"}', b"null") * 50
    assert not CHAT_STREAM.finished(many)
    assert CHAT_STREAM.finished(many + _CHUNK % (b"{}", b'"tool_calls"'))


@pytest.mark.parametrize("name", ["response.incomplete", "response.cancelled"])
def test_a_response_that_stops_early_has_ended_properly(name: str) -> None:
    assert RESPONSES_STREAM.read(b"event: %b\ndata: {}\n\n" % name.encode()) is StreamNews.ENDED


def test_a_null_error_in_a_chunk_is_no_error() -> None:
    assert CHAT_STREAM.read(b'data: {"choices":[],"error":null}\n\n') is StreamNews.GOING


def test_an_error_of_ours_in_a_responses_stream_is_nested_and_numbered() -> None:
    """The SDK raises for a nested one only."""
    event = orjson.loads(RESPONSES_STREAM.error_event("a.b", "words", 9).partition(b"data: ")[2])
    assert event["type"] == "error"
    assert event["sequence_number"] == 9
    assert event["error"]["message"] == "words"
