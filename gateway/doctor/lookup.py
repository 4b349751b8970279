"""How probes ask for names: the system as programs do, a name server by a question of our own, a resolver over HTTPS.

Every function ends within its ``seconds`` and raises nothing of the network's: what failed is the answer's ``code``.
"""

import asyncio
import contextlib
import secrets
import socket
import ssl
import struct
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import h11

from gateway.doctor.case import Case
from gateway.doctor.lists import Resolver
from gateway.doctor.measured import Lookup
from gateway.doctor.wire import Connection, open_straight
from gateway.egress.lookups import Lookups, Question

if TYPE_CHECKING:
    import dns.message

ADDRESSES_MAX = 16
_ALIASES_MAX = 8
_BODY_BYTES = 65_535
_DATAGRAMS_MAX = 16
_SERVERS_MAX = 3
_TYPES = ("A", "AAAA")
_CODES = {0: "ok", 2: "servfail", 3: "nxdomain", 5: "refused"}
"""RFC 1035 section 4.1.1."""
_OF_SYSTEM = {
    socket.EAI_NONAME: "nxdomain",
    getattr(socket, "EAI_NODATA", socket.EAI_NONAME): "nodata",
    socket.EAI_AGAIN: "servfail",
    socket.EAI_FAIL: "refused",
}


@dataclass(frozen=True, slots=True)
class Told:
    """One answer in DNS.

    Attributes:
        code: As of `Lookup`.
        cut: It is only the hint to ask again over TCP.
    """

    code: str
    addresses: tuple[str, ...] = ()
    cnames: tuple[str, ...] = ()
    cut: bool = False


def question(name: str, kind: str) -> "dns.message.Message":
    """Put a question together. Raises ValueError when no host can have this name."""
    import dns.exception  # noqa: PLC0415 - takes 0.15 s, which a run that asks nobody does not pay
    import dns.message  # noqa: PLC0415

    try:
        return dns.message.make_query(name, kind, id=secrets.randbelow(65_536))
    except dns.exception.DNSException as error:
        raise ValueError(str(error)) from None


def read(wire: bytes, asked: "dns.message.Message") -> Told | None:
    """Read an answer (RFC 1035 section 4); None when it is none to this question."""
    import dns.exception  # noqa: PLC0415
    import dns.flags  # noqa: PLC0415
    import dns.message  # noqa: PLC0415

    try:
        answer = dns.message.from_wire(wire, ignore_trailing=True)
    except (dns.exception.DNSException, ValueError):
        return Told("unreadable") if wire[:2] == struct.pack("!H", asked.id) else None
    if not asked.is_response(answer):
        return None
    kind = asked.question[0].rdtype
    addresses = [one.to_text() for rrset in answer.answer if rrset.rdtype == kind for one in rrset]
    aliases = {rrset.name: rrset[0].target for rrset in answer.answer if rrset.rdtype == 5 and len(rrset)}
    cnames: list[str] = []
    at = asked.question[0].name
    while at in aliases and len(cnames) < _ALIASES_MAX:
        at = aliases[at]
        cnames.append(at.to_text(omit_final_dot=True).lower())
    code = _CODES.get(int(answer.rcode()), "servfail")
    if code == "ok" and not addresses:
        code = "nodata"
    return Told(code, tuple(addresses[:ADDRESSES_MAX]), tuple(cnames), bool(answer.flags & dns.flags.TC))


def joined(by: str, told: Sequence[Told], took_ms: float) -> Lookup:
    """Make one look-up of the answers for both families: an address in one is enough."""
    addresses = tuple(dict.fromkeys(address for one in told for address in one.addresses))
    best = next((one for one in told if one.addresses), told[0] if told else Told("unreadable"))
    cnames = next((one.cnames for one in told if one.cnames), ())
    code = "ok" if addresses else best.code
    return Lookup(by=by, addresses=addresses[:ADDRESSES_MAX], cnames=cnames, code=code, took_ms=took_ms)


# -- the system -------------------------------------------------------------------------------------------------------


