"""The provider's status page: asked, read, and set against what the API itself does."""

import time
from pathlib import Path
from typing import Any

import pytest

from gateway.doctor.case import Case
from gateway.doctor.lists import Lists, StatusPage
from gateway.doctor.measured import Incident, Plain, StatusSaid
from gateway.doctor.probe import Check, Done, Status
from gateway.doctor.probes.status import PROBE
from gateway.doctor.status_asking import TOTAL_SECONDS, status_said
from gateway.doctor.wire import Answer
from gateway.model.cause import Cause, Precision
from gateway.model.failure import NetCode, Phase
from tests.gateway.doctor.probes.far import RIGHT, a_case, answered, far, problem, unanswered

PAGE = "https://status.openai.com"
AFFECTED = StatusSaid(
    page=PAGE,
    state="affected",
    components=(("Chat Completions", "partial_outage"),),
    incidents=(Incident(name="Elevated error rates", status="investigating", began="2026-11-22T08:00:00Z"),),
    answer=answered(200, "{}"),
)
OVERLOADED = answered(503, problem("The server is currently overloaded.", kind="server_error"))


def judged(seen: StatusSaid, plain: Answer | None = RIGHT, case: Case | None = None) -> Check:
    done = Done(seen) if plain is None else Done(seen, Plain(answer=plain))
    (check,) = PROBE.judge(case or a_case(), done)
    return check


def test_nothing_open_is_well() -> None:
    assert judged(StatusSaid(page=PAGE, state="operational")).status is Status.OK


def test_trouble_elsewhere_is_a_note() -> None:
    seen = StatusSaid(page=PAGE, state="operational", elsewhere=True, incidents=(Incident(name="Login"),))
    assert judged(seen).status is Status.NOTE


@pytest.mark.parametrize(
    ("plain", "status"),
    [
        (RIGHT, Status.WARN),
        (None, Status.WARN),
        (OVERLOADED, Status.FAIL),
        (unanswered(NetCode.READ_TIMEOUT, Phase.FIRST_BYTE), Status.FAIL),
        (unanswered(NetCode.DNS_FAILURE, Phase.DNS), Status.WARN),
        (answered(403, problem("Country, region, or territory not supported", "unsupported_country_region_territory")), Status.WARN),
    ],
)  # fmt: skip
def test_an_incident_is_a_failure_when_calls_fail_as_in_one(plain: Answer | None, status: Status) -> None:
    check = judged(AFFECTED, plain)
    assert check.status is status
    assert check.diagnosis is not None
    assert check.diagnosis.cause is Cause.SERVICE_INCIDENT
    assert check.diagnosis.precision is Precision.CONFIRMED
    assert any("Elevated error rates" in line for line in check.diagnosis.evidence)
    assert any("partial outage" in line for line in check.diagnosis.evidence)


def test_the_last_call_counts_as_well() -> None:
    row = {"host": "api.openai.com", "cause": "service.overloaded"}
    assert judged(AFFECTED, RIGHT, a_case(flows=(row,))).status is Status.FAIL
    assert judged(AFFECTED, RIGHT, a_case(flows=({"host": "api.openai.com", "cause": None}, row))).status is Status.WARN


def test_a_page_that_cannot_be_reached_says_where_the_trouble_is() -> None:
    silent = unanswered(NetCode.CONNECT_TIMEOUT, Phase.CONNECT)
    seen = StatusSaid(page=PAGE, state="unknown", answer=silent)
    assert judged(seen).status is Status.NOTE
    assert "neither" in judged(seen, silent).told.text
    assert "neither" not in judged(seen).told.text


def test_a_page_that_cannot_be_read_is_no_healthy_one() -> None:
    check = judged(StatusSaid(page=PAGE, state="unknown", answer=answered(200, "<html>")))
    assert check.status is Status.NOTE
    assert "could not be read" in check.told.text


