"""The contract of a route: where it is, what it requires, what it answers, how it streams."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any, Protocol

import orjson

from gateway.simulate.answer import Answer
from gateway.simulate.provider import Provider

type Json = dict[str, Any]

WEBSOCKET = "WEBSOCKET"
"""The ``method`` of a face that is spoken over a WebSocket."""

_NOTHING: Mapping[str, str] = MappingProxyType({})
_GAP = re.compile(r"\\{(\w+)\\}")
# The names of models may have slashes and colons in them, but a colon begins a method of Gemini.
_GAPS = {"model": "[^/]+", "item": ".+", "name": "[^/:]+"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One readable call, as a face sees it.

    Attributes:
        number: The call's number; makes identifiers unique and repeatable.
        created: Seconds since 1970 (UTC).
        item: What the path names, for routes that name a thing (``/v1/models/{item}``).
    """

    number: int
    created: int
    model: str
    payload: Json
    answer: Answer
    request_id: str = ""
    item: str = ""
    query: Mapping[str, str] = _NOTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class EventStream:
    """A streamed answer in three parts. Only ``closing`` tells a client that the answer is complete.

    Attributes:
        error_event: Wraps an error object (JSON text), given the number of events before it; ``None`` where the
            provider has no such event.
    """

    opening: tuple[bytes, ...]
    deltas: Iterable[bytes]
    closing: Iterable[bytes]
    content_type: str = "text/event-stream; charset=utf-8"
    error_event: Callable[[bytes, int], bytes] | None = None


class Session(Protocol):
    """What a WebSocket remembers from message to message."""

    def greeting(self) -> list[Json]:
        """Return the events that the provider sends as soon as the connection stands."""

    def hear(self, message: Json) -> list[Json] | None:
        """Return the events that answer a message at once; ``None`` when it asks the model to speak."""

    def request(self, message: Json) -> Json:
        """Return such a message as the body of an HTTP request would have it."""

    def refusal(self, status: int, error: Json, headers: Mapping[str, str]) -> list[Json]:
        """Return the events that tell of an error; ``error`` is the object inside the provider's envelope."""


@dataclass(frozen=True, kw_only=True)
class Face:
    """One route.

    Attributes:
        path: Path; ``{model}`` takes one segment, ``{item}`` the rest, ``{name}`` what has no colon either.
        required: Fields without which the provider answers 400, in the order it checks them.
        required_query: Query parameters without which it refuses, with the cause of that refusal.
        plain: Returns the JSON body; ``None`` where it only streams.
        stream: Returns the events; ``None`` where the provider cannot stream.
        always_streams: The path itself asks for a stream, not the body.
        speaks: It produces text, although it cannot stream it.
        generates: The call produces text or vectors, so it spends tokens of the limits.
        indents: The provider writes its JSON for people.
        envelope: Rewrites the provider's error (JSON text) where this route has it in another form.
        preface: Bytes before the events of a stream.
        session: Begins a conversation; for WebSockets alone.
    """

    provider: Provider
    method: str
    path: str
    required: tuple[str, ...] = ()
    required_query: dict[str, str] = field(default_factory=dict)
    plain: Callable[[Asked], Json] | None = None
    stream: Callable[[Asked], EventStream] | None = None
    always_streams: bool = False
    speaks: bool = False
    generates: bool = True
    indents: bool = False
    envelope: Callable[[bytes, Mapping[str, str]], bytes] | None = None
    preface: bytes = b""
    session: Callable[[Asked], Session] | None = None

    @cached_property
    def pattern(self) -> re.Pattern[str] | None:
        """The path as an expression; ``None`` when it has no gap."""
        if "{" not in self.path:
            return None

        def gap(found: re.Match[str]) -> str:
            return f"(?P<{found[1]}>{_GAPS[found[1]]})"

        return re.compile(_GAP.sub(gap, re.escape(self.path)))

    def body(self, asked: Asked) -> bytes:
        """Return the JSON text of the plain answer."""
        data = self.plain(asked) if self.plain else {}
        return orjson.dumps(data, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE if self.indents else 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A place beneath which a provider speaks OpenAI's dialect."""

    prefix: str
    preface: bytes = b""


# Sources: the API references of the providers named beside each (not checked). OpenRouter's comments:
# https://openrouter.ai/docs/api-reference/streaming (not checked).
MOUNTS = (
    Mount(prefix="/v1"),  # OpenAI, Mistral, xAI, Moonshot, Together, DeepSeek
    Mount(prefix=""),  # DeepSeek
    Mount(prefix="/openai/v1"),  # Groq
    Mount(prefix="/api/v1", preface=b": OPENROUTER PROCESSING\n\n" * 2),
    Mount(prefix="/compatible-mode/v1"),  # DashScope
    Mount(prefix="/api/paas/v4"),  # Zhipu
    Mount(prefix="/inference/v1"),  # Fireworks
)
GEMINI_VERSIONS = ("v1beta", "v1")
GEMINI_OPENAI = "/v1beta/openai"

AZURE_DEPLOYMENT = "/openai/deployments/{model}"
AZURE_RESOURCE = "/openai"
AZURE_V1 = "/openai/v1"


def mounted(face: Face) -> tuple[Face, ...]:
    """Return a face of OpenAI's dialect, whose path has no prefix yet, in every place where it is spoken."""
    return tuple(replace(face, path=mount.prefix + face.path, preface=mount.preface) for mount in MOUNTS)


def on_gemini(face: Face) -> Face:
    """Return a face of OpenAI's dialect as Gemini has it, whose errors are Google's.

    Source: https://ai.google.dev/gemini-api/docs/openai (not checked).
    """
    return replace(face, provider=Provider.GEMINI, path=GEMINI_OPENAI + face.path, envelope=in_array)


def on_azure(face: Face, *prefixes: str) -> tuple[Face, ...]:
    """Return a face of OpenAI's dialect as Azure has it: the deployment is the model, and all but v1 is versioned.

    Source: https://learn.microsoft.com/azure/ai-services/openai/reference (not checked).
    """
    return tuple(
        replace(
            face,
            provider=Provider.AZURE,
            path=prefix + face.path,
            required=tuple(name for name in face.required if not (name == "model" and "{model}" in prefix)),
            required_query=face.required_query | ({} if prefix == AZURE_V1 else {"api-version": "request.api_version"}),
        )
        for prefix in prefixes
    )


def in_array(body: bytes, _: Mapping[str, str] = _NOTHING) -> bytes:
    """Put an error into a list, as Gemini does where a list was asked for, and on its OpenAI routes.

    Source: public reports (``Error code: 400 - [{'error': ...}]``), read 2026-11.
    """
    return b"[" + body.strip() + b"\n]\n"


def event(data: Json, name: str | None = None) -> bytes:
    """Return one server-sent event."""
    head = f"event: {name}\n".encode() if name else b""
    return head + b"data: " + orjson.dumps(data) + b"\n\n"


def message(data: Json, _: str | None = None) -> bytes:
    """Return the same event as a WebSocket carries it: the data alone, one message each."""
    return orjson.dumps(data)
