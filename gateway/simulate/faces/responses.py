"""POST /v1/responses, and the same conversation over a WebSocket, each event one message.

Source: the types of the official client, openai 3.54 (``types/responses``; for the WebSocket ``responses_client_event``
and ``responses_server_event``), read 2026-11.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import count

import orjson

from gateway.simulate.face import (
    AZURE_RESOURCE,
    AZURE_V1,
    WEBSOCKET,
    Asked,
    EventStream,
    Face,
    Json,
    event,
    message,
    mounted,
    on_azure,
)
from gateway.simulate.provider import Provider

# Copied from the request into the answer when the caller set them.
_ECHOED = ("instructions", "metadata", "temperature", "top_p", "tools", "tool_choice", "max_output_tokens", "user")


def _plain(asked: Asked) -> Json:
    return _response(asked, _final_status(asked), [_item(asked, "completed", asked.answer.text)])


def _stream(asked: Asked, frame: Callable[[Json, str], bytes] = event) -> EventStream:
    numbers = count()
    place = {"item_id": _item_id(asked), "output_index": 0, "content_index": 0}

    def named(kind: str, **fields: object) -> bytes:
        return frame({"type": kind, "sequence_number": next(numbers), **fields}, kind)

    def closing() -> Iterator[bytes]:
        text = asked.answer.text
        item = _item(asked, "completed", text)
        yield named("response.output_text.done", **place, text=text, logprobs=[])
        yield named("response.content_part.done", **place, part=_part(text))
        yield named("response.output_item.done", output_index=0, item=item)
        status = _final_status(asked)
        yield named(f"response.{status}", response=_response(asked, status, [item]))

    begun = _response(asked, "in_progress", [])
    opening = (
        named("response.created", response=begun),
        named("response.in_progress", response=begun),
        named("response.output_item.added", output_index=0, item=_item(asked, "in_progress", None)),
        named("response.content_part.added", **place, part=_part("")),
    )
    return EventStream(
        opening=opening,
        deltas=(
            named("response.output_text.delta", **place, delta=piece, logprobs=[]) for piece in asked.answer.pieces
        ),
        closing=closing(),
        error_event=partial(_error_event, frame=frame),
    )


def _error_event(body: bytes, events_before: int, frame: Callable[[Json, str], bytes]) -> bytes:
    """Nest the error: official clients raise only when ``error`` is an object."""
    error = orjson.loads(body)["error"]
    return frame({"type": "error", "sequence_number": events_before, "error": error}, "error")


class _Session:
    """A WebSocket of the Responses API: every ``response.create`` is a request of its own."""

    def greeting(self) -> list[Json]:
        return []

    def hear(self, said: Json) -> list[Json] | None:
        if said.get("type") == "response.create":
            return None
        error = {"type": "invalid_request_error", "code": None, "message": "Unknown event type.", "param": "type"}
        return self.refusal(400, error, {})

    def request(self, said: Json) -> Json:
        return {name: value for name, value in said.items() if name != "type"}

    def refusal(self, status: int, error: Json, headers: Mapping[str, str]) -> list[Json]:
        return [{"type": "error", "status": status, "error": error | {"headers": dict(headers)}}]


def _final_status(asked: Asked) -> str:
    return "incomplete" if asked.answer.cut_short else "completed"


def _item_id(asked: Asked) -> str:
    return f"msg_simulated{asked.number:08d}"


def _part(text: str) -> Json:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _item(asked: Asked, status: str, text: str | None) -> Json:
    content = [] if text is None else [_part(text)]
    return {"id": _item_id(asked), "type": "message", "role": "assistant", "status": status, "content": content}


def _response(asked: Asked, status: str, output: list[Json]) -> Json:
    ended = status != "in_progress"
    defaults: Json = {
        "instructions": None,
        "metadata": {},
        "temperature": 1.0,
        "top_p": 1.0,
        "tools": [],
        "tool_choice": "auto",
        "max_output_tokens": None,
        "user": None,
    }
    return {
        "id": f"resp_simulated{asked.number:08d}",
        "object": "response",
        "created_at": asked.created,
        "status": status,
        "background": False,
        "completed_at": asked.created if status == "completed" else None,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
        "model": asked.model,
        "output": output,
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "service_tier": "default",
        "store": True,
        "text": {"format": {"type": "text"}},
        "truncation": "disabled",
        "usage": _usage(asked) if ended else None,
        **(defaults | {key: asked.payload[key] for key in _ECHOED if asked.payload.get(key) is not None}),
    }


def _usage(asked: Asked) -> Json:
    answer = asked.answer
    return {
        "input_tokens": answer.input_tokens,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": answer.output_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": answer.input_tokens + answer.output_tokens,
    }


_FACE = Face(
    provider=Provider.OPENAI,
    method="POST",
    path="/responses",
    required=("model",),
    plain=_plain,
    stream=_stream,
)
_SOCKET = Face(
    provider=Provider.OPENAI,
    method=WEBSOCKET,
    path="/v1/responses",
    required=("model",),
    stream=partial(_stream, frame=message),
    always_streams=True,
    session=lambda _: _Session(),
)
FACES = (*mounted(_FACE), *on_azure(_FACE, AZURE_RESOURCE, AZURE_V1), _SOCKET)
