"""`insert_rows`: as many as there are, whatever their number."""

import sqlite3
from contextlib import closing

import pytest

from gateway.record.backends.inserting import insert_rows


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 63, 64, 65, 200, 500])
def test_every_row_is_inserted_once(count: int) -> None:
    rows = [(number, f"text {number}") for number in range(count)]
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE rows (number INTEGER PRIMARY KEY, text TEXT)")
        insert_rows(connection, "rows", iter(rows))
        assert connection.execute("SELECT number, text FROM rows ORDER BY number").fetchall() == rows


def test_a_row_that_is_refused_raises_and_all_can_be_undone() -> None:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.execute("CREATE TABLE rows (number INTEGER PRIMARY KEY)")
        connection.execute("BEGIN")
        with pytest.raises(sqlite3.IntegrityError):
            insert_rows(connection, "rows", [(number % 100,) for number in range(101)])
        connection.execute("ROLLBACK")
        assert connection.execute("SELECT count(*) FROM rows").fetchone() == (0,)
