"""An upgrade to WebSocket: any answer of the provider is a good one, silence and strangers are not."""

import pytest

from gateway.doctor.case import Case, Target
from gateway.doctor.lists import Lists
from gateway.doctor.measured import Handshakes, Plain, Shaken, Sizes, Upgraded
from gateway.doctor.probe import Check, Done, Status
from gateway.doctor.probes import websocket
from gateway.doctor.probes.websocket import PROBE
from gateway.doctor.wire import Answer
from gateway.model.cause import Cause, Precision
from gateway.model.failure import NetCode, NetFailure, Phase
from gateway.providers.openai import PROVIDER as OPENAI
from tests.gateway.doctor.probes.serving import provider_of
from tests.gateway.egress.wire import Connection

CASE = Case(target=Target(host="api.openai.com", provider=OPENAI, name="openai"))
JSON = ((b"content-type", b"application/json"), (b"cf-ray", b"8c1f"), (b"server", b"cloudflare"))
HTML = ((b"content-type", b"text/html"),)
ENVELOPE = '{"error": {"message": "Missing bearer authentication", "type": "invalid_request_error", "code": null}}'
PLAIN = Plain(answer=Answer(status=401, headers=JSON, text=ENVELOPE))


def _failed(code: NetCode, phase: Phase, *, sent: bool = True) -> Answer:
    return Answer(failure=NetFailure(phase=phase, code=code, detail="gave no answer within 2.5 s", sent=sent))


def _check(answer: Answer, plain: Plain | None = PLAIN) -> Check:
    found = [Upgraded(answer=answer)] + ([plain] if plain is not None else [])
    [check] = PROBE.judge(CASE, Done(*found))
    return check


@pytest.mark.parametrize("status", [101, 400, 401, 403, 404, 429])
def test_any_answer_of_the_provider_is_well(status: int) -> None:
    text = "" if status == 101 else ENVELOPE
    assert _check(Answer(status=status, headers=JSON, text=text)).status is Status.OK


def test_a_challenge_of_the_edge_got_through_to_the_edge() -> None:
    page = "<html><title>Just a moment...</title></html>"
    headers = (*HTML, (b"cf-ray", b"8c1f"), (b"server", b"cloudflare"), (b"cf-mitigated", b"challenge"))
    assert _check(Answer(status=403, headers=headers, text=page)).status is Status.OK


def test_a_provider_that_saw_no_upgrade_is_worth_a_note() -> None:
    assert _check(Answer(status=426, headers=JSON, text=ENVELOPE)).status is Status.NOTE


def test_silence_where_plain_requests_pass() -> None:
    check = _check(_failed(NetCode.READ_TIMEOUT, Phase.FIRST_BYTE))
    assert check.status is Status.WARN
    verdict = check.diagnosis
    assert verdict is not None
    assert (verdict.cause, verdict.precision) == (Cause.NETWORK_WEBSOCKET_BLOCKED, Precision.CONFIRMED)
    assert any("status 401" in line for line in verdict.evidence)
    assert Cause.SERVICE_UNAVAILABLE in {one.cause for one in verdict.ruled_out}


def test_a_reset_is_a_refusal_as_well() -> None:
    check = _check(_failed(NetCode.CONNECTION_RESET, Phase.FIRST_BYTE))
    assert check.diagnosis is not None
    assert check.diagnosis.cause is Cause.NETWORK_WEBSOCKET_BLOCKED


def test_a_products_page_names_the_product() -> None:
    page = "<html><head><title>Web Filter Violation</title></head><body>FortiGuard Intrusion Prevention - Access Blocked</body></html>"
    check = _check(Answer(status=403, headers=HTML, text=page))
    verdict = check.diagnosis
    assert verdict is not None
    assert verdict.cause is Cause.NETWORK_WEBSOCKET_BLOCKED
    assert "Forti" in verdict.vendor


def test_without_the_plain_answer_it_is_not_sure() -> None:
    check = _check(_failed(NetCode.READ_TIMEOUT, Phase.FIRST_BYTE), None)
    assert check.diagnosis is not None
    assert check.diagnosis.precision is Precision.INFERRED


def test_a_small_request_is_a_plain_answer_as_well() -> None:
    sizes = Sizes(each=((1_024, PLAIN.answer),))
    [check] = PROBE.judge(CASE, Done(Upgraded(answer=_failed(NetCode.READ_TIMEOUT, Phase.FIRST_BYTE)), sizes))
    assert check.diagnosis is not None
    assert check.diagnosis.precision is Precision.CONFIRMED


def test_where_plain_requests_fare_no_better_it_is_not_about_websocket() -> None:
    page = Plain(answer=Answer(status=403, headers=HTML, text="<html><title>Blocked by FortiGuard</title></html>"))
    assert _check(_failed(NetCode.READ_TIMEOUT, Phase.FIRST_BYTE), page).status is Status.SKIPPED
    silent = Plain(answer=_failed(NetCode.READ_TIMEOUT, Phase.FIRST_BYTE))
    assert _check(_failed(NetCode.READ_TIMEOUT, Phase.FIRST_BYTE), silent).status is Status.SKIPPED


def test_without_a_connection_nothing_was_asked() -> None:
    assert _check(Answer()).status is Status.SKIPPED
    assert _check(_failed(NetCode.CONNECT_TIMEOUT, Phase.CONNECT, sent=False)).status is Status.SKIPPED
    assert list(PROBE.judge(CASE, Done())) == []


def test_it_is_asked_of_openai_alone_and_only_when_wanted() -> None:
    assert PROBE.leave_out(CASE) == ""
    assert PROBE.leave_out(Case(target=Target(host="api.anthropic.com", name="anthropic")))
    assert not PROBE.unasked


async def test_an_upgrade_is_asked_for_as_rfc_6455_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "_SECONDS", 1.0)

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.say(b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n")

    async with provider_of(script) as (wire, ca_file):
        lists = Lists(connect_to={"192.0.2.1:443": f"127.0.0.1:{wire.origin.port}"})
        case = Case(target=Target(host="provider.test", name="openai", key="sk-secret"), lists=lists, ca_file=ca_file)
        seen = await PROBE.measure(case, Done(Handshakes(each=(Shaken(address="192.0.2.1", name="provider.test"),))))
        assert isinstance(seen, Upgraded)
        assert seen.answer.status == 401
        head = wire.requests[0].lower()
    assert head.startswith(b"get /v1/realtime?model=")
    for line in (b"connection: upgrade", b"upgrade: websocket", b"sec-websocket-version: 13", b"sec-websocket-key: "):
        assert head.count(line) == 1
    assert b"secret" not in head
    assert await PROBE.measure(case, Done()) == Upgraded(answer=Answer(), path=seen.path)
