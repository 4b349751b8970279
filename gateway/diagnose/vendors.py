"""The product that stands on the path, by what it leaves there. Pure; the table `vendors.csv` is read once, at import.

A mark is a text that one product's own pages, headers, redirects or certificates carry, or an address that a filter's
resolver hands out; beside each stands where it can be read. A mark names who wrote an answer, no more: what that means
for a call is for the engine to weigh. All look-ups are total and bounded, and give the same mark for the same text.

Of several marks the one that says what happened beats mere presence, one with a vendor beats one without, then the
longest wins: it says the most.
"""

import ipaddress
import re
from collections.abc import Iterable
from enum import StrEnum
from importlib import resources
from typing import NamedTuple

from gateway.diagnose import _marks
from gateway.diagnose._marks import LINE_CHARACTERS, Rank, Rule

_NAMES_MAX = 16
_LABELS_MAX = 16
_COLUMNS = ["vendor", "place", "mark", "means", "source"]
_HOST = re.compile(r"(?=.{4,253}\Z)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")
_MENTION_CHARACTERS = 8_192
_NAME_CHARACTERS_MIN = 5
_NO_WORD = re.compile(r"[^\w]+|_")
_PARTED = re.compile(r"[()/,]| or ")
_AUTHORITY = re.compile(
    r"order|filter\)|provider|portal|hotspot|ministry|register|agency|family|telekom|wi-fi|wifi|wlan|router|inflight|"
    r"site without icp|afghan|austr|bahr|belar|belg|bulg|canada|china \(|colomb|cyprus|denm|egypt|eston|france|german|"
    r"greece|iceland|india\b|indones|iran|ireland|italy|ivory|kazakh|kuwait|kyrgyz|latvia|leban|lithuan|malays|moldov|"
    r"mongol|myanmar|nepal|norway|oman|pakist|philipp|poland|portug|qatar|roman|russia|saudi|serbia|singap|slovak|somal|"
    r"korea|spain|sudan|swed|swiss|taiwan|tanzan|thai|turk|uganda|ukrain|united|uzbek|viet|yemen",
    re.IGNORECASE,
)
"""Whoever is no product, but a country's authority, a provider or a place where people are online."""
_COMMON = frozenset({
    "charles", "circle", "surge", "huawei", "juniper", "lenovo", "apple", "arista", "impero", "aruba", "ruckus",
    "allot", "steam", "alwayson", "apache traffic server", "extreme networks", "telstra", "orange france", "zero trust",
    "clash", "linewize", "trains", "extreme", "the cloud", "stash", "whistle", "caido", "panda", "g data",
    "guest internet", "dr com", "control d", "endian", "hetty", "lufthansa flynet", "hillstone", "mobicare", "mitel",
})  # fmt: skip
"""Names that are words of other meaning, too, or of a maker of much else."""
_QUOTES = str.maketrans("", "", "\"'\\")
_ATTRIBUTE = re.compile(r"\b(c|cn|l|o|ou|st|commonname|emailaddress|organizationname|organizationalunitname) ?[=:,] ?")
_SHORT = {"commonname": "cn", "organizationname": "o", "organizationalunitname": "ou"}
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Place(StrEnum):
    """Where a mark is found."""

    PAGE = "page"
    HEADER = "header"
    REDIRECT = "redirect"
    ISSUER = "issuer"
    ADDRESS = "address"


class Means(StrEnum):
    """What it says of a call when the mark is found."""

    BLOCK = "block"
    """The page of a policy that forbids the destination."""
    PORTAL = "portal"
    """A captive portal wants a login."""
    SIGN_IN = "sign_in"
    """The proxy wants to know who asks."""
    DENIED = "denied"
    """The proxy's own access list refuses."""
    UPSTREAM = "upstream"
    """The proxy could not reach the destination."""
    INSPECTION = "inspection"
    """The certificate was signed by the product, which reads along."""
    SINKHOLE = "sinkhole"
    """The address where a DNS filter leads what it blocks."""
    POISON = "poison"
    """An address that is injected in place of the true one. Its owner's own services stand there, too."""
    FAKE_IP = "fake_ip"
    """The address by which a VPN client on this machine remembers a name."""
    NAT64 = "nat64"
    """The healthy address of a network that has IPv6 only."""
    PRESENCE = "presence"
    """The product is on the path, nothing more."""


class Mark(NamedTuple):
    """One row of the table."""

    vendor: str
    place: Place
    mark: str
    means: Means
    source: str


_SPEAKS = frozenset({Means.BLOCK, Means.PORTAL, Means.SIGN_IN, Means.DENIED, Means.UPSTREAM, Means.PRESENCE})
_FITS: dict[Place, frozenset[Means]] = {
    Place.PAGE: _SPEAKS,
    Place.HEADER: _SPEAKS,
    Place.REDIRECT: _SPEAKS,
    Place.ISSUER: frozenset({Means.INSPECTION, Means.BLOCK, Means.PORTAL, Means.PRESENCE}),
    Place.ADDRESS: frozenset({Means.SINKHOLE, Means.POISON, Means.FAKE_IP, Means.NAT64, Means.PORTAL}),
}


