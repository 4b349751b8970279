"""What is refused before anybody asks what a call means."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.identify.guard import HOP_HEADER, refusal, refusal_abroad
from gateway.model.call import Call, Mode, Origin
from gateway.model.cause import Cause
from tests.gateway.factories import a_call

ME = "gateway-1"


def _local(*headers: tuple[bytes, bytes], host: bytes | None = b"127.0.0.1:8080") -> Call:
    named = () if host is None else ((b"host", host),)
    return a_call(mode=Mode.BASE_URL, origin=Origin("http", "127.0.0.1", 80), headers=(*named, *headers))


def _cause(call: Call) -> Cause | None:
    refused = refusal(call, ME)
    return None if refused is None else refused.cause


@pytest.mark.parametrize(
    "host", [b"127.0.0.1", b"127.0.0.1:8080", b"LocalHost:1", b"[::1]:8080", b"[::1]", b" localhost "]
)
def test_a_base_url_that_names_this_machine_is_served(host: bytes) -> None:
    assert refusal(_local(host=host), ME) is None


@pytest.mark.parametrize(
    "host", [b"evil.example", b"127.0.0.1.evil.example", b"", b"\xff", b"[::2]", b"localhost.", None]
)
def test_a_base_url_under_any_other_name_is_refused(host: bytes | None) -> None:
    """A name that a foreign page had resolve to this machine."""
    refused = refusal(_local(host=host), ME)
    assert refused is not None
    assert (refused.cause, refused.status) == (Cause.PROXY_DESTINATION_BLOCKED, 403)


def test_with_the_credential_any_name_will_do_but_no_page_of_another_site() -> None:
    """A foreign page can have its name lead here, but it does not know the credential; what it may know is a link."""
    call = replace(_local(host=b"whygate:8080"), signed_in=True)
    assert refusal(call, ME) is None
    page = replace(_local((b"origin", b"https://evil.example"), host=b"whygate:8080"), signed_in=True)
    assert _cause(page) is Cause.PROXY_DESTINATION_BLOCKED


def test_what_is_barred_is_refused_where_it_would_be_carried() -> None:
    call = a_call(origin=Origin("http", "intranet", 8080))
    refused = refusal_abroad(call, lambda host, port: f"{host}:{port} is barred")
    assert refused is not None
    assert (refused.cause, refused.status, refused.why) == (
        Cause.PROXY_DESTINATION_BLOCKED, 403, "intranet:8080 is barred",
    )  # fmt: skip
    assert refusal_abroad(call, lambda _host, _port: None) is None
    assert refusal_abroad(_local(), lambda host, _port: host) is None


@pytest.mark.parametrize("origin", [b"http://localhost:3000", b"http://127.0.0.1", b"https://[::1]:1"])
def test_a_page_of_this_machine_may_ask(origin: bytes) -> None:
    assert refusal(_local((b"origin", origin), (b"sec-fetch-site", b"same-site")), ME) is None


@pytest.mark.parametrize(
    "header",
    [
        (b"origin", b"https://evil.example"),
        (b"origin", b"null"),
        (b"origin", b"http://localhost:80@evil.example"),
        (b"origin", b"http://localhost.evil.example"),
        (b"origin", b"http://[evil"),
        (b"origin", b"\xff"),
        (b"sec-fetch-site", b"cross-site"),
    ],
)
def test_a_page_of_another_site_is_refused(header: tuple[bytes, bytes]) -> None:
    assert _cause(_local(header)) is Cause.PROXY_DESTINATION_BLOCKED


def test_a_request_that_has_been_here_already_is_a_loop() -> None:
    for call in (_local((HOP_HEADER, ME.encode())), a_call(headers=((HOP_HEADER, ME.encode()),))):
        refused = refusal(call, ME)
        assert refused is not None
        assert (refused.cause, refused.status) == (Cause.PROXY_LOOP_DETECTED, 508)


def test_the_mark_of_another_gateway_is_no_loop() -> None:
    assert refusal(_local((HOP_HEADER, b"gateway-2")), ME) is None


def test_through_the_proxy_the_host_header_must_name_the_host_of_the_connection() -> None:
    assert _cause(a_call(headers=((b"host", b"api.openai.com"),))) is None
    assert _cause(a_call(headers=((b"host", b"API.openai.com:443"),))) is None
    assert _cause(a_call(headers=())) is None
    assert _cause(a_call(headers=((b"host", b"evil.example"),))) is Cause.CLIENT_MALFORMED_REQUEST


def test_a_page_may_use_the_proxy_that_its_browser_was_given() -> None:
    assert refusal(a_call(headers=((b"host", b"api.openai.com"), (b"origin", b"https://app.example"))), ME) is None


@given(host=st.binary(max_size=40), origin=st.binary(max_size=40), mode=st.sampled_from(Mode))
def test_the_guard_is_total(host: bytes, origin: bytes, mode: Mode) -> None:
    call = a_call(mode=mode, headers=((b"host", host), (b"origin", b"http://" + origin), (b"origin", origin)))
    refused = refusal(call, ME)
    assert refused is None or refused.status in {403, 421}
