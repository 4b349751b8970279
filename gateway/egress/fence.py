"""Where the apps of a gateway that others can reach may go, so that it opens no way into its own network. Pure.

Two questions: is this host on the list, and is the address that its name led to a public one? The second is asked of
the very address that is then connected to (`gateway.egress.dial`), so a name that changes its mind changes nothing.
"""

import ipaddress
from collections.abc import Callable, Iterable

_USUAL_PORTS = frozenset({80, 443})
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_CLOUD = frozenset(map(ipaddress.ip_address, ("168.63.129.16", "169.254.169.254", "100.100.100.200", "fd00:ec2::254")))
"""Where clouds tell a machine its secrets. Azure's is a public number (learn.microsoft.com, "What is IP address
168.63.129.16", read 2026-11); all of them stay shut whatever the list says."""


class Fence:
    """The rules.

    Args:
        allowed: Host names, ``*.suffix`` or addresses, each with or without a port (80 and 443 then).
        trusted: Whether the operator said where a host and port leads: a provider, its configured upstream, the
            company's proxy. Its address may be any.
    """

    def __init__(self, allowed: Iterable[str], trusted: Callable[[str, int], bool]) -> None:
        self.renew(allowed, trusted)

    def renew(self, allowed: Iterable[str], trusted: Callable[[str, int], bool]) -> None:
        """Go by other rules from now on."""
        self._trusted = trusted
        self._names: set[tuple[str, int]] = set()
        self._suffixes: list[tuple[str, int]] = []
        for entry in allowed:
            name, ports = _split(entry)
            for port in ports:
                if name.startswith("*."):
                    self._suffixes.append((name[1:], port))
                else:
                    self._names.add((_written(name), port))

    def bars(self, host: str, port: int) -> str | None:
        """Say why no app may ask for a host that is no provider's, None when it may. ``host`` is lower case."""
        name = _written(host)
        listed = (name, port) in self._names
        address = _address(name)
        if address is not None:
            why = self._bars_address(address)
            if why and (not listed or _is_clouds(address)):
                return f"{host} is {why}"
        elif any(name.endswith(suffix) and port == of for suffix, of in self._suffixes):
            return None
        if listed:
            return None
        return f"{host}:{port} is neither a provider nor in [listen] allow_hosts"

    def bars_address(self, host: str, port: int, address: str) -> str | None:
        """Say why the address that a host was found at must not be connected to, None when it may."""
        found = _address(address)
        if found is None or self._trusted(host, port):
            return None
        if (_written(host), port) in self._names and _address(host) is not None and not _is_clouds(found):
            return None  # the operator wrote this very address
        why = self._bars_address(found)
        return f"{host} leads to {address}, {why}" if why else None

    @staticmethod
    def _bars_address(address: _Address) -> str | None:
        if _is_clouds(address):
            return "where a cloud keeps a machine's secrets"
        for inner in _meant(address):
            if inner.is_loopback or inner.is_unspecified:
                return "the machine of the gateway itself"
            if inner.is_multicast or inner.is_reserved or not inner.is_global or getattr(inner, "is_site_local", False):
                return "an address that is not on the public internet"
        return None


def _is_clouds(address: _Address) -> bool:
    return not _CLOUD.isdisjoint(_meant(address))


def _meant(address: _Address) -> list[_Address]:
    """Give an address with those that it stands for: IPv6 has several ways to write an IPv4 one."""
    if not isinstance(address, ipaddress.IPv6Address):
        return [address]
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    if address in _NAT64:
        return [ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)]
    return [address, *(inner for inner in (address.sixtofour, *(address.teredo or ())) if inner is not None)]


def _address(text: str) -> _Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _written(host: str) -> str:
    """Give an address in its one usual spelling, a name without the dot that may end it."""
    address = _address(host)
    return host.removesuffix(".") if address is None else str(address)


def _split(entry: str) -> tuple[str, frozenset[int]]:
    name, colon, port = entry.rpartition(":")
    if colon and port.isdigit() and (":" not in name or name.endswith("]")):
        return name.strip("[]"), frozenset({int(port)})
    return entry.strip("[]"), _USUAL_PORTS
