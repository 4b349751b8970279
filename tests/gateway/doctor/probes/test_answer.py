"""The provider's answer to a request without a key."""

from pathlib import Path

import pytest

from gateway.doctor.case import Case, Target
from gateway.doctor.measured import Handshakes, Incident, Lookup, Names, Others, Plain, Shaken, StatusSaid
from gateway.doctor.probe import Check, Done, Status
from gateway.doctor.probes.answer import PROBE
from gateway.doctor.wire import Answer
from gateway.model.cause import Cause, Precision
from gateway.model.failure import NetCode, NetFailure, Phase
from tests.gateway.doctor.probes.far import (
    ANTHROPIC_RIGHT,
    EDGE,
    HTML,
    JSON,
    RIGHT,
    a_case,
    answered,
    far,
    openai,
    problem,
    unanswered,
)

OVERLOADED = answered(503, problem("The server is currently overloaded.", kind="server_error"))
INCIDENT = StatusSaid(page="https://status.openai.com", state="affected", incidents=(Incident(name="Elevated errors"),))


def judged(answer: Answer, *more: object, case: Case | None = None) -> Check:
    (check,) = PROBE.judge(case or a_case(), Done(Plain(answer=answer), *more))
    return check


def test_without_a_measurement_there_is_nothing_to_say() -> None:
    assert list(PROBE.judge(a_case(), Done())) == []


def test_what_stands_at_a_false_address_is_reported_by_whoever_looks_at_names() -> None:
    late = NetFailure(phase=Phase.CONNECT, code=NetCode.CONNECTION_REFUSED, detail="refused", sent=False)
    right = Lookup(by="Cloudflare", addresses=("172.66.0.243",))
    names = Names(host="api.openai.com", system=Lookup(by="system", addresses=("0.0.0.0",)), controls=(right,))
    valid = Handshakes(each=(Shaken(address="172.66.0.243", name="api.openai.com", by="control"),))
    assert judged(Answer(failure=late), names, valid).status is Status.SKIPPED


def test_the_providers_own_refusal_is_right() -> None:
    assert judged(RIGHT).status is Status.OK


def test_a_list_of_models_for_everybody_is_right() -> None:
    assert judged(answered(200, '{"object":"list","data":[{"id":"m"}]}')).status is Status.OK


def test_a_host_of_no_known_provider_may_answer_as_it_likes() -> None:
    case = a_case(Target(host="relay.example.com", path="/"))
    assert judged(answered(404, "<h1>404</h1>", HTML), case=case).status is Status.NOTE
    assert judged(answered(200, "<h1>hello</h1>", HTML), case=case).status is Status.NOTE


@pytest.mark.parametrize(
    ("answer", "cause", "status"),
    [
        (answered(403, problem("Country, region, or territory not supported", "unsupported_country_region_territory")), Cause.REGION_UNSUPPORTED, Status.FAIL),
        (answered(403, "<title>Just a moment...</title>Enable JavaScript and cookies to continue", HTML, *EDGE, (b"cf-mitigated", b"challenge")), Cause.EDGE_CHALLENGE, Status.FAIL),
        (answered(403, "error code: 1020", HTML, *EDGE), Cause.EDGE_BLOCKED, Status.FAIL),
        (answered(429, "error code: 1015", HTML, *EDGE), Cause.EDGE_RATE_LIMITED, Status.FAIL),
        (answered(521, "<title>api.openai.com | 521: Web server is down</title>", HTML, *EDGE), Cause.EDGE_ORIGIN_ERROR, Status.FAIL),
        (OVERLOADED, Cause.SERVICE_OVERLOADED, Status.FAIL),
        (answered(429, problem("Rate limit reached", "rate_limit_exceeded", "requests")), Cause.RATE_LIMIT_REQUESTS, Status.WARN),
        (answered(403, "<title>Internet Security by Zscaler</title>", HTML, (b"server", b"Zscaler/6.2")), Cause.NETWORK_BLOCKED_PAGE, Status.FAIL),
        (answered(200, "<title>Guest WiFi login</title>Please log in to the hotspot", HTML), Cause.NETWORK_CAPTIVE_PORTAL, Status.FAIL),
        (answered(302, "", (b"location", b"https://block.opendns.com/?x")), Cause.NETWORK_BLOCKED_PAGE, Status.FAIL),
        (answered(302, "", (b"location", b"https://www.example.com/")), Cause.UNKNOWN, Status.WARN),
        (answered(200, "<title>Welcome to nginx!</title>", HTML), Cause.UNKNOWN, Status.WARN),
        (answered(502, "<center>nginx</center>", HTML), Cause.SERVICE_UNAVAILABLE, Status.FAIL),
    ],
    ids=lambda value: value.value if isinstance(value, Cause) else "",
)  # fmt: skip
def test_whatever_is_not_the_providers_normal_answer_has_its_cause(
    answer: Answer, cause: Cause, status: Status
) -> None:
    check = judged(answer)
    assert check.diagnosis is not None
    assert (check.diagnosis.cause, check.status) == (cause, status)
    assert any(str(answer.status) in line for line in check.diagnosis.evidence)


