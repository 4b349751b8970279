"""POST /v1/chat/completions, and the same beneath every prefix of the OpenAI dialect.

Source: the types of the official client, openai 3.54 (``types/chat``), read 2026-11.
"""

from collections.abc import Iterator

from gateway.simulate.face import Asked, EventStream, Face, Json, event, mounted, on_gemini
from gateway.simulate.provider import Provider

_FINGERPRINT = "fp_simulated"
DONE = b"data: [DONE]\n\n"


def plain(asked: Asked) -> Json:
    """Return a chat completion."""
    message: Json = {"role": "assistant", "content": asked.answer.text, "refusal": None, "annotations": []}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish_reason(asked)}
    return _frame(asked, "chat.completion") | {"choices": [choice], "usage": usage_of(asked)}


def stream(asked: Asked) -> EventStream:
    """Return its chunks, up to the done mark."""
    frame = _frame(asked, "chat.completion.chunk")
    options = asked.payload.get("stream_options")
    include_usage = isinstance(options, dict) and options.get("include_usage") is True

    def chunk(delta: Json, finish_reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        # With include_usage every chunk has the field; it is null until the last one.
        return event(frame | {"choices": [choice]} | ({"usage": None} if include_usage else {}))

    def closing() -> Iterator[bytes]:
        yield chunk({}, _finish_reason(asked))
        if include_usage:
            yield event(frame | {"choices": [], "usage": usage_of(asked)})
        yield DONE

    return EventStream(
        opening=(chunk({"role": "assistant", "content": "", "refusal": None}),),
        deltas=(chunk({"content": piece}) for piece in asked.answer.pieces),
        closing=closing(),
        error_event=error_event,
    )


def _frame(asked: Asked, kind: str) -> Json:
    return {
        "id": f"chatcmpl-simulated{asked.number:08d}",
        "object": kind,
        "created": asked.created,
        "model": asked.model,
        "service_tier": "default",
        "system_fingerprint": _FINGERPRINT,
    }


def _finish_reason(asked: Asked) -> str:
    return "length" if asked.answer.cut_short else "stop"


def usage_of(asked: Asked) -> Json:
    """Return the token counts of an answer."""
    answer = asked.answer
    return {
        "prompt_tokens": answer.input_tokens,
        "completion_tokens": answer.output_tokens,
        "total_tokens": answer.input_tokens + answer.output_tokens,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def error_event(body: bytes, _: int) -> bytes:
    """Put an error object into the stream as it is."""
    return b"data: " + body + b"\n\n"


FACE = Face(
    provider=Provider.OPENAI,
    method="POST",
    path="/chat/completions",
    required=("model", "messages"),
    plain=plain,
    stream=stream,
)
FACES = (*mounted(FACE), on_gemini(FACE))
