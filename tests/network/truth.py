"""What is true in the simulated internet when nothing is wrong: who has which name, address and service."""

import ipaddress
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

NAT64_PREFIX = int(ipaddress.IPv6Address("64:ff9b::"))

RESOLVER, RESOLVER_6 = "10.53.0.1", "2a02:8070:1::53"
"""The network's own."""

PROXY = "10.0.0.3"
"""Where the company's proxy stands, and what it sends from."""

HERE_4, ROUTER_4 = "192.168.7.2", "192.168.7.1"
HERE_6, ROUTER_6 = "2a02:8070:1::2", "2a02:8070:1::1"
"""This machine and its default gateway."""

SEEN_AS = "203.0.113.7"
"""This machine as servers see it (behind the router's address translation)."""

RESOLVERS = ("1.1.1.1", "1.0.0.1", "8.8.8.8", "8.8.4.4", "9.9.9.9")
"""They answer DNS on port 53 as well as over HTTPS."""


class Host(NamedTuple):
    """One name.

    Args:
        four: Its IPv4 addresses.
        six: Its IPv6 addresses.
        edge: Who serves it: an address serves all names of its edge. ``any`` takes every name as its own.
        site: What it answers over HTTP, see `tests.network.sites`.
        aliases: CNAMEs that lie between the name and its addresses.
        also: Further names and addresses in its certificate.
        ports: TCP ports it listens on; 443 and those of `TLS_PORTS` speak TLS.
        stun: Whether it answers STUN on UDP 3478.
    """

    name: str
    four: tuple[str, ...]
    six: tuple[str, ...] = ()
    edge: str = "cloudflare"
    site: str = "web"
    aliases: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    ports: tuple[int, ...] = (443, 80)
    stun: bool = False

    @property
    def addresses(self) -> tuple[str, ...]:
        """All of them."""
        return self.four + self.six


TLS_PORTS = frozenset({443, 5349})
BEHIND_CLOUDFLARE = frozenset({"cloudflare", "anthropic"})
"""Edges whose answers carry Cloudflare's header fields."""

DOH_NAMES = ("cloudflare-dns.com", "dns.google", "dns.quad9.net")
"""Whose addresses are `RESOLVERS`: faults for these names concern those who come by address, too."""

