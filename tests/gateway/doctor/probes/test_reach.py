"""How far one gets to the target: each finding against its control, and what looks alike and is well."""

import socket
from dataclasses import replace
from typing import Any

import pytest

from gateway.doctor.case import Case
from gateway.doctor.lists import Lists, Portal, Resolver
from gateway.doctor.measured import Connects, Lookup, Machine, Names, Portals, Reached
from gateway.doctor.probe import Check, Done, Status
from gateway.doctor.probes.reach import PROBE
from gateway.doctor.wire import Answer
from gateway.egress.network import parse_via
from gateway.model.cause import Cause, Precision
from gateway.model.failure import NetCode, NetFailure, Phase
from tests.gateway.doctor.fakes import CASE

FOUR, OTHER, SIX = "172.66.0.243", "162.159.140.245", "2606:4700:7::f5"
PAGE = "http://captive.apple.com/"


def good(address: str = FOUR, *times: float, about: str = "target") -> Connects:
    return Connects(address=address, port=443, about=about, connect_ms=times or (20.0,) * 10)


def bad(
    address: str = FOUR, code: NetCode = NetCode.CONNECT_TIMEOUT, count: int = 5, about: str = "target", **more: Any
) -> Connects:
    failure = NetFailure(phase=Phase.CONNECT, code=code, detail=f"it is {code.value}", sent=False)
    return Connects(address=address, port=443, about=about, failures=(failure,) * count, **more)


def control(address: str = "1.1.1.1", *times: float) -> Connects:
    return good(address, *(times or (10.0,) * 4), about="Cloudflare")


def judge(
    *targets: Connects,
    controls: tuple[Connects, ...] = (),
    more: tuple[object, ...] = (),
    case: Case = CASE,
    **seen: Any,
) -> Check:
    system = Lookup(by="system", addresses=tuple(one.address for one in targets), took_ms=5.0)
    known = (Lookup(by="Cloudflare", addresses=system.addresses),)
    names = Names(host=case.target.host, system=system, controls=known if controls else ())
    given = [Machine(ipv4=True, ipv6=True), names, Reached(targets=targets, controls=controls, **seen), *more]
    (check,) = PROBE.judge(case, Done(*given))
    return check


def facts(check: Check) -> str:
    assert check.diagnosis is not None
    return "\n".join(check.diagnosis.evidence)


def verdict(check: Check) -> tuple[Status, Cause, Precision]:
    assert check.diagnosis is not None
    return check.status, check.diagnosis.cause, check.diagnosis.precision


def excluded(check: Check) -> set[Cause]:
    assert check.diagnosis is not None
    return {one.cause for one in check.diagnosis.ruled_out}


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        (NetCode.CONNECTION_REFUSED, Cause.NETWORK_TCP_REFUSED),
        (NetCode.CONNECT_TIMEOUT, Cause.NETWORK_TCP_TIMEOUT),
        (NetCode.CONNECTION_RESET, Cause.NETWORK_CONNECTION_RESET),
        (NetCode.NETWORK_UNREACHABLE, Cause.NETWORK_TCP_TIMEOUT),
    ],
)
def test_a_target_that_cannot_be_reached_while_a_control_can(code: NetCode, cause: Cause) -> None:
    check = judge(bad(FOUR, code), bad(SIX, code), controls=(control(),), hops=("192.168.7.1", "", "10.1.1.1"))
    assert verdict(check) == (Status.FAIL, cause, Precision.CONFIRMED)
    assert "Cloudflare at 1.1.1.1, port 443, is reached in 10 ms" in facts(check)
    assert "10 connections" in facts(check)
    assert "the last router that answered is 10.1.1.1, 3 hops away" in facts(check)
    assert Cause.NETWORK_OFFLINE in excluded(check)
    assert Cause.SERVICE_UNAVAILABLE not in excluded(check), "the provider may be down"


def test_without_a_control_it_is_an_inference_and_says_so() -> None:
    check = judge(bad(FOUR, count=3), case=replace(CASE, asked=False))
    assert verdict(check) == (Status.FAIL, Cause.NETWORK_TCP_TIMEOUT, Precision.INFERRED)
    assert "no other address was tried as a control" in facts(check)


def test_a_port_that_is_closed_to_all_is_no_matter_of_the_provider() -> None:
    case = replace(CASE, lists=Lists(portals=(Portal(url=PAGE, holds="Success"),)))
    page = Portals(each=((PAGE, Answer(status=200, text="Success")),))
    check = judge(bad(), controls=(bad("1.1.1.1", about="Cloudflare"),), more=(page,), case=case)
    assert verdict(check) == (Status.FAIL, Cause.NETWORK_TCP_TIMEOUT, Precision.CONFIRMED)
    assert f"cannot be reached on port 443 either, while {PAGE} answers" in facts(check)
    assert {Cause.SERVICE_UNAVAILABLE, Cause.NETWORK_OFFLINE} <= excluded(check)


