"""Voice: what open and closed ports are called, and what a look at them sees."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from gateway.diagnose.remedy import fill
from gateway.doctor.case import Case, Target
from gateway.doctor.lists import Lists
from gateway.doctor.measured import Connects, Lookup, Machine, Names, Reached, Voice
from gateway.doctor.probe import Check, Done, Status
from gateway.doctor.probes.chatgpt_voice import PROBE
from gateway.egress.network import Via
from gateway.model.cause import Cause, Precision
from gateway.model.failure import NetCode, NetFailure, Phase

HOST, TURN = "chatgpt.livekit.cloud", "chatgpt.turn.livekit.cloud"
CASE = Case(target=Target(host="api.openai.com"), chatgpt=True)
REFUSED = NetFailure(phase=Phase.CONNECT, code=NetCode.CONNECTION_REFUSED, detail="Connection refused", sent=False)
OPEN = Voice(
    tcp=((f"{HOST}:443", None), (f"{HOST}:7881", None)),
    udp=((f"{HOST}:3478", True), (f"{TURN}:3478", True)),
    control=(("stun.cloudflare.com:3478", True), ("stun.l.google.com:19302", True)),
)
SILENT = ((f"{HOST}:3478", False), (f"{TURN}:3478", False))
NO_CONTROL = (("stun.cloudflare.com:3478", False), ("stun.l.google.com:19302", False))


def _check(seen: Voice, *more: object, case: Case = CASE) -> Check:
    (check,) = PROBE.judge(case, Done(seen, *more))
    return check


def test_open_ports_are_one_line() -> None:
    assert _check(OPEN).status is Status.OK


def test_a_closed_7881_costs_nothing_while_udp_works() -> None:
    assert _check(replace(OPEN, tcp=((f"{HOST}:443", None), (f"{HOST}:7881", REFUSED)))).status is Status.OK


def test_one_server_that_answers_over_udp_is_enough() -> None:
    assert _check(replace(OPEN, udp=(SILENT[0], (f"{TURN}:3478", True)))).status is Status.OK


def test_udp_that_is_silent_everywhere_is_a_warning_with_its_ports_and_a_control() -> None:
    check = _check(replace(OPEN, udp=SILENT, control=NO_CONTROL))
    assert check.status is Status.WARN
    assert check.diagnosis is not None
    assert (check.diagnosis.cause, check.diagnosis.precision) == (Cause.NETWORK_TCP_TIMEOUT, Precision.CONFIRMED)
    lines = "\n".join(check.diagnosis.evidence)
    assert "nor from stun.cloudflare.com:3478" in lines
    assert "UDP 3478 and 50000-60000" in fill(check.steps[0].text, dict(check.steps[0].facts))
    assert Cause.NETWORK_OFFLINE in {one.cause for one in check.diagnosis.ruled_out}


def test_without_a_control_it_stays_inferred() -> None:
    check = _check(replace(OPEN, udp=SILENT, control=()))
    assert check.diagnosis is not None
    assert check.diagnosis.precision is Precision.INFERRED
    assert any("there was no control" in line for line in check.diagnosis.evidence)


def test_servers_that_answer_calls_alone_are_no_trouble_when_the_port_is_open() -> None:
    assert _check(replace(OPEN, udp=SILENT)).status is Status.NOTE


def test_another_port_is_no_control_for_this_one() -> None:
    control = (("stun.cloudflare.com:3478", False), ("stun.l.google.com:19302", True))
    assert _check(replace(OPEN, udp=SILENT, control=control)).status is Status.WARN


def test_a_first_connection_that_fails_is_the_trouble() -> None:
    check = _check(replace(OPEN, tcp=((f"{HOST}:443", REFUSED), (f"{HOST}:7881", REFUSED))))
    assert check.status is Status.WARN
    assert check.diagnosis is not None
    assert check.diagnosis.cause is Cause.NETWORK_TCP_REFUSED
    assert Cause.NETWORK_OFFLINE in {one.cause for one in check.diagnosis.ruled_out}


def test_a_proxy_is_told_to_carry_no_udp() -> None:
    case = replace(CASE, via=Via("http", "proxy.corp", 3128))
    check = _check(replace(OPEN, udp=SILENT, control=NO_CONTROL), case=case)
    assert check.diagnosis is not None
    assert any("proxy.corp:3128 carries no UDP" in line for line in check.diagnosis.evidence)


def test_a_machine_without_a_way_out_is_told_by_another_check() -> None:
    assert _check(replace(OPEN, udp=SILENT), Machine(ipv4=False, ipv6=False)).status is Status.SKIPPED


def test_a_trouble_of_the_target_as_well_is_told_by_its_own_probes() -> None:
    no_name = replace(REFUSED, phase=Phase.DNS, code=NetCode.DNS_FAILURE)
    gone = Names(host="api.openai.com", system=Lookup(by="system", code="servfail"))
    seen = replace(OPEN, tcp=((f"{HOST}:443", no_name), (f"{HOST}:7881", no_name)), udp=SILENT)
    assert _check(seen, gone).status is Status.SKIPPED
    assert _check(seen, replace(gone, system=Lookup(by="system", addresses=("172.66.0.243",)))).status is Status.WARN
    dead = Reached(targets=(Connects(address="172.66.0.243", port=443, failures=(REFUSED,)),))
    refused = replace(OPEN, tcp=((f"{HOST}:443", REFUSED), (f"{HOST}:7881", REFUSED)))
    assert _check(refused, dead).status is Status.SKIPPED


def test_nothing_is_said_without_a_measurement_and_third_parties_are_announced() -> None:
    assert list(PROBE.judge(CASE, Done())) == []
    assert "stun.cloudflare.com:3478" in set(PROBE.touches(CASE))
    assert "stun.cloudflare.com:3478" not in set(PROBE.touches(replace(CASE, asked=False)))
    assert PROBE.leave_out(replace(CASE, chatgpt=False))


# measured on loopback


class _Stun(asyncio.DatagramProtocol):
    """Answers a binding request, with another transaction first: only its own counts."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.DatagramTransport)
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        assert data[:8] == b"\x00\x01\x00\x00\x21\x12\xa4\x42"
        head = b"\x01\x01\x00\x00\x21\x12\xa4\x42"
        self.transport.sendto(head + b"x" * 12, addr)
        self.transport.sendto(b"short", addr)
        self.transport.sendto(head + data[8:20], addr)


