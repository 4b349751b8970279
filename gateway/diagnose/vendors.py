"""The product that stands on the path, by what it leaves there. Pure; the table `vendors.csv` is read once, at import.

A mark is a text that one product's own pages, headers, redirects or certificates carry, or an address that a filter's
resolver hands out; beside each stands where it can be read. A mark names who wrote an answer, no more: what that means
for a call is for the engine to weigh. All look-ups are total and bounded, and give the same mark for the same text.

Of several marks the one that says what happened beats mere presence, one with a vendor beats one without, then the
longest wins: it says the most.
"""

import csv
import ipaddress
import re
from collections.abc import Iterable
from enum import StrEnum
from importlib import resources
from itertools import chain, islice, pairwise
from typing import NamedTuple

PAGE_CHARACTERS = 65_536
"""No more of a page is looked at: products write who they are at its top."""

_LINE_CHARACTERS = 8_192
_HEADERS_MAX = 512
_NAMES_MAX = 16
_PART_CHARACTERS_MIN = 5
_COLUMNS = ["vendor", "place", "mark", "means", "source"]
_AND = " & "
_MENTION_CHARACTERS = 8_192
_NAME_CHARACTERS_MIN = 5
_NO_WORD = re.compile(r"[^\w]+|_")
_PARTED = re.compile(r"[()/,]| or ")
_COUNTRY = re.compile(
    r"order|filter\)|provider|portal|hotspot|ministry|register|agency|family|telekom|wi-fi|wifi", re.IGNORECASE
)
_COMMON = frozenset(
    {
        "charles",
        "circle",
        "surge",
        "huawei",
        "juniper",
        "lenovo",
        "apple",
        "arista",
        "impero",
        "aruba",
        "ruckus",
        "alwayson",
    }
    | {"apache traffic server", "steam", "extreme networks", "telstra", "vietnam", "singapore", "australia", "pakistan"}
    | {
        "orange france",
        "zero trust",
        "linewize",
        "clash",
        "trains",
        "chile",
        "allot",
        "ireland",
        "kazakhstan",
        "russia",
    }
)
_WORD = re.compile(rb"[a-z0-9\x80-\xff]+")
_ENDS = re.compile(rb"\A[a-z0-9\x80-\xff]+|[a-z0-9\x80-\xff]+\Z")
_APART = bytes(byte if _WORD.fullmatch(bytes((byte,))) else 0x20 for byte in range(256))
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


class _Rule(NamedTuple):
    parts: tuple[str, ...]
    mark: Mark


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
    plain = _plain(text[:PAGE_CHARACTERS])
    words = _PAGE_BY_WORD.keys() & set(_encoded(plain).translate(_APART).split())
    places = sorted({place for word in (b"", *words) for place in _PAGE_BY_WORD[word]})
    return _found(plain, (_PAGE[place] for place in places))


def in_headers(headers: Iterable[tuple[str, str]]) -> Mark | None:
    """Find who added to these headers, by the best mark in them."""
    best: _Rule | None = None
    for name, value in islice(headers, _HEADERS_MAX):
        rules = _HEADER.get(name[:_LINE_CHARACTERS].strip().lower())
        if rules is None:
            continue
        text = _plain(value[:_LINE_CHARACTERS])
        rule = next((rule for rule in rules if rule.parts[0] in text), None)
        if rule is not None and (best is None or _rank(rule) < _rank(best)):
            best = rule
    return best.mark if best else None


def in_redirect(location: str) -> Mark | None:
    """Find whose page a redirect leads to."""
    return _found(_plain(location[:_LINE_CHARACTERS]), _REDIRECT)


def of_certificate(*names: str) -> Mark | None:
    """Find who signed a certificate, by its issuer and subject as any tool prints them."""
    plain = _plain(" ; ".join(name[:_LINE_CHARACTERS] for name in names[:_NAMES_MAX]).translate(_QUOTES))
    return _found(_ATTRIBUTE.sub(lambda found: _SHORT.get(found[1], found[1]) + "=", plain), _ISSUER)


def of_address(address: str) -> Mark | None:
    """Find who hands out this address; the smallest net that holds it wins."""
    found = _address(address)
    if found is None:
        return None
    number = int(found)
    for bits, nets in _NETS[found.version]:
        mark = nets.get(number >> (found.max_prefixlen - bits))
        if mark is not None:
            return mark
    return None


def mentioned(text: str) -> str:
    """Name the product that a text speaks of, empty when it speaks of none: weaker than any mark."""
    plain = f" {' '.join(_NO_WORD.sub(' ', text[:_MENTION_CHARACTERS].lower()).split())} "
    return next((vendor for name, vendor in _NAMES if name in plain), "")


def _found(text: str, rules: Iterable[_Rule]) -> Mark | None:
    """Give the first that fits; the rules stand in the order of what they tell."""
    return next((rule.mark for rule in rules if all(part in text for part in rule.parts)), None)


def _plain(text: str) -> str:
    return " ".join(text.lower().split())


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _address(text: str) -> _Address | None:
    try:
        address = ipaddress.ip_address(text.strip())
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, ipaddress.IPv6Address) else address


def _rank(rule: _Rule) -> tuple[bool, bool, int, str, str]:
    """What sorts the most telling rule first."""
    mark = rule.mark
    return mark.means is Means.PRESENCE, not mark.vendor, -len(mark.mark), mark.vendor, mark.mark


