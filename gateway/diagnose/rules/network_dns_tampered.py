"""The name resolved to an address that is not the service's: a filter's sinkhole, a forgery, this machine."""

import ipaddress
import re

from gateway.diagnose import vendors
from gateway.diagnose.observation import Observation
from gateway.diagnose.rule import Basis, Layer, Rule, first, heard, only, shown
from gateway.diagnose.vendors import Means
from gateway.model.cause import Cause

_ADDRESS = re.compile(
    r"\b(\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3})\b|connect etimedout ([0-9a-f:]{6,39}):443", re.IGNORECASE
)


def _local(host: str) -> bool:
    return (
        host == "localhost"
        or (bool(host) and "." not in host)
        or host.endswith((".local", ".internal", ".lan", ".corp", ".home.arpa", ".test"))
        or host[-1:].isdigit()
    )


def _nowhere(address: str) -> bool:
    """0.0.0.0, ::, loopback and what else no service can have (OONI probe-cli, internal/netxlite/bogon.go, 2026-11)."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    return (
        found.is_loopback
        or found.is_unspecified
        or found.is_multicast
        or found.is_link_local
        or (found.is_reserved and found.version == 4)
    )


def _private(address: str) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    return found.is_private and vendors.of_address(address) is None


def _named_addresses(seen: Observation) -> list[str]:
    """Addresses in a client's words that are known as forged, or as no address at all, for a connection over TLS."""
    text = seen.evidence.exception[:8000]
    found = [one[0] or one[1] for one in _ADDRESS.findall(text)[:20]]
    bad = [
        one
        for one in found
        if one != "1.2.3.4"
        and (mark := vendors.of_address(one)) is not None
        and mark.means in {Means.SINKHOLE, Means.POISON}
    ]
    nowhere = [
        one
        for one in found
        if one == "0.0.0.0" and "ocal (0.0.0.0" not in text and (":443" in text or "443)" in text)  # noqa: S104 - compared, not bound
    ]
    return bad + nowhere


def _is_filters_name(address: str) -> bool:
    """Whether a resolver answered with another name, that of a block page or a sinkhole."""
    return any(word in address.lower() for word in ("block", "sinkhole", "filter", "forbidden")) and "." in address


RULE = Rule(
    cause=Cause.NETWORK_DNS_TAMPERED,
    match=first(
        shown(
            lambda seen: any(_is_filters_name(address) for address in seen.evidence.addresses),
            "the name leads to a host that says of itself that it blocks",
            Basis.NAMED,
        ),
        shown(
            lambda seen: seen.resolved is not None and seen.resolved.means in {Means.SINKHOLE, Means.POISON},
            "the address belongs to somebody else",
            Basis.NAMED,
        ),
        only(
            lambda seen: not _local(seen.evidence.host) and not (seen.resolved is not None),
            shown(
                lambda seen: any(_nowhere(address) for address in seen.evidence.addresses),
                "a public name resolved to this machine or to no address at all",
                Basis.NAMED,
            ),
        ),
        only(
            lambda seen: not _local(seen.evidence.host),
            shown(
                lambda seen: any(_private(address) for address in seen.evidence.addresses),
                "a public name resolved to an address inside a private network",
            ),
        ),
        shown(
            lambda seen: seen.issuer is not None and "dnsbl" in seen.evidence.certificate.issuer.lower(),
            "the certificate is a DNS filter's own",
            Basis.NAMED,
        ),
        shown(
            lambda seen: bool(_named_addresses(seen)),
            "the address that the client tried belongs to somebody else",
            Basis.NAMED,
        ),
        shown(lambda seen: seen.author.name in {"Pi-hole", "pfBlockerNG"}, "the page of a DNS filter", Basis.NAMED),
        heard("dns", "poison|hijack|tampered|spoofed|sinkhole|forged|bogus"),
    ),
    layer=Layer.NETWORK,
    authors=None,
    outranks=(
        "network.tcp_timeout",
        "network.tcp_refused",
        "network.connection_reset",
        "network.tls_certificate",
        "network.tls_inspection",
        "network.dns_failure",
        "network.offline",
        "network.proxy_upstream_error",
        "service.unavailable",
        "edge.origin_error",
    ),
)
