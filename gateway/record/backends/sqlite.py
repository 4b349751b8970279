"""Rows in one SQLite file: a narrow table to filter on, a wide one to show."""

import os
import sqlite3
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self
from urllib.parse import quote

import orjson

from gateway.model.flow import FlowRow
from gateway.record.filter import FlowFilter, search_text

SCHEMA_VERSION = 1
BUSY_MS = 200
"""Short: while the writer waits for a lock, finished calls pile up in memory."""
PURGE_ROWS = 100
PURGE_ROUNDS = 100
"""Bounds the time for which one purge keeps new rows waiting."""
ROOM = 0.05
"""Share of the cap that a purge makes free, so that not every batch needs one."""

_SCHEMA = """
BEGIN;
CREATE TABLE flows (
  seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, started_at TEXT NOT NULL, kind TEXT NOT NULL,
  tenant TEXT NOT NULL, provider TEXT NOT NULL, model TEXT NOT NULL,
  status INTEGER, cause TEXT, fault TEXT, search TEXT NOT NULL);
CREATE INDEX flows_failed ON flows (seq) WHERE cause IS NOT NULL;
CREATE INDEX flows_cause ON flows (cause, seq) WHERE cause IS NOT NULL;
CREATE TABLE details (seq INTEGER PRIMARY KEY, row BLOB NOT NULL, body TEXT);
PRAGMA user_version = 1;
COMMIT;
"""
_INSERT_FLOW = "INSERT INTO flows VALUES (?,?,?,?,?,?,?,?,?,?,?)"
_INSERT_DETAIL = "INSERT INTO details VALUES (?,?,?)"
# The wide table is only touched for rows that are shown, also where SQLite has to sort.
_PAGE = "SELECT d.row FROM (SELECT seq FROM flows AS f WHERE "
_NEWEST_FIRST = " ORDER BY f.seq DESC LIMIT ?) AS n CROSS JOIN details AS d ON d.seq = n.seq ORDER BY n.seq DESC"


class StoreError(Exception):
    """The log cannot be used as it is; the message says what to do."""


class NewerSchemaError(StoreError):
    """The log was written by a newer version."""


class Ready(NamedTuple):
    """A finished row, ready to be stored. ``json`` is the row without its body."""

    row: FlowRow
    json: bytes

    @classmethod
    def of(cls, row: FlowRow) -> Self:
        """Make a row ready; text that is not valid Unicode is mended."""
        plain = {name: getattr(row, name) for name in FlowRow.__slots__ if name != "body"}
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
            sqlite3.DatabaseError: it cannot be read; see `is_damage`.
        """
        self.path = path
        _claim(path)
        self._connection = sqlite3.connect(
            path, timeout=BUSY_MS / 1000, isolation_level=None, check_same_thread=False, cached_statements=32
        )
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
        if version == 0:
            self._connection.executescript(_SCHEMA)
        self.last_seq = int(run("SELECT coalesce(max(seq), 0) FROM flows").fetchone()[0])
        run("SELECT row FROM details ORDER BY seq DESC LIMIT 1").fetchone()

    def write(self, batch: Sequence[Ready]) -> None:
        """Store a batch, all or nothing. Raises sqlite3.Error or OSError when it could not."""
        if self.path.stat().st_ino != self._inode:
            raise FileNotFoundError(self.path)
        run = self._connection
        run.execute("BEGIN IMMEDIATE")
        try:
            run.executemany(_INSERT_FLOW, (_flow_values(item.row) for item in batch))
            run.executemany(_INSERT_DETAIL, ((item.row.seq, item.json, _storable(item.row.body)) for item in batch))
            run.execute("COMMIT")
        except BaseException:
            if run.in_transaction:
                run.execute("ROLLBACK")
            raise

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

    def _oldest(self, before: str = "~") -> list[tuple[int]]:
        rows = self._connection.execute(
            "SELECT seq FROM (SELECT seq, started_at FROM flows ORDER BY seq LIMIT ?) WHERE started_at < ?",
            (PURGE_ROWS, before),
        )
        return rows.fetchall()

    def _delete(self, numbers: Iterable[tuple[int]]) -> None:
        run = self._connection
        run.execute("BEGIN IMMEDIATE")
        try:
            numbers = list(numbers)
            run.executemany("DELETE FROM flows WHERE seq = ?", numbers)
            run.executemany("DELETE FROM details WHERE seq = ?", numbers)
            run.execute("COMMIT")
        except BaseException:
            if run.in_transaction:
                run.execute("ROLLBACK")
            raise
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


def is_damage(error: BaseException) -> bool:
    """Say whether an error means that the file is not a sound database, as against being full or locked."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return isinstance(error, sqlite3.DatabaseError) and code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def move_aside(path: Path, stamp: str) -> Path:
    """Rename a damaged log and its companions; gives the new name. ``stamp`` goes into it."""
    aside = path.with_name(f"{path.name}.corrupt-{stamp}")
    path.replace(aside)
    for suffix in ("-wal", "-shm"):
        companion = path.with_name(path.name + suffix)
        if companion.exists():
            companion.replace(aside.with_name(aside.name + suffix))
    return aside


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


