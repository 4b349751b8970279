"""What probes measure out there: facts alone, without a word on what they mean.

Probes read each other's only through these, and through those of `gateway.doctor.measured_here`.
"""

from dataclasses import dataclass, field

from gateway.doctor.measured_tls import Handshakes, Shaken, Swapped
from gateway.doctor.wire import Answer
from gateway.model.failure import NetFailure

__all__ = [
    "ChatHosts", "Connects", "Edge", "Handshakes", "HostSeen", "Incident", "Keyed", "Lookup", "Machine", "Names",
    "Others", "Plain", "Portals", "Reached", "Shaken", "Sizes", "StatusSaid", "Streamed", "Swapped", "Tunnel",
    "Upgraded", "Voice",
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Whether anything can leave this machine; asked of the routing table alone, no packet is sent.

    Attributes:
        ipv4: It has a way to public IPv4 addresses.
        ipv6: Likewise IPv6.
        detail: What the system said where it has none.
        sends_from: What stands out in the address that it would send from: ``link_local`` for one that it gave itself
            (RFC 3927), ``tunnel`` for that of a VPN client in fake-IP mode (198.18.0.0/15); empty for any other.
    """

    ipv4: bool
    ipv6: bool
    detail: str = ""
    sends_from: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """One answer to one question for a name.

    Attributes:
        by: Who was asked: ``system``, ``hosts``, or the name of a public resolver.
        addresses: Of both families; empty when there are none.
        cnames: The names on the way, in order, without the one that was asked for.
        code: ``ok``, ``nxdomain``, ``nodata``, ``servfail``, ``refused``, ``timeout``, ``unreachable`` (the resolver
            itself could not be reached), ``unreadable`` (it did not answer in DNS).
        detail: In words, where it is not ``ok``.
        took_ms: Until the answer.
    """

    by: str
    addresses: tuple[str, ...] = ()
    cnames: tuple[str, ...] = ()
    code: str = "ok"
    detail: str = ""
    took_ms: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What the target's name leads to.

    Attributes:
        host: Looked up.
        system: By the system, as programs do it.
        controls: By public resolvers over HTTPS; empty when none may be asked.
        hosts_file: The name stands in this machine's hosts file, with these addresses.
        nameservers: Whom the system asks, where that can be read.
        bogus: What the system's resolver gave for a name that cannot exist; empty is right.
        direct: The first name server's answer to a question of our own; None when it could not be asked.
        second: The addresses of a second answer to that very question, where one came that says otherwise.
        why_no_controls: Why nobody was asked as a control: ``unasked``, ``inner`` (a name of an inner network),
            ``none`` (there is no resolver to ask), ``address`` (there is no name); empty when somebody was.
    """

    host: str
    system: Lookup
    controls: tuple[Lookup, ...] = ()
    hosts_file: tuple[str, ...] = ()
    nameservers: tuple[str, ...] = ()
    bogus: tuple[str, ...] = ()
    direct: Lookup | None = None
    second: tuple[str, ...] = ()
    why_no_controls: str = ""

    @property
    def control(self) -> tuple[str, ...]:
        """What the public resolvers gave, all together; empty without a control."""
        return tuple(dict.fromkeys(address for one in self.controls for address in one.addresses))

    @property
    def addresses(self) -> tuple[str, ...]:
        """Every address that anybody gave."""
        return tuple(dict.fromkeys((*self.system.addresses, *self.control)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Connects:
    """Attempts to connect to one address.

    Attributes:
        about: ``target``, or the name of the control that the address belongs to.
        connect_ms: Of those that came about.
        failures: Of the others.
    """

    address: str
    port: int
    about: str = "target"
    connect_ms: tuple[float, ...] = ()
    failures: tuple[NetFailure, ...] = ()

    @property
    def tries(self) -> int:
        """How many were made."""
        return len(self.connect_ms) + len(self.failures)

    @property
    def loss(self) -> float:
        """Which part of them failed, 0 to 1."""
        return len(self.failures) / self.tries if self.tries else 0.0

    def at(self, share: float) -> float:
        """Give the time that this share of the good ones took at most, in milliseconds; 0 when there is none."""
        ordered = sorted(self.connect_ms)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """Connections to every address of the target, and to controls.

    Attributes:
        hops: The routers on the way to the first address, where the system lets us see them; empty names for silent
            ones.
        why_no_hops: Empty when there are some.
    """

    targets: tuple[Connects, ...] = ()
    controls: tuple[Connects, ...] = ()
    hops: tuple[str, ...] = ()
    why_no_hops: str = ""

    @property
    def good(self) -> tuple[Connects, ...]:
        """Addresses of the target that could be connected to at least once."""
        return tuple(one for one in self.targets if one.connect_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Portals:
    """What the well-known pages over plain HTTP answer.

    Attributes:
        each: URL -> answer.
    """

    each: tuple[tuple[str, Answer], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tunnel:
    """The company's proxy: whether it can be reached, and what it says to CONNECT.

    Attributes:
        via: Its address without the credential.
        reach: To the proxy itself.
        connect: To the target through it.
        control: To another host through it, None when none may be asked.
        straight: To the target past it, for comparison.
    """

    via: str
    reach: Connects
    connect: Answer
    control: Answer | None = None
    straight: Answer | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Requests of growing length to the same place.

    Attributes:
        each: Bytes of the body -> answer.
    """

    each: tuple[tuple[int, Answer], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Upgraded:
    """A WebSocket upgrade without a key: any answer in HTTP is as good as 101."""

    answer: Answer
    path: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Streamed:
    """How events come that were sent with a pause between them.

    Attributes:
        arrivals_ms: Of each piece, from the request on.
        answer: Of the request.
        held_back_seconds: From the log: how long the last good stream stayed silent before it came at once.
    """

    arrivals_ms: tuple[float, ...] = ()
    answer: Answer | None = None
    held_back_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """What the edge in front of the target says of us.

    Attributes:
        facts: Its lines as pairs: ``loc``, ``ip``, ``warp``, ``gateway``, ``colo`` and others. ``ip`` is struck out.
    """

    answer: Answer
    facts: tuple[tuple[str, str], ...] = ()

    def fact(self, name: str) -> str:
        """Give one, empty when it is not said."""
        return next((value for key, value in self.facts if key == name), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plain:
    """The answer to a request without a key: the provider's own refusal, in its shape, is what is right."""

    answer: Answer
    method: str = "GET"
    path: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """Something open on a status page.

    Attributes:
        name: As the provider calls it.
        status: ``investigating``, ``identified``, ``monitoring`` ..., as it stands there.
        began: ISO 8601, empty when it is not said.
        components: Names of what it affects; empty when it is not said.
    """

    name: str
    status: str = ""
    began: str = ""
    components: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusSaid:
    """What a provider's status page says.

    Attributes:
        page: Its address.
        state: ``operational``, ``affected``, or ``unknown``: a page that cannot be read or lacks what we look for is
            not a healthy one.
        components: Name -> state, of those that calls go to.
        incidents: Open ones.
        elsewhere: Something is wrong that calls do not go to.
        answer: Of the request that decided.
    """

    page: str
    state: str
    components: tuple[tuple[str, str], ...] = ()
    incidents: tuple[Incident, ...] = ()
    elsewhere: bool = False
    answer: Answer | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyed:
    """What the provider says to the key.

    Attributes:
        form: What is wrong with how the key is written, empty when nothing is.
        models: To a list of models.
        model: To the one that was asked for; None when none was.
        organization: As the answer names it, a fingerprint; empty when it does not.
        limits: As the answer's headers state them.
        unsent: Why the key was not sent; empty when it was, or when its form forbids it.
        count: How many models the list names; None when it is none, or too long to read.
        listed: Whether the one that was asked for is among them; None likewise.
    """

    form: str = ""
    unsent: str = ""
    count: int | None = None
    listed: bool | None = None
    models: Answer | None = None
    model: Answer | None = None
    organization: str = ""
    limits: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSeen:
    """One host of a list: how far one gets there.

    Attributes:
        pattern: The entry of the list that it stands for.
        need: What it is for, by a short word: ``core``, ``upload``, ``voice``, ``attest``, ``telemetry`` ...
        pinned: Its app accepts no other certificate than the true one.
        shaken: None when it got no address or no connection.
        lookup: Of the name, by the system; through a proxy, which looks names up itself, without addresses.
        vital: Without it alone the need is not met.
        control: By a public resolver, when something was wrong; None when none may or can be asked.
        aliases: What the system gives for the names that the control's answer leads by.
        elsewhere: At the control's address, when it is another one and something was wrong.
    """

    host: str
    pattern: str
    lookup: Lookup
    need: str = "core"
    vital: bool = False
    pinned: bool = False
    shaken: Shaken | None = None
    connect: Connects | None = None
    control: Lookup | None = None
    aliases: tuple[tuple[str, Lookup], ...] = ()
    elsewhere: Shaken | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatHosts:
    """Every domain that ChatGPT in browsers and apps needs."""

    each: tuple[HostSeen, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """The ways that voice takes (LiveKit).

    Attributes:
        tcp: ``host:port`` -> failure, None when it connects.
        udp: ``host:port`` -> whether a STUN request was answered (RFC 8489).
        control: Likewise, of a server of somebody else's.
    """

    tcp: tuple[tuple[str, NetFailure | None], ...] = ()
    udp: tuple[tuple[str, bool], ...] = ()
    control: tuple[tuple[str, bool], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Others:
    """Hosts of other providers that are in use here.

    Attributes:
        each: Host -> what it answers without a key.
    """

    each: tuple[tuple[str, Answer], ...] = field(default=())
