"""The gateway's page API, read as the page itself reads it: the live feed, and the log for what it missed."""

from collections.abc import AsyncIterator, Callable
from typing import Self

import httpx2
import orjson

from gateway.demo.board import Board
from gateway.state import Runtime


class Page:
    """Keeps a board up to date. Asked directly: no proxy variable is looked at."""

    def __init__(self, runtime: Runtime, board: Board, clock: Callable[[], float]) -> None:
        self._board, self._clock = board, clock
        self._client = httpx2.AsyncClient(
            base_url=runtime.page_url,
            headers={"authorization": f"Bearer {runtime.token}"},
            trust_env=False,
            timeout=httpx2.Timeout(5.0, read=None),
        )

    async def __aenter__(self) -> Self:
        """Return self."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Hang up."""
        await self._client.aclose()

    async def follow(self) -> None:
        """Keep the board up to date until cancelled, or until the gateway hangs up."""
        async for name, data in self._events():
            if name == "flow":
                self._board.take(orjson.loads(data), self._clock())
            elif name == "gap":
                await self.catch_up()

    async def catch_up(self) -> None:
        """Read the whole log into the board; the demo makes far fewer calls than one page holds."""
        response = await self._client.get("/api/flows", params={"limit": "500"}, timeout=5.0)
        for row in reversed(response.raise_for_status().json()["flows"]):
            self._board.take(row, self._clock())

    async def _events(self) -> AsyncIterator[tuple[str, str]]:
        name = ""
        async with self._client.stream("GET", "/api/live") as response:
            async for line in response.raise_for_status().aiter_lines():
                field_, _, value = line.partition(": ")
                if field_ == "event":
                    name = value
                elif field_ == "data":
                    yield name, value
