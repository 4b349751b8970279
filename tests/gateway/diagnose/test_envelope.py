"""Every shape in which services write errors, and none in what is no error."""

import re
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway._discover import discover
from gateway.diagnose import envelope
from gateway.diagnose.envelope import NOTHING, Read, fails_inside, read
from gateway.model.provider import Provider
from gateway.providers.anthropic import PROVIDER as ANTHROPIC
from gateway.providers.gemini import PROVIDER as GEMINI
from gateway.providers.openai import PROVIDER as OPENAI

PROVIDERS = discover("gateway.providers", "PROVIDER", Provider)


def _read(document: object, provider: Provider | None = None) -> Read | None:
    return read(document if isinstance(document, str) else orjson.dumps(document).decode(), provider)


SHAPES: dict[str, tuple[object, tuple[str, str, str, str], set[str]]] = {
    "OpenAI": (
        {"error": {"message": "It is wrong.", "type": "invalid_request_error", "param": "model", "code": "Model_Gone"}},
        ("Model_Gone", "invalid_request_error", "It is wrong.", "model"),
        {"model_gone", "invalid_request_error"},
    ),
    "Anthropic": (
        {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}, "request_id": "req_1"},
        ("", "overloaded_error", "Overloaded", ""),
        {"overloaded_error"},
    ),
    "Google": (
        {
            "error": {
                "code": 429,
                "message": "Too much.",
                "status": "RESOURCE_EXHAUSTED",
                "details": [
                    {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "RATE_LIMIT_EXCEEDED"},
                    {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": "PerDay"}]},
                ],
            }
        },
        ("429", "RESOURCE_EXHAUSTED", "Too much.", ""),
        {"429", "resource_exhausted", "rate_limit_exceeded", "perday"},
    ),
    "an array": (
        [{"error": {"code": 400, "message": "It is wrong.", "status": "INVALID_ARGUMENT"}}],
        ("400", "INVALID_ARGUMENT", "It is wrong.", ""),
        {"invalid_argument"},
    ),
    "FastAPI, a sentence": ({"detail": "Not authenticated"}, ("", "", "Not authenticated", ""), set()),
    "FastAPI, a list": (
        {"detail": [{"type": "missing", "loc": ["body", "messages", 0], "msg": "Field required", "input": {}}]},
        ("", "missing", "Field required", "messages.0"),
        {"missing"},
    ),
    "FastAPI, an object": ({"detail": {"error": "no key", "code": "k1"}}, ("k1", "", "no key", ""), {"k1"}),
    "RFC 9457": (
        {"type": "https://example.com/over", "title": "Over", "status": 403, "detail": "It is over."},
        ("", "https://example.com/over", "It is over.", ""),
        {"403"},
    ),
    "OAuth": (
        {"error": "invalid_grant", "error_description": "The token is expired."},
        ("", "", "The token is expired.", ""),
        {"invalid_grant"},
    ),
    "AWS": (
        {"__type": "ThrottlingException", "message": "Rate exceeded"},
        ("ThrottlingException", "", "Rate exceeded", ""),
        {"throttlingexception"},
    ),
    "Volcengine": (
        {"ResponseMetadata": {"RequestId": "1", "Error": {"Code": "AuthenticationError", "Message": "No such key."}}},
        ("AuthenticationError", "", "No such key.", ""),
        {"authenticationerror"},
    ),
    "Alibaba": (
        {"code": "InvalidApiKey", "message": "Invalid API-key provided.", "request_id": "1"},
        ("InvalidApiKey", "", "Invalid API-key provided.", ""),
        {"invalidapikey"},
    ),
    "Baidu": ({"error_code": 17, "error_msg": "Daily limit reached"}, ("17", "", "Daily limit reached", ""), {"17"}),
    "MiniMax": (
        {"base_resp": {"status_code": 1004, "status_msg": "login fail"}},
        ("1004", "", "login fail", ""),
        {"1004"},
    ),
    "Cloudflare": (
        {"success": False, "errors": [{"code": 10000, "message": "Authentication error"}], "result": None},
        ("10000", "", "Authentication error", ""),
        {"10000"},
    ),
    "Apigee": ({"fault": {"faultstring": "Invalid ApiKey", "detail": {}}}, ("", "", "Invalid ApiKey", ""), set()),
    "a batch": (
        {"object": "batch", "status": "failed", "errors": {"data": [{"code": "token_limit", "message": "Too many."}]}},
        ("token_limit", "", "Too many.", ""),
        {"token_limit"},
    ),
    "XML": (
        '<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>',
        ("AccessDenied", "", "Access Denied", ""),
        {"accessdenied"},
    ),
    "an event": (
        'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n',
        ("", "overloaded_error", "Overloaded", ""),
        {"overloaded_error"},
    ),
    "an event after others": (
        'data: {"choices":[]}\n\ndata: {"error":{"message":"It broke.","code":"c"}}\n\ndata: [DONE]\n\n',
        ("c", "", "It broke.", ""),
        {"c"},
    ),
    "words around it": (
        'Error: 400 {"error":{"message":"It is wrong.","code":"c"}} at 5',
        ("c", "", "It is wrong.", ""),
        {"c"},
    ),
    "a byte-order mark": ('\ufeff{"error":{"message":"It is wrong."}}', ("", "", "It is wrong.", ""), set()),
    "only a word": ({"error": "overloaded"}, ("", "", "overloaded", ""), {"overloaded"}),
    "a list of messages": (
        {"error": {"message": ["One thing.", "Another."]}},
        ("", "", "One thing.; Another.", ""),
        set(),
    ),
}