async def by_system(host: str, port: int, seconds: float, by: str = "system") -> Lookup:
    """Ask the system for each family on its own, so that one without an answer does not hide the other."""
    lookups = Lookups()
    began = time.perf_counter()

    async def one(family: socket.AddressFamily) -> tuple[Told, str, float]:
        try:
            async with asyncio.timeout(seconds):
                found = await lookups.find(Question(host, port, family))
        except TimeoutError:
            return Told("timeout"), f"no answer within {seconds:g} s", _since(began)
        except socket.gaierror as error:
            return Told(_OF_SYSTEM.get(error.errno or 0, "servfail")), error.strerror or str(error), _since(began)
        except OSError as error:
            return Told("unreachable"), error.strerror or str(error), _since(began)
        return Told("ok", tuple(address for _, address in found)), "", _since(began)

    try:
        four, six = await asyncio.gather(one(socket.AF_INET), one(socket.AF_INET6))
    finally:
        lookups.close()
    found = joined(by, (four[0], six[0]), four[2] if four[0].addresses else max(four[2], six[2]))
    if not found.addresses:
        return replace(found, detail=four[1] or six[1])
    silent = [name for name, (told, *_) in (("IPv4", four), ("IPv6", six)) if told.code == "timeout"]
    return replace(found, detail=f"no answer for {silent[0]} within {seconds:g} s" if silent else "")


def in_hosts_file(text: str, host: str) -> tuple[str, ...]:
    """Give the addresses that a hosts file has for a name (hosts(5))."""
    lines = (line.partition("#")[0].split() for line in text.splitlines())
    found = (words[0] for words in lines if host.lower() in (word.lower().rstrip(".") for word in words[1:]))
    return tuple(dict.fromkeys(found))


def nameservers(text: str) -> tuple[str, ...]:
    """Give the name servers of a resolv.conf (resolv.conf(5))."""
    lines = (line.split() for line in text.splitlines())
    return tuple(words[1] for words in lines if len(words) > 1 and words[0] == "nameserver")[:_SERVERS_MAX]


# -- a name server, over UDP ------------------------------------------------------------------------------------------


class _Questions(asyncio.DatagramProtocol):
    """Keeps what comes back, until there is nothing more to wait for."""

    def __init__(self) -> None:
        self.came: asyncio.Queue[bytes | Exception] = asyncio.Queue(_DATAGRAMS_MAX)
        self._transport: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def close(self) -> None:
        """Close the socket."""
        if self._transport is not None:
            self._transport.close()

    def datagram_received(self, data: bytes, addr: object) -> None:
        self._keep(data)

    def error_received(self, exc: Exception) -> None:
        self._keep(exc)

    def _keep(self, came: bytes | Exception) -> None:
        with contextlib.suppress(asyncio.QueueFull):
            self.came.put_nowait(came)


async def by_server(
    case: Case, server: str, name: str, seconds: float, enough: asyncio.Event | None = None
) -> tuple[Lookup, tuple[str, ...]]:
    """Ask a name server for IPv4 addresses, and over TCP where the answer is too long for UDP.

    Args:
        enough: Until it is set, and at most ``seconds`` after the first, a second answer to the same question is waited
            for: one that comes, and says otherwise, means that one of the two was injected (Hoang et al., GFWatch,
            USENIX Security 2021).

    Returns:
        The first answer, and the addresses of a second one that differs.
    """
    began = time.perf_counter()

    def gone(code: str, detail: str) -> tuple[Lookup, tuple[str, ...]]:
        return Lookup(by=server, code=code, detail=detail, took_ms=_since(began)), ()

    protocol = _Questions()
    place = place_of(case, server, 53)
    try:
        async with asyncio.timeout(seconds):
            asked = question(name, "A")
            loop = asyncio.get_running_loop()
            transport, _ = await loop.create_datagram_endpoint(lambda: protocol, remote_addr=place)
            transport.sendto(asked.to_wire())
            first = await _next(protocol, asked)
            found = joined(server, (await _over_tcp(place, asked) if first.cut else first,), _since(began))
        return found, await _second(protocol, asked, first, seconds, enough) if enough is not None else ()
    except TimeoutError:
        return gone("timeout", f"no answer within {seconds:g} s")
    except ValueError as error:
        return gone("nxdomain", str(error))
    except (OSError, asyncio.IncompleteReadError) as error:
        return gone("unreachable", getattr(error, "strerror", "") or str(error))
    finally:
        protocol.close()


