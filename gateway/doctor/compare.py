"""Two reports held against each other: what fails in one place alone is that place's doing. Pure.

The second report is the vantage point that one machine does not have: the same command on a phone's hotspot, at home,
or on a colleague's machine. OpenAI's own advice on networks asks for this comparison first (help.openai.com, 9247338).
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.doctor.finding import clue
from gateway.doctor.report import SHAPE
from gateway.model.diagnosis import Clue

_BAD: Final = frozenset({"warn", "fail"})
_GOOD: Final = frozenset({"ok", "note"})
_LATER_SECONDS: Final = 3_600.0
_LINES_MAX, _VALUES_MAX, _CHARACTERS_MAX = 40, 6, 200

Document = Mapping[str, Any]
Check = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What two reports say together.

    Attributes:
        summary: One sentence: whose doing it is.
        only_here: What fails here and not there.
        both: What fails in both, and what follows from that.
        only_there: What fails there and not here.
        unknown: What fails here and was not looked at there.
        differs: What else is not the same: the way, addresses, issuers, countries.
    """

    summary: Clue
    only_here: tuple[Clue, ...] = ()
    both: tuple[Clue, ...] = ()
    only_there: tuple[Clue, ...] = ()
    unknown: tuple[Clue, ...] = ()
    differs: tuple[Clue, ...] = ()

    @property
    def clues(self) -> tuple[Clue, ...]:
        """All of it, the most telling first."""
        every = (self.summary, *self.only_here, *self.both, *self.unknown, *self.only_there, *self.differs)
        return tuple(dict.fromkeys(every))[:_LINES_MAX]


def compare(here: Document, there: Document) -> Comparison:
    """Compare a report of this place with one of another.

    Args:
        here: As `gateway.doctor.report.document` gives it.
        there: Likewise, read from a file.

    Raises:
        ValueError: One of them is no such document, or of another shape; says which and what to do.
    """
    _readable(here, "this report")
    _readable(there, "the other report")
    ours, theirs = _found(here), _found(there)
    only_here, both, unknown = [], [], []
    for place, check in ours.items():
        if check["status"] not in _BAD:
            continue
        other = theirs.get(place)
        if other is None or other["status"] not in _BAD | _GOOD:
            unknown.append(_line("{title} ({name}): the other report did not look at it", check))
        elif other["status"] in _GOOD:
            only_here.append(_line("{title} ({name}): only here", check))
        else:
            both.append(_of_both(check, other))
    only_there = [
        _line("{title} ({name}): only there", check)
        for place, check in theirs.items()
        if check["status"] in _BAD and ours.get(place, check)["status"] in _GOOD
    ]
    return Comparison(
        summary=_summary(here, there, ours, theirs),
        only_here=tuple(only_here),
        both=tuple(both),
        only_there=tuple(only_there),
        unknown=tuple(unknown),
        differs=tuple(_differs(here, there)),
    )


def _readable(document: object, which: str) -> None:
    if not isinstance(document, Mapping) or not isinstance(document.get("checks"), Sequence) or "shape" not in document:
        message = f"{which} is not what `whygate doctor --json` writes"
        raise ValueError(message)
    if document["shape"] != SHAPE:
        message = (
            f"{which} has shape {str(document['shape'])[:20]}, and this whygate reads shape {SHAPE}:"
            " make both reports with the same version"
        )
        raise ValueError(message)
    known = _BAD | _GOOD | {"skipped"}
    for check in document["checks"]:
        if not isinstance(check, Mapping) or check.get("status") not in known or not isinstance(check.get("name"), str):
            message = f"{which} holds a check that no whygate wrote"
            raise ValueError(message)


def _found(document: Document) -> dict[tuple[str, str], Check]:
    """Give each check by its name and what it is about, the worst of several."""
    order = ("skipped", "ok", "note", "warn", "fail")
    found: dict[tuple[str, str], Check] = {}
    for check in document["checks"]:
        place = (check["name"], str(check.get("about") or ""))
        if place not in found or order.index(check["status"]) > order.index(found[place]["status"]):
            found[place] = check
    return found


def _summary(
    here: Document, there: Document, ours: Mapping[tuple[str, str], Check], theirs: Mapping[tuple[str, str], Check]
) -> Clue:
    bad = {place: check for place, check in ours.items() if check["status"] in _BAD}
    if _text(here.get("target")) != _text(there.get("target")):
        return clue(
            "the reports are about different hosts, {here} and {there}: only what concerns the place can be compared",
            here=_text(here.get("target")), there=_text(there.get("target")),
        )  # fmt: skip
    if not bad:
        worse = any(check["status"] in _BAD for check in theirs.values())
        return clue("all is well here, and something fails there") if worse else clue("all is well in both places")
    worst = min(bad.items(), key=lambda item: (item[1]["status"] != "fail", item[1] is not _likely(here, ours)))[0]
    other = theirs.get(worst)
    if other is None or other["status"] == "skipped":
        return clue("the other report did not look at what fails here")
    title = _title(bad[worst])
    if other["status"] in _GOOD:
        if _fault(bad[worst]) in {"provider", "edge"}:
            return clue(
                "“{title}” fails here and not there: it passed, or it depends on where one comes from", title=title
            )
        if _fault(bad[worst]) == "policy":
            return clue("“{title}” fails here and not there: the two use different keys or accounts", title=title)
        return clue("“{title}” fails here and not there: it is the doing of this network or this machine", title=title)
    return _of_both(bad[worst], other)