def test_without_a_known_page_it_is_left_out() -> None:
    assert PROBE.leave_out(a_case(lists=Lists(status_pages={})))
    assert not PROBE.leave_out(a_case())


HEALTHY = {"components": [{"name": "Responses", "status": "operational"}], "incidents": []}


async def said(folder: Path, answers: dict[str, tuple[int, Any]], page: StatusPage | None = None) -> StatusSaid:
    page = page or StatusPage(url=PAGE, components=("responses",))
    async with far(folder, "status.openai.com", "moved.openai.com") as there:
        for path, (status, body) in answers.items():
            there.on(f"status.openai.com{path}", status, body)
        there.on("status.openai.com/old/api/v2/summary.json", 302, "", location="https://moved.openai.com/s.json")
        there.on("moved.openai.com/s.json", 200, HEALTHY)
        lists = there.lists("status.openai.com", "moved.openai.com", status_pages={"openai": page})
        return await status_said(a_case(lists=lists, ca_file=there.ca_file))


async def test_the_summary_is_read(tmp_path: Path) -> None:
    assert (await said(tmp_path, {"/api/v2/summary.json": (200, HEALTHY)})).state == "operational"


async def test_incidents_are_asked_for_when_the_summary_lacks_them(tmp_path: Path) -> None:
    summary = {"components": HEALTHY["components"]}
    opened = {"incidents": [{"name": "Errors", "status": "identified", "components": [{"name": "Responses"}]}]}
    answers = {"/api/v2/summary.json": (200, summary), "/api/v2/incidents.json": (200, opened)}
    assert (await said(tmp_path, answers)).state == "affected"
    assert (await said(tmp_path, {"/api/v2/summary.json": (200, summary)})).state == "unknown"


async def test_the_native_document_is_the_last_resort(tmp_path: Path) -> None:
    native = {
        "summary": {
            "components": [{"id": "a", "name": "Responses"}],
            "affected_components": [],
            "ongoing_incidents": [],
        }
    }
    assert (await said(tmp_path, {"/proxy/status.openai.com": (200, native)})).state == "operational"


async def test_a_redirect_is_followed_once(tmp_path: Path) -> None:
    page = StatusPage(url=f"{PAGE}/old", components=("responses",))
    assert (await said(tmp_path, {}, page)).state == "operational"


@pytest.mark.parametrize(
    ("status", "body"), [(200, "<html>nice</html>"), (500, "{}"), (403, "<html></html>"), (200, "")]
)
async def test_anything_else_is_unknown(tmp_path: Path, status: int, body: str) -> None:
    assert (await said(tmp_path, {"/api/v2/summary.json": (status, body)})).state == "unknown"


async def test_googles_shape_and_a_feed(tmp_path: Path) -> None:
    google = StatusPage(url=f"{PAGE}/dash", components=("gemini",), shape="google")
    answers = {
        "/dash/products.json": (200, {"products": [{"title": "Gemini"}]}),
        "/dash/incidents.json": (200, [{"external_desc": "Errors", "affected_products": [{"title": "Gemini"}]}]),
    }
    assert (await said(tmp_path, answers, google)).state == "affected"
    feed = StatusPage(url=PAGE, components=("api",), shape="feed")
    assert (await said(tmp_path, {"/feed.xml": (200, "<rss></rss>")}, feed)).state == "operational"
    assert (await said(tmp_path, {}, feed)).state == "unknown"


async def test_a_page_that_says_nothing_costs_no_more_than_its_time(tmp_path: Path) -> None:
    async with far(tmp_path, "status.openai.com") as there:
        there.silent = True
        began = time.monotonic()
        seen = await status_said(a_case(lists=there.lists("status.openai.com"), ca_file=there.ca_file))
        assert time.monotonic() - began < TOTAL_SECONDS + 0.5 < PROBE.seconds + 0.5
        assert seen.state == "unknown"
        assert seen.answer is not None
        assert seen.answer.failure is not None
