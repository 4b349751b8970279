"""The file behind the SQLite store: keys, sizes, times and sealed bytes. Knows nothing of threads and waits.

A narrow table to look things up in, a wide one with the bytes: an entry's use is noted without touching its answer.
Text is kept as bytes, since a name from an app's JSON need not be valid Unicode.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from gateway.cache.backend import ENTRY_BYTES, Contents, Size, Wanted
from gateway.cache.backends._entries import is_meant, size_bytes
from gateway.model.decision import Label, StoredReply
from gateway.sqlite_file import COMPANIONS, claim

SCHEMA_VERSION = 1
BUSY_MS = 50
"""Short: while we wait for a lock of another program, all hits wait."""
MARKS_MAX = 1_000
"""As many uses are noted in memory before they are written."""
BATCH_ROWS = 500
"""As many entries go in one transaction, so that hits come in between."""
BATCH_PAGES = 2_000

_SCHEMA = """
BEGIN;
CREATE TABLE entries (
  id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, kept_until REAL NOT NULL, used INTEGER NOT NULL,
  size INTEGER NOT NULL, stored_at REAL NOT NULL, provider BLOB NOT NULL, endpoint BLOB NOT NULL, model BLOB NOT NULL,
  credential BLOB NOT NULL, tenant BLOB NOT NULL, rule BLOB NOT NULL);
CREATE INDEX entries_used ON entries (used, size);
CREATE INDEX entries_kept ON entries (kept_until);
CREATE INDEX entries_stored ON entries (stored_at);
CREATE TABLE answers (id INTEGER PRIMARY KEY, sealed BLOB NOT NULL);
PRAGMA user_version = 1;
COMMIT;
"""
_LABEL = "provider, endpoint, model, credential, tenant, rule"
# A damaged page may hold anything; our own sums stay numbers, and none of them can lift the cap.
_SIZE = f"max(CAST(size AS INTEGER), {ENTRY_BYTES})"
_TOTAL = f"CAST(total({_SIZE}) AS INTEGER)"
_FIND = (
    "SELECT e.id, a.sealed FROM entries AS e LEFT JOIN answers AS a ON a.id = e.id WHERE e.key = ? AND e.kept_until > ?"
)
_NEWEST = (
    "SELECT e.id, e.key, a.sealed FROM entries AS e LEFT JOIN answers AS a ON a.id = e.id"
    " ORDER BY e.stored_at DESC LIMIT 1"
)
_WANTED = (
    f"SELECT id, {_SIZE} FROM entries WHERE id > ? AND (? = x'' OR credential = ?)"  # noqa: S608 - constants
    " AND (? IS NULL OR stored_at < ?) AND (? = x'' OR is_meant(model, ?)) ORDER BY id LIMIT ?"
)
_OVER = f"SELECT id, {_SIZE} FROM entries WHERE kept_until <= ? LIMIT ?"  # noqa: S608 - constants
_OLD = f"SELECT id, {_SIZE} FROM entries WHERE key = ?"  # noqa: S608 - constants
_UNUSED_LONGEST = f"SELECT id, {_SIZE} FROM entries ORDER BY used"  # noqa: S608 - constants
_INSERT = "INSERT INTO entries VALUES (NULL,?,?,?,?,?,?,?,?,?,?,?)"
_LAST_USE = "SELECT min(coalesce(CAST(max(used) AS INTEGER), 0), 1 << 62) FROM entries"
_COUNT = f"SELECT count(*), {_TOTAL}, CAST(min(stored_at) AS REAL) FROM entries"  # noqa: S608 - constants
_BY_LABEL = f"SELECT {_LABEL}, count(*), {_TOTAL} FROM entries GROUP BY {_LABEL}"  # noqa: S608 - constants

Row = tuple[int, int]
"""An entry's number and what it counts, in bytes."""


class UnusableFileError(Exception):
    """The file is whole, but no cache that this version can use.

    Attributes:
        newer: It is one of a newer version.
    """

    def __init__(self, newer: bool) -> None:  # noqa: FBT001 - one fact
        super().__init__("a newer version wrote it" if newer else "it is another program's")
        self.newer = newer


class Batch(NamedTuple):
    """What a step of a longer removal did: how many went, and after which entry to go on; None when it is done."""

    removed: int
    after: int | None


