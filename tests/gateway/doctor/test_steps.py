"""Steps of a check's own stand in the report in place of its cause's."""

import pytest

from gateway.diagnose.evidence import Evidence
from gateway.doctor.case import Case, Target
from gateway.doctor.finding import clue, named
from gateway.doctor.probe import Check, Outcome, Status
from gateway.doctor.probes.machine import PROBE
from gateway.doctor.report import document, report
from gateway.model.cause import Cause


@pytest.mark.parametrize(("language", "end"), [("en", "."), ("it", "."), ("zh", "\N{IDEOGRAPHIC FULL STOP}")])
def test_steps_of_a_checks_own_are_sentences_in_place_of_the_causes(language: str, end: str) -> None:
    verdict = named(Cause.NETWORK_TCP_TIMEOUT, Evidence(provider=None, host="x"), language=language)
    check = Check(status=Status.WARN, told=clue("x"), diagnosis=verdict, steps=(clue("open {port}", port="UDP 3478"),))
    outcome = Outcome(probe=PROBE, checks=(check,))
    found = report(Case(target=Target(host="x")), [outcome], version="1", began_at=0.0, took_ms=0.0)
    given = document(found, language)
    assert given["checks"][0]["what_to_do"] == [f"Open UDP 3478{end}"]
    assert given["most_likely"]["what_to_do"] == [f"Open UDP 3478{end}"]
    assert given["checks"][0]["title"] == verdict.title
