"""Many calls of one key: what limits, budgets and breakers are about. Each has a mark of its own, with one plan for all."""

import asyncio
import itertools
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import httpx2

from tests.faults.clients import ClientRow, Seen, new_key
from tests.faults.field import Case
from tests.faults.ledgers import Flow
from tests.faults.upstream import Fault, Row

CONNECTIONS_MAX = 1_000
CALL_SECONDS = 30.0


class Crowd:
    """The calls, and what they share: a key, a plan, an HTTP client in plain to a base URL. A context manager.

    Attributes:
        mark: Of the plan; those of the calls are ``MARK.1`` and so on.
        rows: Of the client's ledger, in the order of their beginning.
    """

    def __init__(self, case: Case, *faults: Fault, body: Mapping[str, Any] | None = None) -> None:
        self._case, self.mark, self._numbers = case, case.plan(*faults), itertools.count(1)
        self._body = {"model": "gpt-4o-mini", **(body or {})}
        self.key = new_key()
        self.rows: list[ClientRow] = []
        limits = httpx2.Limits(max_connections=CONNECTIONS_MAX, max_keepalive_connections=CONNECTIONS_MAX)
        self._http = httpx2.AsyncClient(trust_env=False, timeout=CALL_SECONDS, limits=limits)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    def begin(self) -> ClientRow:
        """Enter one more call into the ledger."""
        row = ClientRow(f"{self.mark}.{next(self._numbers)}", self.key)
        self._case.clients.rows.append(row)
        self.rows.append(row)
        return row

    async def ask(self, headers: Mapping[str, str] | None = None, *, url: str | None = None, **more: Any) -> ClientRow:
        """Make one call; ``more`` is for its body."""
        row = self.begin()
        row.requests += 1
        sent = {"authorization": f"Bearer {self.key}", "x-test-id": row.mark, **(headers or {})}
        address = url or f"{self._case.field.gateway.proxy}/openai/v1/chat/completions"
        said = {"messages": [{"role": "user", "content": row.mark}]}  # the same again and again is a loop of the app's
        try:
            answer = await self._http.post(address, headers=sent, json={**said, **self._body, **more})
        except httpx2.HTTPError as error:
            row.exception, row.message = (type(error).__name__,), str(error)
        else:
            row.answers.append(Seen(answer.status_code, dict(answer.headers)))
            row.status, row.cause, row.text = answer.status_code, row.answers[-1].cause, answer.text
            row.outcome = "answer" if answer.status_code < 400 else "error"
        row.seconds = time.monotonic() - row.at
        return row

    async def at_rate(self, per_second: float, seconds: float) -> list[ClientRow]:
        """Begin calls evenly for so long, however long each takes; give them when all have ended."""
        began = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            made = []
            for number in range(round(per_second * seconds)):
                await asyncio.sleep(max(0.0, began + number / per_second - time.monotonic()))
                made.append(tasks.create_task(self.ask()))
        return [task.result() for task in made]

    def flow(self, row: ClientRow) -> Flow:
        """Give the flow of a call that was answered."""
        (only,) = (flow for flow in self._case.flows() if flow["id"] in row.flow_ids)
        return only

    def received(self) -> list[Row]:
        """Give what the upstream got of all of them, in the order of arrival."""
        got = self._case.field.upstream.rows_since(self._case.received_before)
        return [row for row in got if row.mark.startswith(f"{self.mark}.")]
