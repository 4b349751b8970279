"""Which calls the cache may answer, and which answers it may keep."""

import gzip
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cache.freshness import ANSWER_BYTES_MAX, BUILT_IN, Use, kept_headers, may_stand_in, may_store, use_of
from gateway.cache.rule import CacheRule
from gateway.model.attempt import ReplyHead
from gateway.model.call import Call
from gateway.model.cause import Cause
from tests.gateway.factories import ANTHROPIC_ORIGIN, a_call, a_route, with_headers

TTL = 3600.0
STATIC = Use(read=True, ttl_seconds=TTL, rule=BUILT_IN)
NOTHING = Use()


def _asked(target: bytes = b"/v1/chat/completions", *headers: tuple[bytes, bytes], **document: Any) -> Call:
    origin = {"origin": ANTHROPIC_ORIGIN} if target == b"/v1/messages" else {}
    return a_call(
        target=target, headers=with_headers(a_call(), *headers), body=orjson.dumps({"model": "m"} | document), **origin
    )


def _use(call: Call, *rules: CacheRule) -> Use:
    return use_of(call, a_route(call), rules, TTL)


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
    assert replace(_use(call), bypass="") == NOTHING


@pytest.mark.parametrize(
    "more",
    [
        {"tools": [{"type": "web_search_preview"}]},
        {"tools": [{"type": "function", "function": {"name": "f"}}, {"type": "file_search"}]},
        {"web_search_options": {}, "plugins": [{"id": "web"}]},
    ],
    ids=["search", "files", "options"],
)
def test_what_looks_at_the_world_is_not_static_by_itself(more: dict[str, Any]) -> None:
    assert _use(_asked(temperature=0, **more)) == NOTHING
    assert _use(_asked(temperature=0, **more), ANY).rule == "any"


@pytest.mark.parametrize(
    "tools", [[{"type": "function", "function": {"name": "f"}}], [{"name": "f", "input_schema": {}}], []]
)
def test_tools_that_the_app_runs_itself_change_nothing(tools: list[Any]) -> None:
    assert _use(_asked(temperature=0, tools=tools)) == STATIC


ANY = CacheRule(name="any", ttl_seconds=60.0)


def test_the_first_rule_that_covers_a_call_counts_and_the_built_in_one_comes_last() -> None:
    other = CacheRule(name="other", model="x*", ttl_seconds=5.0)
    assert _use(_asked(), other, ANY, CacheRule(name="late", ttl_seconds=1.0)).ttl_seconds == 60.0
    assert _use(_asked(temperature=0), other) == STATIC


def test_a_rule_without_time_keeps_calls_out() -> None:
    assert _use(_asked(temperature=0), CacheRule(name="no", ttl_seconds=0.0)) == NOTHING


def test_what_a_call_asks_for_comes_before_every_rule() -> None:
    asked = _asked(b"/v1/chat/completions", (b"x-whygate-cache", b"ttl=9"))
    assert _use(asked, ANY).ttl_seconds == 9.0


@pytest.mark.parametrize("rule", [ANY, CacheRule(name="glob", endpoint="images*", ttl_seconds=9.0)])
def test_images_are_not_covered_by_a_rule_that_does_not_name_them(rule: CacheRule) -> None:
    assert _use(_asked(b"/v1/images/generations"), rule) == NOTHING


def test_images_are_kept_for_who_asks_for_it() -> None:
    named = CacheRule(name="pictures", endpoint="images.generations", ttl_seconds=9.0)
    assert _use(_asked(b"/v1/images/generations"), named).rule == "pictures"
    assert _use(_asked(b"/v1/images/generations", (b"x-whygate-cache", b"ttl=9"))).read


@pytest.mark.parametrize("target", [b"/v1/files", b"/v1/batches", b"/v1/threads", b"/v1/responses/r1/cancel"])
def test_no_rule_and_no_wish_makes_what_changes_something_static(target: bytes) -> None:
    use = _use(_asked(target, (b"x-whygate-cache", b"ttl=9")), ANY)
    assert (use.read, use.ttl_seconds) == (False, 0.0)
    assert use.bypass


def test_a_retry_by_the_sdk_reads_nothing_and_stores_what_comes() -> None:
    use = _use(_asked(b"/v1/chat/completions", (b"x-stainless-retry-count", b"1"), temperature=0))
    assert (use.read, use.ttl_seconds, use.rule) == (False, TTL, BUILT_IN)
    assert use.bypass


