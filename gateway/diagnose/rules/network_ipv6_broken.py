"""One address family gets no further: the name has IPv6 addresses, and IPv6 leads nowhere from here."""

import ipaddress
import re

from gateway.diagnose.observation import Observation
from gateway.diagnose.rule import Basis, Layer, Rule, first, heard, only, shown
from gateway.diagnose.vendors import Means
from gateway.model.cause import Cause
from gateway.model.failure import NetCode, Phase

_TOKEN = re.compile(r"[0-9a-fA-F:]{6,45}")


def _timeout(seen: Observation) -> bool:
    return seen.words.has("etimedout", "timed out", "timeout", "unreachable")


def _six(seen: Observation) -> bool:
    """Whether an address of IPv6 stands in the client's words."""
    return any(_is_six(one) for one in _TOKEN.findall(seen.evidence.exception[:4000])[:50])


def _is_six(text: str) -> bool:
    try:
        return ipaddress.ip_address(text.strip(":")).version == 6
    except ValueError:
        return False


RULE = Rule(
    cause=Cause.NETWORK_IPV6_BROKEN,
    match=first(
        shown(
            lambda seen: (
                seen.resolved is not None
                and seen.resolved.means is Means.NAT64
                and not seen.enveloped
                and (
                    _timeout(seen)
                    or seen.failed(NetCode.CONNECT_TIMEOUT, NetCode.NETWORK_UNREACHABLE, phase=Phase.CONNECT)
                )
            ),
            "only addresses of a network with IPv6 alone were tried",
            Basis.NAMED,
        ),
        only(
            lambda seen: seen.words.has(
                "ipv6",
                "enetunreach",
                "network is unreachable",
                "no route to host",
                "ehostunreach",
                "cannot assign requested address",
            ),
            shown(_six, "the address that could not be reached is one of IPv6", Basis.NAMED),
        ),
        heard("ipv6", "unreachable|not supported|broken|failed|timeout|timed out|disable|address family"),
    ),
    layer=Layer.NETWORK,
    authors=None,
    outranks=("network.offline", "network.tcp_timeout"),
)
