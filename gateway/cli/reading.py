"""Where readers find flows: the page of a running gateway, else the log that the last one left."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, Self

import httpx2

from gateway.cli.screen import UserError
from gateway.record.backends.sqlite import StoreError
from gateway.record.query import BadFilterError, FlowFilter, Reader
from gateway.state import Runtime, State

_TIMEOUT_SECONDS = 5.0
_ROWS_A_PAGE = 500
_SILENCE_SECONDS = 45.0
"""The page says something every 15 s; this long without a word means that it is gone."""


class Source(Protocol):
    """Something that has flows."""

    def newest(self, wanted: FlowFilter, limit: int, below: int | None = None) -> list[dict[str, Any]]:
        """Give flows without bodies, newest first; only those whose ``seq`` is below a number, where one is given."""
        ...

    def one(self, flow_id: str) -> dict[str, Any] | None:
        """Give one flow with its body."""
        ...


class PageSource:
    """The page API of a gateway that runs. Never asked through a proxy."""

    def __init__(self, runtime: Runtime) -> None:
        """Connect lazily; the token stays in the header."""
        self._client = httpx2.Client(
            base_url=runtime.page_url,
            headers={"authorization": f"Bearer {runtime.token}"},
            timeout=_TIMEOUT_SECONDS,
            trust_env=False,
        )

    def __enter__(self) -> Self:
        """Use as a context."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection."""
        self._client.close()

    def newest(self, wanted: FlowFilter, limit: int, below: int | None = None) -> list[dict[str, Any]]:
        """See `Source`."""
        query = {name: value for name in FlowFilter.__slots__ if (value := getattr(wanted, name))}
        rows: list[dict[str, Any]] = []
        cursor = "" if below is None else str(below)
        while len(rows) < limit:
            page = self._get(
                "/api/flows", {**query, "limit": str(min(_ROWS_A_PAGE, limit - len(rows))), "cursor": cursor}
            )
            rows += page["flows"]
            cursor = page["next_cursor"] or ""
            if not cursor:
                break
        return rows

    def one(self, flow_id: str) -> dict[str, Any] | None:
        """See `Source`."""
        answer = self._client.get(f"/api/flows/{flow_id}")
        if answer.status_code == httpx2.codes.NOT_FOUND:
            return None
        return _value(answer)

    @contextmanager
    def events(self) -> Iterator[Iterator[tuple[str, dict[str, Any]]]]:
        """Give what happens from now on, as (event, data); ends or raises httpx2.TransportError with the gateway."""
        timeout = httpx2.Timeout(_TIMEOUT_SECONDS, read=_SILENCE_SECONDS)
        with self._client.stream("GET", "/api/live", timeout=timeout) as answer:
            if not answer.is_success:
                answer.read()
                _value(answer)
            yield ((event.event, _object(event.json())) for event in httpx2.EventSource(answer))

    def _get(self, path: str, query: dict[str, str]) -> dict[str, Any]:
        return _value(self._client.get(path, params={name: value for name, value in query.items() if value}))


class FileSource:
    """The log itself, read-only."""

    def __init__(self, path: Path) -> None:
        """Open it. Raises like `Reader.open`."""
        self._reader = Reader.open(path)

    def newest(self, wanted: FlowFilter, limit: int, below: int | None = None) -> list[dict[str, Any]]:
        """See `Source`."""
        rows: list[dict[str, Any]] = []
        cursor = None if below is None else str(below)
        while len(rows) < limit:
            page = self._reader.page(wanted, cursor, min(_ROWS_A_PAGE, limit - len(rows)))
            rows += page.flows
            cursor = page.next_cursor
            if cursor is None:
                break
        return rows

    def one(self, flow_id: str) -> dict[str, Any] | None:
        """See `Source`."""
        return self._reader.get(flow_id)


@contextmanager
def open_source(state: State) -> Iterator[Source]:
    """Give the flows of a state directory.

    Raises:
        UserError: There are none to be found, or they cannot be read.
    """
    runtime = Runtime.read(state)
    try:
        if runtime is not None:
            with PageSource(runtime) as page:
                yield page
        else:
            yield FileSource(state.flows_db)
    except FileNotFoundError as exc:
        raise _nothing(state) from exc
    except (sqlite3.Error, StoreError) as exc:
        what = f"The log cannot be read: {exc}"
        raise UserError(what, str(state.flows_db), "Start the gateway: it repairs or replaces a damaged log.") from exc
    except httpx2.TransportError as exc:
        what = "The gateway stopped answering"
        raise UserError(
            what, runtime.page_url if runtime else "", "Look whether it still runs, and try again."
        ) from exc


def _nothing(state: State) -> UserError:
    what = "No gateway is running, and there is no log of an earlier one"
    return UserError(what, str(state.directory), "whygate run -- your command   (or: whygate start)")


def wait_for_gateway(state: State, poll_seconds: float = 0.5) -> Runtime:
    """Wait until a gateway of this state directory runs."""
    while (runtime := Runtime.read(state)) is None:
        time.sleep(poll_seconds)  # noqa: TID251 - a command without an event loop
    return runtime


def _value(answer: httpx2.Response) -> dict[str, Any]:
    try:
        value = _object(answer.json())
    except ValueError as exc:
        raise httpx2.RemoteProtocolError(f"the page answered {answer.status_code} without JSON") from exc
    if answer.status_code == httpx2.codes.BAD_REQUEST:
        raise BadFilterError(str(_object(value.get("error")).get("message")))
    if not answer.is_success:
        told = _object(value.get("error")).get("message") or f"status {answer.status_code}"
        raise UserError(f"The page refused to answer: {told}", str(answer.url.copy_with(query=None)), "Try again.")
    return value


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
