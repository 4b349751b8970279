"""The store in a file: the contract, what outlives the process, and what happens to a file that is not what we left."""

import asyncio
import logging
import os
import random
import resource
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from gateway.cache.backend import Place, Store, Wanted
from gateway.cache.backends import _worker, sqlite
from gateway.cache.backends._cache_file import CacheFile
from gateway.cache.backends._worker import Worker
from gateway.cache.backends.sqlite import BACKEND, SqliteStore
from gateway.model.decision import StoredReply
from tests.gateway.cache.contract import Opening, StoreContract, a_reply, counted, held, of, sized

SECRET = b"s" * 32
CANARY = b"CANARYa1b2c3d4e5f6"
BIG = CANARY + b"." * 20_000 + CANARY
STAYS = a_reply(b"stays" * 500, kept_until=50.0)
CAP = 100_000_000

Reopening = Callable[..., Store]


class TestSqliteStore(StoreContract):
    @pytest.fixture
    def opening(self, tmp_path: Path) -> Opening:
        numbers = iter(range(1_000))

        def in_a_directory_of_its_own(max_bytes: int) -> Store:
            directory = tmp_path / str(next(numbers))
            directory.mkdir()
            return BACKEND.open(Place(max_bytes, directory, SECRET))

        return in_a_directory_of_its_own


@pytest.fixture
async def reopen(tmp_path: Path) -> AsyncIterator[Reopening]:
    """Opens the store of this directory, again and again; all are closed at the end."""
    opened: list[Store] = []

    def open_one(max_bytes: int = CAP, secret: bytes = SECRET) -> Store:
        opened.append(BACKEND.open(Place(max_bytes, tmp_path, secret)))
        return opened[-1]

    yield open_one
    for store in opened:
        await store.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache.db"


def on_disk(path: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(path.parent.iterdir()))


def names(directory: Path) -> set[str]:
    return {file.name for file in directory.iterdir()}


def link(path: Path, target: Path) -> None:
    path.symlink_to(target)


def delete(*paths: Path) -> None:
    for path in paths:
        path.unlink()


def overwrite(path: Path, chance: random.Random) -> None:
    """Put 4 KiB of noise somewhere."""
    with path.open("r+b") as file:
        file.seek(chance.randrange(path.stat().st_size - 4_096))
        file.write(chance.randbytes(4_096))


def change(path: Path, sql: str, *values: object) -> None:
    """What another program does to the file."""
    with closing(sqlite3.connect(path)) as other, other:
        other.execute(sql, values)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    assert [record for record in caplog.records if record.exc_info] == [], "no traceback for what we foresee"
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


async def test_answers_outlive_the_store(reopen: Reopening) -> None:
    first = reopen()
    reply = a_reply(BIG, label=of("m\ud800"), stored_at=5.0)
    await first.put(b"k", reply)
    before = await first.contents()
    await first.close()
    second = reopen()
    assert await second.get(b"k", 0.0) == reply
    assert await second.latest() == 5.0
    assert (await second.contents())[:2] + (await second.contents())[3:] == before[:2] + before[3:]


async def test_what_was_used_is_known_after_closing(tmp_path: Path) -> None:
    first = BACKEND.open(Place(6_000, tmp_path, SECRET))
    for name in (b"a", b"b", b"c"):
        await first.put(name, sized(2_000))
    assert await held(first, b"a") == [b"a"]
    await first.close()
    second = BACKEND.open(Place(6_000, tmp_path, SECRET))
    await second.put(b"d", sized(2_000))
    assert await held(second, b"a", b"b", b"c", b"d") == [b"a", b"c", b"d"]
    await second.close()


async def test_a_lower_cap_holds_from_the_first_use_on(tmp_path: Path) -> None:
    first = BACKEND.open(Place(CAP, tmp_path, SECRET))
    for number in range(1_200):
        await first.put(b"%d" % number, sized(1_000))
    await first.close()
    second = BACKEND.open(Place(3_500, tmp_path, SECRET))
    assert (await second.contents())[:2] == (3, 3_000)
    assert await held(second, b"1197", b"1198", b"1199", b"0") == [b"1197", b"1198", b"1199"]
    await second.close()


