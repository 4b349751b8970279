"""A listening TCP socket: who comes in, what its ClientHello says, which fault awaits it, else TLS and HTTP."""

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.network import packets
from tests.network.authorities import Authorities
from tests.network.dns_server import Told
from tests.network.faults import Fault
from tests.network.http_server import FOREVER_SECONDS, Connection, Place, Web
from tests.network.truth import BEHIND_CLOUDFLARE, PROXY, TLS_PORTS, Host, certified

BACKLOG = 128
HELLO_BYTES_MAX = 32 * 1024
HELLO_SECONDS = 10.0
_HANDSHAKE = 22
_RESET = struct.pack("ii", 1, 0)
_NOT_TLS = (
    b"HTTP/1.1 400 Bad Request\r\nserver: cloudflare\r\ncf-ray: -\r\ncontent-type: text/html\r\ncontent-length: 68\r\n"
    b"connection: close\r\n\r\n<center>The plain HTTP request was sent to HTTPS port</center></html>"
)


@dataclass(frozen=True)
class House:
    """What all doors share.

    Args:
        names: All hosts by name.
        faults: What is wrong.
        tell: The ledger.
        own: Starts a task that somebody ends.
    """

    names: dict[str, Host]
    faults: Sequence[Fault]
    authorities: Authorities
    web: Web
    tell: Told
    own: Callable[[Coroutine[Any, Any, None]], object]

    def fault(self, layer: str, kinds: str, targets: Sequence[str], port: int, *, direct: bool = True) -> Fault | None:
        """Give the first that fits; empty ``kinds`` are all of the layer."""
        wanted = kinds.split()
        for fault in self.faults:
            if (
                fault.layer == layer
                and (not wanted or fault.kind in wanted)
                and fault.fits(targets, port, direct=direct)
            ):
                return fault
        return None


class Door:
    """One address and port.

    Args:
        hosts: Who has this address; the first is who answers to no name.
    """

    def __init__(self, house: House, hosts: Sequence[Host], address: str, port: int) -> None:
        self._house, self._hosts, self.address, self.port = house, hosts, address, port
        self._targets = [address, *(host.name for host in hosts)]
        self._edge = hosts[0].edge
        self._contexts: dict[Path, ssl.SSLContext] = {}

    def open(self) -> socket.socket | None:
        """Start to listen; None when nothing listens here."""
        fault = self._house.fault("tcp", "refused silence lossy mtu_hole slow_accept", self._targets, self.port)
        kind = fault.kind if fault else ""
        if kind == "refused" and fault and not fault.direct_only:
            return None
        sock = packets.bound(socket.SOCK_STREAM, self.address, self.port)
        if fault and kind == "silence":
            packets.lose_all(sock, but_proxy=fault.direct_only)
        elif fault and kind == "lossy":
            packets.lose_share(sock, fault.more["share"])
        elif fault and kind == "mtu_hole":
            packets.lose_longer(sock, fault.more["mtu_bytes"])
        if fault and kind == "slow_accept":
            sock.listen(0)
            self._house.own(self._accept_slowly(sock, fault.more["seconds"]))
        else:
            sock.listen(BACKLOG)
            asyncio.get_running_loop().add_reader(sock, self._accept, sock)
        return sock

    async def _accept_slowly(self, sock: socket.socket, seconds: float) -> None:
        while True:
            await asyncio.sleep(seconds)
            self._accept(sock)

    def _accept(self, sock: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionError):
            connection, peer = sock.accept()
            connection.setblocking(False)
            self._house.own(self._serve(connection, direct=peer[0] != PROXY))

    async def _serve(self, sock: socket.socket, *, direct: bool) -> None:
        with contextlib.suppress(OSError, ssl.SSLError, TimeoutError):
            try:
                fault = self._house.fault("tcp", "refused latency", self._targets, self.port, direct=direct)
                if fault and fault.kind == "refused":
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                    return
                if fault:
                    await asyncio.sleep(fault.more["seconds"])
                await (
                    self._secured(sock, direct=direct) if self.port in TLS_PORTS else self._plain(sock, direct=direct)
                )
            finally:
                sock.close()

    async def _plain(self, sock: socket.socket, *, direct: bool) -> None:
        await self._talk(sock, None, self._hosts[0].name, direct=direct)

    async def _secured(self, sock: socket.socket, *, direct: bool) -> None:
        hello = await _peeked(sock)
        if not hello:
            return
        if hello[0] != _HANDSHAKE:
            sock.recv(HELLO_BYTES_MAX)
            await asyncio.get_running_loop().sock_sendall(sock, _NOT_TLS)
            return
        name = server_name(hello)
        self._house.tell(f"{self.address}:{self.port}", f"hello {name}".rstrip(), {})
        targets = [name, self.address] if name else self._targets
        fault = self._house.fault("tls", "reset eof silence alert", targets, self.port, direct=direct)
        if fault:
            await _fail(sock, fault)
        elif not self._serves(name):
            await _fail(sock, Fault("tls", "alert", more={"number": 40}))
        else:
            context = self._context(name, targets, direct=direct)
            if refusal := _refusal(context, hello):
                sock.recv(HELLO_BYTES_MAX)
                sock.send(refusal)
                return
            await self._talk(sock, context, name or self._hosts[0].name, direct=direct)

    def _serves(self, name: str) -> bool:
        """Cloudflare refuses names that it does not have; others show the certificate that they have."""
        if self._edge != "cloudflare":
            return True
        host = self._house.names.get(name)
        return host is not None and host.edge == "cloudflare"

    def _context(self, name: str, targets: Sequence[str], *, direct: bool) -> ssl.SSLContext:
        fault = self._house.fault("tls", "certificate", targets, self.port, direct=direct)
        old = self._house.fault("tls", "tls10", targets, self.port, direct=direct)
        known = self._house.names.get(name)
        if self._edge == "any":
            host = known or Host(name or self._hosts[0].name, ())
        else:
            host = known if known and known.edge == self._edge else self._hosts[0]
        more = fault.more if fault else {"issuer": "public", "kind": "good"}
        names = more.get("names") or certified(host)
        file = self._house.authorities.leaf(more["issuer"], more["kind"], names)
        if file not in self._contexts:
            self._contexts[file] = _context_of(file, old=old is not None)
        return self._contexts[file]

    async def _talk(self, sock: socket.socket, context: ssl.SSLContext | None, name: str, *, direct: bool) -> None:
        reader = asyncio.StreamReader(limit=2**20)
        protocol = asyncio.StreamReaderProtocol(reader)
        loop = asyncio.get_running_loop()
        timeout = HELLO_SECONDS if context else None
        transport, _ = await loop.connect_accepted_socket(
            lambda: protocol, sock, ssl=context, ssl_handshake_timeout=timeout
        )
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        edge = self._edge
        every = {one.name: one.site for one in self._house.names.values() if edge in {"any", one.edge}}
        own = {one.name: one.site for one in self._hosts}
        sink = self._hosts[0].site.startswith("sink-")
        place = Place(
            "https" if context else "http", name, self.address, self.port, {} if sink else every | own,
            self._hosts[0].site if sink or edge in {"one", "eight", "nine"} else "web", edge in BEHIND_CLOUDFLARE, direct,
        )  # fmt: skip
        try:
            await Connection(reader, writer, place, self._house.web).serve()
        finally:
            writer.close()
            with contextlib.suppress(OSError, TimeoutError):
                await asyncio.wait_for(writer.wait_closed(), 5)


