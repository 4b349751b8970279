"""The page and its API, on the gateway's event loop: reads, slow ones in a thread, and two small writes."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from importlib import resources
from typing import Any

import orjson
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.cache.backend import Wanted
from gateway.record.query import MAX_LIMIT, BadFilterError, FlowFilter, Reader, since_text
from gateway.record.recorder import Recorder
from gateway.show.again import AgainView
from gateway.show.before import BeforeView
from gateway.show.body import read_object, refused
from gateway.show.cached import CacheViews, ask_nothing, clear_nothing
from gateway.show.captured import CaptureViews
from gateway.show.causes import cause, causes
from gateway.show.checked import NO_DOCTOR, Doctor, DoctorViews
from gateway.show.feed import Feed
from gateway.show.guard import Guard, error, no_such_flow
from gateway.show.languages import labelled, needs_words, row_in, text_in, wanted
from gateway.show.measured import Metrics, MetricsView, no_metrics
from gateway.show.openapi import describe
from gateway.show.operation import MAX_VALUE_CHARS
from gateway.show.overview import overview_of
from gateway.show.priced import priced
from gateway.show.trust import Trust
from gateway.show.viewer import Viewer, health_for, limits_for, reader_for, viewer_of

_TYPES = {"html": "text/html", "js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
_FILTERS = ("cause", "fault", "status", "provider", "model", "tenant", "app", "kind", "q")
_QUERY = frozenset({*_FILTERS, "since", "until", "cursor", "limit", "lang"})
MAX_WATCHERS = 32
MAX_WATCHERS_OF_A_TENANT = 8


def adopt_nothing(_: str) -> str | None:
    """Know no base URL; for a page that stands alone."""
    return None


def no_limits() -> dict[str, Any]:
    """Know of no limit; for a page that stands alone."""
    return {"shadow": False, "waiting": 0, "waiting_bytes": 0, "queue_max": 0, "queue_max_bytes": 0, "scopes": []}


def build_page(
    recorder: Recorder,
    *,
    token: str,
    health: Callable[[], dict[str, Any]],
    allowed_hosts: frozenset[str],
    version: str,
    adopt: Callable[[str], str | None] = adopt_nothing,
    limits: Callable[[], dict[str, Any]] = no_limits,
    vitals: Callable[[], dict[str, Any]] = dict,
    cache: Callable[[], Awaitable[dict[str, Any]]] = ask_nothing,
    clear_cache: Callable[[Wanted], Awaitable[int]] = clear_nothing,
    doctor: Doctor = NO_DOCTOR,
    metrics: Metrics = no_metrics,
    readers: Mapping[str, tuple[str, bool]] | None = None,
    trust: Trust | None = None,
) -> Starlette:
    """Give the page as an ASGI application.

    Args:
        recorder: What is shown.
        token: Opens everything but `gateway.show.guard.OPEN_PATHS`.
        health: What the gateway says of itself; its ``state`` is ``starting``, ``ready`` or ``draining``.
        allowed_hosts: Values of the Host header that are answered, with or without a port.
        version: Shown at the foot of the page.
        adopt: A base URL that an app was told to use -> the path through the gateway, or None.
        limits: What is known of providers' limits, who waits for them and who uses them.
        vitals: What the gateway holds at this moment; ``/api/health`` alone says it.
        cache: What the cache holds, saved and could save (`gateway.cache.view`); ``clear_cache`` removes of it.
        doctor: Looks for the cause.
        metrics: An Accept header -> the figures as text, and its media type.
        readers: Tenant's name -> its token, and whether it sees everything; others see their own calls alone.

    Returns:
        An application whose ``state.feed`` is to be closed before its server is stopped, so that live streams end.
    """
    if not token:
        raise ValueError("the page needs a token")
    feed = Feed(recorder, whole_health := partial(_whole_health, recorder, version, health))
    views = _Views(Reader.of(recorder), feed, whole_health, limits, vitals)
    app = Starlette(
        routes=[
            *views.routes(),
            *CacheViews(cache, clear_cache).routes(),
            *DoctorViews(doctor).routes(),
            Route("/api/overview", overview_of(recorder, doctor.watch)),
            Route("/api/capture", CaptureViews(recorder.capture).change, methods=["POST"]),
            Route("/api/providers", _Providers(adopt).adopt, methods=["POST"]),
            Route("/api/causes", causes),
            Route("/api/causes/{slug}", cause),
            Route("/api/openapi.json", describe(version)),
            Route("/metrics", MetricsView(metrics).show),
            *(trust.routes() if trust is not None else ()),
            *(Route(path, serve) for path, serve in _files()),
        ],
        middleware=[Middleware(Guard, token=token, allowed_hosts=allowed_hosts, readers=readers or {})],
        exception_handlers={404: _not_found, 500: _broken, BadFilterError: _bad_value},
    )
    app.state.feed = feed
    return app


def _whole_health(recorder: Recorder, version: str, health: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    about = {"state": "ready", "version": version, "log": recorder.health(), "capture": recorder.capture.view()}
    return {**about, **health()}


class _Views:
    """What the API answers."""

    def __init__(
        self,
        reader: Reader,
        feed: Feed,
        health: Callable[[], dict[str, Any]],
        limits: Callable[[], dict[str, Any]],
        vitals: Callable[[], dict[str, Any]],
    ) -> None:
        self._reader = reader
        self._feed = feed
        self._health, self._limits, self._vitals = health, limits, vitals
        self._watching: Counter[str | None] = Counter()

    def routes(self) -> list[Route]:
        """Give where each is answered."""
        return [
            Route("/healthz", self.healthz),
            Route("/readyz", self.readyz),
            Route("/api/flows", self.flows),
            Route("/api/flows/{flow_id}", self.flow),
            Route("/api/flows/{flow_id}/before", BeforeView(self._reader).show),
            Route("/api/flows/{flow_id}/again", AgainView(self._reader).show),
            Route("/api/live", self.live),
            Route("/api/health", self.health),
            Route("/api/limits", self.limits),
        ]

    async def flows(self, request: Request) -> Response:
        """Give a page of flows, newest first."""
        query, language = _query(request), wanted(request)
        now = time.time()
        asked = FlowFilter(
            **{name: query.get(name, "") for name in _FILTERS},
            since=since_text(query.get("since", ""), now),
            until=since_text(query.get("until", ""), now, "until"),
        )
        limit = query.get("limit", "100")
        if not (limit.isascii() and limit.isdigit() and len(limit) <= 6):
            raise BadFilterError(f"limit={limit!r}: expected a number from 1 to {MAX_LIMIT}")
        cursor = query.get("cursor")
        page = await asyncio.to_thread(
            _page_json, reader_for(request, self._reader), asked, cursor, int(limit), language
        )
        return labelled(Response(page, media_type="application/json"), language)

    async def flow(self, request: Request) -> Response:
        """One flow with its body."""
        language = wanted(request)
        reader = reader_for(request, self._reader)
        found = await asyncio.to_thread(_one, reader, request.path_params["flow_id"][:64], language)
        if found is None:
            return no_such_flow()
        return labelled(_json(found), language)

    async def live(self, request: Request) -> Response:
        """Give the live feed."""
        language = wanted(request)
        last = request.headers.get("last-event-id", "")
        viewer = viewer_of(request)
        most = MAX_WATCHERS if viewer.tenant is None else min(MAX_WATCHERS, MAX_WATCHERS_OF_A_TENANT)
        if self._watching[viewer.tenant] >= most:
            return error(503, "too_many_watchers", f"{most} pages are open already: close one.")
        number = int(last) if last.isascii() and last.isdigit() and len(last) <= 18 else None
        events = self._events(number if last else None, language, viewer)
        return labelled(EventSourceResponse(events, ping=15, sep="\n", send_timeout=30), language)

    async def _events(
        self, last_number: int | None, language: str | None, viewer: Viewer
    ) -> AsyncIterator[ServerSentEvent]:
        self._watching[viewer.tenant] += 1
        try:
            with self._feed.watch(last_number, viewer) as watcher:
                async for event in watcher:
                    data = event.data
                    if language is not None and event.name == "flow" and needs_words(data, language):
                        data = await asyncio.to_thread(text_in, data, language)
                    yield ServerSentEvent(data=data, event=event.name, id=str(event.number), sep="\n")
        finally:
            self._watching[viewer.tenant] -= 1

    async def health(self, request: Request) -> Response:
        """All that the gateway says of itself."""
        return _json(health_for(viewer_of(request), {**self._health(), **self._vitals()}))

    async def limits(self, request: Request) -> Response:
        """Every limit that is known, with what is left of it."""
        return _json(limits_for(viewer_of(request), self._limits()))

    async def healthz(self, _: Request) -> Response:
        """Alive: the process answers, whatever its state."""
        return _json({"state": self._health()["state"]})

    async def readyz(self, _: Request) -> Response:
        """Ready for traffic, and which parts of it are not as they should be."""
        health = self._health()
        team, state = health.get("team"), health["state"]
        degraded = ["log"] if health["log"]["degraded"] else []
        degraded += ["team"] if team is not None and team["state"] != "together" else []
        return _json({"state": state, "degraded": degraded}, 200 if state == "ready" else 503)


class _Providers:
    """Takes on providers that nobody wrote into the settings."""

    def __init__(self, adopt: Callable[[str], str | None]) -> None:
        self._adopt = adopt

    async def adopt(self, request: Request) -> Response:
        """Give the path on the gateway that leads to ``base_url``."""
        expected = 'Send one field: {"base_url": "https://relay.example/v1"}.'
        document = await read_object(request, expected)
        if isinstance(document, Response):
            return document
        url = document.get("base_url")
        if not isinstance(url, str) or len(document) != 1:
            return refused(expected)
        path = self._adopt(url)
        if path is None:
            # The address is not repeated: it may hold a credential.
            return error(
                400,
                "cannot_adopt",
                "Calls cannot be sent to this address: it has to be http:// or https:// with a host, and without user"
                " name, password, query or fragment.",
            )
        return _json({"base_path": path})


def _page_json(reader: Reader, asked: FlowFilter, cursor: str | None, limit: int, language: str | None) -> bytes:
    found = reader.page(asked, cursor, limit)
    return orjson.dumps(
        {"flows": [priced(row_in(row, language)) for row in found.flows], "next_cursor": found.next_cursor}
    )


def _one(reader: Reader, flow_id: str, language: str | None) -> dict[str, Any] | None:
    found = reader.get(flow_id)
    return found and priced(row_in(found, language))


def _query(request: Request) -> dict[str, str]:
    query = request.query_params
    for name, value in query.multi_items():
        if name not in _QUERY:
            raise BadFilterError(f"{name[:40]}: not known here; expected one of {', '.join(sorted(_QUERY))}")
        if len(value) > MAX_VALUE_CHARS:
            raise BadFilterError(f"{name}: longer than {MAX_VALUE_CHARS} characters")
    return {name: value for name, value in query.items() if value}


def _files() -> list[tuple[str, Callable[[Request], Response]]]:
    """Read the page's files once. Only what is there at start can ever be asked for."""
    found = []
    for item in sorted(resources.files("gateway.show").joinpath("page").iterdir(), key=lambda item: item.name):
        kind = _TYPES.get(item.name.rpartition(".")[2])
        if kind is not None and item.name != "trust.html":  # it has holes, which `gateway.show.trust` fills
            path = "/" if item.name == "index.html" else f"/static/{item.name}"
            found.append((path, _server(item.read_bytes(), kind)))
    return found


def _server(content: bytes, kind: str) -> Callable[[Request], Response]:
    async def serve(_: Request) -> Response:
        return Response(content, media_type=kind)

    return serve  # type: ignore[return-value]


def _json(value: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(value, default=str), status_code=status, media_type="application/json")


async def _not_found(_: Request, __: Exception) -> Response:
    return error(404, "no_such_path", "Nothing is served here. The page is at /, flows are at /api/flows.")


async def _broken(_: Request, __: Exception) -> Response:
    return error(500, "internal_error", "The page failed; calls through the gateway are not affected. See its output.")


async def _bad_value(_: Request, problem: Exception) -> Response:
    return error(400, "bad_query", str(problem))