def test_a_call_may_ask_for_the_cache_itself() -> None:
    assert _use(_asked(b"/v1/completions", (b"x-whygate-cache", b"ttl=12.5"))) == Use(
        read=True, ttl_seconds=12.5, rule="x-whygate-cache"
    )


@pytest.mark.parametrize("asked", [b"ttl=0", b"ttl=-1", b"ttl=inf", b"ttl=nan", b"ttl=", b"ttl", b"yes", b"\xff"])
def test_a_wish_that_makes_no_sense_is_none(asked: bytes) -> None:
    use = _use(_asked(b"/v1/completions", (b"x-whygate-cache", asked)))
    assert replace(use, bypass="") == NOTHING
    assert "ttl=SECONDS" in use.bypass


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


@pytest.mark.parametrize("value", [b"no-store", b"max-age=0, No-Store"])
def test_what_the_provider_forbids_to_keep_is_not_kept(value: bytes) -> None:
    assert not may_store(_head(200, (b"cache-control", value)), CHAT)


@pytest.mark.parametrize("value", [b"private", b"PRIVATE, max-age=0"])
def test_a_private_answer_is_kept_for_its_own_key_alone(value: bytes) -> None:
    assert may_store(_head(200, (b"cache-control", value)), CHAT)
    assert not may_store(_head(200, (b"cache-control", value)), CHAT, lent=True)


def test_an_answer_that_varies_by_everything_is_not_kept() -> None:
    assert not may_store(_head(200, (b"vary", b"*")), CHAT)
    assert may_store(_head(200, (b"vary", b"origin, accept-encoding")), CHAT)


PACKED = (b"content-encoding", b"gzip")


def test_a_packed_answer_is_looked_into() -> None:
    assert may_store(_head(200, PACKED), gzip.compress(CHAT))
    assert may_store(_head(200, PACKED), gzip.compress(CHAT.replace(b"hi", b"long " * 40_000)))
    assert not may_store(_head(200, PACKED), gzip.compress(CHAT.replace(b'"stop"', b'"content_filter"')))


@pytest.mark.parametrize(
    "body",
    [gzip.compress(CHAT)[:-9], CHAT, gzip.compress(b"0" * 50_000_000)],
    ids=["cut short", "not packed", "a bomb"],
)
def test_what_cannot_be_unpacked_as_a_whole_is_not_kept(body: bytes) -> None:
    assert not may_store(_head(200, PACKED), body)


def test_a_packed_stream_is_not_kept_since_nobody_saw_its_end() -> None:
    assert not may_store(_head(200, PACKED, (b"content-type", b"text/event-stream")), gzip.compress(CHAT))


def test_an_empty_answer_is_not_kept() -> None:
    assert not may_store(_head(), b"")


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
        b'{"candidates":[{"finishReason":"SAFETY"}]}',
        b'{"promptFeedback":{"blockReason":"OTHER"}}',
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


@pytest.mark.parametrize(
    ("cause", "status", "expected"),
    [
        (Cause.NETWORK_DNS_FAILURE, None, True),
        (Cause.NETWORK_PROXY_DENIED, 403, False),
        (Cause.NETWORK_CAPTIVE_PORTAL, 200, True),
        (Cause.SERVICE_OVERLOADED, 529, True),
        (Cause.SERVICE_STREAM_ERROR, 200, True),
        (Cause.EDGE_ORIGIN_ERROR, 522, True),
        (Cause.EDGE_BLOCKED, 403, False),
        (Cause.PROXY_CIRCUIT_OPEN, None, True),
        (Cause.PROXY_QUEUE_FULL, None, False),
        (Cause.UNKNOWN, 500, True),
        (Cause.UNKNOWN, 418, False),
        (Cause.UNKNOWN, None, False),
        (Cause.AUTH_INVALID_KEY, 401, False),
        (Cause.ACCOUNT_DEACTIVATED, 400, False),
        (Cause.RATE_LIMIT_REQUESTS, 429, False),
        (Cause.QUOTA_EXHAUSTED, 429, False),
        (Cause.REQUEST_INVALID_JSON, 400, False),
    ],
)
def test_an_old_answer_stands_in_only_for_a_provider_that_fails(
    cause: Cause, status: int | None, *, expected: bool
) -> None:
    assert may_stand_in(cause, status) is expected


@given(cause=st.sampled_from(list(Cause)), status=st.sampled_from([401, 403]))
def test_nothing_stands_in_where_somebody_was_refused(cause: Cause, status: int) -> None:
    assert not may_stand_in(cause, status)
