"""Who wrote an answer: each kind by what only that kind leaves on it, and nobody where nothing tells."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.diagnose.author import Author, Kind, author
from gateway.diagnose.vendors import Means
from gateway.model.provider import Provider
from gateway.providers.openai import PROVIDER as OPENAI
from gateway.providers.openai_compatible import PROVIDER as COMPATIBLE


def _author(
    body: str = "",
    headers: dict[str, str] | None = None,
    *,
    status: int = 503,
    provider: Provider | None = OPENAI,
    enveloped: bool = False,
    own: bool = False,
    stage: str = "",
    location: str = "",
) -> Author:
    return author(
        status=status,
        headers=headers or {},
        body=body.lower(),
        provider=provider,
        enveloped=enveloped,
        own=own,
        location=location,
        stage=stage,
    )


HTML = {"content-type": "text/html"}
NGINX = "<html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1></center><hr><center>nginx/1.25.3</center></body></html>"


@pytest.mark.parametrize(
    ("body", "headers", "kind", "name"),
    [
        ("", {"x-whygate-flow-id": "1"}, Kind.OURSELVES, "whygate"),
        ('{"error":{"type":"whygate_error"}}', {}, Kind.OURSELVES, "whygate"),
        ("", {"openai-processing-ms": "12"}, Kind.PROVIDER, "openai"),
        ("upstream connect error or disconnect/reset before headers", {}, Kind.MESH, None),
        ("no healthy upstream", {}, Kind.MESH, None),
        (NGINX, HTML, Kind.SERVER, None),
        ("<title>Attention Required! | Cloudflare</title>Sorry, you have been blocked", HTML, Kind.EDGE, "Cloudflare"),
        ("error code: 1020", {}, Kind.EDGE, "Cloudflare"),
        ("<title>api.openai.com | 522: Connection timed out</title>", HTML, Kind.EDGE, "Cloudflare"),
        ('{"type":"https://x","cloudflare_error":true,"error_code":1015}', {}, Kind.EDGE, "Cloudflare"),
        ("<h1>Access Denied</h1>Reference&#32;&#35;18.2d.1", HTML, Kind.EDGE, "Akamai"),
        ("", {"x-portkey-trace-id": "1"}, Kind.RELAY, "Portkey"),
        ("", {}, Kind.UNKNOWN, ""),
        ("something else", {}, Kind.UNKNOWN, ""),
        ("<p>something else</p>", HTML, Kind.UNKNOWN, ""),
    ],
)
def test_each_author_leaves_a_mark(body: str, headers: dict[str, str], kind: Kind, name: str | None) -> None:
    found = _author(body, headers)
    assert found.kind is kind
    assert name is None or found.name == name
    assert found.clue or kind is Kind.UNKNOWN


def test_a_product_on_the_path_is_told_by_its_page_with_what_it_means() -> None:
    found = _author(
        "<html><title>FortiGuard Intrusion Prevention - Access Blocked</title>Web Page Blocked! FortiGuard</html>", HTML
    )
    assert (found.kind, found.name) == (Kind.MIDDLEBOX, "Fortinet")
    assert found.means is Means.BLOCK


def test_what_answers_to_connect_is_never_the_host() -> None:
    assert _author("", {}, stage="proxy").kind is Kind.MIDDLEBOX
    assert _author('{"error":{"message":"no"}}', {}, stage="proxy", enveloped=True).kind is Kind.MIDDLEBOX
    assert _author(NGINX, HTML, stage="proxy").kind is Kind.MIDDLEBOX


def test_an_envelope_is_the_providers_where_its_host_was_asked() -> None:
    assert _author("{}", enveloped=True, own=True)[:2] == (Kind.PROVIDER, "openai")
    assert _author("{}", enveloped=True, own=False)[:2] == (Kind.PROVIDER, "openai")
    assert _author("{}", enveloped=True, own=True).clue != _author("{}", enveloped=True, own=False).clue


def test_an_envelope_of_a_host_that_is_nobodys_is_a_relays() -> None:
    assert _author("{}", enveloped=True, provider=COMPATIBLE).kind is Kind.RELAY


def test_a_relay_signs_its_envelopes() -> None:
    found = _author('{"error":{"type":"new_api_error","message":"no"}}', enveloped=True, own=True)
    assert (found.kind, found.name) == (Kind.RELAY, "new-api")


def test_a_web_page_with_a_header_of_the_api_is_not_the_apis() -> None:
    """A product may leave the headers and put its own page under them."""
    assert _author("<html>blocked</html>", {"openai-processing-ms": "12", **HTML}).kind is not Kind.PROVIDER


def test_an_edge_that_only_stands_there_did_not_write_an_envelope() -> None:
    headers = {"server": "cloudflare", "cf-ray": "8f1-FRA"}
    assert _author('{"error":{"message":"no"}}', headers, enveloped=True, own=True).kind is Kind.PROVIDER


def test_an_edge_that_stands_before_an_empty_answer_wrote_it() -> None:
    assert _author("", {"server": "cloudflare", "cf-ray": "8f1-FRA"}).kind is Kind.EDGE


def test_a_page_behind_cloudflare_that_names_a_product_is_not_that_products() -> None:
    """News about a product is no product on the path."""
    headers = {"server": "cloudflare", "cf-ray": "8f1-FRA", **HTML}
    assert _author("<p>How we compare with Zscaler</p>", headers).kind is not Kind.MIDDLEBOX


_TEXTS = st.text(max_size=200) | st.sampled_from(
    [NGINX, "error code: 1020", "upstream connect error", "<title>a | 522: b</title>"]
)


@given(
    body=_TEXTS,
    headers=st.dictionaries(
        st.sampled_from(["server", "via", "location", "cf-ray", "content-type", "x-squid-error", "set-cookie"]), _TEXTS
    ),
    status=st.integers(0, 999),
    enveloped=st.booleans(),
    own=st.booleans(),
    location=_TEXTS,
    stage=st.sampled_from(["", "proxy", "tls"]),
)
def test_somebody_is_named_for_every_answer(  # noqa: PLR0917 - what is drawn is given by name
    body: str, headers: dict[str, str], status: int, enveloped: bool, own: bool, location: str, stage: str
) -> None:
    found = _author(body, headers, status=status, enveloped=enveloped, own=own, location=location, stage=stage)
    assert found.kind in Kind
    assert found == _author(body, dict(reversed(headers.items())), status=status, enveloped=enveloped, own=own, location=location, stage=stage)  # fmt: skip
