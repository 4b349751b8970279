"""What is shown of many calls, and what is counted."""

import io
from typing import Any

from rich.console import Console

from gateway.demo.board import Board
from gateway.demo.children import Report
from gateway.demo.screen import frame
from gateway.demo.summary import Run, tokens_saved
from gateway.model.flow import FlowRow, State


def row(seq: int, state: State = State.DONE, rev: int = 1, **more: Any) -> dict[str, Any]:
    """Give a row as the page API gives it."""
    known: dict[str, Any] = {"started_at": "2026-11-21T10:00:00.000Z", "provider": "openai", "model": "gpt-4o"}
    return FlowRow(id=f"f{seq}", seq=seq, rev=rev, state=state, **known | more).as_dict()


def test_an_older_revision_changes_nothing() -> None:
    ended: list[int] = []
    board = Board(on_done=lambda row: ended.append(row["seq"]))
    board.take(row(1, State.DONE, rev=5), 0.0)
    board.take(row(1, State.QUEUED, rev=2), 1.0)
    board.take(row(1, State.DONE, rev=5), 2.0)
    assert board.seen[1].done
    assert ended == [1]


def test_calls_move_down_from_queue_to_end() -> None:
    """The next of the queue stands lowest in it, the latest that ended highest among these."""
    board = Board()
    board.take(row(1), 1.0)
    board.take(row(2), 2.0)
    board.take(row(3, State.STREAMING), 2.0)
    board.take(row(4, State.QUEUED, eta_ms=500), 2.0)
    board.take(row(5, State.QUEUED, eta_ms=1500), 2.0)
    shown, hidden = board.view(10, 2.0)
    assert [seen.row["seq"] for seen in shown] == [5, 4, 3, 2, 1]
    assert hidden == 0


def test_a_full_board_keeps_to_its_room() -> None:
    board = Board()
    for seq in range(90):
        board.take(row(seq, (State.QUEUED, State.CONNECTING, State.DONE)[seq % 3], eta_ms=seq), 0.0)
    for room in range(3, 20):
        shown, hidden = board.view(room, 0.0)
        assert len(shown) == room
        assert hidden == 30 - sum(seen.state == "queued" for seen in shown)


def test_an_eta_runs_down_and_never_below_zero() -> None:
    board = Board()
    board.take(row(1, State.QUEUED, eta_ms=2000), 10.0)
    assert board.seen[1].eta_seconds(10.5) == 1.5
    assert board.seen[1].eta_seconds(99.0) == 0.0


def test_the_frame_fits_narrow_terminals() -> None:
    """Also with text in it that would move the cursor."""
    board = Board()
    board.take(row(1, State.QUEUED, eta_ms=2000, model="m\x1b[2J" * 40), 0.0)
    board.take(row(2, cause="quota.exhausted"), 0.0)
    board.take(row(3, cache="hit"), 0.0)
    for width in (60, 80, 100):
        console = Console(width=width, height=24)
        with console.capture() as captured:
            console.print(frame(board, 0.5, 10, console))
        lines = captured.get().splitlines()
        assert max(map(len, lines)) <= width
        assert len(lines) <= 20
        assert "\x1b" not in captured.get()
        assert ("its turn in 1.5 s" if width >= 80 else "queued") in captured.get()


def test_the_frame_is_ascii_where_nothing_else_can_be_shown() -> None:
    output = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    board = Board()
    board.take(row(1), 0.0)
    console = Console(file=output, width=80, height=24)
    console.print(frame(board, 0.5, 10, console))
    output.flush()
    assert b"=====" in output.buffer.getvalue()


def test_saved_tokens_are_what_the_same_answers_cost() -> None:
    bought = [row(1, cache="stored", tokens_in=10, tokens_out=5), row(2, cache="stored", tokens_in=20, tokens_out=5)]
    hits = [row(n, cache="hit") for n in (3, 4, 5, 6)]
    assert tokens_saved([*bought, *hits]) == 80
    assert tokens_saved(hits) == 0


def test_a_retry_helped_when_the_call_was_answered_in_the_end() -> None:
    twice = ({"n": 1, "status": 503}, {"n": 2, "status": 200})
    rows = [row(1, attempts=twice), row(2, attempts=twice, cause="service.overloaded"), row(3, attempts=twice[:1])]
    report = Report(calls=3, answered=2, by_status={200: 2, 503: 1}, seconds=1.0)
    run = Run(report=report, upstream_calls=5, upstream_refused=0, rows=rows)
    assert (run.retries_that_helped, run.overloaded, run.refused) == (1, 1, 0)
