"""The doctor on the page's API: its last report, and a run that somebody asks for."""

from collections.abc import Sequence
from typing import Any, Protocol

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.doctor.probe import Group, Outcome, Status
from gateway.doctor.report import Report, document
from gateway.model.cause import Cause, Precision
from gateway.show.body import read_object, refused
from gateway.show.languages import labelled, wanted
from gateway.show.overview import SILENT
from gateway.show.overview import Status as Pages
from gateway.show.schemas import COUNT, MS, SWITCH, TEXT, Schema, many, maybe, one_of, ref, thing, told

_EXPECTED = (
    'Send {}, or {"host": "api.openai.com"} with a host that this gateway knows, and "chatgpt": true for what ChatGPT'
    " in browsers and apps needs. For any other host: whygate doctor --host HOST"
)


_CHECK = {
    "group": one_of(Group),
    "name": told(TEXT, "Of the probe."),
    "about": told(TEXT, "What it is about where a probe gives several."),
    "status": one_of(Status),
    "told": told(TEXT, "What was found, in a sentence."),
    "cause": maybe(one_of(Cause)),
    "evidence": many(TEXT),
    "what_to_do": many(TEXT),
}
_VERDICT = {
    "fault": maybe(TEXT),
    "precision": one_of(Precision),
    "vendor": TEXT,
    "title": TEXT,
    "what_happened": TEXT,
    "ruled_out": many(thing("A cause that this is not.", {"cause": one_of(Cause), "why": TEXT})),
    "alternatives": many(one_of(Cause)),
}
SHAPES: dict[str, Schema] = {
    "Check": thing(
        "One line of the doctor's report; with a verdict where it warns or fails.",
        {**_CHECK, **_VERDICT},
        frozenset(_VERDICT),
    ),
    "Report": thing(
        "What the doctor found.",
        {
            "shape": COUNT,
            "version": TEXT,
            "target": told(TEXT, "The host that it is about."),
            "way": told(TEXT, "straight, or the proxy's address."),
            "began_at": told({"type": "number"}, "Seconds since the epoch."),
            "took_ms": MS,
            "healthy": SWITCH,
            "most_likely": maybe(ref("Check")),
            "scope": many(TEXT, "How far the trouble reaches."),
            "checks": many(ref("Check")),
            "contacted": many(TEXT),
        },
    ),
}
"""The shapes of what it answers; see `gateway.show.schemas`."""

RUN: Schema = {
    "running": SWITCH,
    "measured": many(TEXT, "Names of the probes that have measured."),
    "probes": told(COUNT, "How many there are."),
    "report": maybe(ref("Report")),
}


class Doctor(Protocol):
    """Who does the work.

    Attributes:
        watch: What providers' status pages say.
    """

    @property
    def watch(self) -> Pages:
        """See above."""
        ...

    def begin(self, host: str = "", *, chatgpt: bool = False) -> None:
        """Begin a run. Raises ValueError for a host that it does not know."""
        ...

    def view(self) -> tuple[bool, Sequence[Outcome], int, Report | None]:
        """Give whether one runs, what it has measured, how many probes there are, and the last report."""
        ...


class NoDoctor:
    """Nobody; for a page that stands alone."""

    watch: Pages = SILENT

    def begin(self, host: str = "", *, chatgpt: bool = False) -> None:
        """Begin nothing."""

    def view(self) -> tuple[bool, Sequence[Outcome], int, Report | None]:
        """Have nothing."""
        return False, (), 0, None


NO_DOCTOR = NoDoctor()


class DoctorViews:
    """What the API answers about the doctor."""

    def __init__(self, doctor: Doctor) -> None:
        self._doctor = doctor

    def routes(self) -> list[Route]:
        """Give where each is answered."""
        return [Route("/api/doctor", self.show), Route("/api/doctor/run", self.begin, methods=["POST"])]

    async def show(self, request: Request) -> Response:
        """Give how far a run is, and the last report."""
        language = wanted(request)
        return labelled(_json(self._view(language or "en")), language)

    async def begin(self, request: Request) -> Response:
        """Begin a run; one that is under way goes on instead."""
        asked = await read_object(request, _EXPECTED)
        if isinstance(asked, Response):
            return asked
        host, chatgpt = asked.get("host", ""), asked.get("chatgpt", False)
        if asked.keys() - {"host", "chatgpt"} or not isinstance(host, str) or not isinstance(chatgpt, bool):
            return refused(_EXPECTED)
        try:
            self._doctor.begin(host[:_HOST_CHARACTERS], chatgpt=chatgpt)
        except ValueError:
            return refused(_EXPECTED)
        return _json(self._view("en"))

    def _view(self, language: str) -> dict[str, Any]:
        running, seen, count, found = self._doctor.view()
        return {
            "running": running,
            "measured": [outcome.probe.name for outcome in seen],
            "probes": count,
            "report": None if found is None else document(found, language, measured=False),
        }


_HOST_CHARACTERS = 254


def _json(value: Any) -> Response:
    return Response(orjson.dumps(value), media_type="application/json")
