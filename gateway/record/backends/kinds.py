"""What many rows have in common, stored once: a filter looks through hundreds of kinds and not through all rows."""

import sqlite3
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from operator import attrgetter
from typing import Any

from gateway.model.flow import FlowRow
from gateway.record.filter import FlowFilter, client_address, lowered, shared_parts

SCHEMA = """
CREATE TABLE kinds (
  number INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, kind TEXT NOT NULL, tenant TEXT NOT NULL,
  provider TEXT NOT NULL, model TEXT NOT NULL, status INTEGER, cause TEXT, fault TEXT, app TEXT NOT NULL,
  client TEXT NOT NULL, text TEXT NOT NULL);
"""
KNOWN_MAX = 10_000
"""Kinds that the writer remembers; those of a log are few hundreds as a rule."""
_DIGEST_BYTES = 16

_FACETS = attrgetter("kind", "tenant", "provider", "model", "status", "cause", "fault", "app")

Values = tuple[str | int | None, ...]


def storable(text: str) -> str:
    """Give text that SQLite takes: valid Unicode only. A lone surrogate would fail the whole batch."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


class Kinds:
    """The writer's side. Used inside of its transactions."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Begin with none remembered."""
        self._connection = connection
        self._known: dict[tuple[Values, Values], int] = {}

    def number_of(self, row: FlowRow) -> int:
        """Give the number of a row's kind; one that is new is stored."""
        facets, shared = _FACETS(row), shared_parts(row)
        number = self._known.get((facets, shared))
        if number is None:
            if len(self._known) >= KNOWN_MAX:
                self._known.clear()
            values = (*facets, client_address(row.client), lowered(shared))
            number = self._find(tuple(storable(value) if isinstance(value, str) else value for value in values))
            self._known[facets, shared] = number
        return number

    def _find(self, values: Values) -> int:
        digest = blake2b(repr(values).encode(), digest_size=_DIGEST_BYTES).digest()
        found = self._connection.execute("SELECT number FROM kinds WHERE digest = ?", (digest,)).fetchone()
        if found is not None:
            return int(found[0])
        sql = "INSERT INTO kinds VALUES (NULL,?,?,?,?,?,?,?,?,?,?,?)"
        return int(self._connection.execute(sql, (digest, *values)).lastrowid or 0)

    def forget(self) -> None:
        """Remember nothing; after a transaction that was undone, numbers may mean nothing."""
        self._known.clear()

    def drop_unused(self, numbers: Iterable[int]) -> None:
        """Delete those among ``numbers`` that no row has any more."""
        sql = "DELETE FROM kinds WHERE number = ?1 AND NOT EXISTS (SELECT 1 FROM flows WHERE kind = ?1)"
        if self._connection.executemany(sql, ((number,) for number in numbers)).rowcount:
            self.forget()


def conditions(wanted: FlowFilter) -> Iterator[tuple[str, list[Any]]]:
    """Give what a filter asks of a kind, as SQL and its values. The SQL is constant; no value is ever part of it."""
    if wanted.cause == "*":
        yield "cause IS NOT NULL", []
    elif prefix := wanted.cause_prefix:
        # "/" follows "." in ASCII, so this is the range of all slugs with the prefix.
        yield "cause >= ? AND cause < ?", [prefix, prefix[:-1] + "/"]
    elif wanted.cause:
        yield "cause = ?", [wanted.cause]
    for condition, value in (
        ("fault = ?", wanted.fault),
        ("provider = ?", wanted.provider),
        ("model = ?", wanted.model),
        ("tenant = ?", wanted.tenant),
        ("kind = ?", wanted.kind),
    ):
        if value:
            yield condition, [storable(value)]
    if span := wanted.status_range:
        yield "status BETWEEN ? AND ?", list(span)
