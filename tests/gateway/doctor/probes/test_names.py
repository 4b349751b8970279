"""What a name leads to: each finding with its control, without one, and the healthy look-alikes."""

import asyncio
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.doctor.case import Case
from gateway.doctor.grounds import is_inner
from gateway.doctor.lists import Lists, Portal
from gateway.doctor.lookup import in_hosts_file, nameservers
from gateway.doctor.measured import Connects, Handshakes, Lookup, Machine, Names, Portals, Reached, Shaken
from gateway.doctor.probe import Check, Done, Status
from gateway.doctor.probes import names
from gateway.doctor.probes.names import PROBE
from gateway.doctor.wire import Answer, Served
from gateway.egress.network import parse_via
from gateway.model.cause import Cause, Precision
from gateway.model.failure import NetCode, NetFailure, Phase
from tests.gateway.doctor.fakes import CASE

HOST = "api.openai.com"
TRUE = ("172.66.0.243", "2606:4700:7::f5")
RIGHT = (Lookup(by="Cloudflare", addresses=TRUE), Lookup(by="Google", addresses=TRUE))
UP = Machine(ipv4=True, ipv6=True)


def seen(*addresses: str, controls: tuple[Lookup, ...] = RIGHT, **more: Any) -> Names:
    system = more.pop("system", Lookup(by="system", addresses=addresses, took_ms=12.0))
    return Names(host=more.pop("host", HOST), system=system, controls=controls, nameservers=("10.0.0.53",), **more)


def silent(code: str, **more: Any) -> Names:
    return seen(system=Lookup(by="system", code=code, detail="no such thing"), **more)


def shaken(*addresses: str, code: NetCode | None = None, **more: Any) -> tuple[Shaken, ...]:
    failure = None if code is None else NetFailure(phase=Phase.TLS, code=code, detail="refused", sent=False)
    return tuple(Shaken(address=one, name=HOST, failure=failure, **more) for one in addresses)


def dead(*addresses: str) -> Reached:
    failure = NetFailure(phase=Phase.CONNECT, code=NetCode.CONNECT_TIMEOUT, detail="no answer", sent=False)
    return Reached(targets=tuple(Connects(address=one, port=443, failures=(failure,) * 5) for one in addresses))


def judge(*measured: object, case: Case = CASE) -> list[Check]:
    return list(PROBE.judge(case, Done(UP, *measured)))


def the_one(*measured: object, case: Case = CASE) -> Check:
    (check,) = judge(*measured, case=case)
    return check


def facts(check: Check) -> str:
    assert check.diagnosis is not None
    return "\n".join(check.diagnosis.evidence)


def excluded(check: Check) -> set[Cause]:
    assert check.diagnosis is not None
    return {one.cause for one in check.diagnosis.ruled_out}


# -- no answer --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["nxdomain", "nodata", "servfail", "refused", "timeout", "unreachable", "unreadable"])
def test_a_name_that_only_this_networks_resolver_does_not_know_is_its_failure(code: str) -> None:
    check = the_one(silent(code))
    assert check.status is Status.FAIL
    assert check.diagnosis is not None
    assert check.diagnosis.cause is Cause.NETWORK_DNS_FAILURE
    assert check.diagnosis.precision is Precision.CONFIRMED
    assert "10.0.0.53" in facts(check)
    assert "Cloudflare over HTTPS knows it: 172.66.0.243" in facts(check)
    assert {Cause.SERVICE_UNAVAILABLE, Cause.NETWORK_OFFLINE} <= excluded(check)


def test_a_name_that_nobody_knows_is_misspelt() -> None:
    nobody = tuple(replace(one, addresses=(), code="nxdomain") for one in RIGHT)
    check = the_one(silent("nxdomain", controls=nobody))
    assert check.diagnosis is not None
    assert check.diagnosis.cause is Cause.NETWORK_DNS_FAILURE
    assert "typing mistake" in facts(check)
    assert Cause.NETWORK_DNS_TAMPERED in excluded(check)
    assert Cause.SERVICE_UNAVAILABLE not in excluded(check)


def test_a_name_that_nobody_can_look_up_has_bad_name_servers() -> None:
    failing = tuple(replace(one, addresses=(), code="servfail") for one in RIGHT)
    check = the_one(silent("servfail", controls=failing))
    assert "its own name servers fail" in facts(check)
    assert Cause.SERVICE_UNAVAILABLE not in excluded(check)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"controls": (Lookup(by="Quad9", code="timeout", detail="no answer within 2 s"),), "direct": Lookup(by="10.0.0.53", code="nxdomain")}, "Quad9: no answer within 2 s"),
        ({"controls": (), "why_no_controls": "unasked"}, "nobody wanted it"),
        ({"controls": (), "why_no_controls": "none"}, "none is set"),
    ],
)  # fmt: skip
def test_without_a_control_the_verdict_is_an_inference_and_says_so(changes: dict[str, Any], words: str) -> None:
    check = the_one(silent("nxdomain", **changes))
    assert check.diagnosis is not None
    assert check.diagnosis.precision is Precision.INFERRED
    assert words in facts(check)
    assert Cause.SERVICE_UNAVAILABLE not in excluded(check)


