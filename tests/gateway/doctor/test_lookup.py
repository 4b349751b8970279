"""How names are asked for: over UDP, TCP and HTTPS, of servers that answer, lie, hang or speak something else."""

import asyncio
import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest
import trustme

from gateway.doctor import lookup
from gateway.doctor.case import Case
from gateway.doctor.lists import Lists, Resolver
from gateway.doctor.lookup import by_server, by_system, each_by_https, question, read
from gateway.egress.lookups import Found, Lookups, Question
from tests.gateway.doctor.fakes import CASE

HOST = "api.example.net"
SERVER = "10.255.0.53"
Answering = Callable[[bytes], list[bytes]]


def answer(wire: bytes, *lines: tuple[str, str, str], rcode: int = 0, cut: bool = False) -> bytes:
    """Answer a question with records, each as name, type and value."""
    query = dns.message.from_wire(wire)
    made = dns.message.make_response(query)
    made.set_rcode(dns.rcode.Rcode.make(rcode))
    made.flags |= dns.flags.TC if cut else 0
    made.answer = [dns.rrset.from_text(f"{name}.", 60, "IN", kind, value) for name, kind, value in lines]
    return made.to_wire()


def four(wire: bytes) -> list[bytes]:
    """Answer as a host does that has IPv4 alone."""
    asked = dns.message.from_wire(wire).question[0]
    lines = [(HOST, "A", "192.0.2.1")] if asked.rdtype == dns.rdatatype.A else []
    return [answer(wire, *lines)]


class _Server(asyncio.DatagramProtocol):
    def __init__(self, answering: Answering) -> None:
        self._answering = answering

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.DatagramTransport)
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        for wire in self._answering(data):
            self._transport.sendto(wire, addr)


