"""The report: what stands on top, what is healthy, and what never stands in it."""

import asyncio
import json
import time
from collections.abc import Sequence

from gateway.doctor.case import Case
from gateway.doctor.measured import Plain
from gateway.doctor.probe import Done, Probe
from gateway.doctor.report import Report, document, plain, report
from gateway.doctor.run import run
from gateway.doctor.wire import Answer
from gateway.model.cause import Cause
from tests.gateway.doctor.fakes import CASE, Other, Seen, a_probe, bad


def made(*probes: Probe, seconds: float = 5.0) -> Report:
    outcomes = asyncio.run(run(CASE, probes, seconds=seconds))
    return report(CASE, outcomes, version="0", began_at=time.time(), took_ms=1.0)


def statuses(found: Report) -> Sequence[str]:
    return [line.check.status.value for line in found.lines]


def test_without_findings_it_is_healthy() -> None:
    found = made(a_probe(), a_probe("other", gives=Other, leave_out=lambda _case: "not needed"))
    assert found.healthy
    assert found.most_likely is None
    assert sorted(statuses(found)) == ["ok", "skipped"]


def test_of_several_troubles_the_nearest_to_this_machine_stands_on_top() -> None:
    near = a_probe("near", rank=30, judge=bad(Cause.NETWORK_DNS_FAILURE))
    far = a_probe("far", rank=80, gives=Other, judge=bad(Cause.AUTH_INVALID_KEY))
    found = made(far, near)
    assert found.most_likely is not None
    assert found.most_likely.name == "near"
    assert document(found)["most_likely"]["cause"] == "network.dns_failure"


def test_what_did_not_come_to_an_end_is_not_healthy() -> None:
    async def hangs(_case: Case, _done: Done) -> Seen:
        await asyncio.Event().wait()
        return Seen()

    found = made(a_probe(measure=hangs), seconds=0.1)
    assert not found.healthy
    (check,) = document(found)["checks"]
    assert (check["status"], check["cause"], check["told"]) == ("warn", None, "it took too long")


def test_a_document_is_json_and_holds_no_credential_and_no_page() -> None:
    secret = "sk-" + "a1B2c3D4" * 4
    answer = Answer(status=200, headers=((b"x-key", secret.encode()),), text=f"<html>{secret}", address=secret)
    told = json.dumps(plain(Plain(answer=answer, path="/v1/models")))
    assert secret not in told
    assert "<html>" not in told
    assert json.loads(told)["answer"]["status"] == 200
