"""The doctor by way of the page's API: who may have it run, and what is told."""

import asyncio
import time
from typing import Any

import httpx2
import pytest

from gateway.doctor.report import Report, report
from gateway.doctor.run import run
from gateway.model.cause import Cause
from tests.gateway.doctor.fakes import CASE, Other, a_probe, bad
from tests.gateway.show.served import TOKEN, Served
from tests.gateway.show.test_openapi import unlike


def a_report() -> Report:
    probes = [a_probe(), a_probe("names", gives=Other, rank=30, judge=bad(Cause.NETWORK_DNS_TAMPERED))]
    outcomes = asyncio.run(run(CASE, probes))
    return report(CASE, outcomes, version="0", began_at=time.time(), took_ms=12.0)


def begin(client: httpx2.Client, body: Any, **headers: str) -> int:
    return client.post("/api/doctor/run", json=body, headers=headers).status_code


def test_nothing_was_run_at_first(served: Served) -> None:
    with served.client() as client:
        told = client.get("/api/doctor").json()
    assert told == {"running": False, "measured": [], "probes": 20, "report": None}


def test_a_run_is_begun_and_its_report_shown(served: Served) -> None:
    with served.client() as client:
        assert begin(client, {"host": "api.openai.com", "chatgpt": True}) == 200
        assert client.get("/api/doctor").json()["running"] is True
        assert served.doctor.begun == [("api.openai.com", True)]
        served.doctor.running, served.doctor.report = False, a_report()
        told = client.get("/api/doctor").json()
    assert not unlike(told, "/api/doctor")
    assert told["report"]["most_likely"]["cause"] == "network.dns_tampered"
    assert told["report"]["healthy"] is False


def test_it_is_told_in_the_readers_language(served: Served) -> None:
    served.doctor.report = a_report()
    with served.client() as client:
        titles = {
            language: client.get("/api/doctor", params={"lang": language}).json()["report"]["most_likely"]["title"]
            for language in ("en", "zh", "it")
        }
    assert len(set(titles.values())) == 3


def test_the_page_itself_may_have_it_run_and_no_other(served: Served) -> None:
    with served.bare() as client:
        assert begin(client, {}) == 401
        client.get("/", params={"token": TOKEN})
        assert begin(client, {}) == 401, "a request that no page of ours made"
        assert begin(client, {}, origin="http://127.0.0.1:1") == 403
        assert begin(client, {}, origin=served.url) == 200
        assert client.get("/api/doctor/run").status_code == 405


@pytest.mark.parametrize(
    "body", [[], {"host": 7}, {"chatgpt": "yes"}, {"url": "http://x"}, {"host": "no host"}, "api.openai.com"]
)
def test_what_makes_no_sense_is_refused_with_what_is_expected(served: Served, body: Any) -> None:
    with served.client() as client:
        answer = client.post("/api/doctor/run", json=body)
    assert answer.status_code == 400
    assert "whygate doctor --host" in answer.json()["error"]["message"]
    assert not served.doctor.begun