@contextlib.asynccontextmanager
async def a_server(answering: Answering) -> AsyncIterator[Case]:
    """Serve DNS over UDP, and over TCP at the same port with the last of its answers."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            (size,) = struct.unpack("!H", await reader.readexactly(2))
            wire = answer(await reader.readexactly(size), (HOST, "A", "192.0.2.7"))
            writer.write(struct.pack("!H", len(wire)) + wire)
            await writer.drain()
        writer.close()

    tcp = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = tcp.sockets[0].getsockname()[1]
    udp, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: _Server(answering), local_addr=("127.0.0.1", port)
    )
    try:
        yield replace(CASE, lists=Lists(connect_to={f"{SERVER}:53": f"127.0.0.1:{port}"}))
    finally:
        udp.close()
        tcp.close()


# -- one answer -------------------------------------------------------------------------------------------------------


def test_the_names_on_the_way_are_given_in_order() -> None:
    asked = question(HOST, "A")
    wire = answer(
        asked.to_wire(),
        ("b.example", "CNAME", "c.example."),
        (HOST, "CNAME", "B.example."),
        ("c.example", "A", "192.0.2.1"),
    )
    told = read(wire, asked)
    assert told is not None
    assert (told.code, told.addresses, told.cnames) == ("ok", ("192.0.2.1",), ("b.example", "c.example"))


def test_names_that_lead_in_a_circle_come_to_an_end() -> None:
    asked = question(HOST, "A")
    told = read(answer(asked.to_wire(), (HOST, "CNAME", "b.example."), ("b.example", "CNAME", f"{HOST}.")), asked)
    assert told is not None
    assert (told.code, len(told.cnames)) == ("nodata", 8)


@pytest.mark.parametrize(
    ("rcode", "code"), [(0, "nodata"), (2, "servfail"), (3, "nxdomain"), (5, "refused"), (4, "servfail")]
)
def test_what_a_server_says_in_place_of_addresses(rcode: int, code: str) -> None:
    asked = question(HOST, "A")
    told = read(answer(asked.to_wire(), rcode=rcode), asked)
    assert told is not None
    assert told.code == code


def test_what_answers_another_question_is_no_answer() -> None:
    asked, other = question(HOST, "A"), question("other.example", "A")
    other.id = asked.id
    assert read(answer(other.to_wire(), ("other.example", "A", "192.0.2.9")), asked) is None
    assert read(b"\0\0 not DNS", asked) is None


@pytest.mark.parametrize("name", ["a..b", "a" * 64 + ".example"])
async def test_a_name_that_no_host_can_have_does_not_exist(name: str) -> None:
    async with a_server(four) as case:
        found, _ = await by_server(case, SERVER, name, 1.0)
    assert found.code == "nxdomain"


# -- a name server ----------------------------------------------------------------------------------------------------


async def test_a_name_server_is_asked_over_udp() -> None:
    async with a_server(four) as case:
        found, second = await by_server(case, SERVER, HOST, 2.0)
    assert (found.by, found.code, found.addresses, second) == (SERVER, "ok", ("192.0.2.1",), ())


async def test_an_answer_too_long_for_udp_is_fetched_over_tcp() -> None:
    async with a_server(lambda wire: [answer(wire, cut=True)]) as case:
        found, _ = await by_server(case, SERVER, HOST, 2.0)
    assert found.addresses == ("192.0.2.7",)


def an_event(seconds: float) -> asyncio.Event:
    """Give one that is set after so long."""
    event = asyncio.Event()
    asyncio.get_running_loop().call_later(seconds, event.set)
    return event


async def test_nobody_waits_for_a_second_answer_without_end() -> None:
    async with a_server(four) as case, asyncio.timeout(3):
        found, second = await by_server(case, SERVER, HOST, 0.2, asyncio.Event())
    assert (found.code, second) == ("ok", ())


async def test_a_second_answer_that_says_otherwise_is_kept() -> None:
    def forged(wire: bytes) -> list[bytes]:
        return [answer(wire, (HOST, "A", "203.0.113.9")), *four(wire)]

    async with a_server(forged) as case:
        found, second = await by_server(case, SERVER, HOST, 2.0, an_event(0.3))
    assert (found.addresses, second) == (("203.0.113.9",), ("192.0.2.1",))


async def test_the_same_answer_twice_is_one() -> None:
    async with a_server(lambda wire: four(wire) * 2) as case:
        _, second = await by_server(case, SERVER, HOST, 2.0, an_event(0.05))
    assert second == ()


@pytest.mark.parametrize(
    ("answering", "code"), [(lambda _: [], "timeout"), (lambda wire: [wire[:2] + b"\xff"], "unreadable")]
)
async def test_a_server_that_is_silent_or_speaks_something_else(answering: Answering, code: str) -> None:
    async with a_server(answering) as case:
        found, _ = await by_server(case, SERVER, HOST, 0.2)
    assert found.code == code


async def test_a_port_where_nobody_listens_is_unreachable() -> None:
    async with a_server(four) as case:
        pass
    found, _ = await by_server(case, SERVER, HOST, 2.0)
    assert found.code == "unreachable"
    assert found.detail


# -- over HTTPS -------------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def resolvers(
    directory: Path, *replies: Callable[[bytes], bytes], certified: str = "192.0.2.53"
) -> AsyncIterator[tuple[Case, list[Resolver]]]:
    """Serve DNS over HTTPS; each reply is the whole answer to a body, empty for a hang."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(certified).configure_cert(context)
    authority.cert_pem.write_to_path(directory / "ca.pem")
    places: dict[str, str] = {}
    made: list[Resolver] = []
    async with contextlib.AsyncExitStack() as stack:
        for at, reply in enumerate(replies):

            async def serve(
                reader: asyncio.StreamReader, writer: asyncio.StreamWriter, reply: Callable[[bytes], bytes] = reply
            ) -> None:
                with contextlib.suppress(OSError, asyncio.IncompleteReadError, ValueError):
                    while True:
                        head = await reader.readuntil(b"\r\n\r\n")
                        size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                        writer.write(reply(await reader.readexactly(size)))
                        await writer.drain()
                writer.transport.abort()

            server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
            stack.callback(server.close)
            port = 1000 + at
            places[f"192.0.2.53:{port}"] = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
            made.append(Resolver(name=f"R{at}", address="192.0.2.53", port=port))
        yield replace(CASE, ca_file=str(directory / "ca.pem"), lists=Lists(connect_to=places)), made


