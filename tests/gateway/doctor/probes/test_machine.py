"""Whether anything gets out: no route, a route on which nobody answers, and machines that are well."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from gateway.doctor.case import Case
from gateway.doctor.measured import Connects, Lookup, Machine, Names, Portals, Reached
from gateway.doctor.probe import Check, Done, Status
from gateway.doctor.probes import machine
from gateway.doctor.probes.machine import PROBE, stands_out
from gateway.doctor.wire import Answer
from gateway.egress.network import parse_via
from gateway.model.cause import Cause, Precision
from gateway.model.failure import NetCode, NetFailure, Phase
from tests.gateway.doctor.fakes import CASE

LATE = NetFailure(phase=Phase.CONNECT, code=NetCode.CONNECT_TIMEOUT, detail="no answer within 1.5 s", sent=False)
NOBODY = Names(
    host="api.openai.com",
    system=Lookup(by="system", code="timeout"),
    controls=(Lookup(by="Cloudflare", code="timeout"), Lookup(by="Quad9", code="unreachable")),
    direct=Lookup(by="10.0.0.53", code="timeout"),
)
UNREACHED = Reached(controls=(Connects(address="1.1.1.1", port=443, about="Cloudflare", failures=(LATE,)),))


def judge(*measured: object, case: Case = CASE, **changes: Any) -> Check:
    seen = Machine(**{"ipv4": True, "ipv6": True, **changes})
    (check,) = PROBE.judge(case, Done(seen, *measured))
    return check


def test_a_machine_without_a_route_is_offline() -> None:
    check = judge(ipv4=False, ipv6=False, detail="Network is unreachable")
    assert check.status is Status.FAIL
    assert check.diagnosis is not None
    assert (check.diagnosis.cause, check.diagnosis.precision) == (Cause.NETWORK_OFFLINE, Precision.CONFIRMED)
    assert "Network is unreachable" in "\n".join(check.diagnosis.evidence)


@pytest.mark.parametrize("sends_from", ["", "link_local", "tunnel"])
def test_a_machine_that_nobody_answers_is_offline_too(sends_from: str) -> None:
    check = judge(NOBODY, UNREACHED, sends_from=sends_from)
    assert check.status is Status.FAIL
    assert check.diagnosis is not None
    assert (check.diagnosis.cause, check.diagnosis.precision) == (Cause.NETWORK_OFFLINE, Precision.CONFIRMED)
    lines = "\n".join(check.diagnosis.evidence)
    assert "neither name servers nor Cloudflare, Quad9" in lines
    assert ("gave itself" in lines) is (sends_from == "link_local")
    assert ("VPN client" in lines) is (sends_from == "tunnel")
    assert Cause.SERVICE_UNAVAILABLE in {one.cause for one in check.diagnosis.ruled_out}


def _signs_of_life() -> Iterator[tuple[object, ...]]:
    yield replace(NOBODY, system=Lookup(by="system", addresses=("1.2.3.5",))), UNREACHED
    yield replace(NOBODY, direct=Lookup(by="10.0.0.53", code="servfail")), UNREACHED
    yield replace(NOBODY, controls=(Lookup(by="Cloudflare", code="nxdomain"),)), UNREACHED
    yield replace(NOBODY, controls=()), Reached()
    yield NOBODY, Reached(controls=(Connects(address="1.1.1.1", port=443, connect_ms=(3.0,)),))
    yield NOBODY, UNREACHED, Portals(each=(("http://captive.apple.com/", Answer(status=302)),))


@pytest.mark.parametrize(
    "measured", [*_signs_of_life()], ids=["name", "server", "resolver", "no control", "connects", "page"]
)
def test_any_sign_of_life_speaks_against_it(measured: tuple[object, ...]) -> None:
    assert judge(*measured).status is Status.OK


def test_a_stub_on_this_machine_that_fails_is_no_sign_of_life() -> None:
    stub = replace(NOBODY, direct=Lookup(by="127.0.0.53", code="servfail"))
    assert judge(stub, UNREACHED).status is Status.FAIL


def test_behind_a_proxy_the_straight_way_may_be_closed() -> None:
    case = replace(CASE, via=parse_via("proxy.firm.example:3128"))
    assert judge(NOBODY, UNREACHED, case=case).status is Status.OK


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({}, Status.OK, "IPv4 and IPv6"),
        ({"ipv6": False}, Status.OK, "IPv4"),
        ({"ipv4": False}, Status.NOTE, ""),
        ({"sends_from": "tunnel"}, Status.NOTE, ""),
    ],
)
def test_machines_that_have_a_way_out(changes: dict[str, Any], status: Status, words: str) -> None:
    check = judge(**changes)
    assert check.status is status
    assert dict(check.told.facts).get("families", "") == words


@pytest.mark.parametrize(
    ("own", "word"),
    [
        ("169.254.7.8", "link_local"),
        ("198.18.0.1", "tunnel"),
        ("192.168.1.2", ""),
        ("fe80::1%eth0", ""),
        ("203.0.113.9", ""),
        ("", ""),
    ],
)
def test_of_an_own_address_only_what_stands_out_is_kept(own: str, word: str) -> None:
    assert stands_out(own) == word


async def test_the_routing_table_is_asked_without_a_packet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_PUBLIC_4", "127.0.0.1")
    monkeypatch.setattr(machine, "_PUBLIC_6", "::1")
    found = await PROBE.measure(CASE, Done())
    assert isinstance(found, Machine)
    assert found.ipv4
    assert (found.detail, found.sends_from) == ("", "")
    assert list(PROBE.touches(CASE)) == []
