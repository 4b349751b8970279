"""What can be wrong on the way, one function each. Several may be combined; the first that fits counts.

``where`` takes names, addresses, ``.suffix`` for all names below it, or ``*``. For TCP a name stands for all of its
addresses, for TLS it is the server name of the ClientHello, for HTTP that of the request.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from tests.network.truth import Host

Layer = Literal["dns", "tcp", "udp", "tls", "http", "status"]
EVERYWHERE = "*"
OWN = "own"
"""The resolver that the machine was told to use, as opposed to public ones."""

DAY_SECONDS = 86_400.0


@dataclass(frozen=True)
class Fault:
    """One of them.

    Args:
        where: Names, addresses, suffixes; see the module.
        port: Only this port; 0 for all.
        direct_only: Whether what comes through the company's proxy is spared.
        more: What the kind needs to know.
    """

    layer: Layer
    kind: str
    where: tuple[str, ...] = (EVERYWHERE,)
    port: int = 0
    direct_only: bool = False
    more: dict[str, Any] = field(default_factory=dict)

    def fits(self, targets: Iterable[str], port: int = 0, *, direct: bool = True) -> bool:
        """Say whether it concerns one of these names and addresses."""
        if (self.port and port and self.port != port) or (self.direct_only and not direct):
            return False
        for pattern in self.where:
            if pattern == EVERYWHERE or any(
                target == pattern or (pattern[0] == "." and target.endswith(pattern)) for target in targets
            ):
                return True
        return False


Piece = Fault | Host
Pieces = Piece | Sequence[Piece]


def direct(*pieces: Pieces) -> list[Piece]:
    """Spare what comes through the company's proxy: it sits where the way out is open."""
    return [replace(one, direct_only=True) if isinstance(one, Fault) else one for one in flat(pieces)]


def flat(pieces: Iterable[Pieces]) -> list[Piece]:
    """Give all of them in one list."""
    made: list[Piece] = []
    for piece in pieces:
        made += [piece] if isinstance(piece, Fault | Host) else piece
    return made


# -- names ------------------------------------------------------------------------------------------------------------


def nxdomain(*where: str, at: str = OWN) -> Fault:
    """No such name. ``at`` is the resolver that says so: an address, `OWN`, or ``*`` for each, DNS over HTTPS too."""
    return Fault("dns", "nxdomain", where, more={"at": at})


def nodata(*where: str, at: str = OWN) -> Fault:
    """The name exists and has no address."""
    return Fault("dns", "nodata", where, more={"at": at})


def servfail(*where: str, at: str = OWN) -> Fault:
    """The resolver could not find out."""
    return Fault("dns", "servfail", where or (EVERYWHERE,), more={"at": at})


def dns_refused(*where: str, at: str = OWN) -> Fault:
    """The resolver does not want to (REFUSED)."""
    return Fault("dns", "refused", where or (EVERYWHERE,), more={"at": at})


def dns_silent(*where: str, at: str = OWN) -> Fault:
    """The resolver says nothing."""
    return Fault("dns", "silent", where or (EVERYWHERE,), more={"at": at})


def dns_slow(seconds: float, *where: str, at: str = OWN) -> Fault:
    """The right answer comes late."""
    return Fault("dns", "slow", where or (EVERYWHERE,), more={"at": at, "seconds": seconds})


def dns_answers(where: str, *addresses: str, at: str = OWN) -> Fault:
    """Other addresses than the true ones, of either family."""
    return Fault("dns", "addresses", (where,), more={"at": at, "addresses": list(addresses)})


def poisoned(where: str, *forged: str, seconds: float = 0.05, at: str = EVERYWHERE) -> Fault:
    """A forged answer over UDP at once, and the right one so much later; TCP and HTTPS are left alone."""
    return Fault("dns", "poisoned", (where,), more={"at": at, "addresses": list(forged), "seconds": seconds})


def truncated(*where: str, at: str = OWN) -> Fault:
    """Over UDP only the hint to ask again over TCP (TC bit)."""
    return Fault("dns", "truncated", where or (EVERYWHERE,), more={"at": at})


