"""Readers see memory and file as one list."""

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from gateway.model.flow import State
from gateway.record.query import BadFilterError, FlowFilter, Reader
from gateway.record.recorder import Recorder
from tests.gateway.record.made import HandClock, a_call, a_concluded, a_diagnosis, a_live, a_row, until
from tests.gateway.record.test_recorder import run_one


def test_a_reader_sees_its_own_call_at_once(recorder: Recorder) -> None:
    """Running first, then over, whether or not it is in the file."""
    reader = Reader.of(recorder)
    call = a_call()
    live = a_live(call)
    recorder.opened(live)
    assert [flow["state"] for flow in reader.page(FlowFilter()).flows] == ["connecting"]
    live.enter(State.STREAMING)
    found = reader.get(call.id)
    assert found is not None
    assert found["state"] == "streaming"
    recorder.closed(live, a_concluded(call))
    assert [flow["state"] for flow in reader.page(FlowFilter()).flows] == ["done"]


def test_pages_follow_each_other_without_gaps_or_repeats(recorder: Recorder) -> None:
    """Across the file, what waits for it, and what still runs."""
    reader = Reader.of(recorder)
    written = [run_one(recorder) for _ in range(30)]
    until(lambda: recorder.health()["written"] == 30)
    waiting = [run_one(recorder) for _ in range(5)]
    running = [a_live() for _ in range(4)]
    for live in running:
        recorder.opened(live)
    cursor, seen = None, []
    while True:
        flows, cursor = reader.page(FlowFilter(), cursor, 7)
        seen += [flow["id"] for flow in flows]
        if cursor is None:
            break
        seen_so_far = len(seen)
        run_one(recorder)
        assert seen_so_far == len(seen)
    assert seen == [*written, *waiting, *(live.call.id for live in running)][::-1]


def test_pages_hold_while_rows_are_written_and_deleted(path: Path, clock: HandClock) -> None:
    """A reader beside a busy writer: every page is newest first, and no row comes twice."""
    recorder = Recorder(path, clock, max_bytes=300_000)
    recorder.start()
    reader = Reader.of(recorder)
    stop = threading.Event()
    problems: list[str] = []

    def read() -> None:
        while not stop.is_set():
            cursor, seen = None, []
            for _ in range(5):
                flows, cursor = reader.page(FlowFilter(), cursor, 20)
                seen += [flow["seq"] for flow in flows]
                if cursor is None:
                    break
            if seen != sorted(set(seen), reverse=True):
                problems.append(str(seen))

    thread = threading.Thread(target=read)
    thread.start()
    for _ in range(3000):
        run_one(recorder)
    until(lambda: recorder.health()["queued"] == 0, 20)
    stop.set()
    thread.join()
    recorder.close()
    assert not problems


def test_a_failure_is_found_before_and_after_its_commit(recorder: Recorder) -> None:
    """The filter works in both places."""
    reader = Reader.of(recorder)
    call = a_call()
    live = a_live(call)
    recorder.opened(live)
    recorder.closed(live, a_concluded(call, diagnosis=a_diagnosis()))
    wanted = FlowFilter(cause="rate_limit.*", q="tokens minute")
    assert len(reader.page(wanted).flows) == 1
    until(lambda: recorder.health()["written"] == 1)
    assert len(reader.page(wanted).flows) == 1
    assert not reader.page(FlowFilter(cause="quota.*")).flows


def test_lists_leave_bodies_out_and_one_flow_has_its_body(recorder: Recorder) -> None:
    """A page of failures must not weigh megabytes."""
    reader = Reader.of(recorder)
    recorder.recorded(a_row(0, id="one", body="why"))
    for _ in range(2):
        assert reader.page(FlowFilter()).flows[0]["body"] is None if recorder.health()["queued"] else True
        found = reader.get("one")
        assert found is not None
        assert found["body"] == "why"
        until(lambda: recorder.health()["written"] == 1)


@pytest.mark.parametrize(
    ("cursor", "limit"), [("x", 10), ("-1", 10), ("1; DROP TABLE flows", 10), (None, 0), (None, 501)]
)
def test_bad_cursors_and_limits_are_refused(recorder: Recorder, cursor: str | None, limit: int) -> None:
    """Rather than answered with something else."""
    with pytest.raises(BadFilterError):
        Reader.of(recorder).page(FlowFilter(), cursor, limit)


def test_a_log_is_read_when_no_gateway_runs(recorder: Recorder, path: Path) -> None:
    """Also after a crash that left the write-ahead log behind, and without changing anything."""
    flow_id = run_one(recorder)
    until(lambda: recorder.health()["written"] == 1)
    reader = Reader.open(path)
    assert [flow["id"] for flow in reader.page(FlowFilter()).flows] == [flow_id]
    assert reader.get(flow_id) is not None
    assert reader.get("no-such-id") is None


def test_a_log_that_is_missing_or_broken_is_an_error_for_the_reader(path: Path) -> None:
    """Which the command line turns into a sentence."""
    with pytest.raises(FileNotFoundError):
        Reader.open(path)
    path.write_bytes(b"x" * 5000)
    with pytest.raises(sqlite3.DatabaseError):
        Reader.open(path)


def test_what_is_in_memory_is_shown_while_the_file_cannot_be_read(recorder: Recorder, path: Path) -> None:
    """The page must not go blank when the disk does."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        flow_id = run_one(recorder)
        assert [flow["id"] for flow in Reader.of(recorder).page(FlowFilter()).flows] == [flow_id]
        other.execute("ROLLBACK")
