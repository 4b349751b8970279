"""How much of the gateway one client may take, counted by its address, so that others find room beside it.

A connection carries one call at a time, running or waiting, so the bound on connections is one on calls, too. What is
counted are transports that are open: whoever holds one in the end, the lane, a tunnel or mitmproxy, need not tell.
"""

import asyncio
import ipaddress
from dataclasses import dataclass, field

MIB = 1_048_576
LINGERING_MAX = 64
"""Connections that are being told that there is no room for them; further ones are not waited for."""


_SHARES_MAX = 1_024
_IPV6_PREFIX = 64
"""What one customer of a network is given at least (RFC 6177): whoever has it has all addresses in it."""


@dataclass(slots=True)
class Share:
    """What one client has.

    Attributes:
        bytes_max: What the bodies of its calls may hold together; 0 for any amount.
    """

    name: str
    bytes_max: int
    transports: set[asyncio.BaseTransport] = field(default_factory=set)
    held_bytes: int = 0

    def hold(self, size_bytes: int) -> str:
        """Count bytes of a body; say why there is no room for them, empty when there is."""
        if self.bytes_max and self.held_bytes + size_bytes > self.bytes_max:
            room = f"{self.bytes_max / MIB:,.0f} MiB"
            return f"the calls of {self.name} that are under way hold {room} already, all that one client may"
        self.held_bytes += size_bytes
        return ""

    def give_back(self, size_bytes: int) -> None:
        """Count them no longer."""
        self.held_bytes -= size_bytes


class Crowd:
    """All clients.

    Args:
        connections_per_client: 0 for any number.
        bytes_per_client: 0 for any amount.
        connections_max: Of all together.
    """

    def __init__(
        self, connections_per_client: int = 0, bytes_per_client: int = 0, connections_max: int = 16_384
    ) -> None:
        self._shares: dict[str, Share] = {}
        self._open = 0
        self.lingering = 0
        self.renew(connections_per_client, bytes_per_client, connections_max)

    def renew(self, connections_per_client: int, bytes_per_client: int, connections_max: int) -> None:
        """Go by other bounds from now on; who is in stays."""
        self._per_client, self._bytes, self._most = connections_per_client, bytes_per_client, connections_max
        for share in self._shares.values():
            share.bytes_max = bytes_per_client

    def enter(self, transport: asyncio.BaseTransport, share: Share) -> str:
        """Let a connection in; say why there is no room for it, empty when there is."""
        if self._per_client and len(share.transports) >= self._per_client:
            self._forget_closed(share)
            if len(share.transports) >= self._per_client:
                return f"{share.name} has {self._per_client:,} connections open already, all that one client may"
        if self._open >= self._most:
            for each in list(self._shares.values()):
                self._forget_closed(each)
            if self._open >= self._most:
                return f"{self._most:,} connections are open already, all that there may be"
        share.transports.add(transport)
        self._open += 1
        return ""

    def share_of(self, transport: asyncio.BaseTransport) -> Share:
        """Give what the client at the other side has."""
        peer = transport.get_extra_info("peername")
        name = client_of(peer[0]) if peer else "unknown"
        share = self._shares.get(name)
        if share is None:
            if len(self._shares) >= _SHARES_MAX:
                self._forget_gone()
            share = self._shares[name] = Share(name, self._bytes)
        return share

    def _forget_closed(self, share: Share) -> None:
        closed = {one for one in share.transports if one.is_closing()}
        share.transports -= closed
        self._open -= len(closed)

    def _forget_gone(self) -> None:
        for name, share in list(self._shares.items()):
            self._forget_closed(share)
            if not share.transports and not share.held_bytes:
                del self._shares[name]


def client_of(address: str) -> str:
    """Give what stands for one client: an IPv4 address, or the network that an IPv6 address is in."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((found, _IPV6_PREFIX), strict=False))
