"""Gemini API: generativelanguage.googleapis.com, Google's own protocol and its OpenAI face.

Sources (read 2026-11): ai.google.dev/api (generate-content, tokens, embeddings, caching, files, batch-api),
ai.google.dev/gemini-api/docs/openai, /docs/api-key; google-genai 3.4 for Python (``GOOGLE_GEMINI_BASE_URL``, an origin;
its streams raise for a chunk that begins with ``{"error":``). ``GEMINI_API_BASE`` is LiteLLM's.

The model stands in the path, the key in a header or in the query. A stream is events with ``alt=sse``, else one JSON
array that comes piece by piece. It has no end mark: the last event says why the answer ended, or what blocked the
prompt.
"""

import re
from collections.abc import Mapping
from dataclasses import replace

from gateway.model.cause import Cause
from gateway.model.provider import Endpoint, Named, Provider, StreamNews, StreamShape, Usage
from gateway.providers import _google, openai
from gateway.providers._json import count, event_data, parsed
from gateway.providers._texts import write_generated, write_generated_array, write_generated_events

BY_STATUS: Mapping[int, Cause] = {
    **openai.BY_STATUS,
    402: Cause.QUOTA_EXHAUSTED,
    403: Cause.AUTH_PERMISSION,
    503: Cause.SERVICE_OVERLOADED,
}

_VERSION = re.compile(r"/v\d+(?:alpha|beta)?\d*(?=/)")
_CALL = re.compile(r"/(?:models|tunedModels|dynamic)/([^/]+?)(?::([A-Za-z]+))?")


def name_target(target: bytes) -> Named:
    """Read ``/v1beta/models/{model}:{method}``; a stream of events has a name of its own."""
    path, _, query = target.decode("latin-1").partition("?")
    version = _VERSION.search(path)
    if version is None:
        return Named(path)
    rest = path[version.end() :]
    if rest.startswith("/openai/"):
        return Named(rest.removeprefix("/openai"))
    if path[: version.start()].endswith("/upload"):
        return Named("/upload" + rest)
    call = _CALL.fullmatch(rest)
    if call is None:
        return Named(rest)
    model, method = call.groups()
    if method is None:
        return Named("/models", model)
    events = method == "streamGenerateContent" and not {"alt=sse", "$alt=sse", "%24alt=sse"}.isdisjoint(
        query.split("&")
    )
    return Named(f"/models:{method}{'?alt=sse' if events else ''}", model)


def read_usage(document: dict[str, object]) -> Usage | None:
    """Read ``usageMetadata`` of Google's protocol, or ``usage`` of OpenAI's. What a model thinks is paid as output."""
    metadata = document.get("usageMetadata")
    if not isinstance(metadata, dict):
        return openai.read_usage(document)
    return Usage(
        _sum(metadata, "promptTokenCount", "toolUsePromptTokenCount"),
        _sum(metadata, "candidatesTokenCount", "thoughtsTokenCount"),
    )


def _sum(metadata: dict[str, object], *names: str) -> int | None:
    counted = [number for name in names if (number := count(metadata.get(name))) is not None]
    return sum(counted) if counted else None


def _read(events: bytes) -> StreamNews:
    if b'"error"' not in events:
        return StreamNews.GOING
    failed = any(isinstance(one, dict) and one.get("error") for one in map(parsed, event_data(events)))
    return StreamNews.FAILED if failed else StreamNews.GOING


_MAY_END = re.compile(rb'"(?:finish|block)Reason": ?"')


def _finished(events: bytes) -> bool:
    # Arguments of a function call are plain JSON and may have fields of these names, so the words alone prove nothing.
    return _MAY_END.search(events) is not None and any(map(_ends, map(parsed, event_data(events))))


def _ends(document: object) -> bool:
    if not isinstance(document, dict):
        return False
    candidates, feedback = document.get("candidates"), document.get("promptFeedback")
    said = (
        [one.get("finishReason") for one in candidates if isinstance(one, dict)] if isinstance(candidates, list) else []
    )
    return any(said) or (isinstance(feedback, dict) and bool(feedback.get("blockReason")))


def _error_event(code: str, message: str, _number: int) -> bytes:
    return b"data: " + _google.write_error(503, code, message) + b"\n\n"


GENERATE_STREAM = StreamShape(read=_read, finished=_finished, error_event=_error_event)

_GENERATE = Endpoint(
    name="generateContent",
    pure=True,
    prompt_fields=("contents", "systemInstruction", "system_instruction", "tools"),
    max_output_fields=("generationConfig.maxOutputTokens", "generation_config.max_output_tokens"),
    write_text=write_generated,
)

PROVIDER = Provider(
    name="gemini",
    hosts=("generativelanguage.googleapis.com",),
    base_url_variables=("GOOGLE_GEMINI_BASE_URL", "GEMINI_API_BASE"),
    base_path="",
    name_target=name_target,
    key_headers=(b"x-goog-api-key", b"authorization"),
    key_query=(b"key",),
    scope_headers=(b"x-goog-user-project",),
    version_headers=(),
    endpoints={
        **openai.ENDPOINTS,
        "/models:generateContent": _GENERATE,
        "/models:streamGenerateContent?alt=sse": replace(
            _GENERATE,
            name="streamGenerateContent",
            stream=GENERATE_STREAM,
            streams=True,
            write_text=write_generated_events,
        ),
        "/models:streamGenerateContent": replace(
            _GENERATE,
            name="streamGenerateContent.json",
            streams=True,
            last_byte=b"]",
            write_text=write_generated_array,
        ),
        "/models:countTokens": Endpoint(name="countTokens", pure=True),
        "/models:embedContent": Endpoint(name="embedContent", pure=True, prompt_fields=("content",)),
        "/models:batchEmbedContents": Endpoint(name="batchEmbedContents", pure=True, prompt_fields=("requests",)),
        "/models:batchGenerateContent": Endpoint(name="batchGenerateContent"),
        "/models:predict": Endpoint(name="predict", prompt_fields=("instances",)),
        "/models:predictLongRunning": Endpoint(name="predictLongRunning", prompt_fields=("instances",)),
        "/interactions": Endpoint(name="interactions", prompt_fields=("input", "system_instruction", "tools")),
        "/cachedContents": Endpoint(name="cachedContents"),
        "/upload/files": Endpoint(name="upload.files"),
        "/tunedModels": Endpoint(name="tunedModels"),
        "/operations": Endpoint(name="operations"),
    },
    declared=_google.DECLARED,
    by_status=BY_STATUS,
    read_error=_google.read_error,
    refine=_google.refine,
    read_usage=read_usage,
    write_error=_google.write_error,
    usage_fields=(b'"usageMetadata"', b'"usage"'),
    read_refusal=_google.read_refusal,
)