async def test_making_one_opens_nothing_and_closing_it_ends_its_thread(tmp_path: Path) -> None:
    store = BACKEND.open(Place(CAP, tmp_path / "not there yet", SECRET))
    await store.close()
    assert names(tmp_path) == set()
    store = BACKEND.open(Place(CAP, tmp_path, SECRET))
    assert names(tmp_path) == set()
    await store.put(b"k", a_reply())
    assert [thread for thread in threading.enumerate() if thread.name.startswith("whygate-cache")]
    await store.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("whygate-cache")]
    with pytest.raises(OSError, match="closed"):
        await store.get(b"k", 0.0)


async def test_without_a_directory_it_keeps_answers_in_memory() -> None:
    store = BACKEND.open(Place(CAP))
    await store.put(b"k", a_reply())
    assert await held(store, b"k") == [b"k"]
    assert (await store.contents()).disk_bytes == 0


async def test_the_file_and_its_companions_are_private_whatever_the_umask(reopen: Reopening, path: Path) -> None:
    before = os.umask(0)
    try:
        await reopen().put(b"k", a_reply())
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    finally:
        os.umask(before)
    assert set(modes.values()) == {0o600}
    assert {"cache.db", "cache.db-wal"} <= set(modes)


async def test_a_link_is_refused_until_it_is_gone(reopen: Reopening, path: Path, tmp_path: Path) -> None:
    link(path, tmp_path / "elsewhere")
    store = reopen()
    with pytest.raises(OSError, match="not a plain file"):
        await store.put(b"k", a_reply())
    assert names(tmp_path) == {"cache.db"}
    delete(path)
    await store.put(b"k", a_reply())
    assert await held(store, b"k") == [b"k"]


# What is removed leaves no bytes behind.


@pytest.mark.parametrize("body", [CANARY, BIG, CANARY * 50], ids=["short", "of many pages", "of one page"])
@pytest.mark.parametrize("how", ["clear", "clear one model", "sweep", "evict and sweep", "replace"])
async def test_no_byte_of_what_was_removed_is_left_in_any_file(
    reopen: Reopening, path: Path, body: bytes, how: str
) -> None:
    store = reopen(300_000)
    for number in range(5):
        reply = a_reply(body, label=of(f"model-{CANARY.decode()}"), headers=((b"x", CANARY),), kept_until=5.0)
        await store.put(b"k%d" % number, reply)
        await store.put(b"other%d" % number, STAYS)
    assert await store.sweep(0.0) == 0
    assert CANARY in on_disk(path)
    match how:
        case "clear":
            assert await store.clear(Wanted()) == 10
        case "clear one model":
            assert await store.clear(Wanted(model="model-*")) == 5
        case "sweep":
            assert await store.sweep(5.0) == 5
        case "evict and sweep":
            assert await held(store, *(b"other%d" % number for number in range(5)), now=5.0)
            await store.put(b"large", sized(300_000 - 5 * counted(STAYS), kept_until=50.0))
            assert await store.sweep(0.0) == 0
        case "replace":
            for number in range(5):
                await store.put(b"k%d" % number, a_reply(b"new" * 1_000))
    assert CANARY not in on_disk(path)
    if how == "sweep":
        assert len(await held(store, *(b"other%d" % number for number in range(5)), now=5.0)) == 5


async def test_clearing_gives_the_disk_back_and_takes_damaged_files_along(reopen: Reopening, path: Path) -> None:
    store = reopen()
    for number in range(300):
        await store.put(b"%d" % number, a_reply(os.urandom(20_000)))
    full = (await store.contents()).disk_bytes
    aside = path.with_name("cache.db.corrupt-2026")
    aside.write_bytes(CANARY)
    await store.clear(Wanted(model="another"))
    assert not aside.exists(), "it holds answers of every kind"
    await store.clear(Wanted())
    assert (await store.contents()).disk_bytes < full / 20


