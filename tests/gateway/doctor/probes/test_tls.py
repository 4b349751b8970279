"""Handshakes: what each finding and each healthy look-alike comes to, and what is measured on real sockets."""

import asyncio
import ssl
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from gateway.doctor.case import Case, Target
from gateway.doctor.lists import Lists
from gateway.doctor.measured import Handshakes, Lookup, Names, Shaken, Swapped
from gateway.doctor.measured_here import Clock
from gateway.doctor.probe import Check, Done, Status
from gateway.doctor.probes.tls import PROBE
from gateway.doctor.wire import Answer, Served
from gateway.egress.network import parse_via
from gateway.model.cause import Cause, Precision
from gateway.model.diagnosis import Diagnosis
from gateway.model.failure import NetCode, NetFailure, Phase
from gateway.providers.openai import PROVIDER as OPENAI
from tests.gateway.egress.wire import Connection, Script, provider

HOST, FOUR, SIX, OTHER = "api.openai.com", "172.66.0.243", "2606:4700:7::f5", "162.159.140.245"
CASE = Case(target=Target(host=HOST, provider=OPENAI, name="openai"))
UNASKED = Case(target=Target(host=HOST, provider=OPENAI, name="openai"), asked=False)
TRUE = "CN=WE1,O=Google Trust Services,C=US"


def _served(issuer: str = TRUE, names: tuple[str, ...] = (HOST,), **how: Any) -> Served:
    now = datetime.now(UTC)
    begins, ends = (f"{now + timedelta(days=days):%Y-%m-%d %H:%M} UTC" for days in (-30, 60))
    given: dict[str, Any] = {
        "subject": f"CN={names[0]}",
        "issuer": issuer,
        "begins": begins,
        "ends": ends,
        "issuers": (issuer,),
    }
    return Served(**(given | {"names": names} | how))


def _failure(code: NetCode, detail: str = "words of OpenSSL", phase: Phase = Phase.TLS) -> NetFailure:
    return NetFailure(phase=phase, code=code, detail=detail, sent=False)


def _good(address: str = FOUR, by: str = "system", name: str = HOST, served: Served | None = None) -> Shaken:
    shown = served or _served()
    return Shaken(address=address, name=name, by=by, version="TLSv1.3", took_ms=20.0, served=shown)


def _bad(
    code: NetCode, address: str = FOUR, by: str = "system", detail: str = "words of OpenSSL", **how: Any
) -> Shaken:
    failure = how.pop("failure", _failure(code, detail))
    return Shaken(address=address, by=by, failure=failure, name=how.pop("name", HOST), **how)


def _names(*system: str, control: tuple[str, ...] | None = None) -> Names:
    """What the resolvers say; the control agrees unless it is said otherwise."""
    known = system if control is None else control
    controls = (Lookup(by="Cloudflare", addresses=known),) if known else ()
    return Names(host=HOST, system=Lookup(by="system", addresses=system), controls=controls)


def _check(*found: object, case: Case = CASE) -> Check:
    [check] = PROBE.judge(case, Done(*found))
    return check


def _verdict(check: Check) -> Diagnosis:
    assert check.diagnosis is not None
    return check.diagnosis


def _ruled_out(verdict: Diagnosis) -> set[Cause]:
    return {one.cause for one in verdict.ruled_out}


# healthy, and what looks like trouble


def test_valid_handshakes_are_well() -> None:
    check = _check(Handshakes(each=(_good(), _good(SIX))), _names(FOUR, SIX))
    assert check.status is Status.OK
    assert dict(check.told.facts)["count"] == "2"


def test_without_addresses_nothing_is_said_of_tls() -> None:
    assert _check(Handshakes()).status is Status.SKIPPED


def test_where_nothing_connects_another_probe_has_the_word() -> None:
    dead = _bad(NetCode.CONNECT_TIMEOUT, failure=_failure(NetCode.CONNECT_TIMEOUT, phase=Phase.CONNECT))
    assert _check(Handshakes(each=(dead,)), _names(FOUR)).status is Status.SKIPPED


