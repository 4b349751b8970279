"""POST .../chat/completions on Azure: OpenAI's answer, with what Azure's content filter says of it.

Source: https://learn.microsoft.com/azure/ai-services/openai/concepts/content-filter (not checked); the chunk without
choices that begins a stream from public reports, read 2026-11.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import orjson

from gateway.simulate.face import AZURE_DEPLOYMENT, AZURE_V1, Asked, EventStream, Json, event, on_azure
from gateway.simulate.faces import chat_completions
from gateway.simulate.faces.chat_completions import DONE

_HARMLESS = {name: {"filtered": False, "severity": "safe"} for name in ("hate", "self_harm", "sexual", "violence")}
_PROMPT = [
    {"prompt_index": 0, "content_filter_results": _HARMLESS | {"jailbreak": {"filtered": False, "detected": False}}}
]


def _plain(asked: Asked) -> Json:
    answer = chat_completions.plain(asked)
    choices = [choice | {"content_filter_results": _HARMLESS} for choice in answer["choices"]]
    return answer | {"choices": choices, "prompt_filter_results": _PROMPT}


def _stream(asked: Asked) -> EventStream:
    stream = chat_completions.stream(asked)
    # Clients that index the first choice of every chunk break here, which is why it must be told.
    first = event({"choices": [], "created": 0, "id": "", "model": "", "object": "", "prompt_filter_results": _PROMPT})
    return replace(
        stream,
        opening=(first, *_filtered(stream.opening)),
        deltas=_filtered(stream.deltas),
        closing=_filtered(stream.closing),
    )


def _filtered(chunks: Iterable[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        if chunk == DONE:
            yield chunk
            continue
        data = orjson.loads(chunk.removeprefix(b"data: "))
        for choice in data["choices"]:
            choice["content_filter_results"] = _HARMLESS if choice["delta"].get("content") else {}
        yield event(data)


FACES = on_azure(replace(chat_completions.FACE, plain=_plain, stream=_stream), AZURE_DEPLOYMENT, AZURE_V1)