_CDN = ".cdn.cloudflare.net"
HOSTS = (
    Host("api.openai.com", ("172.66.0.243", "162.159.140.245"), ("2606:4700:7::f5", "2a06:98c1:58::f5"), site="openai"),
    Host("chatgpt.com", ("104.18.32.47", "172.64.155.209"), ("2606:4700:4400::6812:202f",), site="chatgpt"),
    Host("ws.chatgpt.com", ("104.18.37.228",), site="chatgpt"),
    Host("openai.com", ("104.18.33.45",)),
    Host("platform.openai.com", ("104.18.33.46",)),
    Host("auth.openai.com", ("104.18.41.241",), aliases=(f"auth.openai.com{_CDN}",), site="chatgpt"),
    Host("files.oaiusercontent.com", ("104.18.41.158",), aliases=(f"files.oaiusercontent.com{_CDN}",)),
    Host("cdn.oaistatic.com", ("104.18.41.159",), aliases=(f"cdn.oaistatic.com{_CDN}",)),
    Host("claude.ai", ("160.79.104.11",), edge="anthropic"),
    Host("api.anthropic.com", ("160.79.104.10",), ("2607:6bc0::10",), edge="anthropic", site="anthropic"),
    Host(
        "generativelanguage.googleapis.com",
        ("142.250.74.42",), ("2a00:1450:4001:82a::200a",), edge="google", site="google",
    ),
    Host("status.openai.com", ("76.76.21.61",), edge="incident", aliases=("cname.incident.test",), site="status-openai"),
    Host("status.claude.com", ("52.215.192.131",), edge="statuspage", site="status-claude"),
    Host("status.anthropic.com", ("52.215.192.131",), edge="statuspage", site="status-moved"),
    Host("captive.apple.com", ("17.253.35.201",), edge="apple", site="captive"),
    Host("www.msftconnecttest.com", ("23.55.163.73",), edge="akamai", site="captive"),
    Host("www.msftncsi.com", ("23.55.163.74",), edge="akamai", site="captive"),
    Host("connectivitycheck.gstatic.com", ("142.250.74.35",), ("2a00:1450:4001:82a::2003",), edge="google", site="captive"),
    Host("detectportal.firefox.com", ("34.107.221.82",), ("2600:1901:0:38d7::",), edge="mozilla", site="captive"),
    Host(
        "chatgpt.livekit.cloud", ("161.115.160.10",), edge="livekit", ports=(443, 80, 7881), stun=True,
    ),
    Host("chatgpt.turn.livekit.cloud", ("161.115.160.11",), edge="livekit", ports=(443,), stun=True),
    Host("register.appattest.apple.com", ("17.32.194.5",), edge="apple"),
    Host("data.appattest.apple.com", ("17.32.194.6",), edge="apple"),
    Host("www.google.com", ("142.250.74.36",), ("2a00:1450:4001:82a::2004",), edge="google"),
    Host("www.apple.com", ("23.55.163.80",), edge="akamai"),
    Host("github.com", ("140.82.121.4",), edge="github"),
    Host("pypi.org", ("151.101.0.223",), ("2a04:4e42::223",), edge="fastly"),
    Host("example.com", ("104.18.26.120",), ("2606:4700::6812:1a78",)),
    Host("www.cloudflare.com", ("104.16.123.96",), ("2606:4700::6810:7b60",)),
    Host(
        "cloudflare-dns.com", ("1.1.1.1", "1.0.0.1"), ("2606:4700:4700::1111",), edge="one", site="doh",
        also=("one.one.one.one",),
    ),
    Host("dns.google", ("8.8.8.8", "8.8.4.4"), ("2001:4860:4860::8888",), edge="eight", site="doh"),
    Host("dns.quad9.net", ("9.9.9.9",), ("2620:fe::fe",), edge="nine", site="doh"),
)  # fmt: skip


def certified(host: Host) -> tuple[str, ...]:
    """Give what a host's certificate is for; DNS over HTTPS is reached by address as well."""
    return (host.name, *host.also, *(host.addresses if host.site == "doh" else ()))


def more_hosts(names: Iterable[str], known: Iterable[Host] = HOSTS) -> list[Host]:
    """Give names that nobody has yet an address in 104.18.0.0/16 and a web server."""
    taken = {host.name for host in known}
    new = sorted(set(names) - taken)
    return [Host(name, (f"104.18.{100 + at // 250}.{1 + at % 250}",)) for at, name in enumerate(new)]


def fake_address(hosts: Sequence[Host], name: str) -> str:
    """Give the address that a VPN client's resolver has for a name."""
    names = [host.name for host in hosts]
    return f"198.18.0.{10 + names.index(name)}" if name in names else "198.18.1.1"


def nat64_address(four: str) -> str:
    """Give the IPv6 address that stands for an IPv4 one (RFC 6052 section 2.1)."""
    return str(ipaddress.IPv6Address(NAT64_PREFIX + int(ipaddress.IPv4Address(four))))


def addresses_of(hosts: Sequence[Host], lies: Collection[str]) -> dict[str, list[Host]]:
    """Give who has which address, also those that the resolvers of VPN clients and IPv6-only networks make up.

    Args:
        lies: The kinds of the resolvers' faults.
    """
    found: dict[str, list[Host]] = {}
    for host in hosts:
        for address in host.addresses:
            found.setdefault(address, []).append(host)
    for host in hosts:
        if "fake_ip" in lies:
            found[fake_address(hosts, host.name)] = [host]
        if "nat64" in lies and not host.six:
            found |= {nat64_address(four): [host] for four in host.four}
    return found
