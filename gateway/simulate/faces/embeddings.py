"""POST /v1/embeddings.

Source: the types of the official client, openai 3.54 (``types/embedding``), read 2026-11.
"""

import base64
import hashlib
import math
import struct

import orjson

from gateway.simulate.answer import count_tokens
from gateway.simulate.faces.face import Asked, Face, Json
from gateway.simulate.provider import Provider

_DEFAULT_DIMENSIONS = 32
_MAX_DIMENSIONS = 4_096


def _plain(asked: Asked) -> Json:
    inputs = _inputs(asked.payload.get("input"))
    wanted = asked.payload.get("dimensions")
    dimensions = min(wanted, _MAX_DIMENSIONS) if isinstance(wanted, int) and wanted > 0 else _DEFAULT_DIMENSIONS
    packed = asked.payload.get("encoding_format") == "base64"
    data: list[Json] = []
    for index, one in enumerate(inputs):
        vector = _vector(one, dimensions)
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


def _vector(text: str, dimensions: int) -> list[float]:
    """Return a unit vector that depends on the text alone."""
    raw = hashlib.shake_128(text.encode("utf-8", "surrogatepass")).digest(dimensions)
    centred = [byte - 127.5 for byte in raw]
    length = math.sqrt(sum(number * number for number in centred))
    # Rounded to what a 32-bit float holds, so that both encodings give the same numbers.
    return list(struct.unpack(f"<{dimensions}f", struct.pack(f"<{dimensions}f", *(n / length for n in centred))))


FACES = (
    Face(
        provider=Provider.OPENAI,
        method="POST",
        path="/v1/embeddings",
        required=("model", "input"),
        plain=_plain,
    ),
)