async def test_clearing_says_so_when_another_program_keeps_the_bytes(reopen: Reopening, path: Path) -> None:
    store = reopen()
    await store.put(b"k", a_reply(BIG))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM entries").fetchone()
        with pytest.raises(sqlite3.OperationalError, match="close it"):
            await store.clear(Wanted())
    assert await store.sweep(0.0) == 0
    assert CANARY not in on_disk(path)


# Damage is a miss.


@pytest.mark.parametrize("at", [0, 1, 40, 100, -1], ids=str)
async def test_a_changed_byte_is_a_miss_that_is_counted_and_told_once(
    reopen: Reopening, path: Path, caplog: pytest.LogCaptureFixture, at: int
) -> None:
    store = reopen()
    for key in (b"a", b"b", b"c"):
        await store.put(key, a_reply(BIG))
    with closing(sqlite3.connect(path)) as other, other:
        for number, sealed in other.execute("SELECT id, sealed FROM answers WHERE id < 3").fetchall():
            changed = bytearray(sealed)
            changed[at] ^= 4
            other.execute("UPDATE answers SET sealed = ? WHERE id = ?", (bytes(changed), number))
    assert await held(store, b"a", b"b", b"c") == [b"c"]
    contents = await store.contents()
    assert (contents.entries, contents.size_bytes, contents.damaged) == (1, counted(a_reply(BIG)), 2)
    assert len(warnings(caplog)) == 1
    assert warnings(caplog)[0].startswith("whygate: ")


async def test_an_answer_under_another_key_is_not_given(reopen: Reopening, path: Path) -> None:
    store = reopen()
    await store.put(b"mine", a_reply(b"secret"))
    await store.put(b"yours", a_reply(b"other"))
    change(path, "UPDATE answers SET sealed = (SELECT sealed FROM answers WHERE id = 1) WHERE id = 2")
    assert await held(store, b"mine", b"yours") == [b"mine"]


async def test_an_answer_without_bytes_or_of_another_type_is_a_miss(reopen: Reopening, path: Path) -> None:
    store = reopen()
    for key in (b"a", b"b", b"c"):
        await store.put(key, a_reply())
    change(path, "DELETE FROM answers WHERE id = 1")
    change(path, "UPDATE answers SET sealed = 'text' WHERE id = 2")
    assert await held(store, b"a", b"b", b"c") == [b"c"]


async def test_bytes_that_damage_left_behind_are_in_nobodys_way(reopen: Reopening, path: Path) -> None:
    store = reopen()
    await store.latest()
    change(path, "INSERT INTO answers VALUES (1, x'00')")
    await store.put(b"k", a_reply())
    assert await held(store, b"k") == [b"k"]


async def test_a_time_in_the_table_does_not_prolong_an_answer_nor_move_all_time(reopen: Reopening, path: Path) -> None:
    store = reopen()
    await store.put(b"k", a_reply(kept_until=10.0, stored_at=3.0))
    change(path, "UPDATE entries SET kept_until = 1e300, stored_at = 1e300")
    assert await store.get(b"k", 10.0) is None
    assert await store.latest() == 3.0


async def test_after_a_change_of_the_secret_nothing_is_given_and_time_is_what_is_left(
    reopen: Reopening, caplog: pytest.LogCaptureFixture
) -> None:
    first = reopen()
    for number in range(600):
        await first.put(b"%d" % number, a_reply(stored_at=float(number)))
    await first.close()
    second = reopen(secret=b"t" * 32)
    assert await second.get(b"1", 0.0) is None
    assert await second.latest() == 0.0
    assert (await second.contents()).entries == 0
    assert len(warnings(caplog)) == 1