def on_page(text: str) -> Mark | None:
    """Find whose page this is, by the best mark on it."""
    return _PAGES.best(text)


def in_headers(headers: Iterable[tuple[str, str]]) -> Mark | None:
    """Find who added to these headers, by the best mark in them."""
    rule = _HEADERS.best(headers)
    return rule.mark if rule else None


def in_redirect(location: str) -> Mark | None:
    """Find whose page a redirect leads to."""
    return _marks.found(_marks.framed(location), _REDIRECT)


def of_certificate(*names: str) -> Mark | None:
    """Find who signed a certificate, by its issuer and subject as any tool prints them."""
    plain = _marks.plain(" ; ".join(name[:LINE_CHARACTERS] for name in names[:_NAMES_MAX]).translate(_QUOTES))
    return _marks.found(_ATTRIBUTE.sub(lambda found: _SHORT.get(found[1], found[1]) + "=", plain), _ISSUER)


def of_address(address: str) -> Mark | None:
    """Find who hands out this address, or a name in its place; the smallest net or domain that holds it wins."""
    found = _address(address)
    if found is None:
        return _of_host(address[:LINE_CHARACTERS].strip().rstrip(".").lower())
    number = int(found)
    for bits, nets in _NETS[found.version]:
        mark = nets.get(number >> (found.max_prefixlen - bits))
        if mark is not None:
            return mark
    return None


def _of_host(name: str) -> Mark | None:
    labels = name.split(".")[-_LABELS_MAX:]
    domains = (".".join(labels[place:]) for place in range(len(labels)))
    return next((_HOSTS[domain] for domain in domains if domain in _HOSTS), None)


def mentioned(text: str) -> str:
    """Name the product that a text speaks of, empty when it speaks of none: weaker than any mark."""
    plain = f" {' '.join(_NO_WORD.sub(' ', text[:_MENTION_CHARACTERS].lower()).split())} "
    return next((vendor for name, vendor in _NAMES if name in plain), "")


def _address(text: str) -> _Address | None:
    try:
        address = ipaddress.ip_address(text.strip())
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, ipaddress.IPv6Address) else address


def _rank(mark: Mark) -> Rank:
    """What sorts the most telling mark first."""
    return mark.means is Means.PRESENCE, not mark.vendor, -len(mark.mark), mark.vendor, mark.mark


def read(text: str) -> tuple[Mark, ...]:
    """Read a table.

    Raises:
        ValueError: It is not well-formed; says in which line.
    """
    return _marks.read(text, _COLUMNS, _mark, lambda mark: (mark.place.value, mark.vendor.lower(), mark.mark))


def _mark(row: list[str]) -> Mark:
    vendor, place_text, mark, means_text, source = row
    place, means = Place(place_text), Means(means_text)
    if means not in _FITS[place]:
        raise ValueError(f"{means} cannot be told by {place}")
    if place is Place.HEADER:
        _marks.check_header(mark)
    elif place is not Place.ADDRESS:
        _marks.check_text(mark)
    elif not _HOST.fullmatch(mark):
        ipaddress.ip_network(mark)
    return Mark(vendor, place, mark, means, source)


def _rules(place: Place) -> tuple[Rule[Mark], ...]:
    return _marks.rules((mark for mark in MARKS if mark.place is place), lambda mark: mark.mark, _rank)


def _nets() -> dict[int, tuple[tuple[int, dict[int, Mark]], ...]]:
    """Index nets by IP version and, the smallest first, by how many bits they fix."""
    sizes: dict[int, dict[int, dict[int, Mark]]] = {4: {}, 6: {}}
    for mark in MARKS:
        if mark.place is Place.ADDRESS and not _HOST.fullmatch(mark.mark):
            net = ipaddress.ip_network(mark.mark)
            kept = int(net.network_address) >> (net.max_prefixlen - net.prefixlen)
            sizes[net.version].setdefault(net.prefixlen, {})[kept] = mark
    return {version: tuple(sorted(found.items(), reverse=True)) for version, found in sizes.items()}


def _names() -> tuple[tuple[str, str], ...]:
    """Give each product's names as they stand in a text, longest first; words that mean other things, too, are out."""
    found: dict[str, str] = {}
    for vendor in sorted({mark.vendor for mark in MARKS}):
        for name in _PARTED.split(vendor):
            plain = " ".join(_NO_WORD.sub(" ", name.lower()).split())
            if len(plain) >= _NAME_CHARACTERS_MIN and plain not in _COMMON and not _AUTHORITY.search(vendor):
                found.setdefault(f" {plain} ", vendor)
    return tuple(sorted(found.items(), key=lambda pair: (-len(pair[0]), pair[0])))


MARKS: tuple[Mark, ...] = read(resources.files("gateway.diagnose").joinpath("vendors.csv").read_text("utf-8"))
_PAGES = _marks.Pages(_rules(Place.PAGE))
_HEADERS = _marks.Headers(_rules(Place.HEADER))
_REDIRECT = _rules(Place.REDIRECT)
_ISSUER = _rules(Place.ISSUER)
_NETS = _nets()
_HOSTS = {mark.mark: mark for mark in MARKS if mark.place is Place.ADDRESS and _HOST.fullmatch(mark.mark)}
_NAMES = _names()