def test_a_block_page_is_confirmed_only_by_another_provider_that_answers() -> None:
    page = answered(403, "<title>Internet Security by Zscaler</title>", HTML)
    alone = judged(page).diagnosis
    assert alone is not None
    assert alone.precision is not Precision.CONFIRMED
    assert "no other provider was asked for comparison" in alone.evidence
    beside = judged(page, Others(each=(("api.anthropic.com", ANTHROPIC_RIGHT),)), case=a_case(other=True)).diagnosis
    assert beside is not None
    assert beside.precision is Precision.CONFIRMED
    assert beside.vendor == "Zscaler"
    assert "the same request to api.anthropic.com is answered as it should be" in beside.evidence
    excluded = {one.cause for one in beside.ruled_out}
    assert {Cause.SERVICE_UNAVAILABLE, Cause.AUTH_INVALID_KEY, Cause.NETWORK_OFFLINE} <= excluded


def test_an_error_that_the_status_page_explains_is_reported_there() -> None:
    assert judged(OVERLOADED, INCIDENT).status is Status.NOTE
    silence = unanswered(NetCode.READ_TIMEOUT, Phase.FIRST_BYTE)
    assert judged(silence, INCIDENT).status is Status.NOTE


def test_an_incident_does_not_excuse_a_block_page() -> None:
    assert judged(answered(403, "error code: 1020", HTML, *EDGE), INCIDENT).status is Status.FAIL


def test_what_failed_nearer_to_this_machine_is_reported_there() -> None:
    failed = NetFailure(phase=Phase.TLS, code=NetCode.TLS_HANDSHAKE, detail="alert", sent=False)
    shaken = Handshakes(each=(Shaken(address="172.66.0.243", name="api.openai.com", failure=failed),))
    no_names = Names(host="api.openai.com", system=Lookup(by="system", code="nxdomain"))
    assert judged(unanswered(NetCode.TLS_HANDSHAKE, Phase.TLS), shaken).status is Status.SKIPPED
    assert judged(unanswered(NetCode.DNS_FAILURE, Phase.DNS), no_names).status is Status.SKIPPED


def test_a_silence_after_a_good_handshake_is_this_checks_own() -> None:
    shaken = Handshakes(each=(Shaken(address="172.66.0.243", name="api.openai.com"),))
    check = judged(unanswered(NetCode.READ_TIMEOUT, Phase.FIRST_BYTE), shaken)
    assert check.status is Status.FAIL
    assert check.diagnosis is not None
    assert check.diagnosis.cause is Cause.NETWORK_READ_TIMEOUT


async def test_it_asks_the_provider_without_a_key(tmp_path: Path) -> None:
    async with far(tmp_path, "api.openai.com") as there:
        there.on("api.openai.com/v1/models", 401, RIGHT.text)
        case = a_case(openai(key="sk-secretsecretsecret"), lists=there.lists("api.openai.com"), ca_file=there.ca_file)
        seen = await PROBE.measure(case, Done())
        assert isinstance(seen, Plain)
        assert seen.answer.status == 401
        assert "authorization" not in there.heads[0].lower()
        assert "sk-secret" not in there.heads[0]
        (check,) = PROBE.judge(case, Done(seen))
        assert check.status is Status.OK


async def test_a_certificate_that_nobody_trusts_is_a_failure_and_no_answer(tmp_path: Path) -> None:
    async with far(tmp_path, "api.openai.com") as there:
        seen = await PROBE.measure(a_case(lists=there.lists("api.openai.com")), Done())
        assert isinstance(seen, Plain)
        assert seen.answer.failure is not None
        assert seen.answer.failure.phase is Phase.TLS
        assert there.heads == []


def test_json_that_is_no_list_of_models_is_somebody_elses() -> None:
    assert judged(answered(200, '{"status":"ok"}', JSON)).status is Status.WARN
