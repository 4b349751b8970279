"""Every provider has pages to send a person to, and they are proper addresses."""

from urllib.parse import urlsplit

import pytest

from gateway._discover import discover
from gateway.model.provider import Provider
from gateway.providers._pages import KINDS, PAGES

PROVIDERS = {provider.name for provider in discover("gateway.providers", "PROVIDER", Provider).values()}
WITHOUT_STATUS_PAGE = {"zhipu"}  # none found (2026-11)


def test_every_provider_has_pages_and_nobody_else() -> None:
    assert set(PAGES) == PROVIDERS - {"openai_compatible"}  # whoever it is, we do not know


@pytest.mark.parametrize("provider", PAGES)
def test_the_pages_that_people_need_most(provider: str) -> None:
    pages = PAGES[provider]
    assert "keys" in pages
    assert {"billing", "limits"} & set(pages)
    assert ("status" in pages) == (provider not in WITHOUT_STATUS_PAGE)


@pytest.mark.parametrize("provider", PAGES)
def test_addresses(provider: str) -> None:
    pages = PAGES[provider]
    assert set(pages) <= set(KINDS)
    assert len(set(pages.values())) == len(pages)
    for address in pages.values():
        parts = urlsplit(address)
        assert parts.scheme == "https"
        assert parts.hostname
        assert "." in parts.hostname
        assert (parts.query, parts.fragment, parts.username, parts.port) == ("", "", None, None)
        assert address.isascii()
        assert address == address.strip().rstrip("/.,")  # so that a sentence may end with it
        assert len(address) <= 100


def test_a_page_belongs_to_one_provider() -> None:
    addresses = [address for pages in PAGES.values() for address in pages.values()]
    assert len(set(addresses)) == len(addresses)


def test_pages_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        PAGES["openai"]["keys"] = "https://example.com"  # type: ignore[index]
