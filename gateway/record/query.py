"""Reads the log: what is in memory first, the file behind it, as one list without gaps or repeats."""

import heapq
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, Self

from gateway.model.flow import FlowRow
from gateway.record.backends.reading import select, select_one
from gateway.record.backends.sqlite import open_read_only
from gateway.record.filter import BadFilterError, FlowFilter, since_text
from gateway.record.recorder import Recorder
from gateway.record.ring import Ring

__all__ = ["BadFilterError", "FlowFilter", "Page", "Reader", "since_text"]

MAX_LIMIT = 500
_ABOVE_ALL = 2**62


class Page(NamedTuple):
    """Rows as JSON-ready values without their bodies, newest first; ``next_cursor`` is None at the end."""

    flows: tuple[dict[str, Any], ...]
    next_cursor: str | None


class Reader:
    """Reads one log. Every call opens its own connection: it may run in any thread and never holds up the writer."""

    def __init__(self, path: Path, ring: Ring, on_error: Callable[[BaseException], None] = lambda _: None) -> None:
        """Read a file with the ring in front of it; ``on_error`` hears of files that cannot be read."""
        self._path = path
        self._ring = ring
        self._on_error = on_error

    @classmethod
    def of(cls, recorder: Recorder) -> Self:
        """Read what a running recorder keeps."""
        return cls(recorder.path, recorder.ring, recorder.suspect)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Read a log that no gateway is writing to. There is nothing else to show, so its errors are raised.

        Raises:
            FileNotFoundError: there is none.
            sqlite3.Error, StoreError: it cannot be read, now or when a page is asked for.
        """
        if not path.is_file():
            raise FileNotFoundError(path)
        open_read_only(path).close()
        return cls(path, Ring(), _raise)

    def page(self, wanted: FlowFilter, cursor: str | None = None, limit: int = 100) -> Page:
        """Give the rows after a cursor.

        Raises:
            BadFilterError: the cursor did not come from a page, or the limit is not 1 to 500.
        """
        below = _ABOVE_ALL if not cursor else _seq(cursor)
        if not 1 <= limit <= MAX_LIMIT:
            raise BadFilterError(f"limit={limit}: expected 1 to {MAX_LIMIT}")
        fresh = self._ring.rows()
        stored = {row["seq"]: row for row in self._stored(wanted, below, limit + 1)}
        waiting = [row for seq, row in fresh.items() if seq < below and seq not in stored and wanted.matches(row)]
        for row in heapq.nlargest(limit + 1, waiting, key=lambda row: row.seq):
            stored[row.seq] = without_body(row)
        numbers = sorted(stored, reverse=True)
        shown = numbers[:limit]
        return Page(tuple(stored[seq] for seq in shown), str(shown[-1]) if len(numbers) > limit else None)

    def get(self, flow_id: str) -> dict[str, Any] | None:
        """Give one row with its body, or None."""
        row = self._ring.find(flow_id)
        if row is not None and row.ended_at is not None:
            return row.as_dict()
        try:
            with closing(open_read_only(self._path)) as connection:
                found = select_one(connection, flow_id)
        except sqlite3.Error as error:
            self._on_error(error)
            found = None
        return found or (row.as_dict() if row else None)

    def _stored(self, wanted: FlowFilter, below: int, limit: int) -> list[dict[str, Any]]:
        try:
            with closing(open_read_only(self._path)) as connection:
                return select(connection, wanted, below, limit)
        except sqlite3.Error as error:
            # What is in memory can still be shown; the recorder's health says what is wrong with the file.
            self._on_error(error)
            return []


class OwnReader(Reader):
    """The same log, as one tenant may see it: no row of another is ever given.

    Args:
        reader: The whole log.
    """

    def __init__(self, reader: Reader, tenant: str) -> None:
        super().__init__(reader._path, reader._ring, reader._on_error)  # noqa: SLF001 - its own kind
        self._tenant = tenant

    def page(self, wanted: FlowFilter, cursor: str | None = None, limit: int = 100) -> Page:
        """See `Reader.page`."""
        if wanted.tenant not in {"", self._tenant}:
            wanted = replace(wanted, kind="none")  # a cursor or limit that is wrong is told all the same
        found = super().page(replace(wanted, tenant=self._tenant), cursor, limit)
        flows = tuple(row for row in found.flows if row["tenant"] == self._tenant)
        return Page(flows, found.next_cursor)

    def get(self, flow_id: str) -> dict[str, Any] | None:
        """See `Reader.get`."""
        found = super().get(flow_id)
        return found if found is not None and found["tenant"] == self._tenant else None


def without_body(row: FlowRow) -> dict[str, Any]:
    """Give a row as lists show it."""
    return {**row.as_dict(), "body": None, "request_body": None}


def _raise(error: BaseException) -> None:
    raise error


def _seq(cursor: str) -> int:
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 18):
        raise BadFilterError(f"cursor={cursor[:40]!r}: expected next_cursor of the page before")
    return int(cursor)
