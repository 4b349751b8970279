"""What products leave here is what the gateway's table of products knows them by."""

from pathlib import Path

import pytest
from cryptography import x509

from gateway.diagnose import vendors
from tests.network.authorities import ISSUERS, Authorities
from tests.network.pages import BLOCKED, PORTALS, SINKS

OF_NOBODY = {"public", "intermediate", "unknown-firm"}


@pytest.mark.parametrize("issuer", sorted(ISSUERS))
def test_an_issuer_is_known_as_its_product_and_a_firms_own_as_nobodys(tmp_path: Path, issuer: str) -> None:
    pem = Authorities(tmp_path).bundle([issuer])[len(Authorities(tmp_path).bundle()) :]
    found = vendors.of_certificate(x509.load_pem_x509_certificate(pem).subject.rfc4514_string())
    assert (found is None) == (issuer in OF_NOBODY), found


@pytest.mark.parametrize("vendor", [name for name, sink in SINKS.items() if sink.page])
def test_a_filter_is_known_by_its_block_page_or_by_where_that_stands(vendor: str) -> None:
    assert vendors.on_page(SINKS[vendor].page) or vendors.of_address(SINKS[vendor].addresses[0])


@pytest.mark.parametrize("vendor", sorted(BLOCKED))
def test_an_inspecting_products_page_is_known(vendor: str) -> None:
    _, headers, body = BLOCKED[vendor]
    assert vendors.on_page(body) or vendors.in_headers(headers.items())


@pytest.mark.parametrize("vendor", ["fortigate", "meraki", "aruba", "cisco-ise", "mikrotik"])
def test_where_a_login_page_lies_is_known(vendor: str) -> None:
    found = vendors.in_redirect(PORTALS[vendor][1]["location"])
    assert found is not None
    assert found.means is vendors.Means.PORTAL
