"""The way out is what curl, Go and requests would make of the same variables."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.egress.network import Login, Via, Ways, canonical, is_same, parse_via, split_no_proxy, ways_from
from gateway.model.call import Origin

PROXY = Via("http", "proxy.corp", 3128)
API = Origin("https", "api.openai.com", 443)


@pytest.mark.parametrize(
    ("text", "via"),
    [
        ("http://proxy.corp:3128", PROXY),
        ("proxy.corp:3128", PROXY),
        (" http://Proxy.Corp:3128/ ", PROXY),
        ("http://proxy.corp", Via("http", "proxy.corp", 80)),
        ("https://proxy.corp", Via("https", "proxy.corp", 443)),
        ("http://[fd00::1]:3128", Via("http", "fd00::1", 3128)),
        ("http://user:pass@proxy.corp:3128", Via("http", "proxy.corp", 3128, b"Basic dXNlcjpwYXNz")),
        ("http://user:p%40ss%3A@proxy.corp:3128", Via("http", "proxy.corp", 3128, b"Basic dXNlcjpwQHNzOg==")),
        ("socks5://proxy.corp", Via("socks5", "proxy.corp", 1080)),
        ("SOCKS5H://Proxy.Corp:9", Via("socks5h", "proxy.corp", 9)),
        ("socks4://[fd00::1]", Via("socks4", "fd00::1", 1080)),
        ("socks4a://user@proxy.corp", Via("socks4a", "proxy.corp", 1080, login=Login(b"user", b""))),
        (
            "socks5h://us%40er:p%C3%BC%3A@proxy.corp",
            Via("socks5h", "proxy.corp", 1080, login=Login(b"us@er", "pü:".encode())),
        ),
        ("http://user@proxy.corp:3128", Via("http", "proxy.corp", 3128, b"Basic dXNlcjo=")),
    ],
)
def test_a_proxys_address_is_read_in_every_usual_form(text: str, via: Via) -> None:
    assert parse_via(text) == via


@pytest.mark.parametrize(
    "text",
    [
        "",
        "http://",
        "ftp://proxy.corp",
        "http://proxy.corp:port",
        "http://:3128",
        "http://a b:1",
        "socks://u:s3cret@x:1",
        "socks6://u:s3cret@x:1",
        f"socks5://{'u' * 256}:s3cret@x:1",
        f"socks5://u:s3cret{'x' * 250}@x:1",
        "socks4://u%00v:s3cret@x:1",
    ],
)
def test_what_is_no_usable_address_is_refused_without_its_password(text: str) -> None:
    with pytest.raises(ValueError, match="an address like") as caught:
        parse_via(text)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["http", "socks5"])
def test_a_credential_is_in_no_text_of_a_proxy(scheme: str) -> None:
    via = parse_via(f"{scheme}://user:s3cret@proxy.corp:3128")
    assert "s3cret" not in f"{via} {via!r} {Ways(https=via)!r}"
    assert str(via) == f"{scheme}://proxy.corp:3128"


def test_a_scheme_that_does_not_say_which_socks_it_is_is_told_so() -> None:
    with pytest.raises(ValueError, match="socks:// does not say which SOCKS it is"):
        parse_via("socks://127.0.0.1:1080/")


HERE = ["127.0.0.1", "localhost", "models.localhost", "::1", "0.0.0.0", "::", "127.1", "2130706433", "::ffff:127.0.0.1"]


@pytest.mark.parametrize("own", ["127.0.0.1", "::1", "0.0.0.0", "::"])
@pytest.mark.parametrize("host", HERE)
def test_a_listener_of_this_machine_is_known_by_all_its_names(host: str, own: str) -> None:
    assert is_same(Via("http", host, 8080), own, 8080)
    assert not is_same(Via("http", host, 8081), own, 8080)


@pytest.mark.parametrize("host", ["proxy.corp", "10.0.0.5", "fd00::1"])
def test_another_machines_port_is_no_listener_of_ours(host: str) -> None:
    assert not is_same(Via("http", host, 8080), "127.0.0.1", 8080)
    assert is_same(Via("http", host, 8080), canonical(host), 8080)


def test_a_listener_on_one_outer_address_is_not_what_loopback_leads_to() -> None:
    assert not is_same(Via("http", "localhost", 8080), "10.0.0.5", 8080)


@pytest.mark.parametrize(
    ("env", "https", "http"),
    [
        ({}, None, None),
        ({"HTTPS_PROXY": "proxy.corp:3128"}, PROXY, None),
        ({"HTTP_PROXY": "proxy.corp:3128"}, None, PROXY),
        ({"ALL_PROXY": "proxy.corp:3128"}, PROXY, PROXY),
        ({"https_proxy": "proxy.corp:3128", "HTTPS_PROXY": "other:1"}, PROXY, None),
        ({"HTTPS_PROXY": "proxy.corp:3128", "ALL_PROXY": "other:1"}, PROXY, Via("http", "other", 1)),
        ({"HTTPS_PROXY": "  "}, None, None),
    ],
)
def test_the_usual_variables_are_read_with_the_usual_precedence(
    env: dict[str, str], https: Via | None, http: Via | None
) -> None:
    found, problems = ways_from(env)
    assert (found.https, found.http, problems) == (https, http, ())


def test_a_variable_that_cannot_be_used_is_named_once() -> None:
    found, problems = ways_from({"ALL_PROXY": "socks://127.0.0.1:1080"})
    assert (found.https, found.http) == (None, None)
    assert [problem.name for problem in problems] == ["ALL_PROXY"]


COVERED = [
    ("openai.com", "api.openai.com"),
    (".openai.com", "api.openai.com"),
    ("*.openai.com", "api.openai.com"),
    ("API.OpenAI.com", "api.openai.com"),
    ("api.openai.com:443", "api.openai.com"),
    ("*", "api.openai.com"),
    ("10.0.0.0/8", "10.1.2.3"),
    ("10.1.2.3", "10.1.2.3"),
    ("fd00::/8", "fd00::5"),
    ("[fd00::5]:443", "fd00::5"),
]
NOT_COVERED = [
    ("penai.com", "api.openai.com"),
    ("api.openai.com:8443", "api.openai.com"),
    ("openai.com.evil.example", "api.openai.com"),
    ("10.0.0.0/8", "11.1.2.3"),
    ("10.1.2", "10.1.2.3"),
    (".", "api.openai.com"),
]


@pytest.mark.parametrize(("entry", "host"), COVERED)
def test_no_proxy_covers_a_host_and_what_is_below_it(entry: str, host: str) -> None:
    assert Ways(https=PROXY, no_proxy=("other", entry)).way_to(Origin("https", host, 443)) is None


@pytest.mark.parametrize(("entry", "host"), NOT_COVERED)
def test_no_proxy_covers_nothing_else(entry: str, host: str) -> None:
    assert Ways(https=PROXY, no_proxy=(entry,)).way_to(Origin("https", host, 443)) == PROXY


@pytest.mark.parametrize("host", ["localhost", "models.localhost", "127.0.0.1", "127.8.9.1", "::1"])
def test_this_machine_is_never_asked_for_through_a_proxy(host: str) -> None:
    assert Ways(https=PROXY, http=PROXY).way_to(Origin("http", host, 11434)) is None


def test_entries_are_separated_by_commas_or_spaces() -> None:
    assert split_no_proxy(" a, b,c  d,,") == ("a", "b", "c", "d")


@given(
    entries=st.lists(st.text(max_size=30), max_size=4), host=st.text("abc.:0123456789", min_size=1, max_size=20),
    port=st.integers(1, 65_535),
)  # fmt: skip
def test_no_list_makes_the_decision_fail(entries: list[str], host: str, port: int) -> None:
    found, _ = ways_from({"HTTPS_PROXY": "proxy.corp:3128", "NO_PROXY": ",".join(entries)})
    assert found.way_to(Origin("https", host, port)) in {None, PROXY}


@given(text=st.text(max_size=60))
def test_no_text_makes_reading_an_address_fail_otherwise(text: str) -> None:
    try:
        via = parse_via(text)
    except ValueError as error:
        assert "an address like" in str(error)  # noqa: PT017 - either it is read, or this is what it says
    else:
        assert via.host
        assert 0 <= via.port <= 65_535


def test_other_targets_than_the_apis_take_the_same_way() -> None:
    assert Ways(https=PROXY).way_to(API) == PROXY
    assert Ways(https=PROXY).way_to(Origin("http", "archive.example", 80)) is None
