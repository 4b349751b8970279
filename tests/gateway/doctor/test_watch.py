"""Status pages are asked only while calls fail, once a minute, and what they say grows old."""

import asyncio

from gateway.doctor.measured import Incident, StatusSaid
from gateway.doctor.watch import POLL_SECONDS, STALE_SECONDS, StatusWatch
from tests.gateway.driver import until
from tests.gateway.factories import HandClock

PAGE = "https://status.openai.com"
AFFECTED = StatusSaid(
    page=PAGE,
    state="affected",
    components=(("Chat Completions", "partial_outage"), ("Files", "operational")),
    incidents=(Incident(name="Elevated errors", status="investigating"),),
)
WELL = StatusSaid(page=PAGE, state="operational")


class Page:
    """A status page that says what it is told to."""

    def __init__(self, said: StatusSaid | None = AFFECTED) -> None:
        self.said, self.asked, self.breaks = said, 0, False

    async def ask(self, _provider: str) -> StatusSaid | None:
        self.asked += 1
        await asyncio.sleep(0)
        if self.breaks:
            raise OSError("no route")
        return self.said


async def test_without_failures_nobody_is_asked() -> None:
    page = Page()
    watch = StatusWatch(page.ask, HandClock())
    task = asyncio.get_running_loop().create_task(watch.run())
    for _ in range(20):
        await asyncio.sleep(0)
    assert page.asked == 0
    watch.failed("openai")
    await until(lambda: page.asked)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_page_is_asked_once_a_minute_by_however_many() -> None:
    page, clock = Page(), HandClock()
    watch = StatusWatch(page.ask, clock)
    await asyncio.gather(*(watch.ask("openai") for _ in range(50)))
    assert page.asked == 1
    await watch.ask("openai")
    assert page.asked == 1
    clock.seconds += POLL_SECONDS
    await watch.ask("openai")
    assert page.asked == 2


async def test_an_incident_is_told_in_words_with_what_it_affects() -> None:
    watch = StatusWatch(Page().ask, HandClock())
    assert watch.incident("openai") == ""
    await watch.ask("openai")
    assert watch.incident("openai") == "Elevated errors (investigating); Chat Completions: partial outage"


async def test_a_healthy_or_unreadable_page_is_no_incident() -> None:
    for said in (WELL, StatusSaid(page=PAGE, state="unknown"), None):
        watch = StatusWatch(Page(said).ask, HandClock())
        await watch.ask("openai")
        assert watch.incident("openai") == ""


async def test_what_was_said_long_ago_counts_no_more() -> None:
    clock = HandClock()
    watch = StatusWatch(Page().ask, clock)
    await watch.ask("openai")
    clock.seconds += STALE_SECONDS + 1
    assert watch.said("openai") is None
    assert watch.all_said() == {}


async def test_a_page_that_cannot_be_asked_costs_nothing() -> None:
    page = Page()
    page.breaks = True
    watch = StatusWatch(page.ask, HandClock())
    assert await watch.ask("openai") is None
    assert watch.incident("openai") == ""
