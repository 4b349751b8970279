"""Answers a page's question from the file: which kinds of rows are meant, then their newest rows, then the words.

Every step is bounded by what a log has few of (kinds), or stops at a page; only a word that hardly a row has is looked
for in all blocks.
"""

import heapq
import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import MISSING, fields
from itertools import islice
from typing import Any, NamedTuple

import orjson

from gateway.model.flow import FlowRow
from gateway.record.backends.blocks import as_line, lines_with, unpacked
from gateway.record.backends.earlier import earlier_table, select_earlier
from gateway.record.backends.kinds import conditions, storable
from gateway.record.filter import FlowFilter

FIRST_ROWS, MOST_ROWS = 4, 512
"""Rows of one kind that are asked for at first, and at once at the most: of most kinds a page shows one or two."""
_OF_KIND = "SELECT seq FROM flows WHERE kind = ? AND seq < ? AND seq >= ? ORDER BY seq DESC LIMIT ?"
MANY_KINDS = 4_000
"""From here on it costs less to walk through all rows than to ask for those of each kind."""
FEW_KINDS = 1_000
"""So many are hardly in every block: it is worth a look whether one is before words are looked for."""
_OF_ALL = "SELECT seq, kind FROM flows WHERE seq < ? AND seq >= ? ORDER BY seq DESC"
_BLOCKS = "SELECT last, rows, kinds, text FROM blocks WHERE last >= ? AND first < ? ORDER BY last DESC"

_EMPTY = {field.name: None if field.default is MISSING else field.default for field in fields(FlowRow)}
"""What a row says where an older version, which wrote it, did not know the field."""

Needed = Mapping[int, tuple[bytes, ...]]
"""Number of a kind -> the words that its rows still have to hold in their own text."""


class Span(NamedTuple):
    """Rows with ``above`` <= ``seq`` < ``below`` that began at ``since`` or later and before ``until``, where given."""

    below: int
    above: int
    since: str
    until: str


def select(connection: sqlite3.Connection, wanted: FlowFilter, below: int, limit: int) -> list[dict[str, Any]]:
    """Give rows with a smaller ``seq`` than ``below``, newest first, with every field but without bodies."""
    connection.execute("BEGIN")  # so that all steps see the same rows
    try:
        earlier = earlier_table(connection)
        found = [] if earlier == "flows" else _select(connection, wanted, below, limit)
        if earlier is not None:
            found = heapq.nlargest(
                limit, [*found, *select_earlier(connection, earlier, wanted, below, limit)], key=lambda item: item[0]
            )
    finally:
        connection.execute("ROLLBACK")
    return [{**_EMPTY, **orjson.loads(row)} for _, row in found]


def select_one(connection: sqlite3.Connection, flow_id: str) -> dict[str, Any] | None:
    """Give one row with every field and its bodies, or None."""
    earlier = earlier_table(connection)
    request = "NULL" if earlier == "flows" else "d.request"
    for table in {earlier: None, "flows": None}:
        if table is not None:
            sql = f"SELECT d.row, d.body, {request} FROM {table} AS f JOIN details AS d ON d.seq = f.seq WHERE f.id = ?"  # noqa: S608 - one of two constants
            if found := connection.execute(sql, (flow_id,)).fetchone():
                return {**_EMPTY, **orjson.loads(found[0]), "body": found[1], "request_body": found[2]}
    return None


def _select(connection: sqlite3.Connection, wanted: FlowFilter, below: int, limit: int) -> list[tuple[int, bytes]]:
    span = _span(connection, wanted, below)
    numbers = [] if span is None else _numbers(connection, wanted, span, limit)
    read = "SELECT seq, row FROM details WHERE seq = ?"
    found = (connection.execute(read, (number,)).fetchone() for number in numbers)
    return [row for row in found if row is not None]


def _span(connection: sqlite3.Connection, wanted: FlowFilter, below: int) -> Span | None:
    """Give where to look, None when nothing is there. Few minutes stand for many rows."""
    above = 0
    if wanted.since:
        sql = "SELECT min(first) FROM minutes WHERE minute >= ?"
        above = connection.execute(sql, (wanted.since[:16],)).fetchone()[0]
    if wanted.until:
        sql = "SELECT max(last) + 1 FROM minutes WHERE minute <= ?"
        last = connection.execute(sql, (wanted.until[:16],)).fetchone()[0]
        below = 0 if last is None else min(below, last)
    return None if above is None else Span(below, above, wanted.since, wanted.until)