def test_where_only_names_work_it_stays_an_inference() -> None:
    check = judge(bad(), controls=(bad("1.1.1.1", about="Cloudflare"),))
    assert verdict(check) == (Status.FAIL, Cause.NETWORK_TCP_TIMEOUT, Precision.INFERRED)
    assert "while names can be looked up" in facts(check)


def test_an_address_that_answers_to_other_packets_is_named() -> None:
    check = judge(bad(), controls=(control(),), hops=("192.168.7.1", FOUR))
    assert f"{FOUR} itself answers to other packets, 2 hops away" in facts(check)


@pytest.mark.parametrize(("dead", "works"), [((SIX,), (FOUR, OTHER)), ((FOUR, OTHER), (SIX,))])
def test_a_family_that_leads_nowhere_beside_one_that_works(dead: tuple[str, ...], works: tuple[str, ...]) -> None:
    check = judge(*map(good, works), *map(bad, dead), controls=(control(),))
    assert verdict(check) == (Status.WARN, Cause.NETWORK_IPV6_BROKEN, Precision.CONFIRMED)
    assert f"not reached by {'IPv6' if SIX in dead else 'IPv4'}" in facts(check)


def test_a_family_that_this_machine_has_no_way_for_is_no_trouble() -> None:
    targets = (good(FOUR), bad(SIX, NetCode.NETWORK_UNREACHABLE))
    names = Names(host="api.openai.com", system=Lookup(by="system", addresses=(FOUR, SIX)))
    (check,) = PROBE.judge(CASE, Done(Machine(ipv4=True, ipv6=False), names, Reached(targets=targets)))
    assert check.status is Status.OK


@pytest.mark.parametrize(("address", "family"), [(SIX, "IPv6"), (FOUR, "IPv4")])
def test_a_target_of_another_family_than_this_machine_cannot_be_reached(address: str, family: str) -> None:
    names = Names(host="api.openai.com", system=Lookup(by="system", addresses=(address,)))
    machine = Machine(ipv4=family == "IPv6", ipv6=family == "IPv4")
    reached = Reached(targets=(bad(address, NetCode.NETWORK_UNREACHABLE),), controls=(control(),))
    (check,) = PROBE.judge(CASE, Done(machine, names, reached))
    assert verdict(check) == (Status.FAIL, Cause.NETWORK_IPV6_BROKEN, Precision.CONFIRMED)
    assert f"this machine has no {family}" in facts(check)


def test_one_dead_address_of_several_is_a_warning() -> None:
    check = judge(good(FOUR), bad(OTHER), controls=(control(),))
    assert verdict(check) == (Status.WARN, Cause.NETWORK_TCP_TIMEOUT, Precision.CONFIRMED)
    assert f"1 of 2 addresses of api.openai.com cannot be connected to: {OTHER}" in facts(check)


def test_one_address_that_refuses_costs_nothing_and_is_a_note() -> None:
    assert judge(good(FOUR), bad(OTHER, NetCode.CONNECTION_REFUSED), controls=(control(),)).status is Status.NOTE


def test_packets_that_are_lost_only_on_the_way_to_the_target() -> None:
    check = judge(good(FOUR, *(20.0,) * 7, 1021.0, 1024.0, 1020.0), controls=(control(),))
    assert verdict(check) == (Status.WARN, Cause.NETWORK_DEGRADED, Precision.CONFIRMED)
    assert "3 of 10 packets that open a connection were lost" in facts(check)
    assert "controls lost 0 of 4, 10 ms at the median" in facts(check)


def test_where_every_first_packet_is_lost_the_controls_show_it() -> None:
    check = judge(good(FOUR, *(1021.0,) * 10), controls=(control(),))
    assert "10 of 10 packets that open a connection were lost" in facts(check)


def test_loss_without_a_control_is_an_inference() -> None:
    check = judge(bad(FOUR, count=2, connect_ms=(20.0,)))
    assert verdict(check) == (Status.WARN, Cause.NETWORK_DEGRADED, Precision.INFERRED)


def test_controls_that_nobody_reaches_say_nothing_of_loss() -> None:
    blocked = bad("1.1.1.1", about="Cloudflare")
    check = judge(good(FOUR, *(20.0,) * 7, 1021.0, 1024.0, 1020.0), controls=(blocked,))
    assert verdict(check) == (Status.WARN, Cause.NETWORK_DEGRADED, Precision.INFERRED)
    assert "the controls 1.1.1.1 cannot be reached either" in facts(check)


def test_a_target_that_is_far_slower_than_the_control() -> None:
    check = judge(good(FOUR, *(420.0,) * 10), controls=(control("1.1.1.1", 12.0, 14.0, 13.0),))
    assert verdict(check)[:2] == (Status.WARN, Cause.NETWORK_DEGRADED)
    assert "420 ms at the median" in facts(check)


