"""The cache on the page's API: what it holds, and how to clear it."""

import math
import sqlite3
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.cache.backend import Wanted
from gateway.show.body import read_object, refused
from gateway.show.guard import error
from gateway.unreachable import UnreachableError

_TEXTS = ("model", "key")
_AGE = "older_than_seconds"
_TEXT_CHARS_MAX = 200
_EXPECTED = (
    'Send an object with any of these fields: {"model": "gpt-4o*", "key": "ab12cd34", "older_than_seconds": 3600};'
    " {} clears everything."
)


async def ask_nothing() -> dict[str, Any]:
    """Know of no cache; for a page that stands alone."""
    return {"enabled": False}


async def clear_nothing(_: Wanted) -> int:
    """Have nothing to clear; for a page that stands alone."""
    return 0


class CacheViews:
    """What the API answers about the cache."""

    def __init__(self, ask: Callable[[], Awaitable[dict[str, Any]]], clear: Callable[[Wanted], Awaitable[int]]) -> None:
        self._ask, self._clear = ask, clear

    def routes(self) -> list[Route]:
        """Give where it answers."""
        return [Route("/api/cache", self.show), Route("/api/cache/clear", self.clear, methods=["POST"])]

    async def show(self, _: Request) -> Response:
        """Give what it holds, saved and could save."""
        return _json(await self._ask())

    async def clear(self, request: Request) -> Response:
        """Remove stored answers: those that fit all fields that were sent."""
        document = await read_object(request, _EXPECTED)
        if isinstance(document, Response):
            return document
        wanted = _wanted(document, time.time())
        if wanted is None:
            return refused(_EXPECTED)
        try:
            cleared = await self._clear(wanted)
        except (OSError, sqlite3.Error, UnreachableError):
            return error(503, "cache_unavailable", "The cache cannot be used now, so nothing was cleared.")
        return _json({"cleared": cleared})


def _wanted(document: Mapping[str, Any], now: float) -> Wanted | None:
    """Read which entries are meant; None when that cannot be told: a field that is not known must not mean all."""
    if document.keys() - {*_TEXTS, _AGE}:
        return None
    if not all(isinstance(text, str) and 0 < len(text) <= _TEXT_CHARS_MAX for text in _sent(document, *_TEXTS)):
        return None
    if not all(type(age) in {int, float} and 0 <= age < math.inf for age in _sent(document, _AGE)):
        return None
    before = now - document[_AGE] if _AGE in document else None
    return Wanted(model=document.get("model", ""), key=document.get("key", ""), before=before)


def _sent(document: Mapping[str, Any], *names: str) -> list[Any]:
    return [document[name] for name in names if name in document]


def _json(value: Any) -> Response:
    return Response(orjson.dumps(value), media_type="application/json")
