"""A log of version 1: how it is read, and how its rows move into the tables of today, a few at a time.

Its rows stay where they are when it is opened, under another name, so that opening costs no time however long it is.
"""

import sqlite3
from collections.abc import Iterable
from typing import Any

import orjson

from gateway.model.flow import FlowRow
from gateway.record.backends.kinds import conditions, storable
from gateway.record.filter import FlowFilter

TABLE = "flows_1"
# The wide table is only touched for rows that are shown, also where SQLite has to sort.
_PAGE = "SELECT d.seq, d.row FROM (SELECT seq FROM {table} AS f WHERE {where} ORDER BY f.seq DESC LIMIT ?) AS n"
_NEWEST_FIRST = " CROSS JOIN details AS d ON d.seq = n.seq ORDER BY n.seq DESC"


def earlier_table(connection: sqlite3.Connection) -> str | None:
    """Give the table with rows of version 1, None when there is none."""
    if int(connection.execute("PRAGMA user_version").fetchone()[0]) == 1:
        return "flows"
    sql = "SELECT name FROM sqlite_master WHERE type = 'table' AND name = ?"
    found = connection.execute(sql, (TABLE,)).fetchone()
    return found and TABLE


def set_aside(connection: sqlite3.Connection) -> None:
    """Make room for the tables of today. Used inside of a transaction."""
    connection.execute(f"ALTER TABLE flows RENAME TO {TABLE}")


def select_earlier(
    connection: sqlite3.Connection, table: str, wanted: FlowFilter, below: int, limit: int
) -> list[tuple[int, bytes]]:
    """Give ``seq`` and row of a page from a table of version 1, newest first."""
    where, values = ["f.seq < ?"], [below]
    for condition, value in _conditions(wanted):
        where.append(condition)
        values += value
    sql = _PAGE.format(table=table, where=" AND ".join(where)) + _NEWEST_FIRST
    return connection.execute(sql, [*values, limit]).fetchall()


def _conditions(wanted: FlowFilter) -> Iterable[tuple[str, list[Any]]]:
    yield from conditions(wanted)
    if wanted.since:
        yield "f.started_at >= ?", [wanted.since]
    if wanted.until:
        yield "f.started_at < ?", [wanted.until]
    if wanted.app:
        yield "FALSE", []  # nobody noted then which program called
    for term in wanted.terms:
        yield "instr(f.search, ?)", [storable(term)]


def newest_rows(connection: sqlite3.Connection, count: int) -> tuple[list[int], list[FlowRow]]:
    """Give the highest numbers of a log that was set aside, and their rows without bodies; a spoilt one is left out."""
    sql = f"SELECT seq FROM {TABLE} ORDER BY seq DESC LIMIT ?"  # noqa: S608 - a constant
    numbers = [seq for (seq,) in connection.execute(sql, (count,))]
    return numbers, [row for row in (_row(connection, seq) for seq in numbers) if row is not None]


def _row(connection: sqlite3.Connection, seq: int) -> FlowRow | None:
    found = connection.execute("SELECT row FROM details WHERE seq = ?", (seq,)).fetchone()
    try:
        known = orjson.loads(found[0]) if found else {}
        return FlowRow(**{name: known[name] for name in FlowRow.__slots__ if name in known})
    except (ValueError, TypeError):
        return None
