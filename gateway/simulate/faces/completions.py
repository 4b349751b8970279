"""POST /v1/completions, the older route, and the same beneath every prefix of the OpenAI dialect and on Azure.

Source: the types of the official client, openai 3.54 (``types/completion``), read 2026-11.
"""

from collections.abc import Iterator

from gateway.simulate.face import (
    AZURE_DEPLOYMENT,
    AZURE_V1,
    Asked,
    EventStream,
    Face,
    Json,
    event,
    mounted,
    on_azure,
)
from gateway.simulate.faces.chat_completions import DONE, error_event, usage_of
from gateway.simulate.provider import Provider


def _plain(asked: Asked) -> Json:
    return _frame(asked, asked.answer.text, _finish_reason(asked)) | {"usage": usage_of(asked)}


def _stream(asked: Asked) -> EventStream:
    def closing() -> Iterator[bytes]:
        yield event(_frame(asked, "", _finish_reason(asked)))
        yield DONE

    return EventStream(
        opening=(),
        deltas=(event(_frame(asked, piece, None)) for piece in asked.answer.pieces),
        closing=closing(),
        error_event=error_event,
    )


def _frame(asked: Asked, text: str, finish_reason: str | None) -> Json:
    return {
        "id": f"cmpl-simulated{asked.number:08d}",
        "object": "text_completion",
        "created": asked.created,
        "model": asked.model,
        "choices": [{"index": 0, "text": text, "logprobs": None, "finish_reason": finish_reason}],
    }


def _finish_reason(asked: Asked) -> str:
    return "length" if asked.answer.cut_short else "stop"


_FACE = Face(
    provider=Provider.OPENAI,
    method="POST",
    path="/completions",
    required=("model", "prompt"),
    plain=_plain,
    stream=_stream,
)
FACES = (*mounted(_FACE), *on_azure(_FACE, AZURE_DEPLOYMENT, AZURE_V1))
