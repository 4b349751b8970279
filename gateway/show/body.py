"""Reads the body of a small write: JSON, not long, an object. What is wrong with it is said, never repeated."""

from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from gateway.show.guard import error

MAX_BODY_BYTES = 4_096


async def read_object(request: Request, expected: str) -> dict[str, Any] | Response:
    """Give the object that was sent, or the answer that refuses it.

    Args:
        expected: A sentence that says what to send; whoever sends something else is told it.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        return error(415, "not_json", "Send JSON, with 'Content-Type: application/json'.")
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY_BYTES:
            return error(413, "too_large", f"The body is longer than {MAX_BODY_BYTES:,} bytes.")
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return refused(expected)
    return document if isinstance(document, dict) else refused(expected)


def refused(expected: str) -> Response:
    """Give the answer to a body that is not what was asked for."""
    return error(400, "bad_body", expected)
