"""Login pages by what answers in place of well-known pages; and what changes those pages and is none."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from gateway.doctor.case import Case
from gateway.doctor.lists import Lists, Portal
from gateway.doctor.measured import Handshakes, Lookup, Portals, Shaken
from gateway.doctor.probe import Check, Done, Status
from gateway.doctor.probes import portal
from gateway.doctor.probes.portal import PROBE
from gateway.doctor.wire import Answer
from gateway.egress.network import parse_via
from gateway.model.cause import Cause, Precision
from gateway.model.failure import NetCode, NetFailure, Phase
from tests.gateway.doctor.fakes import CASE

PAGES = CASE.lists.portals
SILENT = Answer(failure=NetFailure(phase=Phase.CONNECT, code=NetCode.CONNECT_TIMEOUT, detail="no answer", sent=False))
MERAKI = b"http://eu.network-auth.com/splash/abc?mac=02%3A00&continue_url=x"
FORM = '<html><title>Welcome</title><form action="/login">Room: <input name=r></form></html>'


def true(page: Portal) -> Answer:
    return Answer(status=page.status, text=f"<HTML>{page.holds}</HTML>" if page.holds else "")


def to(location: bytes, status: int = 302) -> Answer:
    return Answer(status=status, headers=((b"location", location),))


def html(status: int, text: str) -> Answer:
    return Answer(status=status, headers=((b"content-type", b"text/html"),), text=text)


def judge(*answers: Answer, more: tuple[object, ...] = (), case: Case = CASE) -> Check:
    """Judge these answers of the first pages, and the true ones of the others."""
    given = [*answers, *(true(page) for page in PAGES[len(answers) :])]
    each = tuple((page.url, answer) for page, answer in zip(PAGES, given, strict=True))
    (check,) = PROBE.judge(case, Done(Portals(each=each), *more))
    return check


def facts(check: Check) -> str:
    assert check.diagnosis is not None
    return "\n".join(check.diagnosis.evidence)


@pytest.mark.parametrize(
    ("answer", "vendor", "words"),
    [
        (to(MERAKI), "Meraki", "it redirects to http://eu.network-auth.com/splash/abc"),
        (to(b"http://192.168.7.1:1000/fgtauth?0a2b3c4d"), "Forti", "it redirects to http://192.168.7.1:1000/fgtauth"),
        (to(b"https://securelogin.arubanetworks.com/cgi-bin/login?mac=02:00"), "Aruba", "securelogin"),
        (to(b"http://login.hotel.example/login?dst=x", 307), "", "login.hotel.example"),
        (html(200, FORM), "", "Welcome"),
        (html(511, "<title>Network Authentication Required</title>"), "", "511"),
    ],
    ids=["meraki", "fortigate", "aruba", "hotel", "form", "511"],
)
def test_a_login_page_in_place_of_every_page(answer: Answer, vendor: str, words: str) -> None:
    check = judge(*[answer] * 4)
    assert check.status is Status.FAIL
    assert check.diagnosis is not None
    assert check.diagnosis.cause is Cause.NETWORK_CAPTIVE_PORTAL
    assert check.diagnosis.precision is Precision.CONFIRMED
    assert vendor in check.diagnosis.vendor
    assert words in facts(check)
    assert {Cause.SERVICE_UNAVAILABLE, Cause.NETWORK_OFFLINE} <= {one.cause for one in check.diagnosis.ruled_out}


def test_where_a_redirect_leads_is_told_without_what_it_says_of_this_machine() -> None:
    assert "mac=" not in facts(judge(*[to(MERAKI)] * 4))


def test_one_page_that_leads_to_a_login_is_enough_and_less_sure() -> None:
    check = judge(to(MERAKI), SILENT, SILENT, SILENT)
    assert check.status is Status.FAIL
    assert check.diagnosis is not None
    assert check.diagnosis.precision is not Precision.CONFIRMED


@pytest.mark.parametrize("answer", [html(200, "another page"), to(b"https://www.apple.com/")])
def test_one_page_that_is_another_is_not_yet_a_login(answer: Answer) -> None:
    assert judge(answer).status is Status.NOTE


def test_where_calls_get_through_replaced_pages_are_a_note() -> None:
    valid = Handshakes(each=(Shaken(address="172.66.0.243", name="api.openai.com"),))
    assert judge(*[to(MERAKI)] * 4, more=(valid,)).status is Status.NOTE


def test_a_filters_page_is_a_filters() -> None:
    page = html(200, '<title>Blocked</title><a href="https://block.opendns.com/?url=15">This site is blocked.</a>')
    assert judge(*[page] * 4).status is Status.NOTE


@pytest.mark.parametrize("status", [403, 407, 502, 503])
def test_a_refusal_is_a_proxys_policy(status: int) -> None:
    check = judge(*[html(status, "no")] * 4)
    assert check.status is Status.NOTE
    assert ("status", str(status)) in check.told.facts


def test_the_true_pages_mean_that_there_is_none() -> None:
    assert judge().status is Status.OK
    assert judge(SILENT, SILENT, SILENT).status is Status.OK


def test_an_empty_200_in_place_of_a_204_is_the_same() -> None:
    at = next(index for index, page in enumerate(PAGES) if page.status == 204)
    answers = [true(page) for page in PAGES]
    answers[at] = Answer(status=200)
    assert judge(*answers).status is Status.OK


def test_silence_says_nothing() -> None:
    assert judge(*[SILENT] * 4).status is Status.SKIPPED


@pytest.mark.parametrize(
    "case",
    [
        replace(CASE, asked=False),
        replace(CASE, via=parse_via("proxy.firm.example:3128")),
        replace(CASE, lists=Lists(portals=())),
    ],
    ids=["unasked", "proxy", "no page"],
)
def test_when_it_is_left_out(case: Case) -> None:
    assert PROBE.leave_out(case)


# -- measuring --------------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def answering(reply: bytes) -> AsyncIterator[str]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(reply)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_pages_are_asked_for_and_redirects_are_not_followed() -> None:
    reply = b"HTTP/1.1 302 Found\r\nlocation: http://eu.network-auth.com/splash/\r\ncontent-length: 0\r\n\r\n"
    async with answering(reply) as place:
        page = Portal(url="http://portal.example/", holds="Success")
        case = replace(CASE, lists=Lists(portals=(page,), connect_to={"portal.example:80": place}))
        found = await PROBE.measure(case, Done())
        assert list(PROBE.touches(case)) == ["portal.example:80"]
    assert isinstance(found, Portals)
    ((url, answer),) = found.each
    assert (url, answer.status, answer.header("location")) == (page.url, 302, "http://eu.network-auth.com/splash/")


async def test_a_page_whose_name_is_unknown_is_a_failure_of_names(monkeypatch: pytest.MonkeyPatch) -> None:
    async def unknown(*_: object) -> Lookup:
        return Lookup(by="system", code="nxdomain", detail="Name or service not known")

    monkeypatch.setattr(portal, "by_system", unknown)
    case = replace(CASE, lists=Lists(portals=(Portal(url="http://nobody.invalid/"),)))
    found = await PROBE.measure(case, Done())
    assert isinstance(found, Portals)
    ((_, answer),) = found.each
    assert answer.failure is not None
    assert answer.failure.phase is Phase.DNS
