"""``/api/overview``: failures by cause over time, and how hosts and apps have fared lately."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol

import orjson
from starlette.requests import Request
from starlette.responses import Response

from gateway.doctor.measured import StatusSaid
from gateway.providers._pages import PAGES
from gateway.record.filter import BadFilterError
from gateway.record.recorder import Recorder
from gateway.show.languages import wanted
from gateway.show.schemas import COUNT, MOMENT, MS, TEXT, Schema, maybe, one_of, thing
from gateway.show.viewer import viewer_of

SPANS = {"1h": (60, 1), "6h": (360, 5), "24h": (1440, 20)}
"""How far back -> minutes, and minutes that are put together in one bar."""

SHAPES: dict[str, Schema] = {
    "Bucket": thing(
        "A span of time.",
        {"at": MOMENT, "calls": COUNT, "causes": {"type": "object", "additionalProperties": COUNT}},
    ),
    "Host": thing(
        "How an upstream has fared in the last quarter of an hour.",
        {
            "host": TEXT,
            "provider": TEXT,
            "state": one_of(("ok", "trouble", "down")),
            "calls": COUNT,
            "failed": COUNT,
            "last_at": MOMENT,
            "last_cause": maybe(TEXT),
            "last_good_at": maybe(MOMENT),
            "ttft_p50_ms": maybe(MS),
            "status_page": maybe(TEXT),
            "status_said": maybe(one_of(("operational", "affected", "unknown"))),
            "incident": maybe(TEXT),
        },
    ),
    "App": thing(
        "Who has called in the last quarter of an hour.",
        {
            "app": TEXT,
            "client": TEXT,
            "agent": TEXT,
            "tenant": TEXT,
            "calls": COUNT,
            "failed": COUNT,
            "last_at": MOMENT,
            "last_cause": maybe(TEXT),
        },
    ),
}
"""The shapes of what it answers; see `gateway.show.schemas`."""


class Status(Protocol):
    """What providers' status pages say, asked while calls to them fail."""

    def said(self, provider: str) -> StatusSaid | None:
        """Give what a page says, None when nothing is known."""
        ...

    def incident(self, provider: str) -> str:
        """Give what goes on in words, empty for nothing."""
        ...


class Silent:
    """No page at all; for a page of ours that stands alone."""

    def said(self, _provider: str) -> StatusSaid | None:
        """Know nothing."""
        return None

    def incident(self, _provider: str) -> str:
        """Know of nothing."""
        return ""


SILENT = Silent()


def overview_of(recorder: Recorder, status: Status = SILENT) -> Callable[[Request], Awaitable[Response]]:
    """Give the view of what a recorder counts."""

    async def overview(request: Request) -> Response:
        """Give counts; ``span`` says how far back."""
        unknown = sorted(set(request.query_params) - {"span", "lang"})
        if unknown:
            raise BadFilterError(f"{unknown[0][:40]}: not known here; expected span")
        wanted(request)  # refuses a language that nobody speaks here; there are no texts in it
        span = request.query_params.get("span") or "1h"
        if span not in SPANS:
            raise BadFilterError(f"span={span[:40]!r}: expected one of {', '.join(SPANS)}")
        minutes, bucket = SPANS[span]
        tenant = viewer_of(request).tenant
        told = await asyncio.to_thread(
            partial(recorder.overview, minutes=minutes, bucket_minutes=bucket, tenant=tenant)
        )
        for host in told["hosts"]:
            name = host["provider"]
            said = status.said(name)
            host["status_page"] = PAGES.get(name, {}).get("status")
            host["status_said"] = None if said is None else said.state
            host["incident"] = status.incident(name) or None
        return Response(orjson.dumps({"span": span, **told}), media_type="application/json")

    return overview
