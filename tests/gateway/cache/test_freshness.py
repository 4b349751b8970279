"""Which calls the cache may answer, and which answers it may keep."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cache.freshness import ANSWER_BYTES_MAX, Use, kept_headers, may_store, use_of
from gateway.model.attempt import ReplyHead
from gateway.model.call import Call
from tests.gateway.factories import ANTHROPIC_ORIGIN, a_call, a_route, with_headers

TTL = 3600.0
STATIC = Use(read=True, store=True, ttl_seconds=TTL)
NOTHING = Use(read=False, store=False, ttl_seconds=0.0)


def _asked(target: bytes = b"/v1/chat/completions", *headers: tuple[bytes, bytes], **document: Any) -> Call:
    origin = {"origin": ANTHROPIC_ORIGIN} if target == b"/v1/messages" else {}
    return a_call(
        target=target, headers=with_headers(a_call(), *headers), body=orjson.dumps({"model": "m"} | document), **origin
    )


def _use(call: Call) -> Use:
    return use_of(call, a_route(call), TTL)


@pytest.mark.parametrize("target", [b"/v1/chat/completions", b"/v1/responses", b"/v1/messages"])
@pytest.mark.parametrize("zero", [0, 0.0, -0.0])
def test_an_explicit_temperature_of_zero_makes_a_prompt_static(target: bytes, zero: float) -> None:
    assert _use(_asked(target, temperature=zero)) == STATIC


@pytest.mark.parametrize("target", [b"/v1/embeddings", b"/v1/moderations"])
def test_embeddings_and_moderations_are_always_static(target: bytes) -> None:
    assert _use(_asked(target, input="x")) == STATIC


@pytest.mark.parametrize("temperature", [0.1, 1, "0", None, False, [], "absent"])
def test_anything_else_than_zero_is_not_static(temperature: object) -> None:
    document: dict[str, Any] = {} if temperature == "absent" else {"temperature": temperature}
    assert _use(_asked(**document)) == NOTHING


def test_a_zero_means_nothing_where_it_is_not_known_to() -> None:
    assert _use(_asked(b"/v1/completions", temperature=0)) == NOTHING


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(_asked(b"/v1/images/generations", temperature=0), id="a route that is not pure"),
        pytest.param(_asked(b"/v1/responses", temperature=0, background=True), id="a job in the background"),
        pytest.param(_asked(temperature=0, store=True), id="an answer that the provider is to keep"),
        pytest.param(
            _asked(b"/v1/chat/completions", (b"x-whygate-cache", b" No-Cache "), temperature=0), id="no-cache"
        ),
        pytest.param(a_call(body=b'{"temperature":0', body_complete=False), id="an upload that is still coming"),
        pytest.param(a_call(body=b"[0]"), id="a body that is no object"),
        pytest.param(a_call(method="GET", body=b""), id="no body"),
    ],
)
def test_nothing_is_read_or_kept_for(call: Call) -> None:
    assert _use(call) == NOTHING


def test_a_retry_by_the_sdk_reads_nothing_and_stores_what_comes() -> None:
    use = _use(_asked(b"/v1/chat/completions", (b"x-stainless-retry-count", b"1"), temperature=0))
    assert use == Use(read=False, store=True, ttl_seconds=TTL)


def test_a_call_may_ask_for_the_cache_itself() -> None:
    assert _use(_asked(b"/v1/completions", (b"x-whygate-cache", b"ttl=12.5"))) == Use(
        read=True, store=True, ttl_seconds=12.5
    )


@pytest.mark.parametrize("asked", [b"ttl=0", b"ttl=-1", b"ttl=inf", b"ttl=nan", b"ttl=", b"ttl", b"yes", b"\xff"])
def test_a_wish_that_makes_no_sense_is_none(asked: bytes) -> None:
    assert _use(_asked(b"/v1/completions", (b"x-whygate-cache", asked))) == NOTHING


@given(asked=st.binary(max_size=30))
def test_reading_a_wish_is_total(asked: bytes) -> None:
    use = _use(_asked(b"/v1/completions", (b"x-whygate-cache", asked)))
    assert use.ttl_seconds >= 0


CHAT = b'{"id":"c","choices":[{"message":{"role":"assistant","content":"hi","refusal":null},"finish_reason":"stop"}]}'


def _head(status: int = 200, *headers: tuple[bytes, bytes]) -> ReplyHead:
    return ReplyHead(status=status, headers=headers)


def test_a_plain_chat_answer_is_kept() -> None:
    """Each one says ``"refusal": null``."""
    assert may_store(_head(), CHAT)
    assert may_store(_head(), CHAT.replace(b":null", b": null"))


@pytest.mark.parametrize("status", [201, 202, 204, 206, 301, 400, 429, 500])
def test_only_a_200_is_kept(status: int) -> None:
    assert not may_store(_head(status), CHAT)


@pytest.mark.parametrize("value", [b"no-store", b"private", b"max-age=0, No-Store", b"PRIVATE"])
def test_what_the_provider_forbids_to_keep_is_not_kept(value: bytes) -> None:
    assert not may_store(_head(200, (b"cache-control", value)), CHAT)


def test_other_cache_control_forbids_nothing() -> None:
    assert may_store(_head(200, (b"cache-control", b"no-cache")), CHAT)


@pytest.mark.parametrize(
    "body",
    [
        CHAT.replace(b'"refusal":null', b'"refusal":"I cannot"'),
        CHAT.replace(b'"stop"', b'"content_filter"'),
        b'{"type":"message","stop_reason":"refusal"}',
        b'{"output":[{"content":[{"type": "refusal", "refusal": "no"}]}]}',
        b'{"error":{"message":"it failed after all"}}',
        b'{"id":"resp_1","status":"failed","error": {"code":"server_error"}}',
    ],
)
def test_a_refused_filtered_or_failed_answer_is_not_kept(body: bytes) -> None:
    assert not may_store(_head(), body)


def test_an_answer_that_talks_about_refusals_is_kept() -> None:
    assert may_store(_head(), CHAT.replace(b"hi", rb"write {\"finish_reason\":\"content_filter\",\"refusal\":\"x\"}"))


def test_a_huge_answer_is_not_kept() -> None:
    assert may_store(_head(), b"x" * ANSWER_BYTES_MAX)
    assert not may_store(_head(), b"x" * (ANSWER_BYTES_MAX + 1))


def test_only_headers_of_the_answer_itself_are_kept() -> None:
    headers = (
        (b"content-type", b"application/json"),
        (b"set-cookie", b"a=b"),
        (b"content-encoding", b"gzip"),
        (b"x-request-id", b"1"),
        (b"x-ratelimit-remaining-requests", b"1"),
        (b"content-length", b"3"),
        (b"vary", b"accept"),
    )
    assert [name for name, _ in kept_headers(headers)] == [b"content-type", b"content-encoding", b"vary"]