@pytest.mark.parametrize(
    ("times", "controls"),
    [
        ((20.0,) * 10, (12.0,) * 4),
        ((20.0,) * 9 + (1030.0,), (12.0,) * 4),
        ((180.0,) * 10, (9.0,) * 4),
        ((620.0,) * 10, (600.0,) * 4),
        ((290.0,) * 10, (200.0,) * 4),
    ],
    ids=["near", "one packet lost", "another continent", "by satellite", "far from all"],
)
def test_what_is_as_it_should_be(times: tuple[float, ...], controls: tuple[float, ...]) -> None:
    assert judge(good(FOUR, *times), controls=(control("1.1.1.1", *controls),)).status is Status.OK


def test_controls_that_a_network_blocks_are_no_trouble_of_the_target() -> None:
    assert judge(good(FOUR), controls=(bad("1.1.1.1", about="Cloudflare"),)).status is Status.OK


def test_false_addresses_are_judged_by_whoever_looks_at_names() -> None:
    names = Names(
        host="api.openai.com",
        system=Lookup(by="system", addresses=("146.112.61.106",)),
        controls=(Lookup(by="Cloudflare", addresses=(FOUR,)),),
    )
    reached = Reached(targets=(bad("146.112.61.106"), good(FOUR)))
    (check,) = PROBE.judge(CASE, Done(Machine(ipv4=True, ipv6=True), names, reached))
    assert check.status is Status.SKIPPED


def test_where_no_address_is_known_there_is_nothing_to_connect_to() -> None:
    names = Names(host="api.openai.com", system=Lookup(by="system", code="nxdomain"))
    (check,) = PROBE.judge(CASE, Done(names, Reached(why_no_hops="there is no address")))
    assert check.status is Status.SKIPPED


def test_a_login_page_explains_that_nothing_is_reached() -> None:
    case = replace(CASE, lists=Lists(portals=(Portal(url=PAGE, holds="Success"),)))
    login = Portals(
        each=((PAGE, Answer(status=302, headers=((b"location", b"http://eu.network-auth.com/splash/x"),))),)
    )
    assert judge(bad(), controls=(bad("1.1.1.1"),), more=(login,), case=case).status is Status.SKIPPED


def test_behind_a_proxy_the_straight_way_is_nobodys_business() -> None:
    assert PROBE.leave_out(replace(CASE, via=parse_via("proxy.firm.example:3128")))
    assert not PROBE.leave_out(CASE)


# -- measuring --------------------------------------------------------------------------------------------------------


def a_case(port: int, control_port: int, *, asked: bool = True) -> Case:
    resolver = Resolver(name="Cloudflare", address="1.1.1.1")
    places = {f"{FOUR}:443": f"127.0.0.1:{port}", "1.1.1.1:443": f"127.0.0.1:{control_port}"}
    return replace(CASE, asked=asked, lists=Lists(resolvers=(resolver,), connect_to=places))


NAMES = Names(host="api.openai.com", system=Lookup(by="system", addresses=(FOUR,)))


@pytest.mark.parametrize("asked", [True, False])
async def test_ten_connections_to_the_target_and_some_to_a_control_or_three_alone(asked: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as target, socket.create_server(("127.0.0.1", 0)) as other:
        case = a_case(target.getsockname()[1], other.getsockname()[1], asked=asked)
        found = await PROBE.measure(case, Done(NAMES))
    assert isinstance(found, Reached)
    assert [len(one.connect_ms) for one in found.targets] == [10 if asked else 3]
    assert [one.tries for one in found.controls] == ([4] if asked else [])
    places = list(PROBE.touches(case))
    assert places == ["api.openai.com:443", "1.1.1.1:443"][: 2 if asked else 1]


async def test_a_refused_connection_is_a_failure_like_those_of_calls() -> None:
    with socket.create_server(("127.0.0.1", 0)) as target, socket.create_server(("127.0.0.1", 0)) as other:
        place, control_place = target.getsockname()[1], other.getsockname()[1]
        target.close()
        found = await PROBE.measure(a_case(place, control_place), Done(NAMES))
    assert isinstance(found, Reached)
    (one,) = found.targets
    assert {failure.code for failure in one.failures} == {NetCode.CONNECTION_REFUSED}
    assert found.why_no_hops == "the other end answered"
    assert not found.good


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "224.0.0.1"])
async def test_an_address_that_leads_back_to_this_machine_is_not_connected_to(address: str) -> None:
    names = Names(host="api.openai.com", system=Lookup(by="system", addresses=(address,)))
    found = await PROBE.measure(replace(CASE, asked=False), Done(names))
    assert found == Reached(why_no_hops="there is no address")
