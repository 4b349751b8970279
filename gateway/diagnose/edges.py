"""What stands in front of a service, by what it leaves on an answer. Pure; `edges.csv` is read once, at import.

Content delivery networks, load balancers, firewalls of web applications, gateways and web servers: they answer in the
service's name, behind the network of the client (what stands there is in `vendors`). A mark names who wrote an answer
and what happened there; what that means for a call is for the engine to weigh. All look-ups are total and bounded.

Of several marks the one that says what happened beats a mesh's text, that beats a stock page, that mere presence; then
the longest wins: it says the most.
"""

from collections.abc import Iterable
from enum import StrEnum
from importlib import resources
from itertools import islice
from typing import NamedTuple

from gateway.diagnose import _marks
from gateway.diagnose._marks import Rank, Rule

_COLUMNS = ["name", "place", "mark", "means", "source"]
_COOKIES_MAX = 64
_COOKIE_CHARACTERS_MIN = 3
_ANY = "*"


class Place(StrEnum):
    """Where a mark is found."""

    PAGE = "page"
    HEADER = "header"
    COOKIE = "cookie"
    """The name of a cookie that is set; with `*` at its end, what the name begins with."""


class Means(StrEnum):
    """What it says of a call when the mark is found."""

    CHALLENGE = "challenge"
    """It wants to see a browser."""
    BLOCK = "block"
    """A firewall refuses the request or the address that it comes from."""
    RATE = "rate"
    """It throttles this address, not the account."""
    ORIGIN = "origin"
    """It could not reach what stands behind it, or has nothing there."""
    MESH = "mesh"
    """The provider's own gateway or service mesh speaks."""
    SERVER = "server"
    """The stock page of a web server, which says nothing of its own."""
    PRESENCE = "presence"
    """It is in front of the service, nothing more."""


_ORDER = {
    Means.CHALLENGE: 0,
    Means.BLOCK: 0,
    Means.RATE: 0,
    Means.ORIGIN: 0,
    Means.MESH: 1,
    Means.SERVER: 2,
    Means.PRESENCE: 3,
}


class EdgeMark(NamedTuple):
    """One row of the table."""

    name: str
    place: Place
    mark: str
    means: Means
    source: str


def on_page(text: str) -> EdgeMark | None:
    """Find whose page this is, by the best mark on it."""
    return _PAGES.best(text)


def in_headers(headers: Iterable[tuple[str, str]]) -> EdgeMark | None:
    """Find who added to these headers, by the best mark in them or in the names of the cookies that they set."""
    lines = list(islice(headers, _marks.HEADERS_MAX))
    fitting = [rule for rule in (_HEADERS.best(lines), _cookie(lines)) if rule is not None]
    return min(fitting, key=lambda rule: rule.rank).mark if fitting else None


def _cookie(lines: list[tuple[str, str]]) -> Rule[EdgeMark] | None:
    """Find the best mark among the cookies; a line may hold several of them, as some clients join what they got."""
    joined = (value[: _marks.LINE_CHARACTERS] for name, value in lines if name.strip().lower() == "set-cookie")
    names = {
        piece.partition("=")[0].strip().lower()
        for line in islice(joined, _COOKIES_MAX)
        for piece in line.split(",", _COOKIES_MAX)
    }
    whole = (_COOKIE_WHOLE[name] for name in names & _COOKIE_WHOLE.keys())
    begun = (rule for rule in _COOKIE_BEGUN if any(name.startswith(rule.parts[0]) for name in names))
    return min((*whole, *begun), key=lambda rule: rule.rank, default=None)


def read(text: str) -> tuple[EdgeMark, ...]:
    """Read a table.

    Raises:
        ValueError: It is not well-formed; says in which line.
    """
    return _marks.read(text, _COLUMNS, _mark, lambda mark: (mark.place.value, mark.name.lower(), mark.mark))


def _mark(row: list[str]) -> EdgeMark:
    name, place_text, mark, means_text, source = row
    place, means = Place(place_text), Means(means_text)
    if not name:
        raise ValueError("no name")
    if place is Place.HEADER:
        _marks.check_header(mark)
    elif place is Place.PAGE:
        _marks.check_text(mark)
    elif " " in mark or "=" in mark or _ANY in mark[:-1] or len(mark) < _COOKIE_CHARACTERS_MIN:
        raise ValueError("a cookie's mark is its name, or how that begins and '*'")
    return EdgeMark(name, place, mark, means, source)


def _rank(mark: EdgeMark) -> Rank:
    return _ORDER[mark.means], -len(mark.mark), mark.name, mark.mark


def _rules(place: Place) -> tuple[Rule[EdgeMark], ...]:
    return _marks.rules((mark for mark in MARKS if mark.place is place), lambda mark: mark.mark, _rank)


MARKS: tuple[EdgeMark, ...] = read(resources.files("gateway.diagnose").joinpath("edges.csv").read_text("utf-8"))
_PAGES = _marks.Pages(_rules(Place.PAGE))
_HEADERS = _marks.Headers(_rules(Place.HEADER))
_COOKIES = _rules(Place.COOKIE)
_COOKIE_WHOLE = {rule.parts[0]: rule for rule in _COOKIES if not rule.parts[0].endswith(_ANY)}
_COOKIE_BEGUN = tuple(rule._replace(parts=(rule.parts[0][:-1],)) for rule in _COOKIES if rule.parts[0].endswith(_ANY))