def test_where_nothing_gets_out_the_name_is_not_judged() -> None:
    no_route = Machine(ipv4=False, ipv6=False, detail="Network is unreachable")
    (check,) = PROBE.judge(CASE, Done(no_route, silent("servfail", controls=())))
    assert check.status is Status.SKIPPED


def test_a_family_that_is_never_answered_is_a_warning_of_its_own() -> None:
    half = Lookup(by="system", addresses=TRUE[:1], detail="no answer for IPv6 within 2 s", took_ms=2000.0)
    _, check = judge(seen(system=half))
    assert (check.status, check.about) == (Status.WARN, "families")
    assert "no answer for IPv6" in facts(check)


# -- a wrong answer ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "vendor", "words"),
    [
        ("146.112.61.106", "Umbrella", "belongs to Cisco"),
        ("208.91.112.55", "Fort", "belongs to Fort"),
        ("31.13.94.36", "GFW", "belongs to Great Firewall"),
        ("2001::1f0d:5e24", "GFW", "belongs to Great Firewall"),
        ("0.0.0.0", "", "no server can be"),
        ("::", "", "no server can be"),
        ("127.0.0.1", "", "no server can be"),
        ("169.254.1.1", "", "no server can be"),
        ("192.168.7.1", "", "inside a private network"),
    ],
)
def test_an_address_of_somebody_else_is_tampering_once_a_control_says_otherwise(
    address: str, vendor: str, words: str
) -> None:
    check = the_one(seen(address))
    assert check.status is Status.FAIL
    assert check.diagnosis is not None
    assert check.diagnosis.cause is Cause.NETWORK_DNS_TAMPERED
    assert check.diagnosis.precision is Precision.CONFIRMED
    assert vendor in check.diagnosis.vendor
    assert words in facts(check)
    assert "Cloudflare over HTTPS gives other addresses: 172.66.0.243" in facts(check)
    assert {Cause.SERVICE_UNAVAILABLE, Cause.NETWORK_OFFLINE} <= excluded(check)


def test_without_a_control_a_known_block_address_is_an_inference() -> None:
    blocked = (Lookup(by="Cloudflare", code="timeout", detail="no answer within 2 s"),)
    check = the_one(seen("146.112.61.106", controls=blocked))
    assert check.diagnosis is not None
    assert check.diagnosis.precision is Precision.INFERRED
    assert "no public resolver could be asked as a control" in facts(check)
    assert Cause.SERVICE_UNAVAILABLE not in excluded(check)


def test_an_address_that_public_resolvers_give_as_well_is_nobodys_forgery() -> None:
    same = (Lookup(by="Cloudflare", addresses=("31.13.94.36",)),)
    assert the_one(seen("31.13.94.36", controls=same)).status is Status.OK


@pytest.mark.parametrize("address", ["31.13.94.36", "146.112.61.106", "192.168.7.1", "10.1.2.3", "198.18.0.5"])
def test_an_address_where_a_valid_handshake_completes_is_right_whatever_its_range(address: str) -> None:
    check = the_one(seen(address), Handshakes(each=shaken(address)))
    assert check.status in {Status.OK, Status.NOTE}


def test_a_forged_address_of_one_family_beside_a_right_one_is_a_warning() -> None:
    check = the_one(seen(TRUE[0], "2001::1f0d:5e24"), Handshakes(each=shaken(TRUE[0])))
    assert check.status is Status.WARN
    assert "2001::1f0d:5e24" in facts(check)
    assert "the name resolved to 172.66" not in facts(check)


def test_a_name_on_the_way_that_is_a_filters_is_tampering() -> None:
    led = Lookup(by="system", addresses=("104.18.9.9",), cnames=("hit-block.opendns.com",))
    check = the_one(seen(system=led))
    assert check.diagnosis is not None
    assert check.diagnosis.cause is Cause.NETWORK_DNS_TAMPERED
    assert "Umbrella" in check.diagnosis.vendor


def test_other_addresses_are_what_a_network_of_servers_gives_and_no_tampering() -> None:
    assert the_one(seen("104.18.7.7")).status is Status.OK
    both = Handshakes(each=(*shaken("104.18.7.7"), *shaken(TRUE[0], by="control")))
    assert the_one(seen("104.18.7.7"), both).status is Status.OK


