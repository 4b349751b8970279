"""Whether a login page stands before all: well-known pages over plain HTTP, known to the letter."""

import asyncio
from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

from gateway.doctor.case import Case
from gateway.doctor.finding import clue, judged, named, not_this, note, ok, skipped, trouble
from gateway.doctor.grounds import answered, is_own, offline, portal, replaced, says_login
from gateway.doctor.lists import Portal
from gateway.doctor.lookup import by_system
from gateway.doctor.measured import Handshakes, Portals
from gateway.doctor.probe import Check, Done, Group, Probe, Status
from gateway.doctor.wire import Answer, fetch
from gateway.model.cause import Cause
from gateway.model.diagnosis import Clue
from gateway.model.failure import NetCode, NetFailure, Phase

_NAME_SECONDS, _PAGE_SECONDS = 1.5, 1.8


async def _measure(case: Case, _done: Done) -> Portals:
    pages = case.lists.portals
    answers = await asyncio.gather(*(_asked(case, page) for page in pages))
    return Portals(each=tuple((page.url, answer) for page, answer in zip(pages, answers, strict=True)))


async def _asked(case: Case, page: Portal) -> Answer:
    """Ask for one. Its name is looked up apart: the loop's own look-ups cannot be given up."""
    parts = urlsplit(page.url)
    host, port = parts.hostname or "", parts.port or 80
    if f"{host}:{port}" in case.lists.connect_to:
        return await fetch(case, page.url, straight=True, seconds=_PAGE_SECONDS)
    found = await by_system(host, port, _NAME_SECONDS)
    if not found.addresses:
        detail = found.detail or found.code
        return Answer(failure=NetFailure(phase=Phase.DNS, code=NetCode.DNS_FAILURE, detail=detail, sent=False))
    answer = Answer()
    for family in (".", ":"):
        address = next((one for one in found.addresses if family in one), "")
        if address:
            answer = await fetch(case, page.url, address=address, straight=True, seconds=_PAGE_SECONDS)
        if answer.status or (answer.failure is not None and answer.failure.code is not NetCode.NETWORK_UNREACHABLE):
            break  # where IPv4 has no way, IPv6 may have one
    return answer


def _judge(case: Case, done: Done) -> Iterator[Check]:
    seen = done.get(Portals)
    if seen is None:
        return
    others = replaced(case, done)
    pages = {page.url: page for page in case.lists.portals}
    own = [url for url, answer in seen.each if url in pages and is_own(pages[url], answer)]
    refused = [answer for url, answer in seen.each if answer.status and url not in own and answer.status >= 400]
    if offline(case, done):
        yield skipped("nothing gets out of this machine")
    elif portal(case, done):
        yield _stands(case, others)
    elif others:
        yield _changed(case, done, others)
    elif own:
        yield ok("no login page stands in the way")
    elif refused:
        yield note("well-known pages over plain HTTP are refused with status {status}", status=refused[0].status)
    else:
        yield skipped("no well-known page answered over plain HTTP")


def _stands(case: Case, others: tuple[tuple[str, Answer], ...]) -> Check:
    """The engine names the product by the most telling of the answers."""
    telling = sorted(others, key=lambda one: not says_login(case, one[1]))
    _, answer = telling[0]
    asked = [urlsplit(url).hostname or url for url, _ in others]
    told = clue("a login page answers in place of {pages}", pages=", ".join(asked))
    evidence = answered(case, answer)
    clues = [told, *_leads(answer)]
    excluded = [not_this(one, told) for one in (Cause.SERVICE_UNAVAILABLE, Cause.NETWORK_OFFLINE)]
    sure, language = len(others) > 1, case.language
    if says_login(case, answer):
        verdict = judged(evidence, clues=clues, ruled_out=excluded, confirmed=sure, language=language)
    else:
        verdict = named(
            Cause.NETWORK_CAPTIVE_PORTAL, evidence, clues=clues, ruled_out=excluded, confirmed=sure, language=language
        )
    return trouble(Status.FAIL, verdict, told.text, **dict(told.facts))


def _leads(answer: Answer) -> list[Clue]:
    """Say where a redirect leads, without the query: it names this machine."""
    location = answer.header("location")
    parts = urlsplit(location)
    return [clue("it redirects to {place}", place=f"{parts.scheme}://{parts.netloc}{parts.path}")] if location else []


def _changed(case: Case, done: Done, others: tuple[tuple[str, Answer], ...]) -> Check:
    hosts = ", ".join(urlsplit(url).hostname or url for url, _ in others)
    handshakes = done.get(Handshakes)
    if handshakes is not None and handshakes.valid:
        text = "pages over plain HTTP are replaced on the way ({pages}); calls to {host} get through"
        return note(text, pages=hosts, host=case.target.host)
    return note("pages over plain HTTP are replaced on the way ({pages})", pages=hosts)


def _touches(case: Case) -> Iterable[str]:
    for page in case.lists.portals:
        parts = urlsplit(page.url)
        yield f"{parts.hostname}:{parts.port or 80}"


def _leave_out(case: Case) -> str:
    if not case.asked:
        return "nobody asked for it"
    if case.via is not None:
        return "calls go through the proxy"
    return "" if case.lists.portals else "no page is set"


PROBE = Probe(
    name="portal",
    group=Group.NETWORK,
    rank=25,
    gives=Portals,
    measure=_measure,
    judge=_judge,
    seconds=3.4,
    touches=_touches,
    leave_out=_leave_out,
)
