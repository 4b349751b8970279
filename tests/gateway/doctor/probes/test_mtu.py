"""Requests of growing length: what passes, what gets lost, what is cut, and who says that it is too much."""

from dataclasses import replace
from typing import Any

import pytest

from gateway.doctor.case import Case, Target
from gateway.doctor.lists import Lists
from gateway.doctor.measured import Connects, Handshakes, Reached, Shaken, Sizes
from gateway.doctor.probe import Check, Done, Status
from gateway.doctor.probes import mtu
from gateway.doctor.probes.mtu import PROBE
from gateway.doctor.wire import Answer
from gateway.model.cause import Cause, Precision
from gateway.model.failure import NetCode, NetFailure, Phase
from gateway.providers.openai import PROVIDER as OPENAI
from tests.gateway.doctor.probes.serving import provider_of
from tests.gateway.egress.wire import Connection

CASE = Case(target=Target(host="api.openai.com", provider=OPENAI, name="openai"))
DENIED = Answer(status=401, text='{"error": {}}')


def _failed(code: NetCode = NetCode.READ_TIMEOUT, phase: Phase = Phase.FIRST_BYTE) -> Answer:
    return Answer(failure=NetFailure(phase=phase, code=code, detail="no answer within 1.6 s", sent=True))


def _check(*answers: Answer, case: Case = CASE) -> Check:
    sizes = (1_024, 16_384, 65_536)
    [check] = PROBE.judge(case, Done(Sizes(each=tuple(zip(sizes, answers, strict=False)))))
    return check


def test_all_sizes_answered_is_well() -> None:
    assert _check(DENIED, DENIED, DENIED).status is Status.OK


@pytest.mark.parametrize("phase", [Phase.SEND, Phase.FIRST_BYTE])
def test_large_ones_that_get_lost_are_a_black_hole(phase: Phase) -> None:
    check = _check(DENIED, DENIED, _failed(phase=phase))
    assert check.status is Status.FAIL
    assert check.diagnosis is not None
    assert (check.diagnosis.cause, check.diagnosis.precision) == (Cause.NETWORK_MTU_BLACKHOLE, Precision.CONFIRMED)
    assert any("65536 bytes" in line for line in check.diagnosis.evidence)
    assert any("16384 bytes was answered" in line for line in check.diagnosis.evidence)
    assert Cause.SERVICE_UNAVAILABLE in {one.cause for one in check.diagnosis.ruled_out}


def test_a_large_one_that_was_never_sent_says_nothing_of_its_size() -> None:
    late = NetFailure(phase=Phase.TLS, code=NetCode.TLS_HANDSHAKE, detail="not ready within 2.8 s", sent=False)
    assert _check(DENIED, DENIED, Answer(failure=late)).status is Status.SKIPPED


def test_middling_ones_may_get_lost_as_well() -> None:
    check = _check(DENIED, _failed(), _failed())
    assert check.diagnosis is not None
    assert check.diagnosis.cause is Cause.NETWORK_MTU_BLACKHOLE


def test_large_ones_that_are_cut_meet_a_limit() -> None:
    check = _check(DENIED, DENIED, _failed(NetCode.CONNECTION_RESET, Phase.SEND))
    assert check.status is Status.WARN
    assert check.diagnosis is not None
    assert check.diagnosis.cause is Cause.NETWORK_CONNECTION_RESET


def test_a_product_that_finds_64_kb_too_large() -> None:
    large = Answer(status=413, text="<html><title>413 Request Entity Too Large</title></html>")
    check = _check(DENIED, DENIED, large)
    assert check.status is Status.WARN
    assert check.diagnosis is not None
    assert check.diagnosis.cause is Cause.REQUEST_PAYLOAD_TOO_LARGE


def test_one_lost_in_the_middle_is_an_accident() -> None:
    assert _check(DENIED, _failed(), DENIED).status is Status.SKIPPED


def test_a_line_that_loses_packets_or_is_slow_explains_it() -> None:
    timeout = _failed().failure
    assert timeout is not None
    lossy = Reached(targets=(Connects(address="192.0.2.1", port=443, connect_ms=(9.0,) * 8, failures=(timeout,) * 2),))
    sizes = Sizes(each=((1_024, DENIED), (16_384, DENIED), (65_536, _failed())))
    [check] = PROBE.judge(CASE, Done(sizes, lossy))
    assert check.status is Status.SKIPPED
    slow = (replace(DENIED, first_byte_ms=50.0), replace(DENIED, first_byte_ms=700.0), _failed())
    assert _check(*slow).status is Status.SKIPPED
    quick = (replace(DENIED, first_byte_ms=50.0), replace(DENIED, first_byte_ms=90.0), _failed())
    assert _check(*quick).status is Status.FAIL


def test_where_nothing_is_answered_it_is_not_about_size() -> None:
    assert _check(_failed(), _failed(), _failed()).status is Status.SKIPPED
    assert _check().status is Status.SKIPPED
    assert list(PROBE.judge(CASE, Done())) == []


# measured on real sockets


async def _measured(script: Any) -> tuple[Sizes, list[bytes]]:
    async with provider_of(script) as (wire, ca_file):
        lists = Lists(connect_to={"192.0.2.1:443": f"127.0.0.1:{wire.origin.port}"})
        case = Case(target=Target(host="provider.test"), lists=lists, ca_file=ca_file)
        seen = await PROBE.measure(case, Done(Handshakes(each=(Shaken(address="192.0.2.1", name="provider.test"),))))
    assert isinstance(seen, Sizes)
    return seen, wire.requests


async def test_bodies_are_of_the_stated_length_and_hold_no_credential() -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.say(b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n")

    seen, requests = await _measured(script)
    assert [(size, answer.status) for size, answer in seen.each] == [(1_024, 401), (16_384, 401), (65_536, 401)]
    assert sorted(len(one.partition(b"\r\n\r\n")[2]) for one in requests) == [1_024, 16_384, 65_536]
    assert all(one.startswith(b"POST /v1/chat/completions ") for one in requests)
    assert not any(b"authorization" in one.lower() for one in requests)


async def test_what_gets_lost_is_tried_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mtu, "_SECONDS", 0.3)
    monkeypatch.setattr(mtu, "_SECOND_SECONDS", 0.3)

    async def hole(connection: Connection) -> None:
        head = await connection.reader.readuntil(b"\r\n\r\n")
        connection.wire.requests.append(head)
        if b"content-length: 1024" in head.lower():
            await connection.reader.readexactly(1_024)
            await connection.say(b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n")
        await connection.until_closed()

    seen, requests = await _measured(hole)
    assert [answer.status for _, answer in seen.each] == [401, 0, 0]
    assert len(requests) == 5
    check = next(iter(PROBE.judge(CASE, Done(seen))))
    assert check.diagnosis is not None
    assert check.diagnosis.cause is Cause.NETWORK_MTU_BLACKHOLE


async def test_without_a_valid_handshake_nothing_is_sent() -> None:
    failure = NetFailure(phase=Phase.TLS, code=NetCode.TLS_UNTRUSTED_ISSUER, detail="", sent=False)
    bad = Handshakes(each=(Shaken(address="192.0.2.1", name="provider.test", failure=failure),))
    assert await PROBE.measure(CASE, Done(bad)) == Sizes()
