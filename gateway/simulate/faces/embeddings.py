"""POST /v1/embeddings, and the same beneath every prefix of the OpenAI dialect and on Azure.

Source: the types of the official client, openai 3.54 (``types/embedding``), read 2026-11.
"""

import base64
import struct

import orjson

from gateway.simulate.answer import count_tokens
from gateway.simulate.face import AZURE_DEPLOYMENT, AZURE_V1, Asked, Face, Json, mounted, on_azure, on_gemini
from gateway.simulate.provider import Provider
from gateway.simulate.vector import dimensions_of, vector_of


def _plain(asked: Asked) -> Json:
    inputs = _inputs(asked.payload.get("input"))
    dimensions = dimensions_of(asked.payload.get("dimensions"))
    packed = asked.payload.get("encoding_format") == "base64"
    data: list[Json] = []
    for index, one in enumerate(inputs):
        vector = vector_of(one, dimensions)
        embedding = base64.b64encode(struct.pack(f"<{dimensions}f", *vector)).decode() if packed else vector
        data.append({"object": "embedding", "index": index, "embedding": embedding})
    tokens = sum(count_tokens(one) for one in inputs)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": asked.model, "usage": usage}


def _inputs(value: object) -> list[str]:
    """Return one text per vector: a string is one, so is a list of token numbers."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and value and not isinstance(value[0], int):
        return [one if isinstance(one, str) else orjson.dumps(one).decode() for one in value]
    return [orjson.dumps(value).decode()]


FACE = Face(
    provider=Provider.OPENAI,
    method="POST",
    path="/embeddings",
    required=("model", "input"),
    plain=_plain,
)
FACES = (*mounted(FACE), on_gemini(FACE), *on_azure(FACE, AZURE_DEPLOYMENT, AZURE_V1))
