"""The phases of an attempt, on the machine's own clock."""

import itertools

import pytest

from gateway.egress.timeline import Timeline
from gateway.model.failure import Phase


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [50.0]
    monkeypatch.setattr("gateway.egress.timeline.time.monotonic", lambda: now[0])
    return now


async def test_phases_follow_one_another_without_a_gap(clock: list[float]) -> None:
    timeline = Timeline()
    await timeline.send_connection_create_start()
    await timeline.send_dns_cache_miss("h")
    await timeline.send_dns_resolvehost_start("h")
    clock[0] += 0.010
    await timeline.send_dns_resolvehost_end("h")
    clock[0] += 0.020
    await timeline.send_connection_create_end()
    timeline.enter(Phase.SEND)
    clock[0] += 0.030
    timeline.enter(Phase.FIRST_BYTE)
    clock[0] += 0.040
    marks = timeline.marks(ok=True)
    assert [
        (mark.phase, round(mark.end_ms - mark.start_ms), mark.ok) for mark in marks if mark.end_ms > mark.start_ms
    ] == [
        (Phase.DNS, 10, True),
        (Phase.CONNECT, 20, True),
        (Phase.SEND, 30, True),
        (Phase.FIRST_BYTE, 40, True),
    ]
    assert all(one.end_ms == other.start_ms for one, other in itertools.pairwise(marks))


async def test_the_phase_in_which_it_failed_is_marked(clock: list[float]) -> None:
    timeline = Timeline()
    timeline.enter(Phase.CONNECT)
    clock[0] += 5.0
    marks = timeline.marks(ok=False)
    assert timeline.phase is Phase.CONNECT
    assert [(mark.phase, mark.ok) for mark in marks] == [(Phase.CONNECT, False)]
    assert marks[0].end_ms == pytest.approx(5000)


async def test_taking_an_idle_connection_is_not_worth_a_line(clock: list[float]) -> None:
    timeline = Timeline()
    await timeline.send_connection_reuseconn()
    timeline.enter(Phase.SEND)
    assert [mark.phase for mark in timeline.marks(ok=True)] == [Phase.SEND]


async def test_waiting_for_a_connection_is(clock: list[float]) -> None:
    timeline = Timeline()
    await timeline.send_connection_queued_start()
    clock[0] += 0.2
    await timeline.send_connection_queued_end()
    await timeline.send_dns_cache_hit("h")
    timeline.enter(Phase.SEND)
    assert [mark.phase for mark in timeline.marks(ok=True)] == [Phase.POOL, Phase.SEND]


async def test_whoever_waits_for_the_sending_is_told_once(clock: list[float]) -> None:
    told: list[float] = []
    timeline = Timeline(lambda: told.append(clock[0]))
    timeline.enter(Phase.SEND)
    clock[0] += 1
    timeline.enter(Phase.FIRST_BYTE)
    timeline.enter(Phase.BODY)
    assert told == [51.0]
