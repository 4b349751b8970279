"""The clock against what servers say, and certificates that are refused for it."""

import asyncio
import contextlib
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import formatdate

import pytest

from gateway.doctor.case import Case
from gateway.doctor.lists import Lists
from gateway.doctor.measured import Handshakes, Lookup, Names, Plain, Portals, Shaken
from gateway.doctor.measured_here import Clock
from gateway.doctor.probe import Check, Done, Status
from gateway.doctor.probes.clock import PROBE, skew_of
from gateway.doctor.wire import Answer, Served
from gateway.egress.network import parse_via
from gateway.model.cause import Cause, Precision
from gateway.model.failure import NetCode, NetFailure, Phase
from tests.gateway.doctor.fakes import CASE

DAY = 86_400.0


def at(days: float) -> str:
    return f"{datetime.now(UTC) + timedelta(days=days):%Y-%m-%d %H:%M} UTC"


def refused(begins: float, ends: float, code: NetCode = NetCode.TLS_CERTIFICATE) -> Handshakes:
    """A certificate valid from and to so many days from now, refused."""
    served = Served(
        subject="CN=api.openai.com", issuer="CN=WE1,O=Google Trust Services", begins=at(begins), ends=at(ends)
    )
    failure = NetFailure(phase=Phase.TLS, code=code, detail="certificate has expired", sent=False)
    return Handshakes(each=(Shaken(address="172.66.0.243", name="api.openai.com", served=served, failure=failure),))


def judge(skew: float | None, *more: object, case: Case = CASE) -> Check:
    (check,) = PROBE.judge(case, Done(Clock(skew_seconds=skew, by=("captive.apple.com",)), *more))
    return check


def said(seconds_ago: float = 0.0, **headers: str) -> Answer:
    date = formatdate(time.time() - seconds_ago, usegmt=True)
    return Answer(
        status=200, headers=tuple((name.encode(), value.encode()) for name, value in {"date": date, **headers}.items())
    )


@pytest.mark.parametrize("skew", [0.0, 5.0, -59.0])
def test_a_clock_that_is_right_is_fine(skew: float) -> None:
    assert judge(skew).status is Status.OK


@pytest.mark.parametrize(("skew", "words"), [(90.0, "ahead of"), (-200.0, "behind")])
def test_a_clock_that_is_minutes_off_is_a_note(skew: float, words: str) -> None:
    check = judge(skew)
    assert check.status is Status.NOTE
    assert words in check.told.text


def test_a_clock_that_is_far_off_is_a_warning_that_speaks_of_no_refused_certificate() -> None:
    check = judge(600.0)
    assert check.status is Status.WARN
    assert check.diagnosis is not None
    assert (check.diagnosis.cause, check.diagnosis.precision) == (Cause.NETWORK_TLS_CERTIFICATE, Precision.INFERRED)
    assert check.diagnosis.what_happened == "This machine's clock is 10 min ahead of captive.apple.com."
    assert "did not pass" not in check.diagnosis.what_happened


@pytest.mark.parametrize(
    ("skew", "begins", "ends", "words"),
    [(-5 * DAY, 3, 90, "5 days behind"), (9 * DAY, -90, -3, "9 days ahead")],
    ids=["not yet valid", "expired"],
)
def test_a_certificate_that_only_this_clock_refuses(skew: float, begins: float, ends: float, words: str) -> None:
    check = judge(skew, refused(begins, ends))
    assert check.status is Status.FAIL
    assert check.diagnosis is not None
    assert (check.diagnosis.cause, check.diagnosis.precision) == (Cause.NETWORK_TLS_CERTIFICATE, Precision.CONFIRMED)
    lines = "\n".join(check.diagnosis.evidence)
    assert words in lines
    assert "the certificate is valid from" in lines
    assert Cause.SERVICE_UNAVAILABLE in {one.cause for one in check.diagnosis.ruled_out}


