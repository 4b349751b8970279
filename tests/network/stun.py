"""A STUN server as small as it can be: it tells who asked it from where (RFC 8489 section 6.3.1.1)."""

import asyncio
import ipaddress
import socket
import struct

from tests.network.truth import HERE_4, SEEN_AS

PORT = 3478
_COOKIE = 0x2112A442
_REQUEST, _SUCCESS, _XOR_MAPPED_ADDRESS = 0x0001, 0x0101, 0x0020


def binding_answer(datagram: bytes, peer: tuple[str, int]) -> bytes | None:
    """Answer a binding request; None to anything else."""
    if len(datagram) < 20:
        return None
    kind, length, cookie = struct.unpack_from("!HHI", datagram)
    if kind != _REQUEST or cookie != _COOKIE or len(datagram) != 20 + length:
        return None
    seen = ipaddress.ip_address(SEEN_AS if peer[0] == HERE_4 else peer[0])
    key = datagram[4:20] if seen.version == 6 else datagram[4:8]
    hidden = bytes(byte ^ mask for byte, mask in zip(seen.packed, key, strict=True))
    mapped = struct.pack("!BBH", 0, 2 if seen.version == 6 else 1, peer[1] ^ (_COOKIE >> 16)) + hidden
    attribute = struct.pack("!HH", _XOR_MAPPED_ADDRESS, len(mapped)) + mapped
    return struct.pack("!HHI", _SUCCESS, len(attribute), _COOKIE) + datagram[8:20] + attribute


class _Stun(asyncio.DatagramProtocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.DatagramTransport)
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if answer := binding_answer(data, addr):
            self._transport.sendto(answer, addr)


async def serve_stun(sock: socket.socket) -> asyncio.DatagramTransport:
    """Answer on this socket."""
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(_Stun, sock=sock)
    return transport
