"""A log of version 1 is read as it is, and moves into the tables of today without a row being lost or missed."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gateway.model.flow import FlowRow
from gateway.record.backends.blocks import BLOCK_ROWS
from gateway.record.backends.reading import select, select_one
from gateway.record.backends.sqlite import FlowStore, Ready, open_read_only
from gateway.record.filter import FlowFilter
from gateway.record.query import Reader
from gateway.record.recorder import Recorder
from tests.gateway.record.earlier import write_version_1
from tests.gateway.record.made import HandClock, a_row, bytes_on_disk, until
from tests.gateway.record.test_recorder import run_one

CANARY = "CANARYa1b2c3d4e5f6"
ROWS = 3 * BLOCK_ROWS + 7


def rows(count: int = ROWS, first: int = 1, **changes: Any) -> list[FlowRow]:
    said = {"title": "Too many", "what_happened": "It was the 4,711th."}
    return [
        a_row(n, **({"model": f"model-{n % 5}", "diagnosis": said if n % 10 == 0 else None} | changes))
        for n in range(first, first + count)
    ]


def found(path: Path, limit: int = 10_000, **wanted: str) -> list[int]:
    with closing(open_read_only(path)) as connection:
        return [row["seq"] for row in select(connection, FlowFilter(**wanted), 2**60, limit)]


def move_all(store: FlowStore) -> int:
    moved = 0
    while count := store.move_earlier():
        moved += count
    return moved


def tables(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def test_it_is_read_as_it_is_when_no_gateway_runs(path: Path) -> None:
    """And not changed by that."""
    write_version_1(path, rows())
    before = path.read_bytes()
    reader = Reader.open(path)
    page = reader.page(FlowFilter(q="4,711th", model="model-0"), limit=3)
    assert [flow["seq"] for flow in page.flows] == [770, 760, 750]
    one = reader.get(a_row(5).id)
    assert one is not None
    for row in (*page.flows, one):
        assert set(row) == set(FlowRow.__slots__), "what was not known then has no value, and is there"
        assert (row["body"], row["app"], row["request_bytes"]) == (None, "", 0)
    assert path.read_bytes() == before


def test_every_row_is_there_at_every_step(path: Path) -> None:
    """Together with those that are written meanwhile."""
    write_version_1(path, rows())
    store = FlowStore(path)
    assert store.last_seq == ROWS
    steps = 0
    while True:
        steps += 1
        store.write([Ready.of(row) for row in rows(3, ROWS + 3 * steps)])
        newest = ROWS + 3 * steps + 2
        every = [*range(newest, ROWS + 2, -1), *range(ROWS, 0, -1)]
        assert found(path) == every
        assert found(path, 4) == every[:4]
        assert found(path, model="model-3") == [seq for seq in every if seq % 5 == 3]
        assert found(path, q="the 4,711th") == [seq for seq in every if seq % 10 == 0]
        with closing(open_read_only(path)) as connection:
            assert select_one(connection, a_row(1).id) is not None
        if not store.move_earlier():
            break
    store.close()
    assert steps == 5
    assert "flows_1" not in tables(path)


def test_moving_goes_on_where_it_was_left(path: Path) -> None:
    """A gateway that was killed in between."""
    write_version_1(path, rows())
    for _ in range(2):
        store = FlowStore(path)
        store.move_earlier()
        store.close()
        assert found(path) == list(range(ROWS, 0, -1))
    store = FlowStore(path)
    assert move_all(store) == ROWS - 2 * BLOCK_ROWS
    store.close()
    store = FlowStore(path)
    assert not store.has_earlier
    store.close()


def test_a_step_that_fails_changes_nothing(path: Path) -> None:
    write_version_1(path, rows())
    store = FlowStore(path)
    store._connection.execute("PRAGMA query_only = ON")
    with pytest.raises(sqlite3.OperationalError):
        store.move_earlier()
    store._connection.execute("PRAGMA query_only = OFF")
    assert found(path) == list(range(ROWS, 0, -1))
    assert move_all(store) == ROWS
    store.close()


def test_bodies_stay_with_their_rows(path: Path) -> None:
    write_version_1(path, [a_row(1, body="why"), a_row(2)])
    store = FlowStore(path)
    move_all(store)
    with closing(open_read_only(path)) as connection:
        bodies = [(select_one(connection, a_row(n).id) or {})["body"] for n in (1, 2)]
    assert bodies == ["why", None]
    store.close()


def test_a_spoilt_row_does_not_hold_up_the_others(path: Path) -> None:
    write_version_1(path, rows(9))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE details SET row = 'no JSON' WHERE seq = 4")
    store = FlowStore(path)
    assert move_all(store) == 9
    store.close()
    assert found(path) == [9, 8, 7, 6, 5, 3, 2, 1]


@pytest.mark.parametrize("steps", [0, 1, 5])
def test_what_is_deleted_is_gone_from_the_bytes_whether_or_not_it_was_moved(path: Path, steps: int) -> None:
    """The oldest first, wherever they are."""
    write_version_1(path, rows(ROWS, model=CANARY, path=f"/{CANARY}", tenant=CANARY.lower()))
    store = FlowStore(path)
    for _ in range(steps):
        store.move_earlier()
    store.write([Ready.of(a_row(ROWS + 1, started_at="2026-12-01T00:00:00.000Z"))])
    deleted = store.purge(before="2026-11-01", max_bytes=2**40)
    assert deleted == ROWS
    move_all(store)
    assert found(path) == [ROWS + 1]
    assert CANARY.lower().encode() not in bytes_on_disk(path).lower()
    store.close()


def test_a_gateway_moves_an_old_log_while_it_works(path: Path, clock: HandClock) -> None:
    """It starts at once, and ends at once in between."""
    write_version_1(path, rows(20 * BLOCK_ROWS))
    recorder = Recorder(path, clock)
    recorder.start()
    first = run_one(recorder)
    until(lambda: recorder.health()["written"] == 1)
    recorder.close()
    assert "flows_1" in tables(path), "there was no time to move all"
    recorder = Recorder(path, clock)
    recorder.start()
    until(lambda: "flows_1" not in tables(path), 20)
    assert recorder.health()["degraded"] is None
    recorder.close()
    assert found(path, 1, q=first)
    assert len(found(path)) == 20 * BLOCK_ROWS + 1