class CacheFile:
    """One open file. All methods may raise sqlite3.Error or OSError, and then have changed nothing.

    Attributes:
        size_bytes: Of all entries, as they count against the cap.
        unclean: Bytes of entries that are gone may still be in the files.
    """

    def __init__(self, path: Path, max_bytes: int) -> None:
        """Open or create it.

        Raises:
            UnusableFileError: It is a newer version's, or another program's.
            sqlite3.Error: It cannot be read; see `gateway.sqlite_file.is_damage`.
            OSError: It cannot be made, or is not ours.
        """
        self._path = path
        self._max_bytes = max_bytes
        self._marks: dict[int, int] = {}
        self.unclean = True
        claim(path, "cache")
        self._connection = sqlite3.connect(path, timeout=BUSY_MS / 1000, isolation_level=None, cached_statements=32)
        # A damaged page may hold text in place of bytes.
        self._connection.text_factory = bytes
        try:
            self._prepare()
            self._inode = path.stat().st_ino
        except BaseException:
            self._connection.close()
            raise

    def _prepare(self) -> None:
        run = self._connection.execute
        version = int(run("PRAGMA user_version").fetchone()[0])
        is_new = version == 0 and run("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
        if version != SCHEMA_VERSION and not is_new:
            raise UnusableFileError(newer=version > SCHEMA_VERSION)
        run("PRAGMA secure_delete = ON")
        if is_new:
            # Must come before the first table; lets removed entries give their space back.
            run("PRAGMA auto_vacuum = INCREMENTAL")
        run("PRAGMA journal_mode = WAL")
        # After a power cut the last entries may be missing, the file stays whole.
        run("PRAGMA synchronous = NORMAL")
        run("PRAGMA journal_size_limit = 4194304")
        if is_new:
            self._connection.executescript(_SCHEMA)
        self._connection.create_function("is_meant", 2, _is_meant, deterministic=True)
        try:
            self.size_bytes = int(run(_COUNT).fetchone()[1])
            self._uses = int(run(_LAST_USE).fetchone()[0])
            run(_FIND, (b"", 0.0)).fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_ERROR:
                raise UnusableFileError(newer=False) from None
            raise
        while self.size_bytes > self._max_bytes:
            self._remove(list(self._evicted(self.size_bytes))[:BATCH_ROWS])

    def is_there(self) -> bool:
        """Say whether the file is still the one under its name."""
        try:
            return self._path.stat().st_ino == self._inode
        except FileNotFoundError:
            return False

    def find(self, key: bytes, now: float) -> tuple[int, Any] | None:
        """Give an entry's number and the bytes that it should have, or None."""
        found: tuple[int, Any] | None = self._connection.execute(_FIND, (key, now)).fetchone()
        return found

    def newest(self) -> tuple[int, Any, Any] | None:
        """Give number, key and bytes of the entry that was stored last."""
        found: tuple[int, Any, Any] | None = self._connection.execute(_NEWEST).fetchone()
        return found

    def use(self, number: int) -> None:
        """Note that an entry was used. A note that cannot be written is lost; it decides only what goes first."""
        self._uses += 1
        self._marks[number] = self._uses
        if len(self._marks) >= MARKS_MAX:
            self.write_marks()

    def write_marks(self) -> None:
        """Write the notes of use, where possible."""
        with suppress(sqlite3.Error), self._transaction():
            self._write_marks()
        self._marks.clear()

    def put(self, key: bytes, sealed: bytes, reply: StoredReply) -> bool:
        """Store an entry and make room for it. Gives whether it took the place of an older one of its key."""
        size = size_bytes(reply)
        with self._transaction() as run:
            self._write_marks()
            old = run(_OLD, (key,)).fetchall()
            self._delete(old)
            total = self.size_bytes - _sum(old)
            evicted: list[Row] = []
            if size <= self._max_bytes:
                evicted += self._evicted(total + size)
                self._delete(evicted)
                total += size - _sum(evicted)
                number = run(_INSERT, (key, *_columns(reply, self._uses + 1, size))).lastrowid
                # A number may be left over from a damaged entry.
                run("INSERT OR REPLACE INTO answers VALUES (?,?)", (number, sealed))
        self._uses += 1
        self._marks.clear()
        self.size_bytes = total
        self.unclean = self.unclean or bool(old or evicted)
        return bool(old)

    def remove(self, number: int) -> None:
        """Remove one entry."""
        self._remove(self._connection.execute(f"SELECT id, {_SIZE} FROM entries WHERE id = ?", (number,)).fetchall())  # noqa: S608

    def clear(self, wanted: Wanted, after: int) -> Batch:
        """Remove some of what is wanted, beginning after an entry's number."""
        credential, model = _as_bytes(wanted.key), _as_bytes(wanted.model)
        rows = self._connection.execute(
            _WANTED, (after, credential, credential, wanted.before, wanted.before, model, model, BATCH_ROWS)
        ).fetchall()
        return self._removed(rows)

    def sweep(self, now: float) -> Batch:
        """Remove some of what may not be given any more."""
        return self._removed(self._connection.execute(_OVER, (now, BATCH_ROWS)).fetchall())

    def shrink(self) -> bool:
        """Give free pages back to the disk, some at a time; False when there are none left."""
        run = self._connection.execute
        run(f"PRAGMA incremental_vacuum({BATCH_PAGES})").fetchall()
        return bool(run("PRAGMA freelist_count").fetchone()[0])

    def empty_log(self) -> None:
        """Bring everything from the write-ahead log into the file, and empty the log.

        Raises:
            sqlite3.Error: Another program reads or writes the file just now.
        """
        busy = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        if busy:
            raise sqlite3.OperationalError(f"another program uses {self._path}: close it, then clear the cache again")
        self.unclean = False

    def contents(self, damaged: int) -> Contents:
        """Say what there is."""
        entries, _, oldest_at = self._connection.execute(_COUNT).fetchone()
        by_label: dict[Label, Size] = {}
        for *columns, count, size in self._connection.execute(_BY_LABEL):
            label = _label(columns)
            more = by_label.get(label, Size(0, 0))
            by_label[label] = Size(count + more.entries, size + more.size_bytes)
        return Contents(entries, self.size_bytes, self._disk_bytes(), oldest_at, by_label, damaged)

    def interrupt(self) -> None:
        """Make what runs now end early, with an error. From any thread."""
        self._connection.interrupt()

    def close(self) -> None:
        """Write what is left where possible, and close."""
        self.write_marks()
        try:
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.Error:
            pass
        finally:
            self._connection.close()

    @contextmanager
    def _transaction(self) -> Iterator[Any]:
        run = self._connection.execute
        run("BEGIN IMMEDIATE")
        try:
            yield run
            run("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                with suppress(sqlite3.Error):
                    run("ROLLBACK")
            raise

    def _write_marks(self) -> None:
        marks = ((used, number) for number, used in self._marks.items())
        self._connection.executemany("UPDATE entries SET used = ? WHERE id = ?", marks)

    def _evicted(self, total_bytes: int) -> Iterator[Row]:
        """Give those that go, unused for longest first, so that a total falls to the cap."""
        if total_bytes <= self._max_bytes:
            return
        for number, size in self._connection.execute(_UNUSED_LONGEST):
            yield number, size
            total_bytes -= size
            if total_bytes <= self._max_bytes:
                return

    def _removed(self, rows: Sequence[Row]) -> Batch:
        self._remove(rows)
        return Batch(len(rows), rows[-1][0] if len(rows) == BATCH_ROWS else None)

    def _remove(self, rows: Sequence[Row]) -> None:
        if not rows:
            return
        with self._transaction():
            self._write_marks()
            self._delete(rows)
        self._marks.clear()
        self.size_bytes -= _sum(rows)
        self.unclean = True

    def _delete(self, rows: Sequence[Row]) -> None:
        numbers = [(number,) for number, _ in rows]
        self._connection.executemany("DELETE FROM entries WHERE id = ?", numbers)
        self._connection.executemany("DELETE FROM answers WHERE id = ?", numbers)

    def _disk_bytes(self) -> int:
        files = [self._path, *(self._path.with_name(self._path.name + suffix) for suffix in COMPANIONS)]
        return sum(file.stat().st_size for file in files if file.exists())


def _columns(reply: StoredReply, used: int, size: int) -> tuple[Any, ...]:
    label = reply.label
    texts = (label.provider, label.endpoint, label.model, label.key, label.tenant, label.rule)
    return (reply.kept_until, used, size, reply.stored_at, *map(_as_bytes, texts))


def _label(columns: Sequence[object]) -> Label:
    provider, endpoint, model, key, tenant, rule = map(_as_text, columns)
    return Label(provider=provider, endpoint=endpoint, model=model, key=key, tenant=tenant, rule=rule)


def _sum(rows: Sequence[Row]) -> int:
    return sum(size for _, size in rows)


def _is_meant(model: object, glob: object) -> bool:
    return is_meant(_as_text(model), _as_text(glob))


def _as_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _as_text(column: object) -> str:
    if not isinstance(column, bytes):
        return ""
    try:
        return column.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return column.decode("utf-8", "replace")
