"""The recorder never stands in the way, never loses count, and recovers by itself."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from gateway.model.cause import Cause
from gateway.record import recorder as recorder_module
from gateway.record.backends.sqlite import SCHEMA_VERSION, NewerSchemaError
from gateway.record.query import FlowFilter, Reader
from gateway.record.recorder import Recorder
from gateway.record.ring import NOBODY, Names
from tests.gateway.record.made import (
    HandClock,
    a_call,
    a_concluded,
    a_diagnosis,
    a_failed_outcome,
    a_live,
    a_route,
    a_row,
    bytes_on_disk,
    until,
)

CANARY = "CANARYa1b2c3d4e5f6"


def run_one(recorder: Recorder, **changes: object) -> str:
    """A call from beginning to end; gives its id."""
    call = a_call(**changes)
    live = a_live(call)
    recorder.opened(live)
    recorder.closed(live, a_concluded(call))
    return call.id


def stored_ids(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return [row[0] for row in connection.execute("SELECT id FROM flows ORDER BY seq")]


def test_every_call_has_exactly_one_row(recorder: Recorder, path: Path) -> None:
    """In the order in which they came."""
    ids = [run_one(recorder) for _ in range(1200)]
    recorder.close()
    assert stored_ids(path) == ids
    assert recorder.health() == {"written": 1200, "dropped": 0, "queued": 0, "degraded": None, "moved_aside": None}


def test_rows_reach_the_file_soon_without_being_asked(recorder: Recorder, path: Path) -> None:
    """Within a batch's time."""
    flow_id = run_one(recorder)
    until(lambda: stored_ids(path) == [flow_id])


class Slow(Names):
    """Knows an app's name only after a while."""

    def __init__(self) -> None:
        self.known = ""
        self.looks = 0

    def name(self, address: str, /) -> str | None:
        return self.known or None

    def is_asked(self, address: str, /) -> bool:
        self.looks += 1
        return not self.known


def apps(path: Path) -> set[str]:
    return {row["app"] for row in Reader.open(path).page(FlowFilter(), limit=500).flows}


def test_a_row_waits_for_the_name_of_its_app(path: Path, clock: HandClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder_module, "NAME_SECONDS", 30.0)
    names = Slow()
    recorder = Recorder(path, clock, names=names)
    recorder.start()
    flow_id = run_one(recorder)
    until(lambda: names.looks > 2)
    assert stored_ids(path) == []
    assert recorder.ring.find(flow_id) is not None, "who looks sees it all the same"
    names.known = "python3 app.py (pid 7)"
    until(lambda: stored_ids(path) == [flow_id])
    recorder.close()
    assert apps(path) == {"python3 app.py (pid 7)"}


def test_rows_do_not_wait_for_a_name_that_does_not_come(path: Path, clock: HandClock) -> None:
    """Nor one for the other, nor while they are many, nor at the end."""
    recorder = Recorder(path, clock, names=Slow())
    recorder.start()
    began = time.monotonic()
    ids = [run_one(recorder) for _ in range(20)]
    until(lambda: stored_ids(path) == ids)
    assert time.monotonic() - began >= recorder_module.NAME_SECONDS
    ids += [run_one(recorder) for _ in range(3 * recorder_module.BATCH_ROWS)]
    until(lambda: len(stored_ids(path)) >= 2 * recorder_module.BATCH_ROWS)
    recorder.close()
    assert (stored_ids(path), apps(path)) == (ids, {""})


def test_numbers_go_on_after_a_restart(path: Path, clock: HandClock) -> None:
    """Even when the first run crashed before it wrote a single row."""
    seen = []
    for _ in range(3):
        clock.seconds += 1
        recorder = Recorder(path, clock)
        recorder.start()
        live = a_live()
        recorder.opened(live)
        seen.append(live.seq)
        recorder.recorded(a_row(0, id=f"tunnel-{live.seq}"))
        recorder.close()
    with closing(sqlite3.connect(path)) as connection:
        numbers = [row[0] for row in connection.execute("SELECT seq FROM flows ORDER BY seq")]
    assert seen == sorted(set(seen))
    assert numbers == [seq + 1 for seq in seen]


def test_numbers_go_on_when_the_clock_was_set_back(path: Path, clock: HandClock) -> None:
    """The file knows better than the clock."""
    run = Recorder(path, clock)
    run.start()
    run_one(run)
    run.close()
    clock.seconds -= 1_000_000
    run = Recorder(path, clock)
    run.start()
    live = a_live()
    run.opened(live)
    run.close()
    with closing(sqlite3.connect(path)) as connection:
        assert live.seq > connection.execute("SELECT max(seq) FROM flows").fetchone()[0]


