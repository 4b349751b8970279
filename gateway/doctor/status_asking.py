"""Asks a provider's status page, by the way of calls, and reads it in its shape."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from gateway.doctor import status_pages
from gateway.doctor.case import Case
from gateway.doctor.lists import StatusPage
from gateway.doctor.measured import StatusSaid
from gateway.doctor.status_pages import NOTHING, Said, document, opening
from gateway.doctor.wire import Answer, fetch

TOTAL_SECONDS = 3.5
_EACH_SECONDS = 2.5
_REDIRECTS = frozenset({301, 302, 307, 308})

Get = Callable[[str], Awaitable[Answer]]


async def status_said(case: Case) -> StatusSaid:
    """Say what the page of the target's provider says. Total; without a page, or with one that fails, ``unknown``.

    It ends within `TOTAL_SECONDS`, and asks three documents at most.
    """
    page = case.lists.status_pages.get(case.target.name)
    if page is None:
        return StatusSaid(page="", state=status_pages.UNKNOWN)
    ends = time.monotonic() + TOTAL_SECONDS

    async def get(url: str) -> Answer:
        """Ask for a document, following one redirect to another HTTPS address."""
        answer = await fetch(case, url, seconds=max(0.1, min(_EACH_SECONDS, ends - time.monotonic())))
        place = answer.header("location")
        if answer.status in _REDIRECTS and place.startswith("https://"):
            return await fetch(case, place, seconds=max(0.1, min(_EACH_SECONDS, ends - time.monotonic())))
        return answer

    said, answer = await _READERS.get(page.shape, _of_statuspage)(get, page)
    return StatusSaid(
        page=page.url,
        state=said.state,
        components=said.components,
        incidents=said.incidents,
        elsewhere=said.elsewhere,
        answer=answer,
    )


async def _of_statuspage(get: Get, page: StatusPage) -> tuple[Said, Answer]:
    answer = await get(f"{page.url}/api/v2/summary.json")
    if answer.failure is not None:
        return NOTHING, answer
    summary = document(answer.text) if answer.status == 200 else None
    if status_pages.lacks_incidents(summary):
        second = await get(f"{page.url}/api/v2/incidents.json")
        listed = {"incidents": opening(second.text, "incidents")} if second.status == 200 else None
        return status_pages.statuspage(summary, listed, page.components), answer
    said = status_pages.statuspage(summary, None, page.components)
    if said != NOTHING:
        return said, answer
    last = await get(f"{page.url}/proxy/{urlsplit(page.url).hostname}")
    found = status_pages.native(document(last.text) if last.status == 200 else None, page.components)
    return found, answer if found == NOTHING else last


async def _of_google(get: Get, page: StatusPage) -> tuple[Said, Answer]:
    products, incidents = await asyncio.gather(get(f"{page.url}/products.json"), get(f"{page.url}/incidents.json"))
    listed = opening(incidents.text) if incidents.status == 200 else None
    said = status_pages.google(document(products.text), listed, page.components)
    return said, products if products.failure is not None else incidents


async def _of_feed(get: Get, page: StatusPage) -> tuple[Said, Answer]:
    answer = await get(f"{page.url}/feed.xml")
    good = answer.failure is None and answer.status == 200
    return (status_pages.feed(answer.text, page.components) if good else NOTHING), answer


_READERS = {"statuspage": _of_statuspage, "google": _of_google, "feed": _of_feed}
