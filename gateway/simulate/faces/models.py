"""GET /v1/models and GET /v1/models/{id}, as each provider.

Source: the types of the official clients, openai 3.54 (``types/model``) and anthropic 2.12
(``types/model_info``), read 2026-11; Gemini's from https://ai.google.dev/api/models (not checked).
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

from gateway.simulate.face import (
    AZURE_RESOURCE,
    AZURE_V1,
    GEMINI_VERSIONS,
    Asked,
    Face,
    Json,
    mounted,
    on_azure,
    on_gemini,
)
from gateway.simulate.provider import Provider

_OPENAI = ("gpt-4o", "gpt-4o-mini", "gpt-5", "text-embedding-3-small", "omni-moderation-latest", "simulate-long")
_ANTHROPIC = ("claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-5-5", "simulate-long")
_GEMINI = ("gemini-3-pro", "gemini-2.5-flash", "gemini-embedding-001", "simulate-long")
_OPENAI_CREATED = 1_715_367_049
_ANTHROPIC_CREATED = "2026-09-29T00:00:00Z"
_GEMINI_METHODS = ("generateContent", "streamGenerateContent", "countTokens", "embedContent", "batchEmbedContents")


def _openai_model(name: str) -> Json:
    return {"id": name, "object": "model", "created": _OPENAI_CREATED, "owned_by": "simulated"}


def _anthropic_model(name: str) -> Json:
    return {
        "type": "model",
        "id": name,
        "display_name": _title(name),
        "created_at": _ANTHROPIC_CREATED,
        "lifecycle": "active",
        "max_input_tokens": 200_000,
        "max_tokens": 64_000,
    }


def _gemini_model(name: str) -> Json:
    return {
        "name": f"models/{name}",
        "version": "001",
        "displayName": _title(name),
        "inputTokenLimit": 1_048_576,
        "outputTokenLimit": 65_536,
        "supportedGenerationMethods": list(_GEMINI_METHODS),
    }


def _title(name: str) -> str:
    return name.replace("-", " ").title()


def _openai_list(_: Asked) -> Json:
    return {"object": "list", "data": [_openai_model(name) for name in _OPENAI]}


def _anthropic_list(_: Asked) -> Json:
    models = [_anthropic_model(name) for name in _ANTHROPIC]
    return {"data": models, "has_more": False, "first_id": _ANTHROPIC[0], "last_id": _ANTHROPIC[-1]}


def _gemini_list(_: Asked) -> Json:
    return {"models": [_gemini_model(name) for name in _GEMINI]}


def _gemini_openai_list(_: Asked) -> Json:
    return {"object": "list", "data": [_openai_model(f"models/{name}") for name in _GEMINI]}


def _pair(provider: Provider, every: Callable[[Asked], Json], one: Callable[[str], Json]) -> tuple[Face, Face]:
    """Return the list and the single model, without a prefix yet."""
    listed = Face(provider=provider, method="GET", path="/models", plain=every, generates=False)
    return listed, replace(listed, path="/models/{item}", plain=lambda asked: one(asked.item))


def _faces() -> Iterator[Face]:
    for face in _pair(Provider.OPENAI, _openai_list, _openai_model):
        yield from mounted(face)
        yield from on_azure(face, AZURE_RESOURCE, AZURE_V1)
    for face in _pair(Provider.GEMINI, _gemini_openai_list, _openai_model):
        yield on_gemini(face)
    for face in _pair(Provider.ANTHROPIC, _anthropic_list, _anthropic_model):
        yield replace(face, path="/v1" + face.path)
    for face in _pair(Provider.GEMINI, _gemini_list, _gemini_model):
        path = face.path.replace("{item}", "{name}")
        yield from (replace(face, path=f"/{version}{path}", indents=True) for version in GEMINI_VERSIONS)


FACES = tuple(_faces())
