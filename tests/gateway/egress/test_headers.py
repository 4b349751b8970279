"""Which headers go on, in both directions."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.egress.headers import request_headers, response_headers
from gateway.model.call import Call, Headers, Mode, Origin
from tests.gateway.factories import OPENAI_ORIGIN, a_call

RELAY = Origin("http", "127.0.0.1", 9000)


def _out(*headers: tuple[bytes, bytes], **changes: Any) -> Headers:
    how = {"chunked": False, "hop": None} | {k: changes.pop(k) for k in ("chunked", "hop") if k in changes}
    upstream = changes.pop("upstream", OPENAI_ORIGIN)
    call: Call = a_call(**({"headers": headers, "body": b""} | changes))
    return request_headers(call, upstream, **how)


def test_order_duplicates_and_bytes_are_kept() -> None:
    headers = (
        (b"b", b"1"),
        (b"host", b"API.openai.com"),
        (b"a", b"\xe9\xff \t"),
        (b"b", b""),
        (b"x-stainless-lang", b"js"),
    )
    assert _out(*headers) == headers


@pytest.mark.parametrize(
    "name",
    [b"keep-alive", b"proxy-authorization", b"proxy-connection", b"te", b"trailer", b"upgrade", b"expect",
     b"x-whygate-cache", b"x-whygate-hop"],
)  # fmt: skip
def test_what_is_for_this_hop_alone_stays_here(name: bytes) -> None:
    assert _out((b"host", b"h"), (name, b"x")) == ((b"host", b"h"),)


def test_what_connection_names_stays_here_as_well() -> None:
    headers = (
        (b"host", b"h"),
        (b"connection", b"close, X-Mine"),
        (b"x-mine", b"1"),
        (b"connection", b"x-too"),
        (b"x-too", b"1"),
    )
    assert _out(*headers, (b"x-other", b"1")) == ((b"host", b"h"), (b"x-other", b"1"))


def test_connection_cannot_take_away_what_the_request_needs() -> None:
    headers = ((b"host", b"h"), (b"authorization", b"k"), (b"content-length", b"2"))
    taken = (b"connection", b"host, authorization, content-length")
    assert _out(taken, *headers, body=b"{}") == headers


def test_host_names_the_upstream_where_it_is_another_than_asked_for() -> None:
    assert _out((b"a", b"1"), (b"host", b"api.openai.com"), upstream=RELAY) == (
        (b"a", b"1"),
        (b"host", b"127.0.0.1:9000"),
    )
    local = _out((b"host", b"127.0.0.1:8080"), mode=Mode.BASE_URL, origin=Origin("http", "127.0.0.1", 80))
    assert local == ((b"host", b"api.openai.com"),)
    assert _out((b"host", b"x"), upstream=Origin("https", "::1", 8443)) == ((b"host", b"[::1]:8443"),)


def test_there_is_exactly_one_host() -> None:
    """Of two, the one that was checked counts."""
    assert _out((b"a", b"1")) == ((b"host", b"api.openai.com"), (b"a", b"1"))
    assert _out((b"host", b"evil.example"), (b"host", b"api.openai.com")) == ((b"host", b"api.openai.com"),)


def test_the_length_is_stated_once_or_the_body_goes_in_chunks() -> None:
    assert _out((b"host", b"h"), (b"content-length", b"2"), body=b"{}")[1:] == ((b"content-length", b"2"),)
    assert _out((b"host", b"h"), (b"transfer-encoding", b"chunked"), body=b"{}")[1:] == ((b"content-length", b"2"),)
    assert _out((b"host", b"h"), (b"transfer-encoding", b"chunked"))[1:] == ((b"content-length", b"0"),)
    chunked = _out((b"host", b"h"), (b"content-length", b"2"), body=b"{}", chunked=True)
    assert chunked[1:] == ((b"transfer-encoding", b"chunked"),)
    assert _out((b"host", b"h")) == ((b"host", b"h"),)
    assert _out((b"host", b"h"), (b"content-length", b"0")) == ((b"host", b"h"), (b"content-length", b"0"))


def test_a_mark_against_circles_replaces_any_that_came() -> None:
    assert _out((b"host", b"h"), (b"x-whygate-hop", b"forged"), hop=(b"x-whygate-hop", b"me")) == (
        (b"host", b"h"),
        (b"x-whygate-hop", b"me"),
    )


def test_an_answer_goes_on_without_what_was_for_this_hop() -> None:
    headers = (
        (b"date", b"now"),
        (b"set-cookie", b"a"),
        (b"connection", b"x-secret"),
        (b"set-cookie", b"b"),
        (b"transfer-encoding", b"chunked"),
        (b"x-secret", b"1"),
        (b"x-whygate-cause", b"forged"),
        (b"content-length", b"3"),
        (b"x-bytes", b"\xe9"),
    )
    assert response_headers(headers) == [
        (b"date", b"now"), (b"set-cookie", b"a"), (b"set-cookie", b"b"), (b"content-length", b"3"), (b"x-bytes", b"\xe9")
    ]  # fmt: skip


_NAMES = st.sampled_from([b"host", b"connection", b"content-length", b"x-a", b"x-whygate-b", b"te", b"authorization"])


@given(
    headers=st.lists(st.tuples(_NAMES, st.sampled_from([b"x-a", b"host, te", b"1", b""])), max_size=8),
    chunked=st.booleans(),
)
def test_any_request_has_one_host_one_framing_and_nothing_of_ours(
    headers: list[tuple[bytes, bytes]], chunked: bool
) -> None:
    out = request_headers(a_call(headers=tuple(headers), body=b"{}"), OPENAI_ORIGIN, chunked=chunked, hop=None)
    names = [name for name, _ in out]
    assert names.count(b"host") == 1
    assert (b"transfer-encoding" in names) == chunked
    assert (b"content-length" in names) != chunked
    assert not [name for name in names if name.startswith(b"x-whygate-") or name in {b"connection", b"te"}]
