"""Keeping whole bodies, on the page's API: begin and end. Whether it is going on stands in ``/api/health``."""

from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from gateway.record.capture import SECONDS_MAX, Capture, Captured
from gateway.show.body import read_object, refused

_TEXTS = ("provider", "endpoint", "model")
_TEXT_CHARS_MAX = 200
_EXPECTED = (
    'Send {"seconds": 600}, 3,600 at most, and any of "provider", "endpoint" and "model" to keep the bodies of these'
    ' calls alone; {"seconds": 0} ends it.'
)


class CaptureViews:
    """What the API answers about whole bodies."""

    def __init__(self, capture: Capture) -> None:
        self._capture = capture

    async def change(self, request: Request) -> Response:
        """Begin, or end."""
        document = await read_object(request, _EXPECTED)
        if isinstance(document, Response):
            return document
        wanted = _wanted(document)
        if wanted is None:
            return refused(_EXPECTED)
        seconds = float(document["seconds"])
        if seconds:
            self._capture.begin(wanted, seconds)
        else:
            self._capture.end()
        return Response(orjson.dumps({"capture": self._capture.view()}), media_type="application/json")


def _wanted(document: dict[str, Any]) -> Captured | None:
    seconds = document.get("seconds")
    if document.keys() - {*_TEXTS, "seconds"} or not isinstance(seconds, int | float) or isinstance(seconds, bool):
        return None
    texts = {name: document[name] for name in _TEXTS if name in document}
    if not 0 <= seconds <= SECONDS_MAX or not all(  # NaN is neither
        isinstance(text, str) and 0 < len(text) <= _TEXT_CHARS_MAX for text in texts.values()
    ):
        return None
    return Captured(**texts)
