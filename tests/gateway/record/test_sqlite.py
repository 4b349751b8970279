"""The file: what it looks like, how it ends, and how it behaves when it is not what we left."""

import os
import sqlite3
import stat
import time
from contextlib import closing
from pathlib import Path

import pytest

from gateway.record.backends.reading import select, select_one
from gateway.record.backends.sqlite import (
    FlowStore,
    NewerSchemaError,
    Ready,
    StoreError,
    open_read_only,
)
from gateway.record.filter import FlowFilter
from gateway.sqlite_file import is_damage
from tests.gateway.record.made import a_row, bytes_on_disk

CANARY = "CANARYa1b2c3d4e5f6"


def test_the_file_and_its_companions_are_private_from_the_first_moment(path: Path) -> None:
    """Whatever the umask of the terminal says."""
    before = os.umask(0)
    try:
        store = FlowStore(path)
        store.write([Ready.of(a_row(1))])
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
        store.close()
    finally:
        os.umask(before)
    assert set(modes.values()) == {0o600}
    assert {"flows.db", "flows.db-wal"} <= set(modes)


def test_a_file_that_others_can_read_is_closed_to_them(path: Path) -> None:
    """A copy brought back from somewhere."""
    FlowStore(path).close()
    path.chmod(0o644)
    FlowStore(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_link_is_refused(path: Path, tmp_path: Path) -> None:
    """Nobody shall make us write elsewhere."""
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="not a plain file"):
        FlowStore(path)
    assert not (tmp_path / "elsewhere").exists()


def test_a_newer_log_is_refused_and_left_alone(path: Path) -> None:
    """The message says what to do."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    before = path.read_bytes()
    with pytest.raises(NewerSchemaError, match="Update whygate"):
        FlowStore(path)
    assert path.read_bytes() == before


def test_rows_come_back_as_they_were(path: Path) -> None:
    """The body only when one asks for the one row."""
    store = FlowStore(path)
    row = a_row(5, cause="unknown", body="why", attempts=({"n": 1},), request_headers=(("via", "x"),))
    store.write([Ready.of(row)])
    with closing(open_read_only(path)) as connection:
        [found] = select(connection, FlowFilter(), 10, 10)
        whole = select_one(connection, row.id)
    assert "body" not in found or found["body"] is None
    assert whole is not None
    assert {**whole, "attempts": tuple(whole["attempts"]), "request_headers": row.request_headers,
            "response_headers": ()} == row.as_dict()  # fmt: skip
    store.close()


def test_text_that_is_no_unicode_does_not_lose_the_row(path: Path) -> None:
    """A lone surrogate comes from a badly decoded name."""
    store = FlowStore(path)
    store.write([Ready.of(a_row(1, model="gpt\ud800", body="\udfff", tenant="\ud801"))])
    with closing(open_read_only(path)) as connection:
        assert select_one(connection, a_row(1).id) is not None
    store.close()


def test_deleted_rows_are_gone_from_the_bytes(path: Path) -> None:
    """Retention is a promise about the disk, not about a query."""
    store = FlowStore(path)
    store.write([Ready.of(a_row(n, path=f"/{CANARY}", body=CANARY * 20)) for n in range(1, 200)])
    assert CANARY.encode() in bytes_on_disk(path)
    assert store.purge(before="2027-01-01", max_bytes=2**40) == 199
    assert CANARY.encode() not in bytes_on_disk(path)
    store.close()


def test_age_takes_only_what_is_old(path: Path) -> None:
    """Rows compare by the moment they began."""
    store = FlowStore(path)
    days = ["2026-01-01T00:00:00.000Z", "2026-02-01T00:00:00.000Z", "2026-03-01T00:00:00.000Z"]
    store.write([Ready.of(a_row(n, started_at=day)) for n, day in enumerate(days, 1)])
    assert store.purge(before="2026-02-15T00:00:00.000Z", max_bytes=2**40) == 2
    store.close()


def test_the_oldest_go_until_the_file_fits(path: Path) -> None:
    """And the space is given back."""
    store = FlowStore(path)
    for first in range(1, 3001, 500):
        store.write([Ready.of(a_row(n, body="x" * 1000)) for n in range(first, first + 500)])
    full = store.size_bytes()
    deleted = store.purge(before="", max_bytes=full // 2)
    with closing(open_read_only(path)) as connection:
        newest = select(connection, FlowFilter(), 10_000, 1)[0]["seq"]
    assert store.size_bytes() <= full // 2
    assert path.stat().st_size <= full // 2
    assert 0 < deleted < 3000
    assert newest == 3000
    store.close()


def test_damage_is_told_from_a_lock(path: Path) -> None:
    """One moves the file aside, the other must not."""
    path.write_bytes(b"not a database, but long enough to be read as one" * 100)
    with pytest.raises(sqlite3.DatabaseError) as caught:
        FlowStore(path)
    assert is_damage(caught.value)
    assert not is_damage(sqlite3.OperationalError("database is locked"))


def test_a_page_of_a_hundred_thousand_rows(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Prints what pages cost; asserts only what they hold."""
    store = FlowStore(path)
    for first in range(1, 100_001, 500):
        store.write(
            [
                Ready.of(
                    a_row(n, cause="service.overloaded" if n % 97 == 0 else None, status=503 if n % 97 == 0 else 200)
                )
                for n in range(first, first + 500)
            ]
        )
    store.close()
    cases = {
        "newest": FlowFilter(),
        "failures": FlowFilter(cause="*"),
        "family": FlowFilter(cause="service.*"),
        "5xx": FlowFilter(status="5xx"),
        "text, no match": FlowFilter(q="nowhere to be found"),
        "provider, no match": FlowFilter(provider="acme"),
    }
    for name, wanted in cases.items():
        began = time.perf_counter()
        with closing(open_read_only(path)) as connection:
            rows = select(connection, wanted, 2**60, 100)
        with capsys.disabled():
            print(f"\n  {name}: {(time.perf_counter() - began) * 1000:.1f} ms", end="")
        assert len(rows) == (0 if "no match" in name else 100)
        assert [row["seq"] for row in rows] == sorted((row["seq"] for row in rows), reverse=True)
