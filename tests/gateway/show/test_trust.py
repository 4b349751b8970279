"""The page that says how an app elsewhere trusts the gateway; nobody needs a token for it, and nothing is secret."""

import hashlib
import re
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.gateway.record.made import until
from tests.gateway.show.browser import Browser
from tests.gateway.show.served import TOKEN, Served, trust
from tests.gateway.show.test_page_axe import AXE, _faults

HOLE = re.compile(r"\{\{\w+\}\}")


def test_the_certificate_is_given_to_whoever_asks_in_both_forms(served: Served) -> None:
    with served.bare() as client:
        pem, der = client.get("/ca.pem"), client.get("/ca.crt")
    assert (pem.status_code, pem.headers["content-type"]) == (200, "application/x-pem-file")
    assert (der.status_code, der.headers["content-type"]) == (200, "application/x-x509-ca-cert")
    assert pem.headers["content-disposition"] == 'attachment; filename="whygate-ca.pem"'
    assert der.headers["content-disposition"] == 'attachment; filename="whygate-ca.crt"'
    assert b"PRIVATE" not in pem.content
    certificate = x509.load_pem_x509_certificate(pem.content)
    assert der.content == certificate.public_bytes(Encoding.DER)
    assert certificate == x509.load_pem_x509_certificate(trust().certificate_pem)


def test_it_names_this_gateway_as_the_reader_calls_it_and_never_its_token(served: Served) -> None:
    with served.bare(host="localhost:8081") as client:
        page = client.get("/trust")
    assert page.headers["content-type"].startswith("text/html")
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert HOLE.search(page.text) is None
    assert "http://localhost:8081/ca.pem" in page.text
    assert "HTTPS_PROXY=http://whygate:TOKEN@localhost:18080" in page.text
    assert "http://localhost:18080/~TOKEN/openai/v1" in page.text
    assert trust().fingerprint_sha256 in page.text
    assert f"--checksum=sha256:{hashlib.sha256(trust().certificate_pem).hexdigest()} http://localhost" in page.text
    assert f"{trust().not_after:%Y-%m-%d}" in page.text
    assert TOKEN not in page.text


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:80", '"><script>'])
def test_under_a_foreign_name_nothing_is_told(served: Served, host: str) -> None:
    with served.bare(host=host) as client:
        assert [client.get(path).status_code for path in ("/trust", "/ca.pem", "/ca.crt")] == [421] * 3


def test_nobody_writes_there(served: Served) -> None:
    with served.client() as client:
        assert client.post("/ca.pem", json={}).status_code == 405
        assert client.head("/ca.pem").status_code == 200


def test_what_is_put_into_the_page_is_text() -> None:
    """The guard lets no such name in; the page does not rely on it."""
    assert "<script>alert" not in trust().page('"><script>alert(1)</script>')


def test_an_address_of_ipv6_keeps_its_brackets_but_for_java() -> None:
    page = trust().page("[::1]:8081")
    assert "whygate:TOKEN@[::1]:18080" in page
    assert "-Dhttps.proxyHost=::1 " in page


def test_without_a_token_the_lines_have_none_and_a_listener_of_its_own_machine_says_so() -> None:
    alone = replace(trust(), needs_token=False, listen_host="127.0.0.1").page("127.0.0.1:8081")
    assert "HTTPS_PROXY=http://127.0.0.1:18080" in alone
    assert "TOKEN" not in alone.partition("<main>")[2].replace("trust.token", "")
    assert re.search(r'data-t="trust.elsewhere" *>', alone)
    assert re.search(r'data-t="trust.token" hidden>', alone)
    shared = trust().page("whygate:8081")
    assert re.search(r'data-t="trust.elsewhere" hidden>', shared)
    assert re.search(r'data-t="trust.token" *>', shared)


def test_a_reader_sees_words_and_copies_lines(served: Served, browser: Browser) -> None:
    browser.go(f"{served.url}/trust")
    browser.wait("document.querySelectorAll('.lines button').length > 8")
    assert "Trust this gateway" in browser.text("h2")
    assert browser.run("return document.querySelectorAll('[data-t]:empty:not([hidden])').length") == 0
    browser.click("#fetch + button")
    until(lambda: browser.text("#fetch + button") == "Copied")
    assert browser.complaints() == []


def test_the_front_page_leads_there(page: Browser) -> None:
    page.click("footer a")
    page.wait("location.pathname === '/trust' && document.querySelector('.lines')")


@pytest.mark.skipif(not AXE.exists(), reason="axe-core is not installed: bash tests/e2e/runtimes/install")
@pytest.mark.parametrize(("width", "dark"), [(1280, False), (1280, True), (360, False)])
def test_nothing_stands_in_the_way_of_any_reader(
    served: Served, browser: Browser, width: int, dark: bool, tmp_path: Path
) -> None:
    browser.look_like(width=width, dark=dark)
    browser.go(f"{served.url}/trust")
    browser.wait("document.querySelectorAll('.lines button').length > 8")
    (tmp_path / f"trust-{width}-{dark}.png").write_bytes(browser.screenshot())
    assert _faults(browser) == []
    assert browser.run("return document.documentElement.scrollWidth <= innerWidth")