def over_http(body: bytes, status: str = "200 OK", more: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/dns-message\r\ncontent-length: {len(body)}\r\n{more}\r\n"
    return head.encode() + body


def both(wire: bytes) -> bytes:
    asked = dns.message.from_wire(wire).question[0]
    value = ("A", "192.0.2.1") if asked.rdtype == dns.rdatatype.A else ("AAAA", "2001:db8::1")
    return over_http(answer(wire, (HOST, *value)))


async def test_both_families_come_over_one_connection(tmp_path: Path) -> None:
    async with resolvers(tmp_path, both) as (case, made):
        (found,) = await each_by_https(case, HOST, 3.0, made)
    assert (found.by, found.code, found.addresses) == ("R0", "ok", ("192.0.2.1", "2001:db8::1"))
    assert found.took_ms > 0


async def test_a_resolver_that_closes_after_one_answer_has_given_one(tmp_path: Path) -> None:
    async with resolvers(tmp_path, lambda wire: over_http(four(wire)[0], more="connection: close\r\n")) as (case, made):
        (found,) = await each_by_https(case, HOST, 3.0, made)
    assert found.addresses == ("192.0.2.1",)


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (lambda wire: over_http(answer(wire, rcode=3)), "nxdomain"),
        (lambda wire: over_http(answer(wire)), "nodata"),
        (lambda _: over_http(b"<html>blocked</html>", "403 Forbidden"), "unreadable"),
        (lambda _: over_http(b"<html>login</html>"), "unreadable"),
        (lambda _: b"SSH-2.0-x\r\n\r\n", "unreachable"),
        (lambda _: b"", "timeout"),
    ],
)
async def test_what_a_resolver_says_else(tmp_path: Path, reply: Callable[[bytes], bytes], code: str) -> None:
    async with resolvers(tmp_path, reply) as (case, made):
        (found,) = await each_by_https(case, HOST, 0.6 if code == "timeout" else 3.0, made)
    assert (found.code, found.addresses) == (code, ())


async def test_a_certificate_for_another_address_is_not_believed(tmp_path: Path) -> None:
    async with resolvers(tmp_path, both, certified="192.0.2.54") as (case, made):
        (found,) = await each_by_https(case, HOST, 3.0, made)
    assert found.code == "unreachable"
    assert "certificate" in found.detail


async def test_one_that_hangs_holds_up_no_other(tmp_path: Path) -> None:
    async with resolvers(tmp_path, lambda _: b"", both) as (case, made):
        slow, good = await each_by_https(case, HOST, 0.6, made)
    assert (slow.code, good.code) == ("timeout", "ok")


# -- the system -------------------------------------------------------------------------------------------------------


async def test_the_system_is_asked_for_each_family_and_never_waited_for_too_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    let_go = threading.Event()

    def ask(asked: Question) -> tuple[Found, ...]:
        if asked.family == socket.AF_INET6:
            let_go.wait(10)
        return (Found(asked.family, "192.0.2.1"),)

    kept = Lookups
    monkeypatch.setattr(lookup, "Lookups", lambda: kept(ask))
    try:
        found = await by_system(HOST, 443, 0.3)
    finally:
        let_go.set()
    assert (found.code, found.addresses) == ("ok", ("192.0.2.1",))
    assert "no answer for IPv6" in found.detail


async def test_a_name_that_does_not_exist_has_a_code_and_the_systems_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(asked: Question) -> tuple[Found, ...]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    kept = Lookups
    monkeypatch.setattr(lookup, "Lookups", lambda: kept(ask))
    found = await by_system(HOST, 443, 1.0)
    assert (found.code, found.detail) == ("nxdomain", "Name or service not known")