@pytest.mark.parametrize("name", SHAPES)
def test_an_envelope_is_read_whoever_writes_it(name: str) -> None:
    document, declared, codes = SHAPES[name]
    found = _read(document)
    assert found is not None
    assert tuple(found.declared) == declared
    assert codes <= found.codes
    assert all(code == code.lower() for code in found.codes)


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(orjson.dumps('{"error":{"message":"wrong","code":"c"}}').decode(), id="one word"),
        pytest.param(
            orjson.dumps('{"error": {"message": "It is wrong.", "code": "c"}}').decode(),
            id="a sentence",
        ),
    ],
)
def test_json_inside_a_string_is_read(document: str) -> None:
    found = read(document, None)
    assert found is not None
    assert (found.declared.code, set(found.codes)) == ("c", {"c"})


def test_the_exceptions_of_aws_are_known_with_their_name_space_too() -> None:
    found = _read({"__type": "com.amazon.coral.service#UnrecognizedClientException", "message": "no"})
    assert found is not None
    assert "unrecognizedclientexception" in found.codes


def test_the_code_of_apigee_is_read() -> None:
    found = _read({"fault": {"faultstring": "no", "detail": {"errorcode": "oauth.v2.InvalidApiKey"}}})
    assert found is not None
    assert "oauth.v2.invalidapikey" in found.codes


# what is packed in what


def test_a_relay_that_quotes_whom_it_asked_is_only_the_messenger() -> None:
    inner = '{"error":{"message":"Credit is too low.","type":"inner_type","code":"inner"}}'
    found = _read({"error": {"message": f"upstream said: {inner}", "code": "outer", "type": "relay_error"}})
    assert found is not None
    assert (found.declared.code, found.declared.type, found.declared.message) == (
        "inner",
        "inner_type",
        "Credit is too low.",
    )
    assert "outer" not in found.codes


def test_what_a_router_hands_on_raw_is_added() -> None:
    raw = '{"error":{"message":"Credit is too low.","code":"inner"}}'
    found = _read({"error": {"message": "Provider returned error", "code": 429, "metadata": {"raw": raw}}})
    assert found is not None
    assert found.declared.message == "Provider returned error: Credit is too low."
    assert {"429", "inner"} <= found.codes


def test_an_innermost_code_is_found() -> None:
    """As Azure nests them: what was filtered stands two objects deep."""
    document = {
        "error": {"code": "content_filter", "message": "no", "innererror": {"code": "ResponsibleAIPolicyViolation"}}
    }
    found = _read(document)
    assert found is not None
    assert {"content_filter", "responsibleaipolicyviolation"} <= found.codes


def test_numbers_of_the_envelope_are_kept() -> None:
    found = _read({"error": {"message": "no", "resets_in_seconds": 120, "limit": 1.5, "ok": True}})
    assert found is not None
    assert found.numbers == {"resets_in_seconds": 120.0, "limit": 1.5}


