"""A fixed text as the answer of a model, in each protocol: plain, or as a whole stream with its end mark.

Nothing was counted, so every usage is zero; nothing was made, so the time is zero, too, and the same text is always
the same bytes.

Sources (read 2026-11): the types of the official SDKs, openai 3.54 (``types/chat``, ``types/completion``,
``types/responses``) and anthropic 2.12 (``types/message``, ``types/raw_*_event``); ai.google.dev/api/generate-content.
"""

from collections.abc import Iterator, Mapping
from itertools import count
from typing import NamedTuple

import orjson

Json = dict[str, object]


class Written(NamedTuple):
    """An answer: its content type and its whole body."""

    content_type: str
    body: bytes


_EVENTS = "text/event-stream; charset=utf-8"
_JSON = "application/json"
_DONE = b"data: [DONE]\n\n"
_USAGE: Json = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}


def write_chat(text: str, model: str, stream: bool) -> Written:  # noqa: FBT001 - the shape of `Endpoint.write_text`
    """Write a chat completion, or its chunks."""
    frame: Json = {"id": "chatcmpl-whygate", "created": 0, "model": model}
    if not stream:
        message = {"role": "assistant", "content": text, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
        return _plain({**frame, "object": "chat.completion", "choices": [choice], "usage": _USAGE})

    def chunk(delta: Json, finish: str | None = None, **more: object) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return _event({**frame, "object": "chat.completion.chunk", "choices": [choice], **more})

    first = chunk({"role": "assistant", "content": ""})
    return Written(_EVENTS, first + chunk({"content": text}) + chunk({}, "stop", usage=_USAGE) + _DONE)


def write_completion(text: str, model: str, stream: bool) -> Written:  # noqa: FBT001 - as above
    """Write a completion of the older kind, or its chunks."""

    def frame(said: str, finish: str | None) -> Json:
        choice = {"index": 0, "text": said, "logprobs": None, "finish_reason": finish}
        return {"id": "cmpl-whygate", "object": "text_completion", "created": 0, "model": model, "choices": [choice]}

    if not stream:
        return _plain({**frame(text, "stop"), "usage": _USAGE})
    return Written(_EVENTS, _event(frame(text, None)) + _event({**frame("", "stop"), "usage": _USAGE}) + _DONE)


def write_response(text: str, model: str, stream: bool) -> Written:  # noqa: FBT001 - as above
    """Write a response, or its events up to ``response.completed``."""
    item = _item("completed", [_part(text)])
    whole = _response(model, "completed", [item])
    if not stream:
        return _plain(whole)
    place: Json = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    begun = _response(model, "in_progress", [])

    def events() -> Iterator[tuple[str, Json]]:
        yield "response.created", {"response": begun}
        yield "response.in_progress", {"response": begun}
        yield "response.output_item.added", {"output_index": 0, "item": _item("in_progress", [])}
        yield "response.content_part.added", {**place, "part": _part("")}
        yield "response.output_text.delta", {**place, "delta": text, "logprobs": []}
        yield "response.output_text.done", {**place, "text": text, "logprobs": []}
        yield "response.content_part.done", {**place, "part": _part(text)}
        yield "response.output_item.done", {"output_index": 0, "item": item}
        yield "response.completed", {"response": whole}

    numbers = count()
    written = (_event({"type": kind, "sequence_number": next(numbers), **said}, kind) for kind, said in events())
    return Written(_EVENTS, b"".join(written))


def _part(text: str) -> Json:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _item(status: str, content: list[Json]) -> Json:
    return {"id": "msg_whygate", "type": "message", "role": "assistant", "status": status, "content": content}


def _response(model: str, status: str, output: list[Json]) -> Json:
    usage = {
        "input_tokens": 0,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": 0,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 0,
    }
    return {
        "id": "resp_whygate",
        "object": "response",
        "created_at": 0,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": model,
        "output": output,
        "parallel_tool_calls": True,
        "temperature": None,
        "tool_choice": "auto",
        "tools": [],
        "top_p": None,
        "usage": usage if status == "completed" else None,
    }


def write_message(text: str, model: str, stream: bool) -> Written:  # noqa: FBT001 - as above
    """Write a message of Anthropic's protocol, or its events up to ``message_stop``."""
    message: Json = {
        "id": "msg_whygate",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 0, "output_tokens": 0},
    }
    if not stream:
        return _plain({**message, "content": [{"type": "text", "text": text}], "stop_reason": "end_turn"})
    events: tuple[Json, ...] = (
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}},
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": 0},
        },
        {"type": "message_stop"},
    )
    return Written(_EVENTS, b"".join(_event(one, str(one["type"])) for one in events))


def write_generated(text: str, model: str, stream: bool) -> Written:  # noqa: ARG001, FBT001 - its path says whether it streams
    """Write what ``generateContent`` of Gemini answers."""
    return _plain(_generated(text, model))


def write_generated_events(text: str, model: str, stream: bool) -> Written:  # noqa: ARG001, FBT001 - as above
    """Write the one event of a stream of Gemini's; the reason for the end is its end mark."""
    return Written("text/event-stream", b"data: " + orjson.dumps(_generated(text, model)) + b"\r\n\r\n")


def write_generated_array(text: str, model: str, stream: bool) -> Written:  # noqa: ARG001, FBT001 - as above
    """Write a stream of Gemini's as the JSON array that it is without ``alt=sse``."""
    return Written("application/json; charset=UTF-8", b"[" + orjson.dumps(_generated(text, model)) + b"\n]\n")


def _generated(text: str, model: str) -> Json:
    candidate = {"content": {"parts": [{"text": text}], "role": "model"}, "finishReason": "STOP", "index": 0}
    usage = {"promptTokenCount": 0, "candidatesTokenCount": 0, "totalTokenCount": 0}
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": model, "responseId": "whygate"}


def _plain(document: Mapping[str, object]) -> Written:
    return Written(_JSON, orjson.dumps(document))


def _event(document: Mapping[str, object], name: str = "") -> bytes:
    head = f"event: {name}\n".encode() if name else b""
    return head + b"data: " + orjson.dumps(document) + b"\n\n"
