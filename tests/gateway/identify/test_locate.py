"""Where requests go: by the host asked for, or by the first segment of a base URL."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.identify.locate import Locator
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
    assert locator.hosts() == {named}
    name, _, port = named.rpartition(":")
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
    assert locator.hosts() == {"api.openai.com:443"}
    assert locator.find(None, b"/local/v1/models") == (local, Origin("http", "127.0.0.1", 11434), b"/v1/models")
