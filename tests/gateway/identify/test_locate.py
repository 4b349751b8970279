"""Where requests go: by the host asked for, or by the first segment of a base URL."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.identify.locate import ADOPTED_MAX, Locator
from gateway.model.call import Origin
from gateway.providers.anthropic import PROVIDER as ANTHROPIC
from gateway.providers.openai import PROVIDER as OPENAI
from tests.gateway.factories import ANTHROPIC_ORIGIN, OPENAI_ORIGIN

LOCATOR = Locator((OPENAI, ANTHROPIC))


def test_a_host_asked_for_is_the_host_gone_to_with_the_target_untouched() -> None:
    target = b"/v1//x/%2e%2e/\xff?a=b&a=c"
    place = LOCATOR.find(OPENAI_ORIGIN, target)
    assert place == (OPENAI, OPENAI_ORIGIN, target)


def test_a_host_of_no_provider_is_nowhere() -> None:
    assert LOCATOR.find(Origin("https", "api.openai.com.evil.example", 443), b"/v1/models") is None
    assert LOCATOR.find(Origin("https", "openai.com", 443), b"/v1/models") is None
    assert LOCATOR.find(Origin("https", "api.openai.com", 8443), b"/v1/models") is None


def test_a_plain_request_to_a_provider_is_known_and_stays_plain() -> None:
    plain = Origin("http", "api.openai.com", 80)
    assert LOCATOR.find(plain, b"/v1/models") == (OPENAI, plain, b"/v1/models")


@pytest.mark.parametrize(
    ("target", "provider", "origin", "rest"),
    [
        (b"/openai/v1/models", OPENAI, OPENAI_ORIGIN, b"/v1/models"),
        (b"/openai/", OPENAI, OPENAI_ORIGIN, b"/"),
        (b"/anthropic/v1/messages?beta=true", ANTHROPIC, ANTHROPIC_ORIGIN, b"/v1/messages?beta=true"),
    ],
)
def test_the_first_segment_of_a_base_url_names_the_provider(
    target: bytes, provider: object, origin: Origin, rest: bytes
) -> None:
    assert LOCATOR.find(None, target) == (provider, origin, rest)


@pytest.mark.parametrize(
    "target", [b"", b"/", b"/openai", b"/openai?x=/", b"//openai/v1", b"/OpenAI/v1", b"/v1/models"]
)
def test_any_other_base_url_is_nowhere(target: bytes) -> None:
    assert LOCATOR.find(None, target) is None


@pytest.mark.parametrize(
    ("upstream", "target", "origin", "aimed"),
    [
        ("https://relay.example", b"/v1/models", Origin("https", "relay.example", 443), b"/v1/models"),
        ("https://Relay.Example:8443/", b"/v1/models", Origin("https", "relay.example", 8443), b"/v1/models"),
        ("https://relay.example/v1", b"/v1/models", Origin("https", "relay.example", 443), b"/v1/models"),
        ("https://relay.example/a/v1/", b"/v1/models", Origin("https", "relay.example", 443), b"/a/v1/models"),
        ("https://relay.example/a", b"/v1/models", Origin("https", "relay.example", 443), b"/a/v1/models"),
        ("https://relay.example/a/v1", b"/models", Origin("https", "relay.example", 443), b"/a/v1/models"),
        ("http://127.0.0.1:9", b"/x", Origin("http", "127.0.0.1", 9), b"/x"),
        ("http://[::1]", b"/x", Origin("http", "::1", 80), b"/x"),
    ],
)
def test_a_configured_upstream_takes_the_place_of_the_host_and_v1_never_stands_twice(
    upstream: str, target: bytes, origin: Origin, aimed: bytes
) -> None:
    provider = replace(OPENAI, upstream=upstream)
    locator = Locator((provider,))
    assert locator.find(OPENAI_ORIGIN, target) == (provider, origin, aimed)
    assert locator.find(None, b"/openai" + target) == (provider, origin, aimed)


@pytest.mark.parametrize(
    ("host", "named"),
    [
        ("relay.example", "relay.example:443"),
        ("Relay.Example:8443", "relay.example:8443"),
        ("[::1]:9", "::1:9"),
        ("[::1]", "::1:443"),
    ],
)
def test_hosts_are_known_with_their_port(host: str, named: str) -> None:
    locator = Locator((replace(OPENAI, hosts=(host,)),))
    name, _, port = named.rpartition(":")
    assert locator.provider_of(name, int(port)) is not None
    assert locator.find(Origin("https", name, int(port)), b"/") is not None


@given(target=st.binary(max_size=60))
def test_no_target_makes_the_search_fail(target: bytes) -> None:
    LOCATOR.find(None, target)
    place = LOCATOR.find(OPENAI_ORIGIN, target)
    assert place is not None
    assert place.target == target


def test_a_provider_of_a_base_url_alone_needs_no_host() -> None:
    local = replace(OPENAI, name="local", hosts=(), upstream="http://127.0.0.1:11434/v1")
    locator = Locator((OPENAI, local))
    assert locator.provider_of("local", 443) is None
    assert locator.find(None, b"/local/v1/models") == (local, Origin("http", "127.0.0.1", 11434), b"/v1/models")


AZURE = replace(
    OPENAI, name="azure", hosts=("*.openai.azure.com", "*.services.ai.azure.com"), resource_host="{}.openai.azure.com"
)


def test_a_host_of_each_customer_is_known_by_its_suffix() -> None:
    locator = Locator((OPENAI, AZURE))
    assert locator.provider_of("contoso.openai.azure.com", 443) == AZURE
    assert locator.provider_of("a.b.openai.azure.com", 443) == AZURE
    for stranger in ("openai.azure.com", "contosoopenai.azure.com", "contoso.openai.azure.com.evil.example"):
        assert locator.provider_of(stranger, 443) is None
    assert locator.provider_of("contoso.openai.azure.com", 8443) is None


@pytest.mark.parametrize(
    ("target", "host"),
    [
        (b"/azure/contoso/openai/v1/models", "contoso.openai.azure.com"),
        (b"/azure/Contoso/openai/v1/models", "contoso.openai.azure.com"),
        (b"/azure/contoso.services.ai.azure.com/openai/v1/models", "contoso.services.ai.azure.com"),
    ],
)
def test_a_base_url_names_the_customer(target: bytes, host: str) -> None:
    found = Locator((OPENAI, AZURE)).find(None, target)
    assert found == (AZURE, Origin("https", host, 443), b"/openai/v1/models")


@pytest.mark.parametrize("customer", [b"", b"evil.example", b"a@evil.example", b"-x", b"x:1", b"x%2fy", b"\xff"])
def test_a_base_url_leads_to_no_host_that_is_not_the_providers(customer: bytes) -> None:
    assert Locator((OPENAI, AZURE)).find(None, b"/azure/" + customer + b"/openai/v1/models") is None


@pytest.mark.parametrize(
    ("target", "sent"),
    [
        (b"/anthropic/messages?beta=true", b"/v1/messages?beta=true"),
        (b"/anthropic/messages/count_tokens", b"/v1/messages/count_tokens"),
        (b"/anthropic/v1/messages", b"/v1/messages"),
        (b"/anthropic/api/messages", b"/api/messages"),
        (b"/anthropic/", b"/"),
    ],
)
def test_a_version_that_an_sdk_expects_in_the_base_url_is_put_in(target: bytes, sent: bytes) -> None:
    found = LOCATOR.find(None, target)
    assert found is not None
    assert found.target == sent


RELAY = replace(OPENAI, name="openai_compatible", hosts=())


@pytest.mark.parametrize(
    ("url", "path", "upstream"),
    [
        ("https://relay.example/v1", "/relay.example/v1", Origin("https", "relay.example", 443)),
        ("https://relay.example/v1/", "/relay.example/v1", Origin("https", "relay.example", 443)),
        ("https://Relay.Example:8443/api/v1", "/relay.example-8443/api/v1", Origin("https", "relay.example", 8443)),
        ("http://localhost:11434/v1", "/localhost-11434/v1", Origin("http", "localhost", 11434)),
        ("http://10.0.0.5:3000", "/10.0.0.5-3000", Origin("http", "10.0.0.5", 3000)),
        ("http://gpu/v1", "/gpu-80/v1", Origin("http", "gpu", 80)),
        ("http://[::1]:8000/v1", "/1-8000/v1", Origin("http", "::1", 8000)),
    ],
)
def test_a_relay_is_adopted_by_base_url_and_by_proxy(url: str, path: str, upstream: Origin) -> None:
    locator = Locator((OPENAI, AZURE), RELAY)
    assert locator.adopt(url) == path
    assert locator.adopt(url) == path
    by_name = locator.find(None, path.encode() + b"/models")
    by_host = locator.find(upstream, b"/v1/models")
    assert by_name is not None
    assert by_host is not None
    assert by_name.provider is by_host.provider
    assert (by_name.upstream, by_host.upstream) == (upstream, upstream)


def test_adopting_a_known_host_gives_the_providers_own_base_url() -> None:
    locator = Locator((OPENAI, AZURE), RELAY)
    assert locator.adopt("https://api.openai.com/v1") == "/openai/v1"
    assert locator.adopt("https://contoso.openai.azure.com") == "/azure/contoso"
    assert locator.adopt("https://c.services.ai.azure.com/openai/v1/") == "/azure/c.services.ai.azure.com/openai/v1"


MOONSHOT = replace(OPENAI, name="moonshot", hosts=("api.moonshot.ai", "api.moonshot.cn", "llm.corp.example:8443"))


def test_each_host_of_a_provider_has_a_base_url_of_its_own() -> None:
    """A key of one of them means nothing to the other."""
    locator = Locator((OPENAI, MOONSHOT), RELAY)
    for url, path in (
        ("https://api.moonshot.ai/v1", "/moonshot/v1"),
        ("https://api.moonshot.cn/v1", "/moonshot/api.moonshot.cn/v1"),
        ("https://llm.corp.example:8443/v1", "/moonshot/llm.corp.example:8443/v1"),
    ):
        assert locator.adopt(url) == path
        found = locator.find(None, path.encode() + b"/models")
        assert found is not None
        assert (f"{found.upstream}{found.target.decode()}") == f"{url}/models"
    elsewhere = locator.find(None, b"/moonshot/evil.example/v1/models")
    assert elsewhere is not None
    assert elsewhere.upstream == Origin("https", "api.moonshot.ai", 443)


@pytest.mark.parametrize(
    "url", ["", "relay.example/v1", "ftp://x/v1", "https://u:p@x/v1", "https://x/v1?k=1", "https://x:a/", "https:///v1"]
)
def test_what_is_no_address_for_calls_is_not_adopted(url: str) -> None:
    assert Locator((OPENAI,), RELAY).adopt(url) is None


def test_of_many_adopted_relays_the_oldest_is_forgotten() -> None:
    locator = Locator((OPENAI,), RELAY)
    for number in range(ADOPTED_MAX + 1):
        locator.adopt(f"https://relay{number}.example/v1")
    assert locator.find(None, b"/relay0.example/v1/models") is None
    assert locator.provider_of("relay0.example", 443) is None
    assert locator.find(None, b"/relay1.example/v1/models") is not None
    assert locator.find(None, b"/openai/v1/models") is not None