def server_name(hello: bytes) -> str:
    """Give the name in a ClientHello (RFC 6066 section 3); empty without one."""
    heard: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sni_callback = lambda _sock, name, _context: heard.append(name)
    incoming = ssl.MemoryBIO()
    incoming.write(hello)
    with contextlib.suppress(ssl.SSLError):  # it has no certificate; all it is for is to read the name
        context.wrap_bio(incoming, ssl.MemoryBIO(), server_side=True).do_handshake()
    return (heard[0] or "").lower() if heard else ""


def _refusal(context: ssl.SSLContext, hello: bytes) -> bytes:
    """Give the alert with which this server turns down a ClientHello; asyncio would close without it."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    incoming.write(hello)
    try:
        context.wrap_bio(incoming, outgoing, server_side=True).do_handshake()
    except ssl.SSLWantReadError:
        return b""
    except ssl.SSLError:
        return outgoing.read()
    return b""


async def _peeked(sock: socket.socket) -> bytes:
    """Give the ClientHello and leave it where it is; empty when the client goes away."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + HELLO_SECONDS
    wanted = 6
    while True:
        ready: asyncio.Future[None] = loop.create_future()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, wanted)
        loop.add_reader(sock, _set, ready)
        try:
            await asyncio.wait_for(ready, deadline - loop.time())
        finally:
            loop.remove_reader(sock)
        data = sock.recv(HELLO_BYTES_MAX, socket.MSG_PEEK)
        length = 5 + int.from_bytes(data[3:5]) if len(data) >= 5 and data[0] == _HANDSHAKE else len(data)
        if len(data) >= min(length, HELLO_BYTES_MAX) or len(data) < wanted:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
            return data
        wanted = length


def _set(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


async def _fail(sock: socket.socket, fault: Fault) -> None:
    """End the handshake as the fault says."""
    if fault.kind == "silence":
        packets.lose_all(sock)
        await asyncio.sleep(FOREVER_SECONDS)
    sock.recv(HELLO_BYTES_MAX)  # what is left unread would turn the FIN into a RST
    if fault.kind == "reset":
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    elif fault.kind == "alert":
        sock.send(b"\x15\x03\x03\x00\x02\x02" + bytes([fault.more["number"]]))


def _context_of(file: Path, *, old: bool) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    context.set_alpn_protocols(["http/1.1"])
    if old:
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
    return context
