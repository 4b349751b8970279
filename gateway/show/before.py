"""What a failed call is compared with: the last one of its kind that worked, looked for in the log."""

import asyncio
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from gateway.record.change import CLOSEST, changes, closeness, closest
from gateway.record.query import FlowFilter, Reader
from gateway.show.guard import no_such_flow
from gateway.show.languages import labelled, row_in, wanted
from gateway.show.priced import priced
from gateway.show.viewer import reader_for

_PAGE_ROWS = 200
_PAGES_MAX = 5
"""A thousand good calls of the provider are looked through, and a thousand of the same model before them."""


class BeforeView:
    """Answers ``/api/flows/{flow_id}/before``."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def show(self, request: Request) -> Response:
        """Give ``{"last_good": a flow or null, "changes": [{"field", "before", "now"}]}``.

        Both are empty for a call that did not fail, and where no good one is left in the log.
        """
        language = wanted(request)
        found = await asyncio.to_thread(
            _compared, reader_for(request, self._reader), request.path_params["flow_id"][:64]
        )
        if found is None:
            return no_such_flow()
        if found["last_good"] is not None:
            found["last_good"] = priced(row_in(found["last_good"], language))
        return labelled(Response(orjson.dumps(found), media_type="application/json"), language)


def _compared(reader: Reader, flow_id: str) -> dict[str, Any] | None:
    """Compare, off the event loop; None when there is no such flow."""
    flow = reader.get(flow_id)
    if flow is None:
        return None
    good = last_good(reader, flow) if flow["cause"] else None
    return {"last_good": good, "changes": changes(good, flow) if good else []}


def last_good(reader: Reader, failed: dict[str, Any]) -> dict[str, Any] | None:
    """Give the row, without its body, to compare a failed one with: of those that arrived before it, the closest."""
    kind = {"provider": failed["provider"], "kind": failed["kind"], "status": "2xx" if failed["kind"] == "api" else ""}
    best: Any = None
    for model in dict.fromkeys((failed["model"], "")):
        cursor: str | None = str(failed["seq"])
        for _ in range(_PAGES_MAX):
            page = reader.page(FlowFilter(**kind, model=model), cursor, _PAGE_ROWS)
            best = closest(page.flows, failed, best)
            if best is not None and closeness(best, failed) == CLOSEST:
                return {**best, "body": None}
            cursor = page.next_cursor
            if cursor is None:
                break
    return None if best is None else {**best, "body": None}