def _likely(document: Document, found: Mapping[tuple[str, str], Check]) -> Check | None:
    likely = document.get("most_likely")
    return found.get((str(likely.get("name")), str(likely.get("about") or ""))) if isinstance(likely, Mapping) else None


def _of_both(ours: Check, theirs: Check) -> Clue:
    """Say what follows from a trouble that is in both places."""
    if ours.get("cause") != theirs.get("cause"):
        return clue(
            "{name} fails in both places, for different causes: {here} here, {there} there",
            name=_name(ours), here=_text(ours.get("cause")), there=_text(theirs.get("cause")),
        )  # fmt: skip
    texts = {
        "provider": "“{title}” fails in both places: it is the provider's doing",
        "edge": "“{title}” fails in both places: the provider's edge decides so",
        "policy": "“{title}” fails in both places: it is the account's or the key's",
        "caller": "“{title}” fails in both places: it is the app's or this machine's own doing",
        "proxy": "“{title}” fails in both places: it is this gateway's own doing",
    }
    text = texts.get(
        _fault(ours), "“{title}” fails in both places: both are on the same network, or it is the host's own doing"
    )
    return clue(text, title=_title(ours))


def _differs(here: Document, there: Document) -> Iterator[Clue]:
    ways = _way(here), _way(there)
    if ways[0] != ways[1]:
        yield clue("the way differs: {here} here, {there} there", here=ways[0], there=ways[1])
    if _text(here.get("target")) == _text(there.get("target")):
        for text, read in _READ:
            ours, theirs = read(here), read(there)
            if ours and theirs and not set(ours) & set(theirs):
                yield clue(text, here=", ".join(ours), there=", ".join(theirs))
    if (versions := (_text(here.get("version")), _text(there.get("version"))))[0] != versions[1]:
        yield clue("the versions of whygate differ: {here} here, {there} there", here=versions[0], there=versions[1])
    apart = _seconds(here) - _seconds(there)
    if abs(apart) >= _LATER_SECONDS:
        hours = f"{abs(apart) / 3_600:.0f}"
        text = "the other report is {hours} h older: what it says may be over"
        yield clue(text if apart > 0 else "the other report is {hours} h younger", hours=hours)


def _addresses(document: Document) -> list[str]:
    return _texts(_at(document, "names", "system", "addresses"))


def _issuers(document: Document) -> list[str]:
    each = _at(document, "tls", "each")
    handshakes = each if isinstance(each, Sequence) and not isinstance(each, str) else ()
    return _texts([_within(one, "served", "issuer") for one in handshakes])


def _places(document: Document) -> list[str]:
    facts = _at(document, "edge", "facts")
    pairs = facts if isinstance(facts, Sequence) and not isinstance(facts, str) else ()
    return _texts([
        pair[1] for pair in pairs if isinstance(pair, Sequence) and len(pair) == 2 and pair[0] == "loc"
    ])  # fmt: skip


_READ: Final = (
    ("the name leads to other addresses: {here} here, {there} there", _addresses),
    ("another authority signed the certificate: {here} here, {there} there", _issuers),
    ("the provider sees another country: {here} here, {there} there", _places),
)


def _at(document: Document, probe: str, *names: str) -> object:
    measured = document.get("measured")
    return _within(measured.get(probe), *names) if isinstance(measured, Mapping) else None


def _within(value: object, *names: str) -> object:
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _texts(value: object) -> list[str]:
    if not isinstance(value, Sequence) or isinstance(value, str):
        return []
    return list(dict.fromkeys(_text(one) for one in value if isinstance(one, str) and one))[:_VALUES_MAX]


def _way(document: Document) -> str:
    way = _text(document.get("way"))
    return "straight" if way in {"", "straight"} else way


def _seconds(document: Document) -> float:
    value = document.get("began_at")
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else 0.0


def _line(text: str, check: Check) -> Clue:
    return clue(text, title=_title(check), name=_name(check))


def _name(check: Check) -> str:
    return " ".join(filter(None, (_text(check["name"]), _text(check.get("about")))))


def _title(check: Check) -> str:
    return _text(check.get("title")) or _text(check.get("told")) or _name(check)


def _fault(check: Check) -> str:
    return _text(check.get("fault"))


def _text(value: object) -> str:
    return " ".join(str(value).split())[:_CHARACTERS_MAX] if value is not None else ""