def test_an_ipv6_that_does_not_connect_is_no_trouble_of_tls() -> None:
    dead = _bad(NetCode.NETWORK_UNREACHABLE, SIX, failure=_failure(NetCode.NETWORK_UNREACHABLE, phase=Phase.CONNECT))
    assert _check(Handshakes(each=(_good(), dead)), _names(FOUR, SIX)).status is Status.OK


def test_an_address_that_only_the_control_knows_may_fail() -> None:
    far = _bad(NetCode.CONNECTION_RESET, OTHER, "control")
    assert _check(Handshakes(each=(_good(), far)), _names(FOUR, control=(OTHER,))).status is Status.OK


def test_a_private_address_with_a_valid_handshake_is_a_gateway() -> None:
    assert _check(Handshakes(each=(_good("10.1.2.3"),)), _names("10.1.2.3", control=(FOUR,))).status is Status.OK


def test_an_inspection_that_is_trusted_is_worth_a_note() -> None:
    issuer = "CN=Zscaler Intermediate Root CA (zscloud.net),O=Zscaler Inc."
    check = _check(Handshakes(each=(_good(served=_served(issuer)),)), _names(FOUR))
    assert check.status is Status.NOTE
    assert dict(check.told.facts)["vendor"] == "Zscaler"


def test_so_is_a_companys_own_authority_that_is_trusted() -> None:
    issuer = "CN=Example Firm Web Gateway CA,O=Example Firm"
    check = _check(Handshakes(each=(_good(served=_served(issuer)),)), _names(FOUR))
    assert check.status is Status.NOTE
    assert "Example Firm" in dict(check.told.facts)["issuer"]


def test_a_server_of_ones_own_may_have_an_authority_of_its_own() -> None:
    case = Case(target=Target(host="llm.firm.test", ca_file="ca.pem"))
    check = _check(Handshakes(each=(_good(served=_served("CN=Firm CA")),)), case=case)
    assert check.status is Status.OK


# certificates


def test_an_inspection_that_is_not_trusted_names_the_product() -> None:
    issuer = "CN=Zscaler Intermediate Root CA (zscloud.net),O=Zscaler Inc."
    bad = _bad(NetCode.TLS_UNTRUSTED_ISSUER, served=_served(issuer))
    check = _check(Handshakes(each=(bad,)), _names(FOUR))
    verdict = _verdict(check)
    assert (check.status, verdict.cause, verdict.vendor) == (Status.FAIL, Cause.NETWORK_TLS_INSPECTION, "Zscaler")
    assert verdict.precision is Precision.CONFIRMED
    assert any("public resolver Cloudflare" in line for line in verdict.evidence)
    assert {Cause.NETWORK_OFFLINE, Cause.NETWORK_DNS_TAMPERED} <= _ruled_out(verdict)


def test_an_authority_that_nobody_knows_is_an_inspection_too_and_sure_only_with_a_control() -> None:
    bad = _bad(NetCode.TLS_UNTRUSTED_ISSUER, served=_served("CN=Example Firm Web Gateway CA,O=Example Firm"))
    verdict = _verdict(_check(Handshakes(each=(bad,)), _names(FOUR)))
    assert (verdict.cause, verdict.precision) == (Cause.NETWORK_TLS_INSPECTION, Precision.CONFIRMED)
    alone = _verdict(_check(Handshakes(each=(bad,)), _names(FOUR, control=()), case=UNASKED))
    assert (alone.cause, alone.precision) == (Cause.NETWORK_TLS_INSPECTION, Precision.INFERRED)
    assert any("no control" in line for line in alone.evidence)


def test_a_block_page_behind_the_certificate_is_what_is_told() -> None:
    page = Answer(
        status=302,
        headers=((b"location", b"https://block.opendns.com/?url=api.openai.com"),),
        text="",
        served=_served(),
    )
    issuer = "CN=Cisco Umbrella Secondary SubCA,O=Cisco"
    bad = _bad(NetCode.TLS_UNTRUSTED_ISSUER, served=_served(issuer), page=page)
    verdict = _verdict(_check(Handshakes(each=(bad,)), _names(FOUR)))
    assert verdict.cause is Cause.NETWORK_BLOCKED_PAGE
    assert "Cisco Umbrella" in verdict.vendor


