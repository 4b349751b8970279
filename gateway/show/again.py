"""``/api/flows/{id}/again``: a call as a command of curl and as a program in Python that ask again, without the key."""

import asyncio

import orjson
from starlette.requests import Request
from starlette.responses import Response

from gateway.record.query import Reader
from gateway.record.reproduce import curl, python
from gateway.show.guard import no_such_flow
from gateway.show.viewer import reader_for


class AgainView:
    """What the API answers to who wants to ask again by hand."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def show(self, request: Request) -> Response:
        """Give ``{curl, python}``; the key stands in both as the provider's usual variable."""
        row = await asyncio.to_thread(reader_for(request, self._reader).get, request.path_params["flow_id"][:64])
        if row is None:
            return no_such_flow()
        return Response(orjson.dumps({"curl": curl(row), "python": python(row)}), media_type="application/json")