async def test_odd_values_in_any_column_fail_no_call(reopen: Reopening, path: Path) -> None:
    """As a damaged page may hold them."""
    columns = ("kept_until", "used", "size", "stored_at", "provider", "model", "credential", "key")
    oddities = (str(2**63 - 1), str(-(2**63)), "'text'", "x'fffe'", "CAST(x'fffe' AS TEXT)", "9e999")
    for number, (column, odd) in enumerate((column, odd) for column in columns for odd in oddities):
        store = reopen(10_000)
        await store.put(b"k%d" % number, a_reply())
        change(path, f"UPDATE entries SET {column} = {odd} WHERE id = (SELECT max(id) FROM entries)")
        await store.close()
        store = reopen(10_000)
        await store.put(b"n", a_reply(b"good"))
        await store.contents()
        assert await store.latest() == 0.0
        await store.clear(Wanted(model="x*", key="y", before=0.0))
        found = await store.get(b"n", 0.0)
        assert found is not None
        assert found.body == b"good"
        await store.clear(Wanted())
        assert (await store.contents())[:2] == (0, 0)
        await store.close()


async def test_a_file_of_a_newer_version_is_kept_aside_under_a_name_that_says_so(
    reopen: Reopening, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = reopen()
    await first.put(b"k", a_reply())
    await first.close()
    change(path, "PRAGMA user_version = 2")
    second = reopen()
    assert await second.get(b"k", 0.0) is None
    await second.put(b"k", a_reply())
    assert await held(second, b"k") == [b"k"]
    assert len(list(path.parent.glob("cache.db.newer-*"))) == 1
    assert len(warnings(caplog)) == 1
    assert "newer" in warnings(caplog)[0]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(b"no database, but long enough to be read as one" * 200),
        lambda path: path.write_bytes(path.read_bytes()[:5_000]),
        lambda path: path.write_bytes(path.read_bytes()[:100] + b"\x55" * 4_096 + path.read_bytes()[4_196:]),
        lambda path: change(path, "DROP TABLE entries"),
        lambda path: change(path, "ALTER TABLE answers RENAME COLUMN sealed TO other"),
        lambda path: change(path, "PRAGMA user_version = 0"),
        lambda path: change(path, "PRAGMA user_version = -1"),
    ],
    ids=["no database", "cut", "first page", "table gone", "other columns", "no version", "odd version"],
)
async def test_a_file_that_is_no_cache_is_kept_aside_and_a_new_one_begun(
    reopen: Reopening, path: Path, caplog: pytest.LogCaptureFixture, spoil: Callable[[Path], object]
) -> None:
    first = reopen()
    await first.put(b"k", a_reply(BIG))
    await first.close()
    spoil(path)
    second = reopen()
    await second.put(b"n", a_reply(BIG))
    assert await held(second, b"k", b"n") == [b"n"]
    assert len([file for file in path.parent.glob("cache.db.corrupt-*") if file.name[-1] == "Z"]) == 1
    assert len(warnings(caplog)) == 1
    assert str(path) in warnings(caplog)[0]


async def test_pages_overwritten_at_random_give_misses_and_never_a_wrong_answer(reopen: Reopening, path: Path) -> None:
    """Case F61. While it runs, and on the next start; in time."""
    chance = random.Random(61)
    for _ in range(12):
        store = reopen()
        keys = [b"key %d" % number for number in range(60)]
        for key in keys:
            await store.put(key, a_reply(key * 900))
        await store.sweep(0.0)
        if chance.random() < 0.5:
            await store.close()
            store = reopen()
        overwrite(path, chance)
        async with asyncio.timeout(30):
            for key in keys:
                found = await store.get(key, 0.0)
                assert found is None or found.body == key * 900
            await store.contents()
            await store.latest()
            for key in keys:
                await store.put(key, a_reply(key))
                found = await store.get(key, 0.0)
                assert found is not None
                assert found.body == key
        await store.close()
        delete(*path.parent.glob("cache.db*"))


