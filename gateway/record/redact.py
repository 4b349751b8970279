"""Strikes out what must not be stored.

First line: names on a list. A header or query value is kept only when its name is known to be harmless.
Second line: shapes of credentials, looked for in everything that is kept. Third: the call's own credentials, word for
word, since providers echo them and not every key has a known shape.

The shapes are in `gateway.model.secret`.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from gateway.model.call import Headers
from gateway.model.secret import MIN_SECRET_CHARS, PIECE_CHARS, STRUCK, pieces, scrub

__all__ = [
    "MIN_SECRET_CHARS",
    "PIECE_CHARS",
    "STRUCK",
    "credentials_of",
    "kept_headers",
    "kept_target",
    "pieces",
    "scrub",
    "scrubbed",
]

MAX_HEADERS = 64
MAX_VALUE_CHARS = 512

_KEPT = frozenset(
    b"accept accept-encoding age alt-svc anthropic-beta anthropic-version apim-request-id azureml-model-session"
    b" cache-control"
    b" cache-status cf-cache-status cf-mitigated cf-ray connection content-encoding content-length content-type"
    b" date deprecation expect host idempotent-replayed keep-alive mistral-correlation-id msh-request-id openai-beta"
    b" openai-model openai-processing-ms openai-version policy-id proxy-status"
    b" ratelimit ratelimit-policy ratelimit-limit ratelimit-remaining ratelimit-reset"
    b" request-id retry-after retry-after-ms server server-timing strict-transport-security sunset te traceparent"
    b" transfer-encoding upgrade user-agent vary via warning x-amzn-requestid x-cache x-client-request-id"
    b" x-cloud-trace-context x-dashscope-request-id x-ds-trace-id x-envoy-upstream-service-time x-generation-id"
    b" x-goog-api-client x-kong-request-id x-litellm-call-id x-log-id x-ms-client-request-id x-ms-region"
    b" x-ms-request-id x-ms-retry-after-ms x-oneapi-request-id x-request-id x-served-by x-should-retry".split()
)
_KEPT_STARTS = (b"x-ratelimit-", b"x-tokenlimit-", b"anthropic-ratelimit-", b"x-stainless-", b"x-whygate-")
_OWN_CREDENTIAL = b"x-whygate-token"
_KEPT_QUERY = frozenset(
    {
        "error",
        "error_description",
        "after",
        "alpha",
        "alt",
        "anthropic-version",
        "api-version",
        "before",
        "beta",
        "include",
        "include[]",
        "limit",
    }
    | {"model", "order", "page", "page_size", "pageSize", "purpose", "status", "stream", "updateMask", "version"}
)
_CREDENTIAL_NAME = re.compile(rb"auth|cookie|credential|key|passw|secret|session|token|organi[sz]ation|project")


def kept_headers(headers: Headers) -> tuple[tuple[str, str], ...]:
    """Give the harmless headers as text, in order; a value longer than 512 characters is cut."""
    kept = []
    for name, value in headers:
        if (name in _KEPT or name.startswith(_KEPT_STARTS)) and name != _OWN_CREDENTIAL:
            kept.append((name.decode("latin-1"), _usual(value)))
            if len(kept) == MAX_HEADERS:
                break
    return tuple(kept)


@lru_cache(maxsize=4096)
def _usual(value: bytes) -> str:
    """Scrub a short value that most calls repeat: a kept header's, or a path."""
    return scrub(value.decode("latin-1")[:MAX_VALUE_CHARS])


def kept_target(target: bytes) -> str:
    """Give path and query as text, with every query value struck out whose name is not known to be harmless."""
    path, mark, query = target.partition(b"?")
    if not mark:
        return _usual(path)
    return _usual(path) + "?" + "&".join(_kept_pair(pair) for pair in query[:4096].decode("latin-1").split("&"))


def _kept_pair(pair: str) -> str:
    name, mark, value = pair.partition("=")
    if not mark:
        # A bare word may be anything, a key among others.
        return name if name in _KEPT_QUERY else STRUCK
    return f"{scrub(name)}={scrub(value) if name in _KEPT_QUERY else STRUCK}"


def credentials_of(headers: Headers, target: str = "") -> tuple[str, ...]:
    """Give the secrets that a request carries, to be struck out of what is said about it. Longest first."""
    found: set[str] = set()
    for name, value in headers:
        if name in _KEPT or not _CREDENTIAL_NAME.search(name):
            continue
        text = value.decode("latin-1")
        found.update((text, *re.split(r"[\s;,=]+", text)))
    pairs = (pair.partition("=") for pair in target.partition("?")[2].split("&"))
    found.update(text for field, _, text in pairs if field not in _KEPT_QUERY)
    return tuple(sorted((text for text in found if len(text) >= MIN_SECRET_CHARS), key=len, reverse=True))


def scrubbed(value: Any, secrets: Iterable[str] = ()) -> Any:
    """Give a JSON-like value with every text in it scrubbed; tuples come back as lists."""
    match value:
        case str():
            return scrub(str(value), secrets)
        case dict():
            return {name: scrubbed(item, secrets) for name, item in value.items()}
        case list() | tuple():
            return [scrubbed(item, secrets) for item in value]
        case _:
            return value