def test_a_newer_log_stops_the_start_with_words(path: Path, clock: HandClock) -> None:
    """Rather than guessing at its columns."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    with pytest.raises(NewerSchemaError):
        Recorder(path, clock).start()


def test_a_damaged_log_is_kept_aside_and_a_new_one_begun(path: Path, clock: HandClock) -> None:
    """Bytes overwritten while nobody looked."""
    path.write_bytes(b"\xde\xad" * 5000)
    recorder = Recorder(path, clock)
    recorder.start()
    flow_id = run_one(recorder)
    recorder.close()
    aside = recorder.health()["moved_aside"]
    assert aside is not None
    assert Path(aside).name.startswith("flows.db.corrupt-")
    assert Path(aside).read_bytes() == b"\xde\xad" * 5000
    assert stored_ids(path) == [flow_id]


def test_damage_that_comes_while_running_costs_no_new_row(path: Path, clock: HandClock) -> None:
    """Found by a reader, looked into by the writer, reported in health."""
    recorder = Recorder(path, clock)
    recorder.start()
    for _ in range(300):
        run_one(recorder)
    until(lambda: recorder.health()["queued"] == 0)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))
    reader = Reader.of(recorder)
    until(lambda: reader.page(FlowFilter(q="x")) is not None and recorder.health()["moved_aside"] is not None)
    flow_id = run_one(recorder)
    recorder.close()
    assert stored_ids(path)[-1] == flow_id


def test_a_lock_held_by_another_program_delays_rows_and_loses_none(recorder: Recorder, path: Path) -> None:
    """The reason is shown while it lasts, and gone afterwards."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        ids = [run_one(recorder) for _ in range(20)]
        until(lambda: recorder.health()["degraded"] is not None)
        assert "locked" in recorder.health()["degraded"]
        shown = {flow["id"] for flow in Reader.of(recorder).page(FlowFilter()).flows}
        assert shown == set(ids)
        other.execute("ROLLBACK")
    until(lambda: recorder.health()["degraded"] is None)
    assert stored_ids(path) == ids


def test_a_full_disk_delays_rows_and_loses_none(recorder: Recorder, path: Path) -> None:
    """Once there is space again, what waited is written."""
    first = run_one(recorder)
    until(lambda: recorder.health()["written"] == 1)
    store = recorder._store
    assert store is not None
    pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
    store._connection.execute(f"PRAGMA max_page_count = {pages}")
    ids = [first, *(run_one(recorder) for _ in range(100))]
    until(lambda: recorder.health()["degraded"] is not None)
    assert "disk is full" in recorder.health()["degraded"]
    store._connection.execute("PRAGMA max_page_count = 1000000")
    until(lambda: recorder.health()["degraded"] is None)
    assert stored_ids(path) == ids


def test_a_deleted_file_is_made_anew(recorder: Recorder, path: Path) -> None:
    """Someone tidied up."""
    run_one(recorder)
    until(lambda: recorder.health()["written"] == 1)
    for file in path.parent.iterdir():
        file.unlink()
    flow_id = run_one(recorder)
    until(lambda: path.exists() and path.stat().st_size > 0 and recorder.health()["queued"] == 0)
    assert stored_ids(path) == [flow_id]


