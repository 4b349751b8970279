"""The contract of a route: what it requires, what it answers, how it streams."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import orjson

from gateway.simulate.answer import Answer
from gateway.simulate.provider import Provider

type Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One readable call, as a face sees it.

    Attributes:
        number: The call's number; makes identifiers unique and repeatable.
        created: Seconds since 1970 (UTC).
        item: Last segment of the path, for routes that name a thing (``/v1/models/{id}``).
    """

    number: int
    created: int
    model: str
    payload: Json
    answer: Answer
    item: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventStream:
    """A streamed answer in three parts. Only ``closing`` tells a client that the answer is complete."""

    opening: tuple[bytes, ...]
    deltas: Iterable[bytes]
    closing: Iterable[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Face:
    """One route.

    Attributes:
        path: Path; one that ends with a slash takes one more segment.
        required: Fields without which the provider answers 400, in the order it checks them.
        plain: Returns the JSON body.
        stream: Returns the events; ``None`` where the provider cannot stream.
        error_event: Wraps an error object (JSON text) for a stream, given the number of events before it.
        generates: The call produces text or vectors, so it spends tokens of the limits.
    """

    provider: Provider
    method: str
    path: str
    plain: Callable[[Asked], Json]
    required: tuple[str, ...] = ()
    stream: Callable[[Asked], EventStream] | None = None
    error_event: Callable[[bytes, int], bytes] | None = None
    generates: bool = True

    def matches(self, path: str) -> bool:
        """Say whether a path belongs to this route."""
        if self.path.endswith("/"):
            return path.startswith(self.path) and len(path) > len(self.path)
        return path == self.path


def event(data: Json, name: str | None = None) -> bytes:
    """Return one server-sent event."""
    head = f"event: {name}\n".encode() if name else b""
    return head + b"data: " + orjson.dumps(data) + b"\n\n"
