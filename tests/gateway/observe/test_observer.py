"""Telling others costs the path an entry in a queue, and can neither stop nor lose a call."""

import logging
import threading

import pytest

from gateway.model.event import Live
from gateway.model.exchange import Concluded
from gateway.model.flow import FlowRow
from gateway.observe import observer as module
from gateway.observe.ended import Ended
from gateway.observe.observer import Observer
from tests.gateway.factories import ListSink
from tests.gateway.record.made import a_call, a_concluded, a_live, a_row, until


class RowSink(ListSink):
    """Keeps rows of tunnels, too."""

    def __init__(self) -> None:
        super().__init__()
        self.foreign: list[FlowRow] = []

    def recorded(self, row: FlowRow) -> None:
        self.foreign.append(row)


def over(observer: Observer) -> tuple[Live, Concluded]:
    """Let a call pass."""
    call = a_call()
    live = a_live(call)
    observer.opened(live)
    concluded = a_concluded(call)
    observer.closed(live, concluded)
    return live, concluded


def test_the_record_hears_everything_and_everybody_is_told_soon() -> None:
    sink, heard = RowSink(), list[Ended]()
    observer = Observer(sink, (heard.append,))
    observer.start()
    _, concluded = over(observer)
    observer.recorded(a_row(1, kind="tunnel", provider="", model=""))
    until(lambda: len(heard) == 2)
    observer.close()
    assert sink.rows == [concluded]
    assert len(sink.foreign) == 1
    assert {one.kind for one in heard} == {"api", "tunnel"}


def test_who_reads_has_all_that_has_ended() -> None:
    heard: list[Ended] = []
    observer = Observer(RowSink(), (heard.append,))  # its thread never runs
    for _ in range(5):
        over(observer)
    assert observer.with_all_told(lambda: len(heard)) == 5


def test_a_hearer_that_breaks_is_told_of_once_and_keeps_nobody_from_hearing(caplog: pytest.LogCaptureFixture) -> None:
    heard: list[Ended] = []

    def broken(_: Ended) -> None:
        raise RuntimeError

    observer = Observer(RowSink(), (broken, heard.append))
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            over(observer)
            observer.with_all_told(lambda: None)
    assert len(heard) == 3
    assert len(caplog.records) == 1


def test_what_does_not_fit_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "QUEUE_MAX", 3)
    sink, heard = RowSink(), list[Ended]()
    observer = Observer(sink, (heard.append,))
    for _ in range(5):
        over(observer)
    assert observer.with_all_told(lambda: len(heard)) == 3
    assert observer.lost == 2
    assert len(sink.rows) == 5


def test_the_path_does_not_wait_for_a_hearer_that_hangs() -> None:
    go, heard = threading.Event(), list[Ended]()

    def slow(one: Ended) -> None:
        go.wait(10)
        heard.append(one)

    observer = Observer(RowSink(), (slow,))
    observer.start()
    for _ in range(100):
        over(observer)
    assert heard == []
    go.set()
    until(lambda: len(heard) == 100)
    observer.close()
