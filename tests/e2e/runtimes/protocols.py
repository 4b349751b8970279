"""How a question looks on the wire, and where an answer's text stands: for clients that are no SDK."""

import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

PROMPT = "the quick brown fox"
ANSWER = f"Echo: {PROMPT}"
_ASKED = [{"role": "user", "content": PROMPT}]


class Protocol(NamedTuple):
    """One wire protocol.

    Attributes:
        paths: Behind the base URL, plain and streamed; ``{model}`` is filled in.
        headers: ``{key}`` is filled in.
        body: Of a model and whether it streams.
        text: Of a document, which is the whole answer or one event of a stream.
    """

    paths: tuple[str, str]
    headers: tuple[str, ...]
    body: Callable[[str, bool], dict[str, Any]]
    text: Callable[[dict[str, Any]], str]

    def said(self, body: bytes, *, stream: bool) -> str:
        """Give the text of a whole body."""
        return "".join(map(self.text, _events(body) if stream else [json.loads(body)]))


def _events(body: bytes) -> Iterator[dict[str, Any]]:
    for line in body.splitlines():
        name, _, value = line.partition(b":")
        if name == b"data" and value.strip() != b"[DONE]":
            yield json.loads(value)


def _chat_text(document: dict[str, Any]) -> str:
    choices = document.get("choices") or [{}]
    said = choices[0].get("message") or choices[0].get("delta") or {}
    return said.get("content") or ""


def _messages_text(document: dict[str, Any]) -> str:
    blocks = document.get("content") or [document.get("delta") or {}]
    return "".join(block.get("text", "") for block in blocks)


def _gemini_text(document: dict[str, Any]) -> str:
    parts = document["candidates"][0].get("content", {}).get("parts", [])
    return "".join(part.get("text", "") for part in parts)


_JSON = "Content-Type: application/json"
PROTOCOLS = {
    "chat": Protocol(
        ("/chat/completions", "/chat/completions"),
        ("Authorization: Bearer {key}", _JSON),
        lambda model, stream: {"model": model, "messages": _ASKED, "stream": stream},
        _chat_text,
    ),
    "messages": Protocol(
        ("/v1/messages", "/v1/messages"),
        ("x-api-key: {key}", "anthropic-version: 2023-06-01", _JSON),
        lambda model, stream: {"model": model, "messages": _ASKED, "max_tokens": 100, "stream": stream},
        _messages_text,
    ),
    "azure": Protocol(
        ("/openai/deployments/{model}/chat/completions?api-version=2024-10-21",) * 2,
        ("api-key: {key}", _JSON),
        lambda _, stream: {"messages": _ASKED, "stream": stream},
        _chat_text,
    ),
    "gemini": Protocol(
        ("/v1beta/models/{model}:generateContent", "/v1beta/models/{model}:streamGenerateContent?alt=sse"),
        ("x-goog-api-key: {key}", _JSON),
        lambda _, __: {"contents": [{"role": "user", "parts": [{"text": PROMPT}]}]},
        _gemini_text,
    ),
}
