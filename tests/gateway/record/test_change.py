"""What changed since it last worked: which call is compared with, and what counts as a change."""

from typing import Any

import pytest

from gateway.record.change import CLOSEST, changes, closeness, closest
from tests.gateway.record.made import a_row

SDK = (("user-agent", "OpenAI/Python 2.9.0"), ("x-stainless-package-version", "2.9.0"), ("content-type", "application/json"))  # fmt: skip


def good(seq: int = 1, **fields: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "host": "api.openai.com", "path": "/v1/chat/completions", "endpoint": "chat.completions", "key": "1f2e3d4c",
        "request_headers": SDK, "response_headers": (("server", "cloudflare"),), "tokens_in": 900,
    }  # fmt: skip
    return a_row(seq, **(values | fields)).as_dict()


def bad(**fields: Any) -> dict[str, Any]:
    return good(9, **({"cause": "quota.exhausted", "status": 429, "tokens_in": None} | fields))


def told(before: dict[str, Any], now: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    return [(one["field"], one["before"], one["now"]) for one in changes(before, now)]


def test_nothing_has_changed_between_equal_calls() -> None:
    assert changes(good(), bad()) == []


@pytest.mark.parametrize(
    ("field", "before", "now"),
    [
        ("model", "gpt-4o", "gpt-5"),
        ("key", "1f2e3d4c", "99887766"),
        ("tenant", "default", "ana"),
        ("host", "api.openai.com", "relay.example"),
        ("stream", False, True),
        ("path", "/v1/chat/completions", "/v2/chat/completions"),
    ],
)
def test_a_change_of_a_field_is_told(field: str, before: Any, now: Any) -> None:
    assert told(good(**{field: before}), bad(**{field: now})) == [(field, before, now)]


def test_what_is_missing_on_one_side_is_told_as_nothing() -> None:
    assert told(good(), bad(model="")) == [("model", "gpt-5-mini", None)]
    assert told(good(key="none"), bad()) == [("key", "none", "1f2e3d4c")]


def test_headers_are_told_by_name() -> None:
    now = (("user-agent", "OpenAI/Python 2.10.0"), ("x-stainless-package-version", "2.10.0"), ("openai-beta", "a"), ("openai-beta", "b"))  # fmt: skip
    assert told(good(), bad(request_headers=now)) == [
        ("request_headers.content-type", "application/json", None),
        ("request_headers.openai-beta", None, "a, b"),
        ("request_headers.user-agent", "OpenAI/Python 2.9.0", "OpenAI/Python 2.10.0"),
        ("request_headers.x-stainless-package-version", "2.9.0", "2.10.0"),
    ]


def test_what_differs_with_every_call_is_no_change() -> None:
    names = (
        "x-request-id",
        "x-client-request-id",
        "traceparent",
        "date",
        "x-stainless-retry-count",
        "x-whygate-flow-id",
    )
    before, now = (tuple((name, value) for name in names) for value in ("1", "2"))
    assert changes(good(request_headers=before), bad(request_headers=now)) == []


def test_of_the_answer_only_who_wrote_it_is_compared() -> None:
    """And only where there was one."""
    squid = (("server", "squid"), ("via", "1.1 office"), ("content-type", "text/html"), ("retry-after", "3"))
    assert told(good(), bad(response_headers=squid)) == [
        ("response_headers.server", "cloudflare", "squid"),
        ("response_headers.via", None, "1.1 office"),
    ]
    assert changes(good(), bad(response_headers=())) == []


@pytest.mark.parametrize(
    ("before", "now", "counts"),
    [(1_000, 1_900, False), (10_000, 20_000, True), (20_000, 9_000, True), (10, 1_000, False), (100, 5_000, True)],
)
def test_a_size_counts_from_twice_or_half_on(before: int, now: int, counts: bool) -> None:
    found = told(good(request_bytes=before), bad(request_bytes=now))
    assert found == ([("request_bytes", before, now)] if counts else [])


def test_more_tokens_are_told_where_they_are_known() -> None:
    assert told(good(tokens_in=900), bad(tokens_in=140_000)) == [("tokens_in", 900, 140_000)]
    assert changes(good(tokens_in=900), bad(tokens_in=1_000)) == []


def test_a_length_that_was_not_noted_is_not_compared() -> None:
    """As in rows of an older version."""
    old = good()
    del old["request_bytes"]
    for before in (good(request_bytes=0), old):
        assert changes(before, bad(request_bytes=90_000)) == []


def test_a_model_in_the_path_is_told_once() -> None:
    before, now = (f"/v1beta/models/gemini-{number}-flash:generateContent" for number in ("2.5", "3"))
    rows = good(path=before, model="gemini-2.5-flash"), bad(path=now, model="gemini-3-flash")
    assert told(*rows) == [("model", "gemini-2.5-flash", "gemini-3-flash")]


def test_an_id_in_the_path_is_no_change() -> None:
    assert changes(good(path="/v1/responses/resp_0a1b2c3d4e5f"), bad(path="/v1/responses/resp_ffeeddccbbaa99")) == []


def test_there_are_at_most_forty() -> None:
    """However many headers a call has."""
    now = tuple((f"x-stainless-{number:03d}", "v") for number in range(64))
    assert len(changes(good(), bad(request_headers=now))) == 40


def test_the_weightiest_comes_first() -> None:
    before = good(model="a", key="b", host="c")
    now = bad(model="d", key="e", host="f", stream=True, request_headers=())
    assert [one["field"] for one in changes(before, now)][:4] == ["model", "key", "host", "stream"]


@pytest.mark.parametrize(
    "fields",
    [
        {"cause": "network.reset"},
        {"state": "streaming"},
        {"cache": "hit"},
        {"cache": "stale"},
        {"cache": "collapsed"},
        {"fallback": "local"},
        {"provider": "anthropic"},
        {"endpoint": "embeddings"},
        {"kind": "tunnel"},
    ],
)
def test_what_did_not_work_or_is_of_another_kind_is_not_compared_with(fields: dict[str, Any]) -> None:
    assert closeness(good(**fields), bad()) is None
    assert closest([good(**fields)], bad()) is None


@pytest.mark.parametrize("cache", ["none", "stored", "bypass"])
def test_what_the_provider_answered_is_compared_with(cache: str) -> None:
    assert closeness(good(cache=cache), bad()) == CLOSEST


def test_the_same_host_weighs_more_than_model_and_key() -> None:
    rows = [good(4, host="relay.example"), good(3, model="gpt-4o", key="0"), good(2, model="gpt-4o")]
    found = closest(rows, bad())
    assert found is not None
    assert found["seq"] == 2


def test_of_equals_the_newest_is_taken() -> None:
    rows = [good(5, key="0"), good(4), good(3)]
    found = closest(rows, bad())
    assert found is not None
    assert found["seq"] == 4


def test_a_closer_one_that_was_found_before_stays() -> None:
    assert closest([good(2)], bad(), good(7)) == good(7)
