"""The two providers that are simulated: who answers, how they sign, where they find the credential."""

import hashlib
from collections.abc import Mapping
from enum import StrEnum

_CLOUDFLARE_COLO = "FRA"
_SHOWN_CHARACTERS = 8 + 4


class Provider(StrEnum):
    """A provider's face. The value is the table name in the failure files."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"


def provider_of(path: str, headers: Mapping[str, str]) -> Provider:
    """Guess whose client calls: by path where only one has it, else by Anthropic's own headers."""
    if path.startswith("/v1/messages") or "anthropic-version" in headers or "x-api-key" in headers:
        return Provider.ANTHROPIC
    return Provider.OPENAI


def credential_of(headers: Mapping[str, str]) -> str:
    """Return the key without its scheme; empty when none was sent."""
    if key := headers.get("x-api-key", "").strip():
        return key
    return headers.get("authorization", "").strip().partition(" ")[2].strip()


def key_hash_of(credential: str) -> str:
    """Return the first 16 hex digits of SHA-256, or nothing for no credential."""
    return hashlib.sha256(credential.encode("latin-1", "replace")).hexdigest()[:16] if credential else ""


def masked(credential: str) -> str:
    """Return the credential as OpenAI echoes it: its ends, and stars between them."""
    hidden = len(credential) - _SHOWN_CHARACTERS
    if hidden <= 0:
        return "*" * len(credential)
    return f"{credential[:8]}{'*' * hidden}{credential[-4:]}"


def request_id_of(provider: Provider, number: int) -> str:
    """Return an identifier that looks random and is a function of the call's number."""
    digest = hashlib.sha256(f"{provider}/{number}".encode()).hexdigest()
    return f"req_{digest[:32]}" if provider is Provider.OPENAI else f"req_011C{digest[:20]}"


def edge_headers(number: int) -> list[tuple[str, str]]:
    """Return what the content network in front of both providers adds to every answer."""
    ray = hashlib.sha256(f"ray/{number}".encode()).hexdigest()[:16]
    return [("server", "cloudflare"), ("cf-ray", f"{ray}-{_CLOUDFLARE_COLO}"), ("cf-cache-status", "DYNAMIC")]


def request_headers(provider: Provider, request_id: str) -> list[tuple[str, str]]:
    """Return the one header that even the earliest refusal of a provider carries."""
    return [("x-request-id" if provider is Provider.OPENAI else "request-id", request_id)]


def organization_of(key_hash: str) -> str:
    """Return the OpenAI organisation of a key. Each key is an organisation of its own, as its limits are its own."""
    return f"org-simulated{key_hash}"


def signature_headers(provider: Provider, key_hash: str, elapsed_seconds: float) -> list[tuple[str, str]]:
    """Return the headers of a call that reached the provider's application.

    Source: names of the headers from public reports; not checked against the providers' pages.
    """
    if provider is Provider.OPENAI:
        return [
            ("openai-organization", organization_of(key_hash)),
            ("openai-project", f"proj_simulated{key_hash}"),
            ("openai-processing-ms", str(int(elapsed_seconds * 1_000))),
            ("openai-version", "2020-10-01"),
        ]
    digits = key_hash.ljust(16, "0")
    return [("anthropic-organization-id", f"{digits[:8]}-{digits[8:12]}-4000-8000-{digits[4:]}")]
