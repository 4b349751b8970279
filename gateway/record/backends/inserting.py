"""Many rows with few statements.

While a statement runs, SQLite's module lets other threads run, and wants its turn back after each: with a statement for
every row, the writer and the event loop take turns thousands of times a second, and that costs more than the rows do
(100 microseconds of CPU a row beside a busy event loop; 16 with nobody beside it).
"""

import sqlite3
from collections.abc import Iterable, Sequence
from itertools import batched, chain
from typing import Any

_AT_ONCE = (64, 8, 1)
"""Rows of a statement; few sizes, so that SQLite's module keeps them prepared."""


def insert_rows(connection: sqlite3.Connection, table: str, rows: Iterable[Sequence[Any]]) -> None:
    """Insert rows, all of the same width. ``table`` is a constant of ours. Raises what `sqlite3` raises."""
    for some in batched(rows, _AT_ONCE[0]):
        left = some
        for size in _AT_ONCE:
            while len(left) >= size:
                _insert(connection, table, left[:size])
                left = left[size:]


def _insert(connection: sqlite3.Connection, table: str, rows: Sequence[Sequence[Any]]) -> None:
    places = f"({','.join('?' * len(rows[0]))})"
    sql = f"INSERT INTO {table} VALUES {','.join([places] * len(rows))}"  # noqa: S608 - the table is a constant
    connection.execute(sql, tuple(chain.from_iterable(rows)))
