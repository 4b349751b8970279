"""What the log keeps beside its rows to find them: bounded, and gone with them."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.record.backends import reading
from gateway.record.backends.blocks import BLOCK_ROWS, SMALL_BLOCKS, lines_with, packed, unpacked
from gateway.record.backends.reading import select
from gateway.record.backends.sqlite import FlowStore, Ready, open_read_only
from gateway.record.filter import FlowFilter
from tests.gateway.record.made import a_row, bytes_on_disk

CANARY = "CANARYa1b2c3d4e5f6"


def found(path: Path, limit: int = 10_000, **wanted: Any) -> list[int]:
    with closing(open_read_only(path)) as connection:
        return [row["seq"] for row in select(connection, FlowFilter(**wanted), 2**60, limit)]


def count(store: FlowStore, table: str) -> int:
    return int(store._connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def failed(seq: int, word: str = "", **changes: Any) -> Ready:
    said = {"title": "Too many", "what_happened": f"It was {word or seq}."}
    return Ready.of(a_row(seq, diagnosis=said, **changes))


def test_numbers_come_back_as_they_were() -> None:
    assert list(unpacked(packed(unpacked(packed(unpacked(b"")))))) == []
    numbers = unpacked((12).to_bytes(8, "little") + (2**60).to_bytes(8, "little") + b"half")
    assert list(numbers) == [12, 2**60]
    assert list(unpacked(packed(numbers))) == [12, 2**60]


@given(lines=st.lists(st.text("ab ", max_size=6), min_size=1, max_size=8), word=st.text("ab", min_size=1, max_size=3))
def test_the_lines_with_a_word_are_found(lines: list[str], word: str) -> None:
    text = "\n".join(lines).encode()
    assert list(lines_with(word.encode(), text)) == [n for n, line in enumerate(lines) if word in line]


def test_rows_that_come_alone_are_put_together(path: Path) -> None:
    """Not one block for each of them, and none lost."""
    store = FlowStore(path)
    for seq in range(1, 1001):
        store.write([failed(seq, f"n{seq}n")])
        assert count(store, "blocks") <= seq // BLOCK_ROWS + 1 + SMALL_BLOCKS
    assert count(store, "blocks") <= 1000 // BLOCK_ROWS + 1 + SMALL_BLOCKS
    store.close()
    assert found(path, q="was n77n") == [77]
    assert found(path, q="was") == list(range(1000, 0, -1))


def test_a_batch_that_failed_leaves_nothing_behind(path: Path) -> None:
    """Neither in the file, nor in what the writer remembers of it."""
    store = FlowStore(path)
    store.write([failed(1)])
    before = {table: count(store, table) for table in ("kinds", "blocks", "minutes", "flows", "details")}
    bad = failed(2, CANARY, model=CANARY, started_at="2026-11-11T11:11:11.000Z")
    with pytest.raises(sqlite3.IntegrityError):
        store.write([bad, failed(1)])
    assert {table: count(store, table) for table in before} == before
    store.write([bad, failed(3)])
    store.close()
    assert found(path, model=CANARY) == [2]
    assert found(path, q=CANARY) == [2]
    assert found(path, q="was") == [3, 2, 1]


def test_nothing_of_a_deleted_row_is_left_where_it_could_be_found(path: Path) -> None:
    """Neither its words nor its kind, as far as no other row has them."""
    store = FlowStore(path)
    store.write([failed(n, f"{CANARY} {n}", model=CANARY, key=CANARY, path=f"/v1/{CANARY}") for n in range(1, 700)])
    store.write([failed(n, started_at="2026-12-01T00:00:00.000Z") for n in range(700, 800)])
    assert CANARY.lower().encode() in bytes_on_disk(path)
    assert store.purge(before="2026-11-01", max_bytes=2**40) == 699
    assert CANARY.lower().encode() not in bytes_on_disk(path).lower()
    assert (count(store, "kinds"), count(store, "minutes"), count(store, "flows")) == (1, 1, 100)
    store.write([failed(900)])
    store.close()
    assert found(path, q="was") == [900, *range(799, 699, -1)]


def test_an_emptied_log_is_empty_everywhere(path: Path) -> None:
    store = FlowStore(path)
    for seq in range(1, 40):
        store.write([failed(seq, model=f"model-{seq}")])
    assert store.purge(before="2027-01-01", max_bytes=2**40) == 39
    assert {count(store, table) for table in ("kinds", "blocks", "minutes", "flows", "details")} == {0}
    store.write([failed(50, model="model-3")])
    store.close()
    assert found(path, model="model-3", q="50.") == [50]


def test_calls_that_end_late_stand_where_they_began(path: Path) -> None:
    """A long stream is written after many that began later."""
    store = FlowStore(path)
    store.write([failed(n, "late" if n % 100 == 5 else "") for n in range(1, 2001) if n % 1000 != 5])
    for seq in (5, 1005):
        store.write([failed(seq, "late")])
    store.write([failed(3000, "late")])
    store.close()
    assert found(path, 3, q="late") == [3000, 1905, 1805]
    every = [3000, *range(1905, 0, -100)]
    assert found(path, q="late") == every
    for limit in range(1, 22):
        assert found(path, limit, q="late") == every[:limit]


def test_a_clock_that_was_set_back_hides_nothing(path: Path) -> None:
    """Rows are numbered in the order of arrival, and found by the time that they say."""
    times = [f"2026-09-21T13:{minute:02d}:30.000Z" for minute in (10, 20, 30, 5, 15, 40, 2)]
    store = FlowStore(path)
    for seq, moment in enumerate(times, 1):
        store.write([failed(seq, started_at=moment)])
    store.close()
    for since in ("2026-09-21T13:15:00.000Z", "2026-09-21T13:20:30.000Z", "2026-09-21T13:20:31.000Z", "2027"):
        meant = [seq for seq, moment in reversed(list(enumerate(times, 1))) if moment >= since]
        assert found(path, since=since) == meant
        assert found(path, since=since, q="was") == meant
        assert found(path, since=since, model="gpt-5-mini") == meant


def test_a_page_is_one_moment_of_the_log(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row that is deleted between two steps of a reader was there at both."""
    store = FlowStore(path)
    store.write([failed(n) for n in range(1, 10)])
    numbers = reading._numbers

    def and_delete(*given: Any) -> list[int]:
        result = numbers(*given)
        store.purge(before="2027-01-01", max_bytes=2**40)
        return result

    monkeypatch.setattr(reading, "_numbers", and_delete)
    assert found(path) == list(range(9, 0, -1))
    assert found(path) == []
    store.close()


def test_many_kinds_are_found_like_few(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FlowStore(path)
    store.write([failed(n, model=f"model-{n % 60}", tenant=f"team-{n % 7}") for n in range(1, 500)])
    store.close()
    few = [found(path, limit, tenant="team-3", q="model") for limit in (1, 20, 1000)]
    monkeypatch.setattr(reading, "MANY_KINDS", 2)
    assert [found(path, limit, tenant="team-3", q="model") for limit in (1, 20, 1000)] == few
    assert few[-1] == [n for n in range(499, 0, -1) if n % 7 == 3]


def test_the_writer_remembers_few_kinds_of_many(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.record.backends.kinds.KNOWN_MAX", 10)
    store = FlowStore(path)
    for _ in range(2):
        first = store.last_seq + count(store, "flows") + 1
        store.write([failed(first + n, model=f"model-{n}") for n in range(50)])
    assert count(store, "kinds") == 50
    assert len(store._kinds._known) <= 10
    store.close()
    assert found(path, model="model-7") == [58, 8]