def test_past_the_bound_the_oldest_rows_are_dropped_and_counted(
    path: Path, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At every moment: written + dropped + queued = produced."""
    monkeypatch.setattr(recorder_module, "QUEUE_ROWS", 50)
    recorder = Recorder(path, clock)
    recorder.start()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        ids = []
        for _ in range(10):
            ids += [run_one(recorder) for _ in range(20)]
            until(lambda: not recorder.ring.finished)
        until(lambda: recorder.health()["queued"] == 50)  # the writer takes rows first, then drops what is too many
        health = recorder.health()
        assert health["written"] + health["dropped"] + health["queued"] == 200
        other.execute("ROLLBACK")
    until(lambda: recorder.health()["queued"] == 0)
    recorder.close()
    assert stored_ids(path) == ids[-50:]


def test_a_stuck_writer_never_makes_the_path_wait(
    path: Path, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not started stands for stuck: what comes past the bound is counted at once."""
    monkeypatch.setattr(recorder_module, "QUEUE_ROWS", 10)
    recorder = Recorder(path, clock)
    for _ in range(25):
        run_one(recorder)
    assert (recorder.health()["queued"], recorder.health()["dropped"]) == (10, 15)
    assert not recorder.ring.running


def test_a_row_that_cannot_be_made_is_counted_and_the_others_are_written(recorder: Recorder, path: Path) -> None:
    """A bug in one row is not a reason to lose the next."""
    call = a_call()
    recorder.closed(a_live(call), a_concluded(call, attempts=(None,)))  # type: ignore[arg-type]
    flow_id = run_one(recorder)
    recorder.close()
    assert stored_ids(path) == [flow_id]
    assert recorder.health()["dropped"] == 1


def test_a_row_that_the_file_refuses_is_counted_and_the_others_are_written(recorder: Recorder, path: Path) -> None:
    """Here: the same id twice."""
    first = run_one(recorder)
    run_one(recorder, id=first)
    last = run_one(recorder)
    recorder.close()
    assert stored_ids(path) == [first, last]
    assert (recorder.health()["written"], recorder.health()["dropped"]) == (2, 1)


def test_old_rows_go_by_themselves(path: Path, clock: HandClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Age is looked at now and then, not only at start."""
    monkeypatch.setattr(recorder_module, "PURGE_EVERY_SECONDS", 0.05)
    recorder = Recorder(path, clock, max_age_days=1)
    recorder.start()
    run_one(recorder)
    until(lambda: len(stored_ids(path)) == 1)
    clock.seconds += 2 * 86_400
    until(lambda: stored_ids(path) == [])
    recorder.close()


def test_the_file_stays_below_its_cap(path: Path, clock: HandClock) -> None:
    """The newest rows remain."""
    recorder = Recorder(path, clock, max_bytes=400_000)
    recorder.start()
    ids = []
    for _ in range(8):
        ids += [run_one(recorder) for _ in range(400)]
        until(lambda: recorder.health()["queued"] == 0)
    recorder.close()
    assert path.stat().st_size < 800_000
    assert stored_ids(path)[-1] == ids[-1]


def test_no_canary_reaches_the_disk(recorder: Recorder, path: Path) -> None:
    """A key in every place where a call can carry one, with a failure that echoes it."""
    for n in range(50):
        call = a_call(
            target=f"/v1/x?key={CANARY}&api-version=1".encode(),
            headers=((b"authorization", f"Bearer {CANARY}".encode()), (b"cookie", f"s={CANARY}".encode())),
            body=f'{{"secret": "{CANARY}"}}'.encode() * (1 + 500 * (n % 2)),
        )
        live = a_live(call, route=a_route(document={"secret": CANARY}))
        recorder.opened(live)
        outcome = a_failed_outcome(f"wrong key {CANARY}".encode(), 401, set_cookie=CANARY, x_new=CANARY)
        diagnosis = a_diagnosis(Cause("auth.invalid_key"), what_happened=f"key {CANARY}", evidence=(CANARY,))
        recorder.closed(live, a_concluded(call, outcome=outcome, diagnosis=diagnosis))
    until(lambda: recorder.health()["written"] == 50)
    assert CANARY.encode() not in bytes_on_disk(path)
    recorder.close()
    assert CANARY.encode() not in bytes_on_disk(path)


def test_a_megabyte_body_does_not_wait_for_the_disk(path: Path, clock: HandClock) -> None:
    """A row needs no request body, so none is held."""
    recorder = Recorder(path, clock)
    call = a_call(body=b"x" * 2**20)
    recorder.closed(a_live(call, route=a_route(document={"a": 1})), a_concluded(call))
    [item] = recorder.ring.finished
    assert item.live is not None
    assert item.concluded is not None
    assert (item.live.call.body, item.concluded.answered.admitted.route.document) == (b"", None)


def test_nothing_is_written_after_close_and_it_is_counted(recorder: Recorder, path: Path) -> None:
    """A straggler of a shutdown."""
    recorder.close()
    run_one(recorder)
    assert (stored_ids(path), recorder.health()["dropped"]) == ([], 1)


def test_the_path_pays_microseconds(recorder: Recorder, capsys: pytest.CaptureFixture[str]) -> None:
    """Prints the cost; asserts only that nothing was lost."""
    made = [(live := a_live(call := a_call()), a_concluded(call)) for _ in range(5000)]
    began = time.perf_counter()
    for live, concluded in made:
        recorder.opened(live)
        recorder.closed(live, concluded)
    cost = (time.perf_counter() - began) / len(made) * 1e6
    began = time.perf_counter()
    recorder.close()
    with capsys.disabled():
        writer = (time.perf_counter() - began) / len(made) * 1e6
        print(f"\n  path {cost:.1f} us a call, writer at most {writer:.0f} us a row", end="")
    assert recorder.health()["written"] == 5000


def test_without_bodies_no_part_of_a_failed_answer_is_kept(path: Path, clock: HandClock) -> None:
    """The verdict stays."""
    recorder = Recorder(path, clock, bodies=False)
    call = a_call()
    recorder.closed(a_live(call), a_concluded(call, outcome=a_failed_outcome(), diagnosis=a_diagnosis()))
    [item] = recorder.ring.finished
    row = item.as_row(NOBODY.name)
    assert (row.body, row.cause) == (None, "rate_limit.tokens")
