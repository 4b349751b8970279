"""POST /v1beta/models/{model}:generateContent, :streamGenerateContent and :countTokens, and the same beneath /v1.

A stream has no mark at its end: the last chunk carries ``finishReason``, and the body ends. Without ``alt=sse`` it
is one JSON list, written piece by piece.

Source: https://ai.google.dev/api/generate-content and https://ai.google.dev/api/tokens (not checked); the framing from
public reports, read 2026-11.
"""

from collections.abc import Iterable, Iterator

import orjson

from gateway.simulate.face import GEMINI_VERSIONS, Asked, EventStream, Face, Json, in_array
from gateway.simulate.provider import Provider

_COMMA = b",\r\n"


def _plain(asked: Asked) -> Json:
    return _chunk(asked, asked.answer.text, last=True)


def _stream(asked: Asked) -> EventStream:
    chunks = (_chunk(asked, piece) for piece in asked.answer.pieces)
    last = (_chunk(asked, "", last=True),)
    if asked.query.get("alt") == "sse":
        return EventStream(
            opening=(),
            deltas=(_event(orjson.dumps(chunk)) for chunk in chunks),
            closing=(_event(orjson.dumps(chunk)) for chunk in last),
            content_type="text/event-stream",
            error_event=lambda body, _: _event(orjson.dumps(orjson.loads(body))),
        )
    return EventStream(
        opening=(b"[",),
        deltas=_listed(chunks),
        closing=_closed(last, none_before=not asked.answer.pieces),
        content_type="application/json; charset=UTF-8",
        error_event=_error_in_list,
    )


def _event(text: bytes) -> bytes:
    return b"data: " + text + b"\r\n\r\n"


def _listed(chunks: Iterable[Json]) -> Iterator[bytes]:
    for number, chunk in enumerate(chunks):
        yield (_COMMA if number else b"") + orjson.dumps(chunk, option=orjson.OPT_INDENT_2)


def _closed(chunks: Iterable[Json], *, none_before: bool) -> Iterator[bytes]:
    for text in _listed(chunks):
        yield (b"" if none_before else _COMMA) + text
    yield b"\n]\n"


def _error_in_list(body: bytes, events_before: int) -> bytes:
    match events_before:
        case 0:
            return in_array(body)
        case 1:
            return body.strip() + b"\n]\n"
        case _:
            return _COMMA + body.strip() + b"\n]\n"


def _count(asked: Asked) -> Json:
    return {"totalTokens": asked.answer.input_tokens, "promptTokensDetails": _details(asked.answer.input_tokens)}


def _chunk(asked: Asked, text: str, *, last: bool = False) -> Json:
    candidate: Json = {"content": {"parts": [{"text": text}], "role": "model"}, "index": 0}
    answer = asked.answer
    said = answer.output_tokens if last else 0
    usage: Json = {"promptTokenCount": answer.input_tokens, "totalTokenCount": answer.input_tokens + said}
    usage["promptTokensDetails"] = _details(answer.input_tokens)
    if last:
        candidate["finishReason"] = "MAX_TOKENS" if answer.cut_short else "STOP"
        usage["candidatesTokenCount"] = said
    return {
        "candidates": [candidate],
        "usageMetadata": usage,
        "modelVersion": asked.model,
        "responseId": asked.request_id,
    }


def _details(tokens: int) -> list[Json]:
    return [{"modality": "TEXT", "tokenCount": tokens}]


def _faces(version: str) -> Iterator[Face]:
    stem = f"/{version}/models/{{model}}:"
    yield Face(
        provider=Provider.GEMINI,
        method="POST",
        path=stem + "generateContent",
        required=("contents",),
        plain=_plain,
        speaks=True,
        indents=True,
    )
    yield Face(
        provider=Provider.GEMINI,
        method="POST",
        path=stem + "streamGenerateContent",
        required=("contents",),
        stream=_stream,
        always_streams=True,
        envelope=lambda body, query: body if query.get("alt") == "sse" else in_array(body),
    )
    yield Face(
        provider=Provider.GEMINI,
        method="POST",
        path=stem + "countTokens",
        required=("contents",),
        plain=_count,
        generates=False,
        indents=True,
    )


FACES = tuple(face for version in GEMINI_VERSIONS for face in _faces(version))