def test_a_page_that_tells_nothing_changes_nothing() -> None:
    page = Answer(status=404, text="<html>not found</html>")
    bad = _bad(NetCode.TLS_UNTRUSTED_ISSUER, served=_served("CN=Example Firm CA"), page=page)
    assert _verdict(_check(Handshakes(each=(bad,)), _names(FOUR))).cause is Cause.NETWORK_TLS_INSPECTION


def test_a_genuine_certificate_for_another_name() -> None:
    served = _served("CN=R11,O=Let's Encrypt,C=US", ("www.example.org",))
    bad = _bad(NetCode.TLS_CERTIFICATE, served=served, detail="Hostname mismatch")
    verdict = _verdict(_check(Handshakes(each=(bad,)), _names(FOUR)))
    assert verdict.cause is Cause.NETWORK_TLS_CERTIFICATE
    assert any("www.example.org" in line for line in verdict.evidence)


def test_a_certificate_for_another_name_where_the_control_leads_elsewhere_is_the_names_trouble() -> None:
    served = _served("CN=R11,O=Let's Encrypt,C=US", ("www.example.org",))
    bad = _bad(NetCode.TLS_CERTIFICATE, "203.0.114.5", served=served)
    each = (bad, _good(FOUR, "control"))
    check = _check(Handshakes(each=each), _names("203.0.114.5", control=(FOUR,)))
    assert check.status is Status.SKIPPED


def test_an_expired_certificate() -> None:
    now = datetime.now(UTC)
    served = _served(ends=f"{now - timedelta(days=3):%Y-%m-%d %H:%M} UTC")
    bad = _bad(NetCode.TLS_CERTIFICATE, served=served, detail="certificate has expired")
    check = _check(Handshakes(each=(bad,)), _names(FOUR), Clock(skew_seconds=2.0))
    verdict = _verdict(check)
    assert (check.status, verdict.cause) == (Status.FAIL, Cause.NETWORK_TLS_CERTIFICATE)
    assert any("this machine's clock says" in line for line in verdict.evidence)


def test_a_wrong_clock_is_told_by_the_clock() -> None:
    now = datetime.now(UTC)
    served = _served(ends=f"{now - timedelta(days=3):%Y-%m-%d %H:%M} UTC")
    bad = _bad(NetCode.TLS_CERTIFICATE, served=served)
    check = _check(Handshakes(each=(bad,)), _names(FOUR), Clock(skew_seconds=10 * 86_400.0))
    assert check.status is Status.SKIPPED


def test_a_chain_without_its_middle() -> None:
    bad = _bad(NetCode.TLS_UNTRUSTED_ISSUER, served=_served(), detail="unable to get local issuer certificate")
    verdict = _verdict(_check(Handshakes(each=(bad,)), _names(FOUR)))
    assert verdict.cause is Cause.NETWORK_TLS_CERTIFICATE
    assert any("chain" in line for line in verdict.evidence)


# handshakes that do not come about


def test_an_alert_is_told_with_its_words() -> None:
    bad = _bad(NetCode.TLS_REFUSED, detail="[SSL: SSLV3_ALERT_HANDSHAKE_FAILURE] handshake failure")
    check = _check(Handshakes(each=(bad,)), _names(FOUR))
    assert _verdict(check).cause is Cause.NETWORK_TLS_HANDSHAKE
    assert "handshake failure" in dict(check.told.facts)["detail"]


def _cut(address: str = FOUR, name: str = HOST, by: str = "system") -> Shaken:
    return Shaken(address=address, name=name, by=by, failure=_failure(NetCode.CONNECTION_RESET, "reset by peer"))


def test_a_name_that_is_filtered_is_confirmed_by_another_name() -> None:
    swapped = Swapped(
        other_name=_bad(NetCode.TLS_CERTIFICATE, name="example.com"), elsewhere=_cut("1.1.1.1", by="control")
    )
    check = _check(Handshakes(each=(_cut(),)), _names(FOUR), swapped)
    verdict = _verdict(check)
    assert (check.status, verdict.cause) == (Status.FAIL, Cause.NETWORK_CONNECTION_RESET)
    assert verdict.precision is Precision.CONFIRMED
    assert {Cause.SERVICE_UNAVAILABLE, Cause.NETWORK_OFFLINE} <= _ruled_out(verdict)
    assert any("example.com" in line for line in verdict.evidence)


