"""How the listener's credential is presented, and taken out."""

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.identify.credential import Credentials, from_proxy_headers, split_target, without

TOKEN = "a-long-random-text~1"
BASIC = b64encode(f"whygate:{TOKEN}".encode())
THEIRS = Credentials({"default": TOKEN, "research": TOKEN[::-1]})


@pytest.mark.parametrize(
    "value",
    [
        b"Basic " + BASIC,
        b"basic  " + BASIC + b" ",
        b"BASIC " + b64encode(b":" + TOKEN.encode()),
        b"Basic " + b64encode("anybody-ü".encode() + b":" + TOKEN.encode()),
        b"Bearer " + TOKEN.encode(),
        b"bearer  " + TOKEN.encode(),
    ],
)
def test_a_proxys_client_presents_it_as_password_or_bearer(value: bytes) -> None:
    assert THEIRS.whose(from_proxy_headers([value])) == "default"


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"Basic",
        b"Basic ",
        b"Basic !!!",
        b"Basic " + b64encode(TOKEN.encode()),  # a user without a password
        b"Basic " + b64encode(f"{TOKEN}:".encode()),
        b"Basic " + b64encode(f"whygate:{TOKEN[:-1]}".encode()),
        b"Basic " + b64encode(f"whygate:{TOKEN}x".encode()),
        b"Basic " + b64encode(f"whygate:x:{TOKEN}".encode()),
        b"Basic " + TOKEN.encode(),
        b"Bearer " + TOKEN.encode()[:-1],
        b"Bearer " + TOKEN.upper().encode(),
        b"Digest " + BASIC,
        TOKEN.encode(),
    ],
)
def test_nothing_else_is_it(value: bytes) -> None:
    assert THEIRS.whose(from_proxy_headers([value])) is None
    assert THEIRS.whose([]) is None


@pytest.mark.parametrize(
    ("target", "found", "rest"),
    [
        (b"/openai/v1/models?a=b", None, b"/openai/v1/models?a=b"),
        (b"/~tok/openai/v1/models?a=/~b", b"tok", b"/openai/v1/models?a=/~b"),
        (b"/~tok", b"tok", b"/"),
        (b"/~tok/", b"tok", b"/"),
        (b"/~tok?a", b"tok", b"/?a"),
        (b"/~/x", b"", b"/x"),
        (b"/~~/x", b"~", b"/x"),
        (b"/a/~tok/x", None, b"/a/~tok/x"),
        (b"//~tok/x", None, b"//~tok/x"),
        (b"*", None, b"*"),
        (b"", None, b""),
    ],
)
def test_the_first_segment_of_a_path_presents_it(target: bytes, found: bytes | None, rest: bytes) -> None:
    assert split_target(target) == (found, rest)


@given(st.binary(max_size=60))
def test_what_remains_is_a_target_without_it(data: bytes) -> None:
    found, rest = split_target(b"/~" + data)
    assert found is not None
    assert rest.startswith(b"/")
    assert found == b"" or data.startswith(found)
    from_proxy_headers([data, b"Basic " + data])  # total


def test_a_request_that_is_given_away_whole_goes_without_it() -> None:
    request = (
        b"POST /~secret/openai/v1/x HTTP/1.1\r\nHost: a\r\nX-WhyGate-Token: secret\r\nAccept: b\r\n"
        b"proxy-authorization : Basic secret\r\n\r\nProxy-Authorization: in the body\r\n\r\n"
    )
    assert without(request) == (
        b"POST /openai/v1/x HTTP/1.1\r\nHost: a\r\nAccept: b\r\n\r\nProxy-Authorization: in the body\r\n\r\n"
    )