def select(connection: sqlite3.Connection, wanted: FlowFilter, below: int, limit: int) -> list[dict[str, Any]]:
    """Give rows with a smaller ``seq`` than ``below``, newest first."""
    sql, values = page_query(wanted, below, limit)
    return [orjson.loads(row) for (row,) in connection.execute(sql, values)]


def page_query(wanted: FlowFilter, below: int, limit: int) -> tuple[str, list[Any]]:
    """Give the statement of one page and its values. Its parts are constants; no value is ever part of the text."""
    conditions, values = ["f.seq < ?"], [below]
    for condition, value in _conditions(wanted):
        conditions.append(condition)
        values += value
    return _PAGE + " AND ".join(conditions) + _NEWEST_FIRST, [*values, limit]


def _conditions(wanted: FlowFilter) -> Iterable[tuple[str, list[Any]]]:
    if wanted.cause == "*":
        yield "f.cause IS NOT NULL", []
    elif prefix := wanted.cause_prefix:
        # "/" follows "." in ASCII, so this is the range of all slugs with the prefix.
        yield "f.cause >= ? AND f.cause < ?", [prefix, prefix[:-1] + "/"]
    elif wanted.cause:
        yield "f.cause = ?", [wanted.cause]
    for condition, value in (
        ("f.fault = ?", wanted.fault),
        ("f.provider = ?", wanted.provider),
        ("f.model = ?", wanted.model),
        ("f.tenant = ?", wanted.tenant),
        ("f.kind = ?", wanted.kind),
        ("f.started_at >= ?", wanted.since),
    ):
        if value:
            yield condition, [_storable(value)]
    if span := wanted.status_range:
        yield "f.status BETWEEN ? AND ?", list(span)
    for term in wanted.terms:
        yield "instr(f.search, ?)", [_storable(term)]


def select_one(connection: sqlite3.Connection, flow_id: str) -> dict[str, Any] | None:
    """Give one row with its body, or None."""
    found = connection.execute(
        "SELECT d.row, d.body FROM flows AS f JOIN details AS d ON d.seq = f.seq WHERE f.id = ?", (flow_id,)
    ).fetchone()
    return None if found is None else {**orjson.loads(found[0]), "body": found[1]}


def _flow_values(row: FlowRow) -> tuple[Any, ...]:
    return (
        row.seq, row.id, row.started_at, row.kind, _storable(row.tenant), row.provider, _storable(row.model),
        row.status, row.cause, row.fault, _storable(search_text(row)),
    )  # fmt: skip


def _storable(text: str | None) -> str | None:
    """SQLite takes valid Unicode only; a lone surrogate would fail the whole batch."""
    return text if text is None or text.isascii() else text.encode("utf-8", "replace").decode()


def _claim(path: Path) -> None:
    """Make sure that the file is ours alone before SQLite opens it; its companions get the same mode.

    An existing file is not opened here: closing it again would drop the locks that SQLite holds on it in this process.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode):
            raise StoreError(f"{path} is not a plain file. Remove it; the log is kept in a plain file.") from None
        if hasattr(os, "getuid") and found.st_uid != os.getuid():
            raise StoreError(f"{path} belongs to another user. Use another state directory (--state DIR).") from None
        if stat.S_IMODE(found.st_mode) & 0o077:
            path.chmod(0o600)