@pytest.mark.parametrize("also", [(), ("-wal", "-shm"), ("-wal",)], ids=["file", "all", "file and log"])
async def test_a_file_that_vanishes_is_begun_anew(
    reopen: Reopening, path: Path, caplog: pytest.LogCaptureFixture, also: tuple[str, ...]
) -> None:
    store = reopen()
    await store.put(b"k", a_reply())
    delete(path, *(path.with_name(path.name + suffix) for suffix in also))
    assert await store.get(b"k", 0.0) is None
    await store.put(b"k", a_reply(b"new"))
    await store.close()
    found = await reopen().get(b"k", 0.0)
    assert found is not None
    assert found.body == b"new"
    assert len(warnings(caplog)) == 1


async def test_a_log_that_vanishes_costs_no_more_than_answers(reopen: Reopening, path: Path) -> None:
    store = reopen()
    await store.put(b"k", a_reply())
    delete(path.with_name("cache.db-wal"))
    await store.put(b"n", a_reply(b"new"))
    await store.close()
    second = reopen()
    found = await second.get(b"n", 0.0)
    assert found is None or found.body == b"new"
    await second.put(b"n", a_reply(b"newer"))
    assert await held(second, b"n") == [b"n"]


async def test_a_directory_that_vanishes_is_an_error_until_it_is_back(tmp_path: Path) -> None:
    home = tmp_path / "state"
    home.mkdir()
    store = BACKEND.open(Place(CAP, home, SECRET))
    await store.put(b"k", a_reply())
    away = home.rename(tmp_path / "away")
    for _ in range(3):
        with pytest.raises(OSError, match="No such file"):
            await store.put(b"n", a_reply())
        with pytest.raises(OSError, match="No such file"):
            await store.get(b"k", 0.0)
    away.rename(home)
    assert await held(store, b"k") == [b"k"]
    await store.close()


# What passes is an error, and then it is over.


async def test_while_another_program_locks_the_file_hits_go_on_and_nothing_hangs(reopen: Reopening, path: Path) -> None:
    store = reopen()
    await store.put(b"k", a_reply())
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            await store.put(b"n", a_reply())
        assert await held(store, b"k", b"n") == [b"k"]
        assert time.monotonic() - began < 2.0
    await store.put(b"n", a_reply())
    assert await held(store, b"k", b"n") == [b"k", b"n"]
    assert (await store.contents())[:2] == (2, 2 * counted(a_reply()))


async def test_a_full_database_is_an_error_for_puts_alone_until_there_is_room(reopen: Reopening, path: Path) -> None:
    store = reopen()
    assert isinstance(store, SqliteStore)
    await store.put(b"k", a_reply(b"small"))
    await store._run(lambda file: file._connection.execute("PRAGMA max_page_count = 1").fetchall())
    for number in range(3):
        with pytest.raises(sqlite3.OperationalError, match="full"):
            await store.put(b"%d" % number, a_reply(BIG))
    assert await held(store, b"k") == [b"k"]
    assert (await store.contents())[:2] == (1, counted(a_reply(b"small")))
    await store._run(lambda file: file._connection.execute("PRAGMA max_page_count = 1000000").fetchall())
    await store.put(b"n", a_reply(BIG))
    assert await held(store, b"k", b"n") == [b"k", b"n"]


