"""POST /v1/messages and POST /v1/messages/count_tokens.

Source: the types of the official client, anthropic 2.12 (``types/message``, ``types/raw_*_event``), read 2026-11.
"""

from collections.abc import Iterator

from gateway.simulate.face import Asked, EventStream, Face, Json, event
from gateway.simulate.provider import Provider


def _plain(asked: Asked) -> Json:
    content = [{"type": "text", "text": asked.answer.text}]
    return _message(asked, content, asked.answer.output_tokens) | {"stop_reason": _stop_reason(asked)}


def _stream(asked: Asked) -> EventStream:
    def named(kind: str, **fields: object) -> bytes:
        return event({"type": kind, **fields}, kind)

    def closing() -> Iterator[bytes]:
        yield named("content_block_stop", index=0)
        delta = {"stop_reason": _stop_reason(asked), "stop_sequence": None}
        # Cumulative, unlike the one of message_start.
        yield named("message_delta", delta=delta, usage={"output_tokens": asked.answer.output_tokens})
        yield named("message_stop")

    return EventStream(
        opening=(
            named("message_start", message=_message(asked, [], 1)),
            named("content_block_start", index=0, content_block={"type": "text", "text": ""}),
            named("ping"),
        ),
        deltas=(
            named("content_block_delta", index=0, delta={"type": "text_delta", "text": piece})
            for piece in asked.answer.pieces
        ),
        closing=closing(),
        error_event=lambda body, _: b"event: error\ndata: " + body + b"\n\n",
    )


def _count(asked: Asked) -> Json:
    return {"input_tokens": asked.answer.input_tokens}


def _stop_reason(asked: Asked) -> str:
    return "max_tokens" if asked.answer.cut_short else "end_turn"


def _message(asked: Asked, content: list[Json], output_tokens: int) -> Json:
    usage = {
        "input_tokens": asked.answer.input_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": output_tokens,
        "service_tier": "standard",
    }
    return {
        "id": f"msg_simulated{asked.number:08d}",
        "type": "message",
        "role": "assistant",
        "model": asked.model,
        "content": content,
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage,
    }


FACES = (
    Face(
        provider=Provider.ANTHROPIC,
        method="POST",
        path="/v1/messages",
        required=("model", "max_tokens", "messages"),
        plain=_plain,
        stream=_stream,
    ),
    Face(
        provider=Provider.ANTHROPIC,
        method="POST",
        path="/v1/messages/count_tokens",
        required=("model", "messages"),
        plain=_count,
        generates=False,
    ),
)
