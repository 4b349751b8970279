"""What must not be stored is not stored."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway._discover import discover
from gateway.model.provider import Provider
from gateway.record.redact import STRUCK, credentials_of, kept_headers, kept_target, scrub, scrubbed

CANARY = "CANARYa1b2c3d4e5f6"


@pytest.mark.parametrize(
    "text",
    [
        f"sk-proj-{CANARY}",
        f"Incorrect API key provided: sk-{CANARY}.",
        f"authorization: Bearer {CANARY}",
        f"Proxy-Authorization: Basic {CANARY}==",
        f"https://host/v1/models?key={CANARY}&alt=sse",
        f"?api_key={CANARY}",
        f"?x=1&access_token={CANARY}",
        f"http://user:{CANARY}@proxy.corp:3128/",
        f'{{"api_key": "{CANARY}"}}',
        f'{{"x-api-key":"{CANARY}"}}',
        f"eyJhbGciOi.{CANARY}.sig",
        f"AIza{CANARY}0123456789",
        f"hf_{CANARY}",
        f"gsk_{CANARY}",
        f"org-{CANARY}",
    ],
)
def test_every_known_shape_of_a_credential_is_struck_out(text: str) -> None:
    """The canary never survives."""
    assert CANARY not in scrub(text)
    assert STRUCK in scrub(text)


@pytest.mark.parametrize(
    "text",
    [
        "Rate limit reached for gpt-5-mini on tokens per min (TPM): Limit 200000, Used 199000.",
        "claude-sonnet-4-5-20250929",
        "task-oriented risk-averse text about a key point: the token limit",
        "pplx-70b-online",
        "https://platform.openai.com/account/rate-limits",
    ],
)
def test_ordinary_words_are_left_alone(text: str) -> None:
    """Redaction that eats the message helps nobody."""
    assert scrub(text) == text


@given(st.text(max_size=200), st.text(max_size=200))
def test_a_key_is_found_wherever_it_stands(before: str, after: str) -> None:
    """Whatever surrounds it, as long as it begins a word."""
    assert f"sk-{CANARY}" not in scrub(f"{before} sk-{CANARY} {after}")


@pytest.mark.parametrize("unit", ["eyJ", "sk-", "bearer ", "://", '"api_key" ', "key=", "eyJaaaaa.", "x-", "://a", '"'])
def test_hostile_text_costs_linear_time(unit: str) -> None:
    """Four times the text takes about four times as long, not sixteen."""

    def cost(size: int) -> float:
        text = (unit * size)[: len(unit) * size]
        return min(_timed(text) for _ in range(3))

    assert cost(16_000) < 10 * cost(4_000) + 0.05


def _timed(text: str) -> float:
    began = time.perf_counter()
    scrub(text)
    return time.perf_counter() - began


@given(st.from_regex(r"[a-z][a-z0-9-]{0,30}", fullmatch=True))
def test_a_header_name_nobody_knows_is_not_kept(name: str) -> None:
    """The list decides, so tomorrow's credential header is safe today."""
    name = f"zz-{name}"
    assert kept_headers(((name.encode(), CANARY.encode()),)) == ()


def test_credential_headers_are_not_kept_and_harmless_ones_are() -> None:
    """Names of every provider's credential, and what one needs to understand a limit."""
    secret = ("authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie", "set-cookie", "proxy-authorization")
    kept = ("retry-after", "x-ratelimit-remaining-tokens", "anthropic-ratelimit-requests-reset", "cf-ray", "server")
    headers = tuple((name.encode(), b"v-1") for name in (*secret, "openai-organization", *kept))
    assert [name for name, _ in kept_headers(headers)] == list(kept)


def test_every_providers_limits_and_ids_of_requests_are_kept_and_none_of_their_keys() -> None:
    """A provider's helpdesk asks for the id first."""
    for provider in discover("gateway.providers", "PROVIDER", Provider).values():
        kept = tuple((name, b"1") for name in provider.request_id_headers)
        keys = tuple((name, CANARY.encode()) for name in provider.key_headers)
        assert kept_headers((*kept, *keys)) == tuple((name.decode(), "1") for name, _ in kept), provider.name
    limits = (
        b"x-ratelimit-remaining-req-minute",
        b"x-tokenlimit-remaining",
        b"x-ms-retry-after-ms",
        b"x-ratelimit-reset",
    )
    assert len(kept_headers(tuple((name, b"1") for name in limits))) == len(limits)


@pytest.mark.parametrize(
    "name", ["key", "api-key", "api_key", "Key", "x-api-key", "subscription-key", "%6bey", "access_token"]
)
def test_a_key_in_the_query_never_reaches_a_row(name: str) -> None:
    """Whatever a provider, or someone's own gateway, calls it."""
    target = f"/openai/deployments/d/chat/completions?{name}={CANARY}&api-version=2024-10-21"
    assert (
        kept_target(target.encode()) == f"/openai/deployments/d/chat/completions?{name}={STRUCK}&api-version=2024-10-21"
    )
    assert CANARY in credentials_of((), target)
    assert CANARY not in scrub(f"GET https://host{target} failed", credentials_of((), target))


def test_the_listeners_own_credential_is_struck_out_wherever_it_was_put() -> None:
    token = "a-long-random.text~1"
    assert kept_target(f"/~{token}/openai/v1/models?limit=1".encode()) == f"/~{STRUCK}/openai/v1/models?limit=1"
    assert scrub(f"GET http://host:8080/~{token} failed") == f"GET http://host:8080/~{STRUCK} failed"
    assert scrub(f"through http://whygate:{token}@host:8080") == f"through http://{STRUCK}@host:8080"
    assert kept_headers(((b"x-whygate-token", token.encode()), (b"x-whygate-cache", b"hit"))) == (
        ("x-whygate-cache", "hit"),
    )
    assert scrub("/~user/index.html") == "/~user/index.html"


def test_a_kept_header_is_still_scanned() -> None:
    """Someone may put a key into a user agent."""
    assert CANARY not in str(kept_headers(((b"user-agent", f"app sk-{CANARY}".encode()),)))


def test_query_values_are_kept_by_name_only() -> None:
    """Gemini's key stands in the query; the version that one needs stands there as well."""
    found = kept_target(f"/v1beta/models/g:generateContent?key={CANARY}&alt=sse&mystery={CANARY}&{CANARY}".encode())
    assert CANARY not in found
    assert found == f"/v1beta/models/g:generateContent?key={STRUCK}&alt=sse&mystery={STRUCK}&{STRUCK}"


def test_a_key_without_any_known_shape_is_struck_out_word_for_word() -> None:
    """A provider echoes the key that it did not like."""
    secrets = credentials_of(((b"authorization", b"Bearer zq81-plain-key"), (b"accept", b"application/json")), "/x")
    assert scrub("no such key: zq81-plain-key", secrets) == f"no such key: {STRUCK}"
    assert "application/json" not in secrets


def test_nested_values_are_scrubbed_all_the_way_down() -> None:
    """A diagnosis is a tree of texts."""
    found = scrubbed({"a": [f"sk-{CANARY}", {"b": (f"Bearer {CANARY}",)}], "n": 3})
    assert CANARY not in str(found)
    assert found["n"] == 3
