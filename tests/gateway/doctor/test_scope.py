"""How far a trouble reaches, from the log and from other providers."""

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.diagnose.evidence import Evidence
from gateway.diagnose.remedy import fill
from gateway.doctor.case import Case, Target
from gateway.doctor.finding import named
from gateway.doctor.measured import Others
from gateway.doctor.probe import Check, Done, Outcome, Status
from gateway.doctor.probes.machine import PROBE
from gateway.doctor.scope import scope
from gateway.doctor.wire import Answer
from gateway.model.cause import Cause
from gateway.model.diagnosis import Clue
from gateway.model.failure import NetCode, NetFailure, Phase

CASE = Case(
    target=Target(host="api.openai.com", name="openai"),
    others=(Target(host="api.anthropic.com", name="anthropic"), Target(host="api.groq.com", name="groq")),
)
WORKS = Answer(status=401, headers=((b"content-type", b"application/json"),))
PAGE = Answer(status=403, headers=((b"content-type", b"text/html"),))
DEAD = Answer(failure=NetFailure(phase=Phase.CONNECT, code=NetCode.CONNECT_TIMEOUT, detail="", sent=False))


def _row(minute: int, cause: str | None = None, **more: Any) -> dict[str, Any]:
    return {
        "state": "done", "started_at": f"2026-11-22T14:{minute:02d}:00.000Z", "provider": "openai", "cause": cause,
        "host": "api.openai.com", "client": "openai-python/2.0", "tenant": "default",
    } | more  # fmt: skip


def _told(case: Case, seen: Any) -> list[str]:
    return [fill(one.text, dict(one.facts)) for one in scope(case, seen)]


def _with(*rows: dict[str, Any]) -> Case:
    """Newest first, as the log gives them."""
    return replace(CASE, flows=rows)


def _outcome(status: Status) -> Outcome:
    verdict = named(Cause.NETWORK_TCP_TIMEOUT, Evidence(provider=None, host="x"))
    return Outcome(probe=PROBE, checks=(Check(status=status, told=Clue("x"), diagnosis=verdict),))


def test_nothing_is_said_when_all_is_well() -> None:
    assert _told(CASE, Done()) == []
    assert _told(_with(_row(5), _row(4, "network.tcp_timeout")), Done(Others(each=(("api.groq.com", WORKS),)))) == []
    assert _told(_with(_row(5)), [_outcome(Status.OK)]) == []


def test_since_when_is_the_first_failure_without_a_success_in_between() -> None:
    case = _with(
        _row(9, "network.tcp_timeout"), _row(5, "network.tcp_timeout"), _row(4), _row(1, "network.tcp_timeout")
    )
    (line, *_) = _told(case, Done())
    assert line == (
        "api.openai.com fails since 2026-11-22 14:05:00 UTC: 2 in a row within 4 min;"
        " the last success was at 2026-11-22 14:04:00 UTC"
    )


def test_what_an_app_did_wrong_itself_neither_begins_nor_ends_a_trouble() -> None:
    case = _with(
        _row(9, "network.tcp_timeout"), _row(8, "request.invalid_json"), _row(7, "client.disconnected"),
        _row(6, "network.tcp_timeout"), _row(5),
    )  # fmt: skip
    assert "since 2026-11-22 14:06:00 UTC: 2 in a row" in _told(case, Done())[0]
    assert _told(_with(_row(9, "request.invalid_json"), _row(8)), Done()) == []


def test_every_app_that_fails_is_no_single_apps_doing() -> None:
    case = _with(_row(9, "network.tcp_timeout", client="curl/8"), _row(8, "network.tcp_timeout"))
    assert (
        "every app that calls api.openai.com fails (2: curl/8, openai-python/2.0): it is not one app's doing"
        in _told(case, Done())
    )


def test_one_app_that_fails_beside_another_that_works_is_not_the_network() -> None:
    case = _with(_row(9, "network.tls_inspection", client="node"), _row(8, client="curl/8"))
    assert "node cannot use api.openai.com while curl/8 can: it is not the network as a whole" in _told(case, Done())


def test_a_single_app_has_nothing_to_be_compared_with() -> None:
    assert any("no other app to compare with" in line for line in _told(_with(_row(9, "network.offline")), Done()))


def test_tenants_are_counted_where_there_are_several() -> None:
    rows = [_row(minute, "network.tcp_timeout", tenant=f"t{minute}") for minute in (9, 8, 7)]
    assert any("all 3 tenants fail" in line for line in _told(_with(*rows), Done()))
    rows.append(_row(6, tenant="t0"))
    assert any("3 of 4 tenants fail" in line for line in _told(_with(*rows), Done()))


def test_other_providers_that_answer_leave_one() -> None:
    others = Others(each=(("api.anthropic.com", WORKS), ("api.groq.com", WORKS)))
    told = _told(_with(_row(9, "service.unavailable")), Done(others))
    assert "only openai fails; others answer from here (2: anthropic, groq)" in told


def test_every_provider_that_fails_is_this_network() -> None:
    others = Others(each=(("api.anthropic.com", DEAD), ("api.groq.com", PAGE)))
    told = _told(_with(_row(9, "network.tcp_timeout")), Done(others))
    assert "every provider fails, openai and 2 more (anthropic, groq): it is this machine or this network" in told


def test_some_providers_that_fail_are_counted() -> None:
    others = Others(each=(("api.anthropic.com", DEAD), ("api.groq.com", WORKS)))
    told = _told(_with(_row(9, "network.tcp_timeout")), Done(others))
    assert "1 of 2 other providers fail as well (anthropic); groq works" in told


def test_the_log_speaks_for_providers_that_were_not_asked_and_an_answer_of_now_beats_it() -> None:
    rows = (_row(9, "network.tcp_timeout"), _row(8, provider="anthropic", host="api.anthropic.com"))
    assert "only openai fails; others answer from here (1: anthropic)" in _told(_with(*rows), Done())
    others = Others(each=(("api.anthropic.com", DEAD),))
    assert any(line.startswith("every provider fails") for line in _told(_with(*rows), Done(others)))


def test_what_is_long_over_is_not_compared_with() -> None:
    old = _row(8, provider="anthropic", host="api.anthropic.com") | {"started_at": "2026-11-22T09:00:00.000Z"}
    assert not any("provider" in line for line in _told(_with(_row(9, "network.tcp_timeout"), old), Done()))


def test_a_run_that_found_something_speaks_without_a_log() -> None:
    outcomes = [_outcome(Status.FAIL), Outcome(probe=PROBE, measured=Others(each=(("api.groq.com", WORKS),)))]
    assert _told(CASE, outcomes) == ["only openai fails; others answer from here (1: groq)"]


def test_a_host_of_no_provider_is_known_by_its_name() -> None:
    case = replace(
        CASE, target=Target(host="relay.example"),
        flows=(_row(9, "network.tcp_timeout", provider="", host="relay.example:8443"),),
    )  # fmt: skip
    assert _told(case, Done())[0].startswith("relay.example fails since")


@given(st.lists(st.dictionaries(st.sampled_from(["state", "started_at", "provider", "cause", "host", "client", "tenant"]), st.none() | st.text(max_size=30) | st.integers()), max_size=6))  # fmt: skip
def test_rows_of_any_shape_are_read(rows: list[dict[str, Any]]) -> None:
    assert isinstance(scope(replace(CASE, flows=tuple(rows)), Done()), tuple)