def test_silence_after_the_hello_is_held_against_another_name_as_well() -> None:
    silent = _bad(NetCode.TLS_HANDSHAKE, silent=True, detail="TLS with 172.66.0.243:443 was not ready within 2 s")
    swapped = Swapped(other_name=_good(name="example.com"))
    verdict = _verdict(_check(Handshakes(each=(silent,)), _names(FOUR), swapped))
    assert (verdict.cause, verdict.precision) == (Cause.NETWORK_TLS_HANDSHAKE, Precision.CONFIRMED)


def test_an_address_where_every_name_is_cut_proves_no_filter() -> None:
    swapped = Swapped(
        other_name=_cut(name="example.com"), elsewhere=_bad(NetCode.TLS_CERTIFICATE, "1.1.1.1", "control")
    )
    verdict = _verdict(_check(Handshakes(each=(_cut(),)), _names(FOUR), swapped))
    assert verdict.precision is Precision.INFERRED
    assert Cause.SERVICE_UNAVAILABLE not in _ruled_out(verdict)
    assert any("the address or the way there" in line for line in verdict.evidence)


def test_a_name_that_passes_elsewhere_proves_no_filter_either() -> None:
    swapped = Swapped(
        other_name=_good(name="example.com"), elsewhere=_bad(NetCode.TLS_CERTIFICATE, "1.1.1.1", "control")
    )
    verdict = _verdict(_check(Handshakes(each=(_cut(),)), _names(FOUR), swapped))
    assert verdict.precision is Precision.INFERRED


def test_without_a_control_a_cut_connection_stays_one() -> None:
    verdict = _verdict(_check(Handshakes(each=(_cut(),)), _names(FOUR, control=()), case=UNASKED))
    assert verdict.precision is Precision.INFERRED
    assert any("no control" in line for line in verdict.evidence)


def test_one_bad_address_among_good_ones_is_a_warning() -> None:
    check = _check(Handshakes(each=(_good(OTHER), _cut())), _names(FOUR, OTHER))
    assert check.status is Status.WARN
    assert any(OTHER in line for line in _verdict(check).evidence)


def test_judging_says_nothing_of_the_certificate_holder_twice() -> None:
    bad = _bad(NetCode.TLS_UNTRUSTED_ISSUER, served=_served("CN=Example Firm CA"))
    verdict = _verdict(_check(Handshakes(each=(bad,)), _names(FOUR)))
    assert len(verdict.evidence) == len(set(verdict.evidence))


def test_without_a_measurement_nothing_is_judged() -> None:
    assert list(PROBE.judge(CASE, Done())) == []


# measured on real sockets

AUTHORITY = trustme.CA()
PRODUCT = trustme.CA(organization_name="Zscaler Inc.", organization_unit_name="Zscaler Root CA")
PAGE = b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/html\r\nContent-Length: 7\r\n\r\nBlocked"


def _tls(authority: trustme.CA = AUTHORITY) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("provider.test").configure_cert(context)
    return context


@pytest.fixture
def ca_file(tmp_path: Path) -> str:
    AUTHORITY.cert_pem.write_to_path(tmp_path / "ca.pem")
    return str(tmp_path / "ca.pem")


async def _reset(connection: Connection) -> None:
    await connection.reader.read(100)
    connection.reset()


async def _deaf(connection: Connection) -> None:
    await connection.until_closed()


async def _measured(script: Script, tls: ssl.SSLContext | None, ca_file: str | None = None) -> Shaken:
    async with provider(script, tls) as wire:
        lists = Lists(connect_to={"192.0.2.1:443": f"127.0.0.1:{wire.origin.port}"})
        case = Case(target=Target(host="provider.test"), lists=lists, ca_file=ca_file)
        names = Names(host="provider.test", system=Lookup(by="system", addresses=("192.0.2.1",)))
        seen = await PROBE.measure(case, Done(names))
    assert isinstance(seen, Handshakes)
    [one] = seen.each
    assert (one.address, one.name, one.by) == ("192.0.2.1", "provider.test", "system")
    return one


async def test_a_valid_handshake_is_measured(ca_file: str) -> None:
    one = await _measured(_deaf, _tls(), ca_file)
    assert one.failure is None
    assert one.served is not None
    assert one.took_ms > 0


