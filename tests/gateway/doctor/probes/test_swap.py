"""The name or the address: asked only when a handshake was cut, and told in one line."""

from gateway.doctor.case import Case, Target
from gateway.doctor.lists import Lists, Resolver
from gateway.doctor.measured import Handshakes, Shaken, Swapped
from gateway.doctor.probe import Check, Done, Status
from gateway.doctor.probes.swap import PROBE
from gateway.egress.network import parse_via
from gateway.model.failure import NetCode, NetFailure, Phase
from tests.gateway.egress.wire import Connection, provider

ADDRESS = "192.0.2.1"
RESET = NetFailure(phase=Phase.TLS, code=NetCode.CONNECTION_RESET, detail="reset by peer", sent=False)
GONE = NetFailure(phase=Phase.CONNECT, code=NetCode.CONNECT_TIMEOUT, detail="no answer", sent=False)
CASE = Case(target=Target(host="provider.test"))


def _shaken(failure: NetFailure | None, name: str = "example.com") -> Shaken:
    return Shaken(address=ADDRESS, name=name, failure=failure)


def _check(seen: Swapped) -> Check:
    [check] = PROBE.judge(CASE, Done(seen))
    return check


def test_what_went_well_needs_no_second_look() -> None:
    assert _check(Swapped()).status is Status.SKIPPED


def test_another_name_that_passes_points_at_the_name() -> None:
    check = _check(Swapped(other_name=_shaken(None)))
    assert check.status is Status.NOTE
    assert "it is the name" in check.told.text


def test_another_name_that_is_cut_points_at_the_address() -> None:
    check = _check(Swapped(other_name=_shaken(RESET)))
    assert check.status is Status.NOTE
    assert "it is the address" in check.told.text


def test_an_address_that_is_gone_tells_nothing() -> None:
    assert _check(Swapped(other_name=_shaken(GONE))).status is Status.SKIPPED


def test_it_is_never_run_unasked_nor_through_a_proxy() -> None:
    assert not PROBE.unasked
    assert PROBE.leave_out(Case(target=CASE.target, via=parse_via("http://proxy.test:3128")))
    assert list(PROBE.judge(CASE, Done())) == []


async def test_nothing_is_contacted_where_no_handshake_was_cut() -> None:
    for each in ((), (_shaken(None, "provider.test"),), (_shaken(GONE, "provider.test"),)):
        assert await PROBE.measure(CASE, Done(Handshakes(each=each))) == Swapped()


async def test_a_filter_that_reads_names_shows_itself() -> None:
    async def filters(connection: Connection) -> None:
        hello = await connection.reader.read(10_000)
        connection.wire.requests.append(hello)
        if b"provider.test" in hello:
            connection.reset()
        else:
            await connection.say(b"\x15\x03\x03\x00\x02\x02\x28")  # a fatal alert: handshake_failure

    async with provider(filters) as wire:
        there = f"127.0.0.1:{wire.origin.port}"
        lists = Lists(
            connect_to={f"{ADDRESS}:443": there, "198.51.100.1:443": there},
            resolvers=(Resolver(name="Control", address="198.51.100.1"),),
        )
        case = Case(target=Target(host="provider.test"), lists=lists)
        seen = await PROBE.measure(case, Done(Handshakes(each=(_shaken(RESET, "provider.test"),))))
    assert isinstance(seen, Swapped)
    assert seen.other_name is not None
    assert seen.elsewhere is not None
    assert (seen.other_name.begun, seen.other_name.cut) == (True, False)
    assert (seen.elsewhere.address, seen.elsewhere.name, seen.elsewhere.cut) == ("198.51.100.1", "provider.test", True)
    assert len(wire.requests) == 2