def test_a_job_that_failed_is_told_from_a_call_that_failed() -> None:
    job = _read({"object": "fine_tuning.job", "status": "failed", "error": {"message": "no", "code": "x"}})
    call = _read({"error": {"message": "no", "code": "x"}})
    assert job is not None
    assert call is not None
    assert (job.job, call.job) == (True, False)


# the provider's own reader goes first


def test_the_providers_own_reader_knows_better() -> None:
    document = {
        "type": "error",
        "error": {"type": "rate_limit_error", "message": "no", "details": {"error_code": "seat_limit_reached"}},
    }
    found, stranger = _read(document, ANTHROPIC), _read(document)
    assert found is not None
    assert stranger is not None
    assert (found.declared.code, stranger.declared.code) == ("seat_limit_reached", "")
    assert "seat_limit_reached" in found.codes


def test_what_the_providers_own_reader_leaves_open_is_filled_in() -> None:
    found = _read({"message": "Not for you.", "code": "k"}, GEMINI)
    assert found is not None
    assert (found.declared.code, found.declared.message) == ("k", "Not for you.")


# what is none


@pytest.mark.parametrize(
    "body",
    [
        *(
            "",
            " ",
            "\ufeff",
            "plain text",
            "null",
            "1",
            "true",
            '"word"',
            "{}",
            "[]",
            "[[]]",
            "[1,2]",
            "{",
            '{"error":',
        ),
        *(
            '{"error":{}}',
            '{"error":null}',
            '{"message":""}',
            "[DONE]",
            "data: [DONE]\n\n",
            "event: ping\ndata: {}\n\n",
        ),
        *("<html><p>Error</p></html>", "<Error></Error>", "upstream connect error"),
    ],
)
@pytest.mark.parametrize("provider", [None, OPENAI], ids=["nobody", "OpenAI"])
def test_what_is_no_envelope_is_none(body: str, provider: Provider | None) -> None:
    assert read(body, provider) is None


_GOOD: dict[str, Any] = {
    "a chat": {"choices": [{"message": {"content": "error: no"}, "finish_reason": "stop"}], "error": None},
    "a filtered chat that passed": {
        "choices": [
            {
                "message": {"content": "x"},
                "finish_reason": "stop",
                "content_filter_results": {"hate": {"filtered": False}},
            }
        ]
    },
    "a message": {"id": "m", "type": "message", "content": [{"type": "text", "text": "x"}], "stop_reason": "end_turn"},
    "candidates": {"candidates": [{"finishReason": "STOP", "content": {"parts": [{"text": "x"}]}}]},
    "MiniMax": {"choices": [{"message": {}}], "base_resp": {"status_code": 0, "status_msg": "success"}},
}
_GOOD_AS_WELL: dict[str, Any] = {
    "models": {"object": "list", "data": [{"id": "gpt-5", "object": "model"}]},
    "embeddings": {"object": "list", "data": [{"embedding": [0.1], "index": 0, "object": "embedding"}], "model": "x"},
    "a file": {"id": "file-1", "object": "file", "status": "processed"},
    "a response": {"id": "r", "object": "response", "status": "completed", "error": None, "output": []},
    "a batch": {"id": "b", "object": "batch", "status": "completed", "errors": None},
}


@pytest.mark.parametrize("name", _GOOD)
def test_a_good_answer_is_no_envelope(name: str) -> None:
    assert _read(_GOOD[name], OPENAI) is None


@pytest.mark.parametrize("name", _GOOD_AS_WELL)
def test_a_good_answer_without_text_is_no_envelope_either(name: str) -> None:
    assert _read(_GOOD_AS_WELL[name], OPENAI) is None