@pytest.mark.parametrize("skew", [2.0, -5 * DAY], ids=["right clock", "clock off the other way"])
def test_a_certificate_that_is_expired_by_any_clock_is_not_its_doing(skew: float) -> None:
    check = judge(skew, refused(-90, -30))
    assert check.status is (Status.OK if skew == 2.0 else Status.WARN)


def test_when_nobody_said_the_time_there_is_nothing_to_compare() -> None:
    assert judge(None).status is Status.SKIPPED


def test_a_login_pages_clock_is_nobodys() -> None:
    pages = CASE.lists.portals
    login = Answer(status=302, headers=((b"location", b"http://eu.network-auth.com/splash/x"),))
    assert judge(9 * DAY, Portals(each=tuple((page.url, login) for page in pages))).status is Status.SKIPPED


# -- measuring --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "skew"),
    [
        ({"date": "Sun, 22 Nov 2026 20:00:00 GMT"}, 30.0),
        ({"date": "Sun, 22 Nov 2026 19:59:00 GMT", "age": "60"}, 30.0),
        ({"date": "Sun, 22 Nov 2026 19:59:00 -0000", "age": "minus"}, None),
        ({"date": "Sun, 22 Nov 2026 20:00:00"}, 30.0),
        ({"date": "Thu, 01 Jan 1970 00:00:00 GMT"}, None),
        ({"date": "tomorrow"}, None),
        ({}, None),
    ],
)  # fmt: skip
def test_what_an_answer_says_of_the_time(headers: dict[str, str], skew: float | None) -> None:
    now = datetime(2026, 11, 22, 20, 0, 30, tzinfo=UTC).timestamp()
    answer = Answer(status=200, headers=tuple((name.encode(), value.encode()) for name, value in headers.items()))
    assert skew_of(answer, now) == skew


async def test_the_median_of_all_who_said_the_time_counts() -> None:
    pages = Portals(
        each=tuple((page.url, said(ago)) for page, ago in zip(CASE.lists.portals, (600, 610, 0, 9000), strict=True))
    )
    found = await PROBE.measure(CASE, Done(pages, Plain(answer=said(605))))
    assert isinstance(found, Clock)
    assert found.skew_seconds == pytest.approx(605, abs=3)
    assert found.by[0] == "api.openai.com"
    assert len(found.by) == 5


async def test_nobody_is_asked_unless_a_certificate_was_refused_for_its_dates() -> None:
    names = Names(host="api.openai.com", system=Lookup(by="system", addresses=("192.0.2.1",)))
    assert await PROBE.measure(CASE, Done(names)) == Clock(skew_seconds=None)
    untrusted = refused(-1, 1, NetCode.TLS_UNTRUSTED_ISSUER)
    assert await PROBE.measure(CASE, Done(names, untrusted)) == Clock(skew_seconds=None)


async def test_the_target_is_asked_over_plain_http_when_its_certificate_was_refused() -> None:
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            asked.append(await reader.readuntil(b"\r\n\r\n"))
            date = formatdate(time.time() + 5 * DAY, usegmt=True)
            writer.write(f"HTTP/1.1 301 Moved\r\ndate: {date}\r\ncontent-length: 0\r\n\r\n".encode())
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        place = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        case = replace(CASE, lists=Lists(connect_to={"192.0.2.1:80": place}))
        names = Names(host="api.openai.com", system=Lookup(by="system", addresses=("192.0.2.1",)))
        found = await PROBE.measure(case, Done(names, refused(3, 90)))
        behind = await PROBE.measure(replace(case, via=parse_via("127.0.0.1:9")), Done(names, refused(3, 90)))
    assert isinstance(found, Clock)
    assert found.skew_seconds == pytest.approx(-5 * DAY, abs=5)
    assert behind == Clock(skew_seconds=None)
    assert [line.split(b"\r\n")[0] for line in asked] == [b"HEAD / HTTP/1.1"]
    assert b"host: api.openai.com" in asked[0].lower()