async def _second(
    protocol: _Questions, asked: "dns.message.Message", first: Told, seconds: float, enough: asyncio.Event
) -> tuple[str, ...]:
    """Give the addresses of a second answer that has none of the first's, nothing when none comes in time."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await enough.wait()
    while not protocol.came.empty():
        came = protocol.came.get_nowait()
        told = read(came, asked) if isinstance(came, bytes) else None
        if told is not None and told.addresses and not set(told.addresses) & set(first.addresses):
            return told.addresses
    return ()


async def _next(protocol: _Questions, asked: "dns.message.Message") -> Told:
    while True:
        came = await protocol.came.get()
        if isinstance(came, Exception):
            raise came
        told = read(came, asked)
        if told is not None:
            return told


async def _over_tcp(place: tuple[str, int], asked: "dns.message.Message") -> Told:
    reader, writer = await asyncio.open_connection(*place)
    try:
        wire = asked.to_wire()
        writer.write(struct.pack("!H", len(wire)) + wire)
        (size,) = struct.unpack("!H", await reader.readexactly(2))
        return read(await reader.readexactly(size), asked) or Told("unreadable")
    finally:
        writer.transport.abort()


def place_of(case: Case, address: str, port: int) -> tuple[str, int]:
    """Give where to go for an address and port, by `Lists.connect_to`."""
    place = case.lists.connect_to.get(f"{address}:{port}", "")
    if not place:
        return address, port
    host, _, text = place.rpartition(":")
    return host.strip("[]"), int(text)


# -- a resolver, over HTTPS -------------------------------------------------------------------------------------------


async def by_https(case: Case, resolver: Resolver, name: str, context: ssl.SSLContext, seconds: float) -> Lookup:
    """Ask a public resolver by its address (RFC 8484), both families over one connection.

    Args:
        context: The certificate must be valid for the address.
    """
    began = time.perf_counter()

    def gone(code: str, detail: str) -> Lookup:
        return Lookup(by=resolver.name, code=code, detail=detail, took_ms=_since(began))

    told: list[Told] = []
    try:
        async with asyncio.timeout(seconds):
            with await open_straight(case, resolver.address, resolver.port) as connection:
                await connection.secure(context, resolver.address)
                client = h11.Connection(h11.CLIENT)
                for kind in _TYPES:
                    asked = question(name, kind)
                    status, body = await _posted(connection, client, resolver, asked.to_wire())
                    if status != 200:
                        return gone("unreadable", f"status {status}")
                    told.append(read(body, asked) or Told("unreadable"))
                    if client.our_state is not h11.DONE or client.their_state is not h11.DONE:
                        break
                    client.start_next_cycle()
    except TimeoutError:
        if not told:
            return gone("timeout", f"no answer within {seconds:g} s")
    except ssl.SSLCertVerificationError as error:
        return gone("unreachable", f"its certificate is not valid: {error.verify_message}")
    except (OSError, ValueError, h11.ProtocolError) as error:
        if not told:
            return gone("unreachable", getattr(error, "strerror", "") or str(error) or type(error).__name__)
    return joined(resolver.name, told, _since(began))


async def _posted(connection: Connection, client: h11.Connection, resolver: Resolver, wire: bytes) -> tuple[int, bytes]:
    kind = "application/dns-message"
    headers = [("host", resolver.address), ("accept", kind), ("content-type", kind), ("content-length", str(len(wire)))]
    request = h11.Request(method="POST", target=resolver.path, headers=headers)
    sent = (client.send(request), client.send(h11.Data(data=wire)), client.send(h11.EndOfMessage()))
    connection.writer.write(b"".join(piece or b"" for piece in sent))
    await connection.writer.drain()
    status, body = 0, b""
    while len(body) <= _BODY_BYTES:
        event = client.next_event()
        if event is h11.NEED_DATA:
            client.receive_data(await connection.reader.read(_BODY_BYTES))
        elif isinstance(event, h11.Response):
            status = event.status_code
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            return status, body
        elif not isinstance(event, h11.InformationalResponse):
            break
    raise ConnectionResetError("the connection was closed without an answer")


async def each_by_https(case: Case, name: str, seconds: float, resolvers: Iterable[Resolver]) -> tuple[Lookup, ...]:
    """Ask several at once."""
    from gateway.doctor.wire import context_of  # noqa: PLC0415 - no need of it without resolvers

    context = context_of(case)
    return tuple(await asyncio.gather(*(by_https(case, one, name, context, seconds) for one in resolvers)))


def _since(began: float) -> float:
    return round((time.perf_counter() - began) * 1000, 2)
