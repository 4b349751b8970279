"""What a healthy provider says, in the protocols of the official SDKs: whole answers and the events of streams."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Document = dict[str, Any]


@dataclass(frozen=True)
class Face:
    """One protocol.

    Attributes:
        whole: Text -> the answer without a stream.
        opening: Events before the first text.
        event: Text -> the event that brings it.
        closing: Events after the last text; without them the stream is not whole.
    """

    whole: Callable[[str], bytes]
    opening: tuple[bytes, ...]
    event: Callable[[str], bytes]
    closing: tuple[bytes, ...]


def face_of(target: str) -> Face:
    """Give the protocol of a request's path; chat completions for all that is nothing else."""
    path = target.partition("?")[0]
    return next((face for ending, face in _FACES.items() if path.endswith(ending)), CHAT)


def _bytes(document: Document) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def _data(document: Document) -> bytes:
    return b"data: " + _bytes(document) + b"\n\n"


def _named(document: Document) -> bytes:
    return f"event: {document['type']}\n".encode() + _data(document)


def _chunk(delta: Document, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return _data({"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]})


def _chat(text: str) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 3, "completion_tokens": 3, "total_tokens": 6}
    return _bytes(
        {"id": "c1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}
    )


def _message(text: str | None) -> Document:
    content = [] if text is None else [{"type": "text", "text": text}]
    return {
        "id": "m1", "type": "message", "role": "assistant", "model": "m", "content": content,
        "stop_reason": None if text is None else "end_turn", "stop_sequence": None,
        "usage": {"input_tokens": 3, "output_tokens": 3},
    }  # fmt: skip


def _response(status: str, text: str | None) -> Document:
    part: Document = {"type": "output_text", "text": text, "annotations": []}
    item = {"type": "message", "id": "i1", "role": "assistant", "status": "completed", "content": [part]}
    return {
        "id": "r1", "object": "response", "created_at": 1, "model": "m", "status": status, "error": None,
        "output": [] if text is None else [item], "parallel_tool_calls": True, "tool_choice": "auto", "tools": [],
        "usage": {
            "input_tokens": 3, "output_tokens": 3, "total_tokens": 6,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens_details": {"reasoning_tokens": 0},
        },
    }  # fmt: skip


def _delta(text: str) -> bytes:
    place = {"item_id": "i1", "output_index": 0, "content_index": 0, "sequence_number": 1, "logprobs": []}
    return _named({"type": "response.output_text.delta", "delta": text, **place})


CHAT = Face(
    whole=_chat,
    opening=(_chunk({"role": "assistant", "content": ""}),),
    event=lambda text: _chunk({"content": text}),
    closing=(_chunk({}, "stop"), b"data: [DONE]\n\n"),
)

MESSAGES = Face(
    whole=lambda text: _bytes(_message(text)),
    opening=(
        _named({"type": "message_start", "message": _message(None)}),
        _named({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
    ),
    event=lambda text: _named(
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}
    ),
    closing=(
        _named({"type": "content_block_stop", "index": 0}),
        _named(
            {
                "type": "message_delta",
                "delta": {"stop_reason": "end_turn", "stop_sequence": None},
                "usage": {"output_tokens": 3},
            }
        ),
        _named({"type": "message_stop"}),
    ),
)

RESPONSES = Face(
    whole=lambda text: _bytes(_response("completed", text)),
    opening=(_named({"type": "response.created", "response": _response("in_progress", None), "sequence_number": 0}),),
    event=_delta,
    closing=(
        _named({"type": "response.completed", "response": _response("completed", "words"), "sequence_number": 9}),
    ),
)

_FACES = {"/messages": MESSAGES, "/responses": RESPONSES}