@pytest.mark.parametrize("name", [*_GOOD, *_GOOD_AS_WELL])
def test_a_good_answer_does_not_fail_inside(name: str) -> None:
    assert not fails_inside(orjson.dumps((_GOOD | _GOOD_AS_WELL)[name]), OPENAI)


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ({"choices": [{"message": {}, "finish_reason": "content_filter"}]}, "content_filter"),
        ({"candidates": [{"finishReason": "SAFETY"}]}, "safety"),
        pytest.param(
            {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "modelVersion": "gemini-2.5-pro"},
            "prohibited_content",
        ),
        ({"id": "m", "type": "message", "content": [], "stop_reason": "refusal"}, "refusal"),
    ],
)
def test_an_answer_that_ended_for_a_filter_says_so(document: dict[str, Any], code: str) -> None:
    found = _read(document)
    assert found is not None
    assert code in found.codes
    assert fails_inside(orjson.dumps(document), OPENAI)


@pytest.mark.parametrize(
    "document",
    [
        {"error": {"message": "no credit", "code": 402}},
        {"error": "no credit"},
        {"error_code": 17, "error_msg": "Daily limit reached"},
        {"success": False, "errors": [{"code": 1, "message": "no"}]},
        {"base_resp": {"status_code": 1004, "status_msg": "login fail"}},
    ],
)
def test_an_error_under_a_status_of_success_is_one(document: dict[str, Any]) -> None:
    assert fails_inside(orjson.dumps(document), OPENAI)


def test_a_job_that_failed_is_a_good_answer_to_who_asked_for_it() -> None:
    job = {"object": "batch", "status": "failed", "errors": {"data": [{"code": "x", "message": "no"}]}}
    assert not fails_inside(orjson.dumps(job), OPENAI)


# promises


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(("error", "message", "code", "type", "detail", "errors", "data", "status", "metadata", "raw", "loc", "msg", "choices", "finish_reason", "object"))
            | st.text(max_size=5),
            inner,
            max_size=5,
        )
    ),
    max_leaves=25,
)  # fmt: skip


@settings(deadline=None)
@given(document=_JSON, provider=st.none() | st.sampled_from(sorted(PROVIDERS)))
def test_reading_any_json_is_total_and_bounded(document: object, provider: str | None) -> None:
    found = _read(document, PROVIDERS[provider] if provider is not None else None)
    if found is not None:
        assert all(isinstance(word, str) for word in found.declared)
        assert all(len(code) <= 200 for code in found.codes)
    fails_inside(orjson.dumps(document), OPENAI)


@given(body=st.text(max_size=200) | st.text('{}[]":,error msgdata\n<>Code', max_size=200))
def test_reading_any_text_is_total(body: str) -> None:
    for provider in (None, OPENAI, ANTHROPIC):
        read(body, provider)


@pytest.mark.parametrize(
    "body",
    [
        "[" * 60_000,
        '{"error":' * 20_000,
        '{"error":' * 200 + '{"message":"x y"}' + "}" * 200,
        "data: {}\n" * 20_000,
        "{" * 60_000,
    ],
)
def test_depth_and_number_are_bounded(body: str) -> None:
    found = read(body, None)
    assert found is None or found.declared.message == ""


def test_nothing_is_an_envelope_without_words() -> None:
    assert not any(NOTHING.declared)
    assert (NOTHING.codes, NOTHING.numbers, NOTHING.job) == (frozenset(), {}, False)


_AS_ONE = re.compile(
    rb'"error": ?(?:\{|"[^"])|"error_code": ?[1-9]|"status_code": ?[1-9]|"errors": ?\[ ?\{|"success": ?false'
    rb'|"blockReason"|content_filter|SAFETY|PROHIBITED|"refusal": ?"|"sensitive"|RECITATION|_CALL"'
    rb'|"stop_reason": ?"refusal"'
)
_PIECES = st.sampled_from(
    ['"error"', ":", " ", "{", '"', "x", '"error_code"', "1", "0", '"status_code"', '"errors"', "[", '"success"', "false",
     '"blockReason"', "content_filter", "SAFETY", "PROHIBITED", '"refusal"', "null", '"sensitive"', "RECITATION", "_CALL",
     '"stop_reason"', '"refusal', "s", "\n"]
)  # fmt: skip


@given(st.lists(_PIECES, max_size=12).map("".join))
def test_the_quick_look_finds_what_one_slow_expression_finds(text: str) -> None:
    body = text.encode()
    quick = bool(envelope._ILL.search(body)) or any(word in body for word in envelope._ILL_WORDS)
    assert quick == bool(_AS_ONE.search(body))