async def test_behind_a_refused_certificate_the_page_is_read_without_a_credential() -> None:
    asked: list[bytes] = []

    async def script(connection: Connection) -> None:
        asked.append(await connection.request())
        await connection.say(PAGE)

    one = await _measured(script, _tls(PRODUCT))
    assert one.mistrusted
    assert one.served is not None
    assert "Zscaler" in one.served.issuer
    assert one.page is not None
    assert (one.page.status, one.page.text) == (403, "Blocked")
    assert b"authorization" not in asked[0].lower()


async def test_a_certificate_is_read_where_no_page_comes() -> None:
    one = await _measured(_deaf, _tls(PRODUCT))
    assert one.served is not None
    assert one.page is None


async def test_a_reset_and_a_silence_are_told_apart() -> None:
    reset, silent = await _measured(_reset, None), await _measured(_deaf, None)
    assert reset.cut
    assert not reset.silent
    assert silent.cut
    assert silent.silent


async def test_every_address_is_tried_at_the_same_time_and_never_more_than_six() -> None:
    async with provider(_deaf) as wire:
        system = tuple(f"192.0.2.{at}" for at in range(1, 6))
        control = tuple(f"198.51.100.{at}" for at in range(1, 6))
        places = {f"{one}:443": f"127.0.0.1:{wire.origin.port}" for one in system + control}
        case = Case(target=Target(host="provider.test"), lists=Lists(connect_to=places))
        names = Names(
            host="provider.test",
            system=Lookup(by="system", addresses=system),
            controls=(Lookup(by="Quad9", addresses=control),),
        )
        began = time.monotonic()
        seen = await PROBE.measure(case, Done(names))
        assert time.monotonic() - began < PROBE.seconds
    assert isinstance(seen, Handshakes)
    assert [one.by for one in seen.each] == ["system"] * 4 + ["control"] * 2


async def test_when_nobody_asked_silence_is_given_up_within_the_time_of_such_a_run() -> None:
    async with provider(_deaf) as wire:
        lists = Lists(connect_to={f"192.0.2.{at}:443": f"127.0.0.1:{wire.origin.port}" for at in (1, 2)})
        case = Case(target=Target(host="provider.test"), lists=lists, asked=False)
        names = Names(host="provider.test", system=Lookup(by="system", addresses=("192.0.2.1", "192.0.2.2")))
        began = time.monotonic()
        seen = await PROBE.measure(case, Done(names))
        assert time.monotonic() - began < 1.0
    assert isinstance(seen, Handshakes)
    assert [one.silent for one in seen.each] == [True, True]


async def test_both_families_are_tried() -> None:
    names = Names(host="x.test", system=Lookup(by="system", addresses=("::1", "::2", "::3", "::4", "127.0.0.7")))
    case = Case(target=Target(host="x.test", port=9))
    seen = await asyncio.wait_for(PROBE.measure(case, Done(names)), 5)
    assert isinstance(seen, Handshakes)
    assert "127.0.0.7" in [one.address for one in seen.each]


async def test_through_a_proxy_there_is_one_handshake(ca_file: str) -> None:
    async def refuses(connection: Connection) -> None:
        await connection.request()
        await connection.say(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")

    async with provider(refuses) as proxy:
        via = parse_via(f"http://127.0.0.1:{proxy.origin.port}")
        case = Case(target=Target(host="provider.test"), via=via, ca_file=ca_file)
        seen = await PROBE.measure(case, Done(_names(FOUR)))
    assert isinstance(seen, Handshakes)
    [one] = seen.each
    assert (one.by, one.address, one.begun) == ("proxy", "", False)
    assert _check(seen, case=case).status is Status.SKIPPED


async def test_nothing_is_measured_where_no_name_was_looked_up() -> None:
    assert await PROBE.measure(CASE, Done()) == Handshakes()


def test_it_may_run_unasked_and_says_whom_it_contacts() -> None:
    assert PROBE.unasked
    assert list(PROBE.touches(CASE)) == [f"{HOST}:443"]
    assert PROBE.leave_out(Case(target=Target(host="localhost", port=11434, plain=True)))