def fake_ip() -> Fault:
    """A VPN client's resolver: an address in 198.18.0.0/15 for every name, from where its tunnel reaches it."""
    return Fault("dns", "fake_ip", more={"at": OWN})


def nat64() -> Fault:
    """The resolver of a network without IPv4: IPv6 addresses made of the IPv4 ones (RFC 6147), and they work."""
    return Fault("dns", "nat64", more={"at": OWN})


# -- TCP and UDP ------------------------------------------------------------------------------------------------------


def refused(*where: str, port: int = 0) -> Fault:
    """Nothing listens."""
    return Fault("tcp", "refused", where, port)


def silence(*where: str, port: int = 0) -> Fault:
    """Packets vanish: every SYN, and at UDP ports every datagram."""
    return Fault("tcp", "silence", where, port)


def udp_silence(*where: str, port: int = 0) -> Fault:
    """Datagrams vanish, TCP works."""
    return Fault("udp", "silence", where or (EVERYWHERE,), port)


def unreachable(*addresses: str) -> Fault:
    """The router says that there is no way to these addresses (EHOSTUNREACH)."""
    return Fault("tcp", "unreachable", addresses)


def lossy(share: float, *where: str) -> Fault:
    """So much of what is sent to these servers is lost on the way, by chance; the kernel sends it again."""
    return Fault("tcp", "lossy", where or (EVERYWHERE,), more={"share": share})


def slow_accept(*where: str, seconds: float = 0.4) -> Fault:
    """A queue of one, and one accept in so many seconds: of two SYNs in that time one is lost and comes 1 s later."""
    return Fault("tcp", "slow_accept", where, more={"seconds": seconds})


def latency(seconds: float, *where: str) -> Fault:
    """Servers let a connection wait before they read from it."""
    return Fault("tcp", "latency", where or (EVERYWHERE,), more={"seconds": seconds})


def mtu_hole(*where: str, mtu_bytes: int = 1280) -> Fault:
    """Longer packets to these servers vanish, and nobody says so (RFC 2923 section 2.1)."""
    return Fault("tcp", "mtu_hole", where or (EVERYWHERE,), more={"mtu_bytes": mtu_bytes})


# -- TLS --------------------------------------------------------------------------------------------------------------


def reset_at_hello(*where: str) -> Fault:
    """RST once the ClientHello is there; other names at the same address go on working."""
    return Fault("tls", "reset", where)


def eof_at_hello(*where: str) -> Fault:
    """FIN once the ClientHello is there."""
    return Fault("tls", "eof", where)


def silence_at_hello(*where: str) -> Fault:
    """From the ClientHello on not even an ACK."""
    return Fault("tls", "silence", where)


def alert(*where: str, number: int = 40) -> Fault:
    """A fatal alert instead of a ServerHello (RFC 8446 section 6; 40 is handshake_failure)."""
    return Fault("tls", "alert", where, more={"number": number})


def only_tls10(*where: str) -> Fault:
    """A server of the year 2005."""
    return Fault("tls", "tls10", where)


def certificate(kind: Literal["expired", "future", "self-signed", "incomplete"], *where: str) -> Fault:
    """Wrong in time, signed by itself, or sent without its intermediate."""
    return Fault("tls", "certificate", where, more={"issuer": "public", "kind": kind})


def certificate_for(name: str, *where: str) -> Fault:
    """A good certificate, for somebody else."""
    return Fault("tls", "certificate", where, more={"issuer": "public", "kind": "good", "names": [name]})


def resigned(issuer: str, *where: str, trusted: bool = True, alone: bool = False) -> Fault:
    """Inspected: signed anew by a product's CA, one of `tests.network.authorities.ISSUERS`.

    Args:
        trusted: Whether the machine's store has that CA.
        alone: Whether the CA is missing in the chain that is sent.
    """
    more = {"issuer": issuer, "kind": "incomplete" if alone else "good", "trusted": trusted}
    return Fault("tls", "certificate", where or (EVERYWHERE,), more=more)
