"""Packets: filters on the servers' sockets that lose some, and an ear that hears which were sent.

The programs are classic BPF (Linux, Documentation/networking/filter.rst). A filter on a listening TCP socket sees the
segments for it, and accepted connections inherit it; what it drops is lost as on the way: nobody answers, TCP repeats.
"""

import ctypes
import ipaddress
import socket
import struct
from collections.abc import Sequence

from tests.network.truth import PROXY

_ATTACH_FILTER = 26  # SO_ATTACH_FILTER
_FREEBIND_4, _FREEBIND_6 = 15, 78  # IP_FREEBIND, IPV6_FREEBIND: AnyIP has routes for an address, no interface
_OUTGOING = 4  # PACKET_OUTGOING of packet(7)
_ETH_P_ALL, _ETH_P_IP, _ETH_P_IPV6 = 3, 0x0800, 0x86DD
_NETWORK = 0xFFF00000  # SKF_NET_OFF: counted from the IP header
_RANDOM = 0xFFFFF000 + 56  # SKF_AD_OFF + SKF_AD_RANDOM

_LOAD, _LOAD_BYTE, _LOAD_INDEXED, _HEADER_LENGTH, _LENGTH = 0x20, 0x30, 0x50, 0xB1, 0x80
_AND, _EQUAL, _GREATER, _RETURN = 0x54, 0x15, 0x25, 0x06
_ALL_BYTES = 0xFFFFFFFF

Heard = tuple[str, str, str, int]
_Line = tuple[int, int, int, int]
_TAKE: _Line = (_RETURN, 0, 0, _ALL_BYTES)
_DROP: _Line = (_RETURN, 0, 0, 0)

SYNS_AND_DATAGRAMS: Sequence[_Line] = (
    (_LOAD_BYTE, 0, 0, 0),
    (_AND, 0, 0, 0xF0),
    (_EQUAL, 0, 7, 0x40),
    (_LOAD_BYTE, 0, 0, 9),  # IPv4: protocol
    (_EQUAL, 13, 0, socket.IPPROTO_UDP),
    (_EQUAL, 0, 11, socket.IPPROTO_TCP),
    (_HEADER_LENGTH, 0, 0, 0),
    (_LOAD_INDEXED, 0, 0, 13),  # TCP: flags
    (_AND, 0, 0, 0x12),
    (_EQUAL, 8, 7, 0x02),
    (_EQUAL, 0, 6, 0x60),
    (_LOAD_BYTE, 0, 0, 6),  # IPv6: next header
    (_EQUAL, 5, 0, socket.IPPROTO_UDP),
    (_EQUAL, 0, 3, socket.IPPROTO_TCP),
    (_LOAD_BYTE, 0, 0, 53),
    (_AND, 0, 0, 0x12),
    (_EQUAL, 1, 0, 0x02),
    _DROP,
    _TAKE,
)


def lose_all(sock: socket.socket, *, but_proxy: bool = False) -> None:
    """From now on this socket hears nothing; with ``but_proxy`` it hears only the company's proxy."""
    if but_proxy and sock.family == socket.AF_INET:
        at = int(ipaddress.IPv4Address(PROXY))
        attach(sock, [(_LOAD, 0, 0, _NETWORK + 12), (_EQUAL, 0, 1, at), _TAKE, _DROP])
    else:
        attach(sock, [_DROP])


def lose_share(sock: socket.socket, share: float) -> None:
    """Lose so much of what comes, 0 to 1, by chance."""
    attach(sock, [(_LOAD, 0, 0, _RANDOM), (_GREATER, 0, 1, int(share * _ALL_BYTES)), _TAKE, _DROP])


def lose_longer(sock: socket.socket, mtu_bytes: int) -> None:
    """Lose every TCP segment whose packet would be longer than this."""
    header_bytes = 20 if sock.family == socket.AF_INET else 40
    attach(sock, [(_LENGTH, 0, 0, 0), (_GREATER, 0, 1, mtu_bytes - header_bytes), _DROP, _TAKE])


def attach(sock: socket.socket, program: Sequence[_Line]) -> None:
    """Put a filter on a socket."""
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in program))
    sock.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, struct.pack("HP", len(program), ctypes.addressof(code)))


def bound(kind: socket.SocketKind, address: str, port: int) -> socket.socket:
    """Give a socket at an address that has a local route."""
    six = ":" in address
    sock = socket.socket(socket.AF_INET6 if six else socket.AF_INET, kind)
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if six:
        sock.setsockopt(socket.IPPROTO_IPV6, _FREEBIND_6, 1)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IP, _FREEBIND_4, 1)
    sock.bind((address, port))
    return sock


class Ear:
    """Hears every SYN and every datagram that this machine sends, whether somebody is there or not."""

    def __init__(self) -> None:
        self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_ALL))
        self.sock.setblocking(False)
        attach(self.sock, SYNS_AND_DATAGRAMS)

    def heard(self) -> list[Heard]:
        """Give what is new: ``SYN`` or ``UDP``, from where, to which address and port; what comes from a server's port is left out."""
        found: list[Heard] = []
        while True:
            try:
                packet, (_, protocol, kind, _, _) = self.sock.recvfrom(128)
            except BlockingIOError:
                return found
            row = _parsed(packet, protocol) if kind == _OUTGOING else None
            if row is not None:
                found.append(row)


def _parsed(packet: bytes, protocol: int) -> Heard | None:
    if protocol == _ETH_P_IP:
        carries, start, source, target = packet[9], (packet[0] & 15) * 4, packet[12:16], packet[16:20]
    elif protocol == _ETH_P_IPV6:
        carries, start, source, target = packet[6], 40, packet[8:24], packet[24:40]
    else:
        return None
    source_port, port = struct.unpack_from("!HH", packet, start)
    if carries == socket.IPPROTO_UDP and source_port in {53, 3478}:
        return None
    what = "SYN" if carries == socket.IPPROTO_TCP else "UDP"
    return what, str(ipaddress.ip_address(source)), str(ipaddress.ip_address(target)), port