@contextmanager
def no_file_grows_beyond(size_bytes: int) -> Iterator[None]:
    """As on a full disk: what goes beyond is a failed write (EFBIG)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    former = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, former)


async def test_a_disk_that_takes_no_more_fails_puts_and_then_all_is_well_again(reopen: Reopening, path: Path) -> None:
    """Case F60, with real failed writes."""
    store = reopen()
    await store.put(b"k", a_reply(b"small"))
    with no_file_grows_beyond(40_000):
        for number in range(3):
            with pytest.raises((sqlite3.Error, OSError)):
                await store.put(b"%d" % number, a_reply(BIG * 10))
            assert await held(store, b"k") == [b"k"]
    began = time.monotonic()
    await store.put(b"n", a_reply(BIG))
    assert time.monotonic() - began < 5.0
    assert await held(store, b"k", b"n") == [b"k", b"n"]
    assert (await store.contents())[:2] == (2, counted(a_reply(b"small")) + counted(a_reply(BIG)))


async def test_a_first_use_without_a_disk_is_an_error_and_the_next_one_is_not(reopen: Reopening) -> None:
    store = reopen()
    with no_file_grows_beyond(0):
        for _ in range(2):
            with pytest.raises((sqlite3.Error, OSError)):
                await store.put(b"k", a_reply())
    await store.put(b"k", a_reply())
    assert await held(store, b"k") == [b"k"]


async def test_a_connection_that_was_read_only_is_not_kept(reopen: Reopening) -> None:
    """As after a file system was mounted for reading and then for writing again."""
    store = reopen()
    assert isinstance(store, SqliteStore)
    await store.put(b"k", a_reply())
    await store._run(lambda file: file._connection.execute("PRAGMA query_only = ON").fetchall())
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        await store.put(b"n", a_reply())
    await store.put(b"n", a_reply())
    assert await held(store, b"k", b"n") == [b"k", b"n"]


async def test_an_answer_larger_than_sqlite_takes_is_an_error_of_its_own(
    reopen: Reopening, caplog: pytest.LogCaptureFixture
) -> None:
    store = reopen()
    assert isinstance(store, SqliteStore)
    await store._run(lambda file: file._connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 100_000))
    await store.put(b"k", a_reply())
    with pytest.raises(sqlite3.Error, match="too big"):
        await store.put(b"huge", a_reply(b"x" * 200_000))
    assert await held(store, b"k", b"huge") == [b"k"]
    assert warnings(caplog) == []


# The thread.


async def test_the_loop_goes_on_while_the_disk_hangs_and_closing_does_not_wait_for_ever(
    reopen: Reopening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "CLOSE_SECONDS", 0.1)
    monkeypatch.setattr(_worker, "INTERRUPTED_SECONDS", 0.1)
    store = reopen()
    assert isinstance(store, SqliteStore)
    await store.put(b"k", a_reply())
    let_go = threading.Event()
    hanging = asyncio.ensure_future(store._run(lambda _: let_go.wait(60)))
    behind = asyncio.ensure_future(store.get(b"k", 0.0))
    await asyncio.sleep(0)
    began = time.monotonic()
    async with asyncio.timeout(5):
        await store.close()
    assert time.monotonic() - began < 2.0
    let_go.set()
    async with asyncio.timeout(5):
        assert await hanging
        with pytest.raises(OSError, match="closed"):
            await behind


async def test_a_long_question_is_cut_short_when_the_store_closes(
    reopen: Reopening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "CLOSE_SECONDS", 0.1)
    store = reopen()
    assert isinstance(store, SqliteStore)
    await store.put(b"k", a_reply())
    begun = threading.Event()

    def ask(file: CacheFile) -> None:
        endless = "WITH RECURSIVE n(i) AS (SELECT note() UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
        file._connection.create_function("note", 0, lambda: begun.set() or 1)  # type: ignore[func-returns-value]
        file._connection.execute(endless).fetchone()

    asking = asyncio.ensure_future(store._run(ask))
    assert await asyncio.to_thread(begun.wait, 10)
    async with asyncio.timeout(10):
        await store.close()
        with pytest.raises(sqlite3.OperationalError, match="interrupted"):
            await asking
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("whygate-cache")]


async def test_what_waits_for_a_hanging_disk_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_worker, "JOBS_MAX", 5)
    worker, let_go = Worker("bounded"), threading.Event()
    begun = threading.Event()

    def hang() -> None:
        begun.set()
        let_go.wait(60)

    tasks = [asyncio.ensure_future(worker.run(hang))]
    assert await asyncio.to_thread(begun.wait, 10)
    tasks += [asyncio.ensure_future(worker.run(lambda: None)) for _ in range(5)]
    await asyncio.sleep(0)
    with pytest.raises(BlockingIOError):
        await worker.run(lambda: None)
    with pytest.raises(BlockingIOError):
        await worker.run(lambda: None, held_bytes=_worker.HELD_BYTES_MAX + 1)
    for task in tasks[1:]:
        task.cancel()
    with pytest.raises(BlockingIOError):
        await worker.run(lambda: None)
    let_go.set()
    async with asyncio.timeout(10):
        await tasks[0]
        assert await asyncio.to_thread(worker._executor.submit(lambda: 7).result) == 7
        assert await worker.run(lambda: 8) == 8
        await worker.close(lambda: None, lambda: None, 5.0)


def test_a_killed_process_leaves_every_answer_that_it_had_put(tmp_path: Path) -> None:
    """Case F63: it dies at a moment of its own, in the middle of puts."""
    program = (
        "import asyncio, itertools, pathlib, sys\n"
        "from gateway.cache.backend import Place\n"
        "from gateway.cache.backends.sqlite import BACKEND\n"
        "from tests.gateway.cache.contract import a_reply\n"
        "async def main():\n"
        "    store = BACKEND.open(Place(10**9, pathlib.Path(sys.argv[1]), b's' * 32))\n"
        "    for n in itertools.count():\n"
        "        await store.put(b'%d' % n, a_reply(b'%d ' % n * 2000))\n"
        "        print(n, flush=True)\n"
        "asyncio.run(main())\n"
    )
    chance = random.Random(63)
    for turn in range(3):
        home = tmp_path / str(turn)
        home.mkdir()
        with subprocess.Popen([sys.executable, "-c", program, str(home)], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            last = -1
            for _ in range(chance.randrange(1, 120)):
                last = int(process.stdout.readline())
            process.kill()
            last = max([last, *map(int, process.stdout.read().split())])

        async def look(home: Path = home, last: int = last) -> None:
            store = BACKEND.open(Place(10**9, home, SECRET))
            found: list[StoredReply | None] = [await store.get(b"%d" % n, 0.0) for n in range(last + 2)]
            assert [reply and reply.body for reply in found[:-1]] == [b"%d " % n * 2000 for n in range(last + 1)]
            assert found[-1] is None or found[-1].body == b"%d " % (last + 1) * 2000
            await store.close()

        asyncio.run(look())
        with closing(sqlite3.connect(home / "cache.db")) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def test_ten_thousand_answers_of_four_kibibytes(reopen: Reopening, capsys: pytest.CaptureFixture[str]) -> None:
    """Prints what they cost; asserts only the disk."""
    store = reopen()
    headers = tuple((name, os.urandom(20).hex().encode()) for name in (b"x-request-id", b"cf-ray", b"date", b"server"))
    headers += ((b"content-type", b"application/json"), (b"content-encoding", b"br"))
    label = of("gpt-4o-mini-2024-07-18", "0123456789abcdef", tenant="team")
    keys = [os.urandom(32) for _ in range(10_000)]
    times: dict[str, list[float]] = {"put": [], "hit": []}
    for key in keys:
        reply = a_reply(os.urandom(4_096), headers=headers, label=label)
        began = time.perf_counter()
        await store.put(key, reply)
        times["put"].append(time.perf_counter() - began)
    for key in random.Random(1).sample(keys, 3_000):
        began = time.perf_counter()
        assert await store.get(key, 0.0) is not None
        times["hit"].append(time.perf_counter() - began)
    disk_bytes = (await store.contents()).disk_bytes
    with capsys.disabled():
        print(f"\n  10,000 answers of 4 KiB: {disk_bytes / 2**20:.1f} MiB on disk", end="")
        for name, taken in times.items():
            taken.sort()
            p50, p99 = taken[len(taken) // 2] * 1_000, taken[len(taken) * 99 // 100] * 1_000
            print(f", {name} p50 {p50:.2f} ms p99 {p99:.2f} ms", end="")
    assert disk_bytes <= 60 * 2**20
