"""WebSocket /v1/realtime?model=..., and Azure's /openai/realtime and /openai/v1/realtime. Text alone, no sound.

Source: the types of the official client, openai 3.54 (``types/realtime``), read 2026-11; Azure's path and parameters
from https://learn.microsoft.com/azure/ai-services/openai/how-to/realtime-audio (not checked).
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import count

import orjson

from gateway.simulate.face import AZURE_RESOURCE, AZURE_V1, WEBSOCKET, Asked, EventStream, Face, Json, message, on_azure
from gateway.simulate.provider import Provider

_SESSION_SECONDS = 3_600


def _stream(asked: Asked) -> EventStream:
    numbers = count()
    place = {"response_id": _response_id(asked), "item_id": _item_id(asked), "output_index": 0, "content_index": 0}

    def named(kind: str, **fields: object) -> bytes:
        return message({"type": kind, "event_id": f"event_{asked.number:08d}_{next(numbers)}", **fields})

    def closing() -> Iterator[bytes]:
        item = _item(asked, "completed")
        yield named("response.output_text.done", **place, text=asked.answer.text)
        yield named("response.output_item.done", response_id=_response_id(asked), output_index=0, item=item)
        status = "incomplete" if asked.answer.cut_short else "completed"
        yield named("response.done", response=_response(asked, status, [item]))

    def failed(body: bytes, _: int) -> bytes:
        error = orjson.loads(body)["error"]
        return named("response.done", response=_response(asked, "failed", []) | {"status_details": _failure(error)})

    item = _item(asked, "in_progress")
    return EventStream(
        opening=(
            named("response.created", response=_response(asked, "in_progress", [])),
            named("response.output_item.added", response_id=_response_id(asked), output_index=0, item=item),
        ),
        deltas=(named("response.output_text.delta", **place, delta=piece) for piece in asked.answer.pieces),
        closing=closing(),
        error_event=failed,
    )


class _Session:
    """A realtime conversation: its settings, and what was said in it."""

    def __init__(self, asked: Asked) -> None:
        self._numbers = count()
        self._name = f"simulated{asked.number:08d}"
        self._said: list[Json] = []
        self._settings: Json = {
            "id": f"sess_{self._name}",
            "object": "realtime.session",
            "type": "realtime",
            "model": asked.model,
            "output_modalities": ["text"],
            "instructions": "",
            "tools": [],
            "tool_choice": "auto",
            "max_output_tokens": "inf",
            "expires_at": asked.created + _SESSION_SECONDS,
        }

    def greeting(self) -> list[Json]:
        return [self._event("session.created", session=self._settings)]

    def hear(self, said: Json) -> list[Json] | None:
        match said.get("type"):
            case "response.create":
                return None
            case "session.update":
                changes = said.get("session")
                self._settings = self._settings | (changes if isinstance(changes, dict) else {})
                return [self._event("session.updated", session=self._settings)]
            case "conversation.item.create" if isinstance(said.get("item"), dict):
                before = self._said[-1]["id"] if self._said else None
                item = {"id": f"item_{self._name}_{len(self._said)}", "status": "completed"} | said["item"]
                self._said.append(item)
                return [
                    self._event(f"conversation.item.{done}", previous_item_id=before, item=item)
                    for done in ("added", "done")
                ]
            case kind:
                error = {"type": "invalid_request_error", "code": "invalid_value", "param": "type"}
                text = f"Invalid value: '{kind}'."
                return [self._event("error", error=error | {"message": text, "event_id": said.get("event_id")})]

    def request(self, said: Json) -> Json:
        wanted = said.get("response")
        response: Json = wanted if isinstance(wanted, dict) else {}
        known = {"instructions": self._settings["instructions"], "input": self._said}
        return known | response | {"model": self._settings["model"]}

    def refusal(self, status: int, error: Json, headers: Mapping[str, str]) -> list[Json]:
        """Return a response that failed. The status and the headers have no place in it."""
        ended = {"id": f"resp_{self._name}", "object": "realtime.response", "status": "failed", "output": []}
        return [self._event("response.done", response=ended | {"status_details": _failure(error), "usage": None})]

    def _event(self, kind: str, **fields: object) -> Json:
        return {"type": kind, "event_id": f"event_{self._name}_{next(self._numbers)}", **fields}


def _failure(error: Json) -> Json:
    return {"type": "failed", "error": {name: error.get(name) for name in ("type", "code", "message")}}


def _response_id(asked: Asked) -> str:
    return f"resp_simulated{asked.number:08d}"


def _item_id(asked: Asked) -> str:
    return f"item_simulated{asked.number:08d}"


def _item(asked: Asked, status: str) -> Json:
    content = [{"type": "output_text", "text": asked.answer.text}] if status == "completed" else []
    kind = {"object": "realtime.item", "type": "message", "role": "assistant"}
    return {"id": _item_id(asked), **kind, "status": status, "content": content}


def _response(asked: Asked, status: str, output: list[Json]) -> Json:
    answer = asked.answer
    usage = {
        "input_tokens": answer.input_tokens,
        "output_tokens": answer.output_tokens,
        "total_tokens": answer.input_tokens + answer.output_tokens,
    }
    incomplete = {"type": "incomplete", "reason": "max_output_tokens"} if status == "incomplete" else None
    return {
        "id": _response_id(asked),
        "object": "realtime.response",
        "status": status,
        "status_details": incomplete,
        "output": output,
        "output_modalities": ["text"],
        "usage": None if status == "in_progress" else usage,
    }


_FACE = Face(
    provider=Provider.OPENAI,
    method=WEBSOCKET,
    path="/realtime",
    required_query={"model": "request.missing_parameter"},
    stream=_stream,
    always_streams=True,
    session=_Session,
)
FACES = (
    replace(_FACE, path="/v1/realtime"),
    *on_azure(_FACE, AZURE_V1),
    *on_azure(replace(_FACE, required_query={"deployment": "request.missing_parameter"}), AZURE_RESOURCE),
)