def _numbers(connection: sqlite3.Connection, wanted: FlowFilter, span: Span, limit: int) -> list[int]:
    """Give the ``seq`` of each row of a page, newest first."""
    asked = list(conditions(wanted))
    if wanted.app:
        asked.append(("app = ?", [storable(wanted.app)]))
    if not (asked or wanted.terms):
        return list(islice(_later(connection, _walk(connection, None, span), span), limit))
    where = " AND ".join(condition for condition, _ in asked) or "TRUE"
    values = [value for _, given in asked for value in given]
    kinds = connection.execute(f"SELECT number, text FROM kinds WHERE {where}", values).fetchall()  # noqa: S608 - constants
    terms = [storable(term) for term in wanted.terms]
    needed = {number: tuple(as_line(term) for term in terms if term not in text) for number, text in kinds}
    whole = [number for number, words in needed.items() if not words]
    found = list(islice(_later(connection, _newest(connection, whole, span), span), limit))
    rest = {number: words for number, words in needed.items() if words}
    if len(found) == limit:
        # Whatever words find below is not on this page.
        span = span._replace(above=max(span.above, found[-1]))
    return heapq.nlargest(limit, [*found, *_with_words(connection, rest, span, limit)])


def _newest(connection: sqlite3.Connection, kinds: Collection[int], span: Span) -> Iterator[int]:
    """Give the rows of some kinds, newest first."""
    if len(kinds) >= MANY_KINDS:
        return _walk(connection, frozenset(kinds), span)
    return heapq.merge(*(_of_kind(connection, kind, span) for kind in kinds), reverse=True)


def _walk(connection: sqlite3.Connection, kinds: Collection[int] | None, span: Span) -> Iterator[int]:
    """Give the rows of these kinds, or of all, newest first."""
    for seq, kind in connection.execute(_OF_ALL, (span.below, span.above)):
        if kinds is None or kind in kinds:
            yield seq


def _of_kind(connection: sqlite3.Connection, kind: int, span: Span) -> Iterator[int]:
    below, size = span.below, FIRST_ROWS
    while True:
        rows = connection.execute(_OF_KIND, (kind, below, span.above, size)).fetchall()
        for (below,) in rows:
            yield below
        if len(rows) < size:
            return
        size = min(4 * size, MOST_ROWS)


def _later(connection: sqlite3.Connection, numbers: Iterator[int], span: Span) -> Iterator[int]:
    """Leave out what began before or after the span: rows are numbered in the order of arrival, but clocks are set."""
    if not (span.since or span.until):
        yield from numbers
        return
    for number in numbers:
        sql = "SELECT 1 FROM flows WHERE seq = ? AND started_at >= ? AND started_at < ?"
        if connection.execute(sql, (number, span.since, span.until or "~")).fetchone():
            yield number


def _with_words(connection: sqlite3.Connection, needed: Needed, span: Span, limit: int) -> list[int]:
    """Give the newest rows whose own text has the words that their kind lacks."""
    found: list[int] = []
    if not needed:
        return found
    # One word of each kind is enough to pass over a block; the longest is the rarest as a rule.
    telling = {max(words, key=len) for words in needed.values()}
    for last, rows, kinds, text in connection.execute(_BLOCKS, (span.above, span.below)):
        if len(found) >= limit and found[limit - 1] > last:
            break
        if not any(word in text for word in telling):
            continue
        numbers = unpacked(kinds)
        if len(needed) >= FEW_KINDS or not needed.keys().isdisjoint(numbers):
            hits = _in_block(unpacked(rows), numbers, text, telling, needed)
            inside = (seq for seq in hits if span.above <= seq < span.below)
            found = heapq.nlargest(limit, [*found, *_later(connection, inside, span)])
    return found


def _in_block(
    rows: Sequence[int], kinds: Sequence[int], text: bytes, telling: Collection[bytes], needed: Needed
) -> Iterator[int]:
    """Give the rows of one block that have their words. Only lines with a telling word are looked at."""
    lines: list[bytes] = []
    for number in {number for word in telling for number in lines_with(word, text)}:
        words = needed.get(kinds[number])
        if words is not None:
            lines = lines or text.split(b"\n")
            if all(word in lines[number] for word in words):
                yield rows[number]


def minute_counts(connection: sqlite3.Connection, since: str) -> list[tuple[str, str, int]]:
    """Give ``(minute, cause, rows)`` of what began since then, without tunnels; the cause of a success is empty.

    Reads every row of the narrow tables; a minute may come twice.
    """
    counted = "SELECT substr(started_at, 1, 16), coalesce(cause, ''), count(*) FROM "
    meant = " WHERE started_at >= ? AND {kind} <> 'tunnel' GROUP BY 1, 2"
    earlier, found = earlier_table(connection), []
    if earlier != "flows":
        joined = "flows AS f JOIN kinds AS k ON k.number = f.kind"
        found = connection.execute(counted + joined + meant.format(kind="k.kind"), (since,)).fetchall()
    if earlier is not None:
        found += connection.execute(counted + earlier + meant.format(kind="kind"), (since,)).fetchall()
    return found
