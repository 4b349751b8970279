"""The providers that are simulated: whose client calls, where its key stands, how an answer is signed."""

import hashlib
import re
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from uuid import UUID

HEADER = "x-simulate-provider"

_CLOUDFLARE_COLO = "FRA"
_AZURE_REGION = "Sweden Central"
_SHOWN_CHARACTERS = 8 + 4
KEY_SUBPROTOCOL = "openai-insecure-api-key."
_GEMINI_METHOD = re.compile(
    r"/v1/models/[^/]+:(?:generateContent|streamGenerateContent|embedContent|batchEmbedContents|countTokens)"
)


class Provider(StrEnum):
    """Who answers, and so in which envelope. The value is the table name in the failure files."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    AZURE = "azure"
    GEMINI = "gemini"


KEY_HEADERS: Mapping[Provider, str] = MappingProxyType(
    {Provider.ANTHROPIC: "x-api-key", Provider.AZURE: "api-key", Provider.GEMINI: "x-goog-api-key"}
)
"""Where a key stands without a scheme. All of them take ``Authorization: Bearer`` as well."""

_KEY_PARAMETERS: Mapping[Provider, str] = MappingProxyType({Provider.AZURE: "api-key", Provider.GEMINI: "key"})


def provider_of(path: str, headers: Mapping[str, str], query: Mapping[str, str]) -> Provider:
    """Guess whose client calls: by path where only one has it, else by the headers that only one's client sends.

    Groq and the current form of Azure share ``/openai/v1``. What sends neither Azure's key header nor an API version
    is taken for Groq's client; the header ``x-simulate-provider`` says otherwise.
    """
    asked = headers.get(HEADER, "")
    if asked in Provider:
        return Provider(asked)
    if path.startswith("/openai/"):
        shared = path.startswith("/openai/v1/")
        is_azure = not shared or "api-key" in headers or "api-version" in query or "azure" in headers.get("host", "")
        return Provider.AZURE if is_azure else Provider.OPENAI
    if path.startswith("/v1beta/") or _GEMINI_METHOD.fullmatch(path):
        return Provider.GEMINI
    if path.startswith("/v1/models") and ("x-goog-api-key" in headers or "key" in query):
        return Provider.GEMINI
    if path.startswith("/v1/messages") or "anthropic-version" in headers or "x-api-key" in headers:
        return Provider.ANTHROPIC
    return Provider.OPENAI


def credential_of(provider: Provider, headers: Mapping[str, str], query: Mapping[str, str]) -> str:
    """Return the key without its scheme; empty when none was sent, or none that this provider can read.

    Source: OpenAI's subprotocol for browsers from https://platform.openai.com/docs/guides/realtime (not checked);
        Azure's query parameter from
        https://learn.microsoft.com/azure/ai-services/openai/how-to/realtime-audio (not checked).
    """
    if key := headers.get(KEY_HEADERS.get(provider, ""), "").strip():
        return key
    if key := query.get(_KEY_PARAMETERS.get(provider, ""), "").strip():
        return key
    scheme, _, key = headers.get("authorization", "").strip().partition(" ")
    if key.strip() and (scheme.lower() == "bearer" or provider is not Provider.OPENAI):
        return key.strip()
    offered = (name.strip() for name in headers.get("sec-websocket-protocol", "").split(","))
    found = (name.removeprefix(KEY_SUBPROTOCOL) for name in offered if name.startswith(KEY_SUBPROTOCOL))
    return next(found, "")


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
    match provider:
        case Provider.OPENAI:
            return f"req_{digest[:32]}"
        case Provider.ANTHROPIC:
            return f"req_011C{digest[:20]}"
        case Provider.AZURE:
            return str(UUID(hex=digest[:32]))
        case Provider.GEMINI:
            return digest[:22]


def edge_headers(number: int) -> list[tuple[str, str]]:
    """Return what Cloudflare, the content network in front of OpenAI and Anthropic, adds to every answer."""
    ray = hashlib.sha256(f"ray/{number}".encode()).hexdigest()[:16]
    return [("server", "cloudflare"), ("cf-ray", f"{ray}-{_CLOUDFLARE_COLO}"), ("cf-cache-status", "DYNAMIC")]


def front_headers(provider: Provider, number: int) -> list[tuple[str, str]]:
    """Return what the provider's own front adds to every answer, whoever wrote it.

    Source: public reports of whole answers; not checked against the providers' pages.
    """
    match provider:
        case Provider.AZURE:
            return [
                ("strict-transport-security", "max-age=31536000; includeSubDomains; preload"),
                ("x-content-type-options", "nosniff"),
            ]
        case Provider.GEMINI:
            return [
                ("server", "scaffolding on HTTPServer2"),
                ("vary", "Origin, X-Origin, Referer"),
                ("x-content-type-options", "nosniff"),
                ("x-frame-options", "SAMEORIGIN"),
                ("x-xss-protection", "0"),
            ]
        case Provider.OPENAI | Provider.ANTHROPIC:
            return edge_headers(number)


def request_headers(provider: Provider, request_id: str) -> list[tuple[str, str]]:
    """Return the one header that even the earliest refusal of a provider carries. Gemini has none."""
    match provider:
        case Provider.OPENAI:
            return [("x-request-id", request_id)]
        case Provider.ANTHROPIC:
            return [("request-id", request_id)]
        case Provider.AZURE:
            return [("apim-request-id", request_id)]
        case Provider.GEMINI:
            return []


def organization_of(key_hash: str) -> str:
    """Return the OpenAI organisation of a key. Each key is an organisation of its own, as its limits are its own."""
    return f"org-simulated{key_hash}"


def signature_headers(
    provider: Provider, key_hash: str, request_id: str, elapsed_seconds: float
) -> list[tuple[str, str]]:
    """Return the headers of a call that reached the provider's application.

    Source: names of the headers from public reports; not checked against the providers' pages.
    """
    elapsed_ms = int(elapsed_seconds * 1_000)
    match provider:
        case Provider.OPENAI:
            return [
                ("openai-organization", organization_of(key_hash)),
                ("openai-project", f"proj_simulated{key_hash}"),
                ("openai-processing-ms", str(elapsed_ms)),
                ("openai-version", "2020-10-01"),
            ]
        case Provider.ANTHROPIC:
            digits = key_hash.ljust(16, "0")
            return [("anthropic-organization-id", f"{digits[:8]}-{digits[8:12]}-4000-8000-{digits[4:]}")]
        case Provider.AZURE:
            return [
                ("x-request-id", request_id),
                ("x-ms-region", _AZURE_REGION),
                ("x-ms-rai-invoked", "true"),
                ("x-envoy-upstream-service-time", str(elapsed_ms)),
            ]
        case Provider.GEMINI:
            return [("server-timing", f"gfet4t7; dur={elapsed_ms}")]