def test_an_address_where_somebody_else_answers_while_the_controls_is_right_is_tampering() -> None:
    served = Served(
        subject="CN=shop.example",
        issuer="CN=R3,O=Let's Encrypt",
        begins="2026-01-01 00:00 UTC",
        ends="2027-01-01 00:00 UTC",
    )
    other = shaken("203.0.113.9", code=NetCode.TLS_CERTIFICATE, served=served)
    check = the_one(seen("203.0.113.9"), Handshakes(each=(*other, *shaken(TRUE[0], by="control"))))
    assert check.diagnosis is not None
    assert check.diagnosis.cause is Cause.NETWORK_DNS_TAMPERED
    assert check.diagnosis.precision is Precision.CONFIRMED
    assert "at 172.66.0.243 the handshake is valid for the name" in facts(check)


def test_an_address_where_nobody_answers_while_the_controls_is_right_is_tampering() -> None:
    check = the_one(seen("45.33.1.9"), dead("45.33.1.9"), Handshakes(each=shaken(TRUE[0], by="control")))
    assert check.diagnosis is not None
    assert check.diagnosis.cause is Cause.NETWORK_DNS_TAMPERED
    assert check.diagnosis.precision is Precision.INFERRED, "the server may be down there"


def test_an_address_of_a_family_that_is_dead_is_no_matter_of_names() -> None:
    six = "2606:4700:9::1"
    assert the_one(seen(six), dead(six), Handshakes(each=shaken(TRUE[0], by="control"))).status is Status.OK


def test_an_address_that_fails_like_the_controls_is_no_matter_of_names() -> None:
    both = shaken("104.18.7.7", TRUE[0], code=NetCode.TLS_UNTRUSTED_ISSUER)
    assert the_one(seen("104.18.7.7"), Handshakes(each=both)).status is Status.OK


def test_a_second_answer_that_says_otherwise_gives_a_forgery_away() -> None:
    first = Lookup(by="10.0.0.53", addresses=("45.33.1.9",))
    check = the_one(seen("45.33.1.9", controls=(), direct=first, second=TRUE[:1]))
    assert check.diagnosis is not None
    assert check.diagnosis.cause is Cause.NETWORK_DNS_TAMPERED
    assert "45.33.1.9 and 172.66.0.243" in facts(check)


# the hosts file


def test_an_entry_in_the_hosts_file_names_the_file_as_the_author() -> None:
    check = the_one(seen("203.0.113.9", hosts_file=("203.0.113.9",)))
    assert check.status is Status.FAIL
    assert check.diagnosis is not None
    assert check.diagnosis.cause is Cause.NETWORK_DNS_TAMPERED
    assert check.diagnosis.precision is Precision.CONFIRMED
    assert str(names.HOSTS_FILE) in facts(check)


def test_an_entry_that_leads_nowhere_needs_no_control() -> None:
    check = the_one(seen("0.0.0.0", hosts_file=("0.0.0.0",), controls=()))
    assert check.diagnosis is not None
    assert check.diagnosis.precision is Precision.CONFIRMED


@pytest.mark.parametrize("controls", [(), RIGHT])
def test_an_entry_with_the_right_address_is_a_note(controls: tuple[Lookup, ...]) -> None:
    assert the_one(seen(TRUE[0], hosts_file=TRUE[:1], controls=controls)).status is Status.NOTE


def test_an_entry_for_a_host_of_an_inner_network_is_what_the_file_is_for() -> None:
    case = replace(CASE, target=replace(CASE.target, host="gpu.lan", provider=None))
    inner = seen("192.168.7.9", host="gpu.lan", hosts_file=("192.168.7.9",), controls=(), why_no_controls="inner")
    assert the_one(inner, case=case).status is Status.OK


# VPN clients, NAT64, gateways of a company's own


def test_an_invented_address_where_nothing_works_is_a_vpn_clients_doing() -> None:
    check = the_one(seen("198.18.0.10"), dead("198.18.0.10"))
    assert check.diagnosis is not None
    assert check.diagnosis.cause is Cause.NETWORK_VPN_INTERFERENCE
    assert check.diagnosis.precision is Precision.CONFIRMED


def test_an_invented_address_that_nobody_tried_is_a_note() -> None:
    assert the_one(seen("198.18.0.10")).status is Status.NOTE


def test_a_network_with_ipv6_alone_is_healthy() -> None:
    check = the_one(seen("64:ff9b::ac42:f3"))
    assert check.status is Status.OK
    assert ("nat", " (NAT64)") in check.told.facts


def test_a_host_of_nobody_we_know_may_have_an_inner_address_within() -> None:
    case = replace(CASE, target=replace(CASE.target, provider=None))
    assert the_one(seen("10.1.2.3"), case=case).status is Status.NOTE


