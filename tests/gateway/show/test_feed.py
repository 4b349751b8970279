"""The feed costs nothing unwatched and never grows without bound."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from gateway.model.flow import State
from gateway.record.recorder import Recorder
from gateway.show import feed as feed_module
from gateway.show.feed import Event, Feed, Watcher
from tests.gateway.record.made import HandClock, a_call, a_concluded, a_live
from tests.gateway.record.test_recorder import run_one


@pytest.fixture
def recorder(tmp_path: Any) -> Any:
    recorder = Recorder(tmp_path / "flows.db", HandClock())
    recorder.start()
    yield recorder
    recorder.close()


async def gather(watcher: Watcher, enough: Callable[[list[Event]], bool]) -> list[Event]:
    found: list[Event] = []
    async with asyncio.timeout(5):
        async for event in watcher:
            found.append(event)
            if enough(found):
                break
    return found


def flows(events: list[Event]) -> list[dict[str, Any]]:
    return [json.loads(event.data) for event in events if event.name == "flow"]


async def test_nothing_runs_while_nobody_watches(recorder: Recorder) -> None:
    """The poller comes with the first watcher and goes with the last."""
    feed = Feed(recorder, dict)
    before = asyncio.all_tasks()
    with feed.watch(), feed.watch():
        assert len(asyncio.all_tasks() - before) == 1
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before


async def test_numbers_only_rise_and_a_change_is_sent_once(recorder: Recorder) -> None:
    """Ten changes between two looks are one event."""
    feed = Feed(recorder, dict)
    live = a_live()
    recorder.opened(live)
    with feed.watch(0) as watcher:
        for _ in range(10):
            live.enter(State.STREAMING)
        await gather(watcher, lambda found: len(flows(found)) == 1)
        recorder.closed(live, a_concluded(live.call))
        found = await gather(watcher, lambda found: bool(flows(found)))
    assert [flow["state"] for flow in flows(found)] == ["done"]
    numbers = [event.number for event in found]
    assert numbers == sorted(numbers)


async def test_a_slow_reader_gets_one_gap_and_no_endless_queue(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It asks for everything and goes on from there."""
    monkeypatch.setattr(feed_module, "QUEUE_EVENTS", 20)
    watcher = Watcher()
    for number in range(55):
        watcher.put(Event(number, "flow", "{}"))
    watcher.end()
    found = [event async for event in watcher]
    assert len(found) <= 20
    assert [event.name for event in found].count("gap") == 1
    assert found[0].name == "gap"


async def test_dropped_rows_are_a_gap(recorder: Recorder) -> None:
    """A running call that vanished from the log must not run on the page for ever."""
    feed = Feed(recorder, dict)
    with feed.watch() as watcher:
        call = a_call()
        recorder.closed(a_live(call), a_concluded(call, attempts=(None,)))  # type: ignore[arg-type]
        found = await gather(watcher, lambda found: found[-1].name == "gap")
    assert json.loads(found[-1].data) == {"reason": "dropped"}


async def test_close_ends_every_stream(recorder: Recorder) -> None:
    """A server that stops does not wait for its watchers."""
    feed = Feed(recorder, dict)
    with feed.watch() as first, feed.watch() as second:
        feed.close()
        assert [event.name async for event in first] == ["health"]
        assert [event.name async for event in second] == ["health"]


async def test_a_burst_is_sent_whole_or_as_a_gap(recorder: Recorder) -> None:
    """Never as some rows without a word."""
    feed = Feed(recorder, dict)
    with feed.watch() as watcher:
        ids = {run_one(recorder) for _ in range(700)}
        found = await gather(
            watcher, lambda found: found[-1].name == "gap" or sum(event.name == "flow" for event in found) >= len(ids)
        )
    assert found[-1].name == "gap" or {flow["id"] for flow in flows(found)} == ids
