"""The resolvers: what they answer, over UDP, TCP and (for `tests.network.sites`) HTTPS."""

import asyncio
import contextlib
import itertools
import socket
import struct
from collections.abc import Callable, Sequence

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from tests.network.faults import EVERYWHERE, OWN, Fault
from tests.network.truth import PROXY, RESOLVER, RESOLVER_6, Host, fake_address, nat64_address

TTL_SECONDS = 60
_RCODES = {"nxdomain": dns.rcode.NXDOMAIN, "servfail": dns.rcode.SERVFAIL, "refused": dns.rcode.REFUSED}
Told = Callable[[str, str, dict[str, object]], None]
Datagram = tuple[float, bytes]
"""After how many seconds, and what."""


class Resolver:
    """What all resolvers know, and how each of them lies.

    Args:
        hosts: Who exists.
        faults: What is wrong; those of DNS count.
        tell: The ledger: server, what, more.
    """

    def __init__(self, hosts: Sequence[Host], faults: Sequence[Fault], tell: Told) -> None:
        self._hosts = hosts
        self._faults = [fault for fault in faults if fault.layer == "dns"]
        self._tell = tell
        self._aliases: dict[str, str] = {}
        self._found: dict[str, Host] = {}
        for host in hosts:
            chain = (host.name, *host.aliases)
            self._aliases.update(itertools.pairwise(chain))
            self._found[chain[-1]] = host
            self._found.update(dict.fromkeys(host.also, host))

    def replies(self, wire: bytes, at: str, transport: str, *, direct: bool = True) -> list[Datagram]:
        """Answer one question; an empty list is silence.

        Args:
            at: The resolver's address.
            transport: ``udp``, ``tcp`` or ``doh``.
            direct: Whether it was not asked by the company's proxy.
        """
        try:
            query = dns.message.from_wire(wire)
            question = query.question[0]
        except (dns.exception.DNSException, IndexError):
            return []
        name = question.name.to_text(omit_final_dot=True).lower()
        self._tell(
            f"{at}:{443 if transport == 'doh' else 53}",
            f"{dns.rdatatype.to_text(question.rdtype)} {name}",
            {"transport": transport},
        )
        fault = self._fault(name, at, direct=direct)
        kind, more = (fault.kind, fault.more) if fault else ("", {})
        if kind == "silent":
            return []
        right = self._answer(query, name, at, direct=direct)
        if kind == "slow":
            return [(more["seconds"], right.to_wire(want_shuffle=False))]
        if transport == "udp" and kind == "truncated":
            short = dns.message.make_response(query)
            short.flags |= dns.flags.TC | dns.flags.RA
            return [(0.0, short.to_wire(want_shuffle=False))]
        if transport == "udp" and kind == "poisoned":
            forged = dns.message.make_response(query)
            forged.flags |= dns.flags.RA
            _add(forged, question.name, question.rdtype, more["addresses"])
            return [(0.0, forged.to_wire(want_shuffle=False)), (more["seconds"], right.to_wire(want_shuffle=False))]
        return [(0.0, right.to_wire(want_shuffle=False))]

    def _fault(self, name: str, at: str, *, direct: bool) -> Fault | None:
        for fault in self._faults:
            whose = fault.more["at"]
            lies = whose in {EVERYWHERE, at} or (whose == OWN and at in {RESOLVER, RESOLVER_6})
            if lies and fault.fits([name], direct=direct):
                return fault
        return None

    def _answer(self, query: dns.message.Message, name: str, at: str, *, direct: bool) -> dns.message.Message:
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.RA
        kind = query.question[0].rdtype
        for _ in range(8):
            owner = dns.name.from_text(name)
            fault = self._fault(name, at, direct=direct)
            if fault and fault.kind in _RCODES:
                answer.set_rcode(_RCODES[fault.kind])
                return answer
            if fault and fault.kind == "nodata":
                return answer
            if fault and fault.kind == "addresses":
                _add(answer, owner, kind, fault.more["addresses"])
                return answer
            if name not in self._aliases or (fault and fault.kind == "fake_ip"):
                break
            answer.answer.append(dns.rrset.from_text(owner, TTL_SECONDS, "IN", "CNAME", f"{self._aliases[name]}."))
            name = self._aliases[name]
        last = name
        while last in self._aliases:  # a made-up address stands for the name that was asked for, wherever that leads
            last = self._aliases[last]
        known = self._found.get(last)
        if name == "ipv4only.arpa":
            known = Host(name, ("192.0.0.170", "192.0.0.171"))
        if known is None:
            answer.set_rcode(dns.rcode.NXDOMAIN)
            return answer
        _add(answer, owner, kind, self._addresses(known, fault))
        return answer

    def _addresses(self, host: Host, fault: Fault | None) -> Sequence[str]:
        if fault and fault.kind == "fake_ip":
            return [fake_address(self._hosts, host.name)]
        if fault and fault.kind == "nat64" and not host.six:
            return [*host.four, *map(nat64_address, host.four)]
        return host.addresses


def _add(
    answer: dns.message.Message, owner: dns.name.Name, kind: dns.rdatatype.RdataType, addresses: Sequence[str]
) -> None:
    wanted = [one for one in addresses if kind == (dns.rdatatype.AAAA if ":" in one else dns.rdatatype.A)]
    if wanted:
        answer.answer.append(dns.rrset.from_text_list(owner, TTL_SECONDS, dns.rdataclass.IN, kind, wanted))


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, resolver: Resolver, at: str) -> None:
        self._resolver, self._at = resolver, at

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.DatagramTransport)
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        loop = asyncio.get_running_loop()
        for seconds, wire in self._resolver.replies(data, self._at, "udp", direct=addr[0] != PROXY):
            if seconds:
                loop.call_later(seconds, self._transport.sendto, wire, addr)
            else:
                self._transport.sendto(wire, addr)


async def serve_udp(resolver: Resolver, sock: socket.socket) -> asyncio.DatagramTransport:
    """Answer the datagrams of this socket."""
    at = sock.getsockname()[0]
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: _Datagrams(resolver, at), sock=sock
    )
    return transport


async def serve_tcp(resolver: Resolver, sock: socket.socket) -> asyncio.Server:
    """Answer the connections of this socket (RFC 7766: each message has its length before it)."""
    at = sock.getsockname()[0]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        direct = writer.get_extra_info("peername")[0] != PROXY
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                (size,) = struct.unpack("!H", await reader.readexactly(2))
                for seconds, wire in resolver.replies(await reader.readexactly(size), at, "tcp", direct=direct):
                    await asyncio.sleep(seconds)
                    writer.write(struct.pack("!H", len(wire)) + wire)
                    await writer.drain()
        writer.close()

    return await asyncio.start_server(serve, sock=sock)