def test_a_private_gateway_that_public_resolvers_do_not_know_is_a_note() -> None:
    unknown = (Lookup(by="Cloudflare", code="nxdomain"),)
    assert the_one(seen("10.1.2.3", controls=unknown)).status is Status.NOTE


# notes


def test_a_slow_resolver_is_a_note_with_its_time() -> None:
    check = the_one(seen(system=Lookup(by="system", addresses=TRUE, took_ms=1204.0)))
    assert check.status is Status.NOTE
    assert ("ms", "1204") in check.told.facts


def test_a_resolver_that_answers_for_names_that_do_not_exist_is_a_note() -> None:
    fine, liar = judge(seen(*TRUE, bogus=("203.0.113.80",)))
    assert (fine.status, liar.status, liar.about) == (Status.OK, Status.NOTE, "nonsense")


def test_a_name_that_the_proxy_looks_up_may_be_unknown_here() -> None:
    case = replace(CASE, via=parse_via("http://proxy.firm.example:3128"))
    assert the_one(silent("nxdomain"), case=case).status is Status.NOTE
    assert the_one(seen("0.0.0.0"), case=case).status is Status.OK


def test_a_login_page_before_all_explains_any_answer() -> None:
    url = "http://captive.apple.com/"
    case = replace(CASE, lists=Lists(portals=(Portal(url=url, holds="Success"),)))
    login = Answer(status=302, headers=((b"location", b"http://eu.network-auth.com/splash/x"),))
    assert the_one(seen("192.168.7.1"), Portals(each=((url, login),)), case=case).status is Status.SKIPPED


# -- measuring --------------------------------------------------------------------------------------------------------


def test_the_hosts_file_is_read_as_hosts_5_says() -> None:
    text = "127.0.0.1 localhost\n# 1.1.1.1 api.openai.com\n10.0.0.1\tgw API.OpenAI.com # ours\n::1 api.openai.com\n"
    assert in_hosts_file(text, HOST) == ("10.0.0.1", "::1")
    assert in_hosts_file("", HOST) == ()


def test_name_servers_are_read_as_resolv_conf_5_says() -> None:
    text = "# x\nsearch lan\nnameserver 10.0.0.53\nnameserver fe80::1%eth0\nnameserver\noptions ndots:1\n"
    assert nameservers(text) == ("10.0.0.53", "fe80::1%eth0")


@pytest.mark.parametrize(("host", "inner"), [("localhost", True), ("gpu.lan", True), ("api.openai.com", False)])
def test_inner_names_are_known_by_their_form(host: str, inner: bool) -> None:
    assert is_inner(host) is inner


@pytest.fixture
def quiet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No name server and no hosts file but our own."""
    monkeypatch.setattr(names, "HOSTS_FILE", tmp_path / "hosts")
    monkeypatch.setattr(names, "RESOLV_CONF", tmp_path / "resolv.conf")
    return tmp_path


async def test_an_address_is_not_looked_up(quiet: Path) -> None:
    case = replace(CASE, target=replace(CASE.target, host="127.0.0.1"))
    found = await PROBE.measure(case, Done())
    assert isinstance(found, Names)
    assert (found.system.by, found.addresses) == ("settings", ("127.0.0.1",))
    assert the_one(found, case=case).status is Status.OK


async def test_an_inner_name_is_asked_of_nobody_else(quiet: Path) -> None:
    (quiet / "hosts").write_text("127.0.0.1 localhost\n")
    case = replace(CASE, target=replace(CASE.target, host="localhost"))
    found = await PROBE.measure(case, Done())
    assert isinstance(found, Names)
    assert "127.0.0.1" in found.addresses
    assert (found.controls, found.why_no_controls, found.hosts_file) == ((), "inner", ("127.0.0.1",))
    assert list(PROBE.touches(case)) == []


async def test_unasked_only_the_systems_resolver_is_asked(quiet: Path) -> None:
    case = replace(CASE, asked=False, target=replace(CASE.target, host="localhost"))
    async with asyncio.timeout(3):
        found = await PROBE.measure(case, Done())
    assert isinstance(found, Names)
    assert (found.controls, found.bogus, found.why_no_controls) == ((), (), "unasked")


async def test_a_silent_name_server_costs_no_more_than_its_time(quiet: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as hole:
        hole.bind(("127.0.0.1", 0))
        (quiet / "resolv.conf").write_text("nameserver 10.255.0.1\n")
        places = {"10.255.0.1:53": f"127.0.0.1:{hole.getsockname()[1]}"}
        case = replace(CASE, asked=False, target=replace(CASE.target, host="localhost"), lists=Lists(connect_to=places))
        async with asyncio.timeout(2.4):
            found = await PROBE.measure(case, Done())
    assert isinstance(found, Names)
    assert found.direct is not None
    assert found.direct.code == "timeout"
    assert "127.0.0.1" in found.system.addresses