@asynccontextmanager
async def _servers() -> AsyncIterator[tuple[int, int]]:
    loop = asyncio.get_running_loop()
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    transport, _ = await loop.create_datagram_endpoint(_Stun, local_addr=("127.0.0.1", 0))
    try:
        async with server:
            yield server.sockets[0].getsockname()[1], transport.get_extra_info("sockname")[1]
    finally:
        transport.close()


async def test_a_look_knocks_at_tcp_and_gets_its_own_answer_over_udp() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as mute, socket.socket() as closed:
        mute.bind(("127.0.0.1", 0))
        closed.bind(("127.0.0.1", 0))
        silent = f"127.0.0.1:{mute.getsockname()[1]}"
        async with _servers() as (tcp, udp):
            places = {
                f"{HOST}:443": f"127.0.0.1:{tcp}",
                f"{HOST}:7881": f"127.0.0.1:{closed.getsockname()[1]}",
                f"{HOST}:3478": f"127.0.0.1:{udp}",
                f"{TURN}:3478": silent,
            }
            case = replace(CASE, lists=Lists(connect_to=places), asked=False)
            seen = await PROBE.measure(case, Done())
    assert isinstance(seen, Voice)
    assert dict(seen.udp) == {f"{HOST}:3478": True, f"{TURN}:3478": False}
    tried = dict(seen.tcp)
    assert tried[f"{HOST}:443"] is None
    refused = tried[f"{HOST}:7881"]
    assert refused is not None
    assert refused.code is NetCode.CONNECTION_REFUSED
    assert seen.control == ()


async def test_a_host_without_an_address_is_a_failure_and_not_an_error() -> None:
    case = replace(CASE, lists=Lists(connect_to={f"{HOST}:443": "127.0.0.1:9"}), asked=False)
    async with asyncio.timeout(PROBE.seconds):
        seen = await PROBE.measure(case, Done())
    assert isinstance(seen, Voice)
    assert not any(answered for _, answered in seen.udp)
