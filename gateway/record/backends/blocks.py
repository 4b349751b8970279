"""What hardly two rows have in common, packed by the hundred: a search reads few long texts and not many short ones.

SQLite's own full text (FTS5) was not taken: before 3.42 it cannot delete the bytes of a row from its index, and many
systems' SQLite is older; its trigrams find no word of two letters; and it makes writing slower than this does.
"""

import sqlite3
import sys
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import batched

SCHEMA = """
CREATE TABLE blocks (
  number INTEGER PRIMARY KEY, first INTEGER NOT NULL, last INTEGER NOT NULL, rows BLOB NOT NULL, kinds BLOB NOT NULL,
  text BLOB NOT NULL);
CREATE INDEX blocks_span ON blocks (last, first);
"""
BLOCK_ROWS = 256
SMALL_BLOCKS = 32
_DELETE = "DELETE FROM blocks WHERE number = ?"
_STORE = "INSERT OR REPLACE INTO blocks VALUES (?,?,?,?,?,?)"


@dataclass(slots=True)
class Block:
    """Rows by ``seq``, with the number of their kind and one line of text for each.

    Attributes:
        number: None while it is not stored.
    """

    number: int | None = None
    rows: "array[int]" = field(default_factory=lambda: array("q"))
    kinds: "array[int]" = field(default_factory=lambda: array("q"))
    lines: list[bytes] = field(default_factory=list)

    def add(self, seq: int, kind: int, own: str) -> None:
        """Add a row; ``own`` is the second part of its `SearchText`."""
        self.rows.append(seq)
        self.kinds.append(kind)
        self.lines.append(as_line(own))

    def extend(self, other: "Block") -> None:
        """Add all rows of another."""
        self.rows.extend(other.rows)
        self.kinds.extend(other.kinds)
        self.lines.extend(other.lines)


def as_line(text: str) -> bytes:
    """Give a text as a line. Words are split at white space, so none can tell a line break from a space."""
    return text.replace("\n", " ").encode("utf-8", "replace")


def lines_with(word: bytes, text: bytes) -> Iterator[int]:
    """Give the numbers of the lines that hold a word, from 0."""
    line = begin = 0
    while (at := text.find(word, begin)) >= 0:
        line += text.count(b"\n", begin, at)
        yield line
        end = text.find(b"\n", at)
        if end < 0:
            return
        line, begin = line + 1, end + 1


def packed(numbers: "array[int]") -> bytes:
    """Give numbers as bytes, eight each, little-endian."""
    if sys.byteorder == "big":
        numbers = array("q", numbers)
        numbers.byteswap()
    return numbers.tobytes()


def unpacked(data: bytes) -> "array[int]":
    """Give numbers from what `packed` made; half a number at the end of a damaged one is left out."""
    numbers = array("q", data[: len(data) // 8 * 8])
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


class Blocks:
    """The writer's side. Used inside of its transactions.

    What comes is stored as it comes, and small blocks are put together when there are many: so a row that comes alone
    costs no rewriting of a long text.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Begin without small ones; what an earlier run left stays as it is."""
        self._connection = connection
        self._small: list[Block] = []

    def add(self, rows: Iterable[tuple[int, int, str]]) -> None:
        """Store rows: ``seq``, number of the kind, own text."""
        for some in batched(rows, BLOCK_ROWS):
            block = self.add_apart(some)
            if len(block.lines) < BLOCK_ROWS:
                self._small.append(block)
        rows_held = sum(len(block.lines) for block in self._small)
        if rows_held >= BLOCK_ROWS or len(self._small) >= SMALL_BLOCKS:
            self._put_together()

    def add_apart(self, rows: Iterable[tuple[int, int, str]]) -> Block:
        """Store rows in a block of their own, which is given."""
        block = Block()
        for seq, kind, own in rows:
            block.add(seq, kind, own)
        self._store(block)
        return block

    def _put_together(self) -> None:
        whole = Block()
        for block in self._small:
            whole.extend(block)
        self._connection.executemany(_DELETE, [(block.number,) for block in self._small])
        self._store(whole)
        self._small = [] if len(whole.lines) >= BLOCK_ROWS else [whole]

    def forget(self) -> None:
        """Leave small blocks as they are; after a transaction that was undone, not all of them are there."""
        self._small = []

    def remove(self, numbers: Sequence[int]) -> None:
        """Delete rows, given by ``seq``."""
        gone = set(numbers)
        self._small = [block for block in self._small if gone.isdisjoint(block.rows)]
        sql = "SELECT number, rows, kinds, text FROM blocks WHERE first <= ? AND last >= ?"
        for number, rows, kinds, text in self._connection.execute(sql, (max(gone), min(gone))).fetchall():
            block = Block(number)
            for seq, kind, line in zip(unpacked(rows), unpacked(kinds), bytes(text).split(b"\n"), strict=False):
                if seq not in gone:
                    block.rows.append(seq)
                    block.kinds.append(kind)
                    block.lines.append(line)
            if block.lines:
                self._store(block)
            else:
                self._connection.execute(_DELETE, (number,))

    def _store(self, block: Block) -> None:
        values = (block.number, min(block.rows), max(block.rows), packed(block.rows), packed(block.kinds))
        block.number = self._connection.execute(_STORE, (*values, b"\n".join(block.lines))).lastrowid