def read(text: str) -> tuple[Mark, ...]:
    """Read a table.

    Raises:
        ValueError: It is not well-formed; says in which line.
    """
    marks: list[Mark] = []
    for line, row in enumerate(csv.reader(text.splitlines(), strict=True), 1):
        if line == 1:
            if row != _COLUMNS:
                raise ValueError(f"line 1: the columns are {','.join(_COLUMNS)}")
            continue
        try:
            marks.append(_mark(row))
        except ValueError as error:
            raise ValueError(f"line {line}: {error}") from error
    _check_together(marks)
    return tuple(marks)


def _mark(row: list[str]) -> Mark:
    if len(row) != len(_COLUMNS):
        raise ValueError(f"{len(row)} fields instead of {len(_COLUMNS)}")
    if any(field != " ".join(field.split()) for field in row):
        raise ValueError("white space at an end, or twice")
    vendor, place_text, mark, means_text, source = row
    place, means = Place(place_text), Means(means_text)
    if not source:
        raise ValueError("no source")
    if means not in _FITS[place]:
        raise ValueError(f"{means} cannot be told by {place}")
    _check_form(place, mark)
    return Mark(vendor, place, mark, means, source)


def _check_form(place: Place, mark: str) -> None:
    if mark != mark.lower():
        raise ValueError("the mark is not in lower case")
    if place is Place.ADDRESS:
        ipaddress.ip_network(mark)
    elif place is Place.HEADER:
        name, colon, _ = mark.partition(":")
        if not colon or not name or name != name.strip():
            raise ValueError("a header's mark is 'name: part'")
    elif any(len(part) < _PART_CHARACTERS_MIN for part in mark.split(_AND)):
        raise ValueError("a part of the mark is too short to tell anything")


def _check_together(marks: list[Mark]) -> None:
    order = [(mark.place.value, mark.vendor.lower(), mark.mark) for mark in marks]
    for line, (before, after) in enumerate(pairwise(order), 3):
        if after < before:
            raise ValueError(f"line {line}: not sorted by place and vendor")
    seen: set[tuple[Place, str]] = set()
    for line, mark in enumerate(marks, 2):
        if (mark.place, mark.mark) in seen:
            raise ValueError(f"line {line}: the mark stands there twice")
        seen.add((mark.place, mark.mark))


def _table() -> tuple[Mark, ...]:
    return read(resources.files("gateway.diagnose").joinpath("vendors.csv").read_text("utf-8"))


def _texts(place: Place) -> tuple[_Rule, ...]:
    return tuple(sorted((_Rule(tuple(m.mark.split(_AND)), m) for m in MARKS if m.place is place), key=_rank))


def _by_word(rules: tuple[_Rule, ...]) -> dict[bytes, tuple[int, ...]]:
    """Index rules by a word that each needs, b"" where it has none, so that a page is searched for few of them."""
    places: dict[bytes, list[int]] = {b"": []}
    for place, rule in enumerate(rules):
        places.setdefault(_needed_word(rule), []).append(place)
    return {word: tuple(found) for word, found in places.items()}


def _needed_word(rule: _Rule) -> bytes:
    """Give the longest word that stands whole in a page with these parts: one at their ends may be part of another."""
    inner = (_WORD.findall(_ENDS.sub(b"", _encoded(part))) for part in rule.parts)
    return max(chain.from_iterable(inner), key=len, default=b"")


def _headers() -> dict[str, tuple[_Rule, ...]]:
    names: dict[str, list[_Rule]] = {}
    for mark in MARKS:
        if mark.place is Place.HEADER:
            name, _, part = mark.mark.partition(":")
            names.setdefault(name, []).append(_Rule((part.strip(),), mark))
    return {name: tuple(sorted(rules, key=_rank)) for name, rules in names.items()}


def _nets() -> dict[int, tuple[tuple[int, dict[int, Mark]], ...]]:
    """Index nets by IP version and, the smallest first, by how many bits they fix."""
    sizes: dict[int, dict[int, dict[int, Mark]]] = {4: {}, 6: {}}
    for mark in MARKS:
        if mark.place is Place.ADDRESS:
            net = ipaddress.ip_network(mark.mark)
            kept = int(net.network_address) >> (net.max_prefixlen - net.prefixlen)
            sizes[net.version].setdefault(net.prefixlen, {})[kept] = mark
    return {version: tuple(sorted(found.items(), reverse=True)) for version, found in sizes.items()}


def _names() -> tuple[tuple[str, str], ...]:
    """Give each product's names as they stand in a text, longest first; words that mean other things as well are out."""
    found: dict[str, str] = {}
    for vendor in sorted({mark.vendor for mark in MARKS}):
        for name in _PARTED.split(vendor):
            plain = " ".join(_NO_WORD.sub(" ", name.lower()).split())
            if len(plain) >= _NAME_CHARACTERS_MIN and plain not in _COMMON and not _COUNTRY.search(vendor):
                found.setdefault(f" {plain} ", vendor)
    return tuple(sorted(found.items(), key=lambda pair: (-len(pair[0]), pair[0])))


MARKS: tuple[Mark, ...] = _table()
_PAGE = _texts(Place.PAGE)
_PAGE_BY_WORD = _by_word(_PAGE)
_REDIRECT = _texts(Place.REDIRECT)
_ISSUER = _texts(Place.ISSUER)
_HEADER = _headers()
_NAMES = _names()
_NETS = _nets()
