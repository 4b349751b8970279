"""Rows in one SQLite file: narrow tables to filter and search in, a wide one to show.

`kinds` says how a filter finds its rows and `blocks` how words do; `reading` puts both together.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Self
from urllib.parse import quote

import orjson

from gateway.model.flow import FlowRow
from gateway.record.backends import blocks, kinds
from gateway.record.backends.earlier import TABLE, newest_rows, set_aside
from gateway.record.backends.inserting import insert_rows
from gateway.record.backends.kinds import storable
from gateway.record.filter import own_text
from gateway.sqlite_file import ForeignFileError, claim

SCHEMA_VERSION = 2
BUSY_MS = 200
"""Short: while the writer waits for a lock, finished calls pile up in memory."""
PURGE_ROWS = 100
PURGE_ROUNDS = 100
"""Bounds the time for which one purge keeps new rows waiting."""
ROOM = 0.05
"""Share of the cap that a purge makes free, so that not every batch needs one."""

_SCHEMA = f"""
CREATE TABLE flows (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, started_at TEXT NOT NULL, kind INTEGER NOT NULL);
CREATE INDEX flows_kind ON flows (kind);
CREATE TABLE minutes (minute TEXT PRIMARY KEY, first INTEGER NOT NULL, last INTEGER NOT NULL) WITHOUT ROWID;
{kinds.SCHEMA}
{blocks.SCHEMA}
PRAGMA user_version = {SCHEMA_VERSION};
"""
_DETAILS = "CREATE TABLE details (seq INTEGER PRIMARY KEY, row BLOB NOT NULL, body TEXT, request TEXT);"
_REQUESTS = "ALTER TABLE details ADD COLUMN request TEXT;"
_INSERT_MINUTE = """
INSERT INTO minutes VALUES (?,?,?)
ON CONFLICT (minute) DO UPDATE SET first = min(first, excluded.first), last = max(last, excluded.last)
"""


class StoreError(Exception):
    """The log cannot be used as it is; the message says what to do."""


class NewerSchemaError(StoreError):
    """The log was written by a newer version."""


class Ready(NamedTuple):
    """A finished row, ready to be stored. ``json`` is the row with null for its body."""

    row: FlowRow
    json: bytes

    @property
    def size_bytes(self) -> int:
        """What it holds of memory, about."""
        return len(self.json) + len(self.row.body or "") + len(self.row.request_body or "")

    @classmethod
    def of(cls, row: FlowRow) -> Self:
        """Make a row ready; text that is not valid Unicode is mended."""
        plain = {name: getattr(row, name) for name in FlowRow.__slots__} | {"body": None, "request_body": None}
        try:
            return cls(row, orjson.dumps(plain))
        except orjson.JSONEncodeError:
            return cls(row, orjson.dumps(_mended(plain)))


def _mended(value: Any) -> Any:
    match value:
        case str():
            return str(value).encode("utf-8", "replace").decode()
        case dict():
            return {_mended(name): _mended(item) for name, item in value.items()}
        case list() | tuple():
            return [_mended(item) for item in value]
        case _:
            return value


class FlowStore:
    """The one writer of the file. Used by one thread at a time."""

    def __init__(self, path: Path) -> None:
        """Open or create the file.

        Raises:
            NewerSchemaError: a newer version wrote it.
            StoreError: the path is a link, or belongs to another user.
            sqlite3.DatabaseError: it cannot be read; see `gateway.sqlite_file.is_damage`.
        """
        self.path = path
        try:
            claim(path, "log")
        except ForeignFileError as error:
            raise StoreError(str(error)) from None
        self._connection = sqlite3.connect(
            path, timeout=BUSY_MS / 1000, isolation_level=None, check_same_thread=False, cached_statements=32
        )
        self._kinds, self._blocks = kinds.Kinds(self._connection), blocks.Blocks(self._connection)
        try:
            self._prepare()
        except BaseException:
            self._connection.close()
            raise
        self._inode = path.stat().st_ino

    def _prepare(self) -> None:
        run = self._connection.execute
        version = int(run("PRAGMA user_version").fetchone()[0])
        if version > SCHEMA_VERSION:
            raise NewerSchemaError(
                f"{self.path} was written by a newer whygate (log version {version}, this one knows {SCHEMA_VERSION})."
                " Update whygate, or move the file away to begin a new log."
            )
        run("PRAGMA secure_delete = ON")
        if version == 0:
            # Must come before the first table; lets deleted rows give their space back.
            run("PRAGMA auto_vacuum = INCREMENTAL")
        run("PRAGMA journal_mode = WAL")
        # After a power cut the last commits may be missing, the file stays whole.
        run("PRAGMA synchronous = NORMAL")
        run("PRAGMA journal_size_limit = 4194304")
        if version < SCHEMA_VERSION:
            with self._transaction():
                self._make_tables(version)
        self.has_earlier = bool(run("SELECT 1 FROM sqlite_master WHERE name = ?", (TABLE,)).fetchone())
        self.last_seq = int(run("SELECT coalesce(max(seq), 0) FROM details").fetchone()[0])
        run("SELECT row FROM details ORDER BY seq DESC LIMIT 1").fetchone()

    def _make_tables(self, version: int) -> None:
        if version == 1:
            set_aside(self._connection)
        for statement in (_SCHEMA + (_REQUESTS if version == 1 else _DETAILS)).split(";"):
            self._connection.execute(statement)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All that the block does, or nothing of it."""
        run = self._connection
        run.execute("BEGIN IMMEDIATE")
        try:
            yield
            run.execute("COMMIT")
        except BaseException:
            self._kinds.forget()
            self._blocks.forget()
            if run.in_transaction:
                run.execute("ROLLBACK")
            raise

    def write(self, batch: Sequence[Ready]) -> None:
        """Store a batch, all or nothing. Raises sqlite3.Error or OSError when it could not."""
        if self.path.stat().st_ino != self._inode:
            raise FileNotFoundError(self.path)
        with self._transaction():
            self._blocks.add(self._index([item.row for item in batch]))
            details = ((item.row.seq, item.json, *_bodies(item.row)) for item in batch)
            insert_rows(self._connection, "details", details)

    def _index(self, rows: Sequence[FlowRow]) -> list[tuple[int, int, str]]:
        """Make rows known to filters. Gives what `Blocks` needs of them."""
        numbers = [self._kinds.number_of(row) for row in rows]
        flows = ((row.seq, row.id, row.started_at, number) for row, number in zip(rows, numbers, strict=True))
        insert_rows(self._connection, "flows", flows)
        minutes: dict[str, list[int]] = {}
        for row in rows:
            minutes.setdefault(row.started_at[:16], []).append(row.seq)
        spans = ((minute, min(of_it), max(of_it)) for minute, of_it in minutes.items())
        self._connection.executemany(_INSERT_MINUTE, spans)
        return [(row.seq, number, own_text(row)) for row, number in zip(rows, numbers, strict=True)]

    def move_earlier(self, count: int = blocks.BLOCK_ROWS) -> int:
        """Move the newest rows of a log of version 1 into the tables of today. Gives how many; 0 when all are there."""
        if not self.has_earlier:
            return 0
        numbers, rows = newest_rows(self._connection, count)
        with self._transaction():
            if rows:
                self._blocks.add_apart(self._index(rows))
            self._connection.executemany(f"DELETE FROM {TABLE} WHERE seq = ?", ((seq,) for seq in numbers))  # noqa: S608 - a constant
            if not numbers:
                self._connection.execute(f"DROP TABLE {TABLE}")
        self.has_earlier = bool(numbers)
        return len(numbers)

    def purge(self, *, before: str, max_bytes: int) -> int:
        """Delete rows that began before a time, then the oldest until the file fits. Gives how many.

        The bytes are gone afterwards: overwritten in the file, and the write-ahead log is emptied.
        """
        deleted = 0
        target_bytes = max_bytes * (1 - ROOM) if self.size_bytes() > max_bytes else max_bytes
        for _ in range(PURGE_ROUNDS):
            oldest = self._oldest(before) or (self._oldest() if self.size_bytes() > target_bytes else [])
            if not oldest:
                break
            self._delete(oldest)
            deleted += len(oldest)
        if deleted:
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return deleted

    def _oldest(self, before: str = "~") -> list[int]:
        # While rows of version 1 are being moved, the newest first, the oldest are still there.
        for table in (TABLE, "flows") if self.has_earlier else ("flows",):
            sql = f"SELECT seq FROM (SELECT seq, started_at FROM {table} ORDER BY seq LIMIT ?) WHERE started_at < ?"  # noqa: S608 - one of two constants
            if rows := self._connection.execute(sql, (PURGE_ROWS, before)).fetchall():
                return [seq for (seq,) in rows]
        return []

    def _delete(self, numbers: Sequence[int]) -> None:
        run = self._connection
        each = [(seq,) for seq in numbers]
        with self._transaction():
            between = "SELECT DISTINCT kind FROM flows WHERE seq BETWEEN ? AND ?"
            used = [kind for (kind,) in run.execute(between, (min(numbers), max(numbers)))]
            for table in ("flows", "details", *([TABLE] if self.has_earlier else [])):
                run.executemany(f"DELETE FROM {table} WHERE seq = ?", each)  # noqa: S608 - constants
            self._blocks.remove(numbers)
            self._kinds.drop_unused(used)
            run.execute("DELETE FROM minutes WHERE last < (SELECT coalesce(min(seq), 1 << 62) FROM flows)")
        run.execute("PRAGMA incremental_vacuum").fetchall()

    def size_bytes(self) -> int:
        """Give the size of the file, without what is still in the write-ahead log."""
        run = self._connection.execute
        return int(run("PRAGMA page_count").fetchone()[0] * run("PRAGMA page_size").fetchone()[0])

    def is_sound(self) -> bool:
        """Read the whole file and say whether it is in order. Slow; only after an error that says otherwise."""
        try:
            return bool(self._connection.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok")
        except sqlite3.DatabaseError:
            return False

    def close(self) -> None:
        """Fold the write-ahead log into the file where possible, and close."""
        try:
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.Error:
            pass
        finally:
            self._connection.close()


def _bodies(row: FlowRow) -> tuple[str | None, str | None]:
    return row.body and storable(row.body), row.request_body and storable(row.request_body)


def open_read_only(path: Path) -> sqlite3.Connection:
    """Give a connection that cannot change the log. Raises sqlite3.Error when there is none."""
    connection = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=1.0, isolation_level=None)
    try:
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    except BaseException:
        connection.close()
        raise
    if version > SCHEMA_VERSION:
        connection.close()
        raise NewerSchemaError(f"{path} was written by a newer whygate: update this one.")
    return connection
