"""The IETF's header fields, in the forms that their drafts gave them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model.call import Headers
from gateway.providers._ratelimit import read_any_limits
from tests.gateway.providers.contract import Stated, sane

_NAMES = (b"ratelimit", b"ratelimit-policy", b"ratelimit-limit", b"ratelimit-remaining", b"ratelimit-reset")
_PARTS = (
    *(b'"default"', b'"tokens', b'"', b";", b",", b"=", b" ", b"q=100", b"w=10", b"r=5", b"t=30", b"qu=", b"limit=9"),
    *(b"remaining=1", b"reset=", b"100", b"0", b"9" * 20, b"-1", b"pk=:YQ==:", b"\xff"),
)


@pytest.mark.parametrize(
    ("headers", "stated"),
    [
        (
            ((b"ratelimit-policy", b'"default";q=100;w=10'), (b"ratelimit", b'"default";r=50;t=30')),
            (("requests", 100, 50, 30.0, 10.0),),
        ),
        (
            (
                (b"ratelimit-policy", b'"burst";q=10;w=1, "day";q=1000;w=86400;qu="requests";pk=:YWJj:'),
                (b"ratelimit", b'"day";r=999;t=86000'),
                (b"ratelimit", b'"burst";r=0;t=1'),
            ),
            (("requests", 1000, 999, 86000.0, 86400.0), ("requests", 10, 0, 1.0, 1.0)),
        ),
        (
            (
                (
                    b"ratelimit-policy",
                    b'"a,b;c";q=5;w=60;qu="output-tokens","tokens-per-min";q=9;w=60, "c";q=2;qu="concurrent-requests"',
                ),
                (b"ratelimit", b'"a,b;c" ; r=4 ; t=3'),
            ),
            (
                ("output_tokens", 5, 4, 3.0, 60.0),
                ("tokens", 9, None, None, 60.0),
                ("concurrency", 2, None, None, None),
            ),
        ),
        (((b"ratelimit", b'"default";r=50'),), (("requests", None, 50, None, None),)),
        (((b"ratelimit-policy", b'"bytes";q=100;qu="content-bytes", "none";q=0;w=1'),), ()),
        (
            ((b"ratelimit-policy", b"10;w=1, 100;w=60"), (b"ratelimit", b"limit=100, remaining=50, reset=5")),
            (("requests", 100, 50, 5.0, 60.0),),
        ),
        (
            ((b"ratelimit-limit", b"100"), (b"ratelimit-remaining", b"99"), (b"ratelimit-reset", b"30")),
            (("requests", 100, 99, 30.0, None),),
        ),
        (
            ((b"ratelimit-limit", b"10, 10;w=1, 50;w=60"), (b"ratelimit-remaining", b"0"), (b"ratelimit-reset", b"1")),
            (("requests", 10, 0, 1.0, 1.0),),
        ),
        (((b"ratelimit-limit", b"0"), (b"ratelimit-remaining", b"0")), ()),
        (((b"ratelimit-reset", b"30"),), ()),
        (((b"ratelimit", b"whatever"), (b"ratelimit-policy", b"")), ()),
        (((b"server", b"x"),), ()),
    ],
)
def test_each_draft_says_the_same_in_its_own_way(headers: Headers, stated: tuple[Stated, ...]) -> None:
    assert read_any_limits(headers) == stated


def test_openais_own_names_go_first_unless_they_say_nothing() -> None:
    draft = ((b"ratelimit-limit", b"7"), (b"ratelimit-remaining", b"6"))
    assert read_any_limits(((b"x-ratelimit-limit-tokens", b"10"), *draft)) == (("tokens", 10, None, None, None),)
    assert read_any_limits(((b"x-ratelimit-limit-tokens", b"0"), *draft)) == (("requests", 7, 6, None, None),)


@given(
    headers=st.lists(
        st.tuples(st.sampled_from(_NAMES), st.binary(max_size=60) | st.lists(st.sampled_from(_PARTS)).map(b"".join)),
        max_size=6,
    ).map(tuple)
)
def test_reading_is_total_and_bounded(headers: Headers) -> None:
    stated = read_any_limits(headers)
    assert len(stated) <= 16
    for one in stated:
        sane(one)
