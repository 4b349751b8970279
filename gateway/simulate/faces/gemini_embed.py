"""POST /v1beta/models/{model}:embedContent and :batchEmbedContents, and the same beneath /v1.

Source: https://ai.google.dev/api/embeddings (not checked).
"""

from gateway.simulate.answer import prompt_of
from gateway.simulate.face import GEMINI_VERSIONS, Asked, Face, Json
from gateway.simulate.provider import Provider
from gateway.simulate.vector import dimensions_of, vector_of


def _one(asked: Asked) -> Json:
    return {"embedding": _embedding(asked.payload)}


def _batch(asked: Asked) -> Json:
    requests = asked.payload["requests"]
    return {"embeddings": [_embedding(one) for one in requests if isinstance(one, dict)]}


def _embedding(request: Json) -> Json:
    return {"values": vector_of(prompt_of(request), dimensions_of(request.get("outputDimensionality")))}


def _face(version: str, method: str) -> Face:
    batch = method == "batchEmbedContents"
    return Face(
        provider=Provider.GEMINI,
        method="POST",
        path=f"/{version}/models/{{model}}:{method}",
        required=("requests",) if batch else ("content",),
        plain=_batch if batch else _one,
        indents=True,
    )


FACES = tuple(
    _face(version, method) for version in GEMINI_VERSIONS for method in ("embedContent", "batchEmbedContents")
)
