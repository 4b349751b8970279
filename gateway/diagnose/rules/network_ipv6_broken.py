"""One address family gets no further: the name has IPv6 addresses, and IPv6 leads nowhere from here."""

import re

from gateway.diagnose.observation import Observation
from gateway.diagnose.rule import Basis, Layer, Rule, first, heard, only, shown
from gateway.diagnose.vendors import Means
from gateway.model.cause import Cause

_SIX = re.compile(r"\b(?:[0-9a-f]{1,4}:){2,7}:?[0-9a-f]{0,4}(?::[0-9a-f]{1,4}){0,6}", re.IGNORECASE)


def _timeout(seen: Observation) -> bool:
    return seen.words.has("etimedout", "timed out", "timeout", "unreachable")


def _six(seen: Observation) -> bool:
    text = seen.evidence.exception[:4000]
    return (
        any(one.count(":") >= 3 and "::" in one for one in _SIX.findall(text)[:20])
        or " 2606:" in text
        or " 2a0" in text
    )


RULE = Rule(
    cause=Cause.NETWORK_IPV6_BROKEN,
    match=first(
        shown(
            lambda seen: (
                seen.resolved is not None
                and seen.resolved.means is Means.NAT64
                and not seen.enveloped
                and (_timeout(seen) or seen.evidence.failure is not None)
            ),
            "only addresses of a network with IPv6 alone were tried",
            Basis.NAMED,
        ),
        only(
            lambda seen: seen.words.has(
                "ipv6", "enetunreach", "network is unreachable", "no route to host", "ehostunreach"
            ),
            shown(lambda seen: _six(seen), "the address that could not be reached is one of IPv6", Basis.NAMED),
        ),
        heard("ipv6", "unreachable|not supported|broken|failed|timeout|timed out|disable|address family"),
    ),
    layer=Layer.NETWORK,
    authors=None,
    outranks=("network.offline", "network.tcp_timeout"),
)
