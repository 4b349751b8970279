"""GET /v1/models and GET /v1/models/{id}, as either provider.

Source: the types of the official clients, openai 3.54 (``types/model``) and anthropic 2.12
(``types/model_info``), read 2026-11.
"""

from gateway.simulate.faces.face import Asked, Face, Json
from gateway.simulate.provider import Provider

_OPENAI = ("gpt-4o", "gpt-4o-mini", "gpt-5", "text-embedding-3-small", "omni-moderation-latest", "simulate-long")
_ANTHROPIC = ("claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-5-5", "simulate-long")
_OPENAI_CREATED = 1_715_367_049
_ANTHROPIC_CREATED = "2026-09-29T00:00:00Z"


def _openai_model(name: str) -> Json:
    return {"id": name, "object": "model", "created": _OPENAI_CREATED, "owned_by": "simulated"}


def _anthropic_model(name: str) -> Json:
    return {
        "type": "model",
        "id": name,
        "display_name": name.replace("-", " ").title(),
        "created_at": _ANTHROPIC_CREATED,
        "lifecycle": "active",
        "max_input_tokens": 200_000,
        "max_tokens": 64_000,
    }


def _openai_list(_: Asked) -> Json:
    return {"object": "list", "data": [_openai_model(name) for name in _OPENAI]}


def _anthropic_list(_: Asked) -> Json:
    models = [_anthropic_model(name) for name in _ANTHROPIC]
    return {"data": models, "has_more": False, "first_id": _ANTHROPIC[0], "last_id": _ANTHROPIC[-1]}


def _face(provider: Provider, path: str) -> Face:
    if provider is Provider.OPENAI:
        plain = _openai_list if not path.endswith("/") else lambda asked: _openai_model(asked.item)
    else:
        plain = _anthropic_list if not path.endswith("/") else lambda asked: _anthropic_model(asked.item)
    return Face(provider=provider, method="GET", path=path, plain=plain, generates=False)


FACES = tuple(_face(provider, path) for provider in Provider for path in ("/v1/models", "/v1/models/"))
