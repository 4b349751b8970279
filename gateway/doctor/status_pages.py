"""How to read what status pages say, in each of their shapes. Pure and total: nonsense is `UNKNOWN`, never healthy.

Sources (read 2026-11): developer.statuspage.io (summary.json, incidents.json); incident.io's widget as third-party
clients read it (``/proxy/HOST``, undocumented); google.com/appsstatus (products.json, incidents.json); status.x.ai
(feed.xml).
"""

import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from gateway.doctor.measured import Incident

OPERATIONAL, AFFECTED, UNKNOWN = "operational", "affected", "unknown"

_CLOSED = frozenset({"resolved", "postmortem", "completed", "scheduled"})
_CHARACTERS = 160
_ITEMS = 300
_INCIDENTS_MAX = 8
_ITEM = re.compile(r"<(item|entry)\b[^>]*>(.{0,20000}?)</\1>", re.DOTALL)
_GAP = re.compile(r"[\s,]*")
_CLOSED_WORDS = ("resolved", "completed", "back to normal", "closed")


class Said(NamedTuple):
    """What a page says of the components that calls go to.

    Attributes:
        state: `OPERATIONAL`, `AFFECTED` or `UNKNOWN`.
        components: Those that calls go to, each with its state as it stands there.
        incidents: Open ones, those that touch such a component first.
        elsewhere: Something is wrong with another component.
    """

    state: str
    components: tuple[tuple[str, str], ...] = ()
    incidents: tuple[Incident, ...] = ()
    elsewhere: bool = False


NOTHING = Said(UNKNOWN)


def document(text: str) -> Any:
    """Give what a body holds as JSON, None when it holds none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def opening(text: str, name: str = "") -> list[Any] | None:
    """Give the first entries of a list in a document that may have been cut off; None where there is no list.

    The pages give their newest incidents first, so the open ones are at its start.

    Args:
        name: Of the member that is the list; empty where the document is one.
    """
    at = text.find(f'"{name}"') if name else 0
    at = text.find("[", at) if at >= 0 else -1
    if at < 0 or (not name and text[:at].strip()):
        return None
    decoder, found, at = json.JSONDecoder(), list[Any](), at + 1
    while len(found) < _ITEMS:
        gap = _GAP.match(text, at)
        try:
            one, at = decoder.raw_decode(text, gap.end() if gap is not None else at)
        except (ValueError, RecursionError):
            break
        found.append(one)
    return found


def lacks_incidents(summary: Any) -> bool:
    """Whether a summary is one, but says nothing of incidents: another document does, then."""
    return isinstance(summary, Mapping) and "components" in summary and "incidents" not in summary


def statuspage(summary: Any, incidents: Any, words: Iterable[str]) -> Said:
    """Read Statuspage's summary, or incident.io's in its shape.

    Args:
        incidents: Of incidents.json where the summary has none, else None.
        words: Of `StatusPage.components`.
    """
    if not isinstance(summary, Mapping) or not isinstance(summary.get("components"), list):
        return NOTHING
    listed = [one for one in _objects(summary["components"]) if not one.get("group")]
    every = tuple((_text(one.get("name")), _state(one.get("status"))) for one in listed)
    source = summary if isinstance(summary.get("incidents"), list) else incidents
    said = source.get("incidents") if isinstance(source, Mapping) else None
    if not isinstance(said, list):
        said = None
    opened = None if said is None else [_incident(one) for one in _objects(said) if not _is_closed(one)]
    return _weighed(every, opened, tuple(words))


def native(document: Any, words: Iterable[str]) -> Said:
    """Read incident.io's own document: it lists components, and states only of those that are affected."""
    summary = document.get("summary") if isinstance(document, Mapping) else None
    if not isinstance(summary, Mapping) or not isinstance(summary.get("components"), list):
        return NOTHING
    named = {_text(one.get("id")): _text(one.get("name")) for one in _objects(summary["components"])}
    states = _affected(summary.get("affected_components"))
    if states is None:
        return NOTHING
    every = tuple((name, states.get(key, OPERATIONAL)) for key, name in named.items())
    ongoing = summary.get("ongoing_incidents")
    opened = None
    if isinstance(ongoing, list):
        opened = [_native_incident(one, named) for one in _objects(ongoing) if not _is_closed(one)]
    return _weighed(every, opened, tuple(words))


def google(products: Any, incidents: Any, words: Iterable[str]) -> Said:
    """Read Google's two documents: an incident without an end is open."""
    listed = products.get("products") if isinstance(products, Mapping) else None
    if not isinstance(listed, list) or not isinstance(incidents, list):
        return NOTHING
    opened = [_of_google(one) for one in _objects(incidents) if not one.get("end")]
    hit = {name for one in opened for name in one.components}
    names = [_text(one.get("title") or one.get("name")) for one in _objects(listed)]
    every = tuple((name, "service_disruption" if name in hit else OPERATIONAL) for name in names)
    return _weighed(every, opened, tuple(words))


def feed(text: str, words: Iterable[str]) -> Said:
    """Read a feed of incidents: the newest entry of each, open unless it says that it is over."""
    if not re.search(r"<(rss|feed)\b", text[:2000]):
        return NOTHING
    opened: list[Incident] = []
    for found in list(_ITEM.finditer(text))[:_INCIDENTS_MAX]:
        title, told = _tag(found[2], "title"), _tag(found[2], "description|summary|content")
        whole = f"{title} {told}".lower()
        if title and not any(word in whole for word in _CLOSED_WORDS):
            opened.append(Incident(name=title, status="open", began=_tag(found[2], "pubDate|published|updated")))
    wanted = tuple(words)
    mine = tuple(one for one in opened if _is_one(one.name, wanted))
    if mine:
        return Said(AFFECTED, (), mine, elsewhere=False)
    return Said(OPERATIONAL, (), tuple(opened), elsewhere=bool(opened))


def _weighed(every: tuple[tuple[str, str], ...], opened: list[Incident] | None, words: tuple[str, ...]) -> Said:
    """Put states and open incidents together. ``opened`` is None where nothing was said of incidents."""
    ours = tuple((name, state) for name, state in every if _is_one(name, words))
    if not ours:
        return Said(UNKNOWN, (), tuple(opened or ())[:_INCIDENTS_MAX])
    names = {name for name, _ in ours}
    touching = [one for one in opened or () if names & set(one.components)]
    others = [one for one in opened or () if one not in touching]
    bad = tuple(sorted(ours, key=lambda one: one[1] == OPERATIONAL))
    if touching or any(state != OPERATIONAL for _, state in ours):
        return Said(AFFECTED, bad, tuple(touching or others)[:_INCIDENTS_MAX])
    elsewhere = any(state != OPERATIONAL for _, state in every) or bool(others)
    state = UNKNOWN if opened is None else OPERATIONAL
    return Said(state, ours, tuple(others)[:_INCIDENTS_MAX], elsewhere=elsewhere)


def _is_one(name: str, words: tuple[str, ...]) -> bool:
    """Whether a component is one that calls go to: a word of the list stands in it as a word."""
    plain = name.lower()
    return not words or any(re.search(rf"(?<![a-z0-9]){re.escape(word)}(?![a-z0-9])", plain) for word in words)


def _incident(one: Mapping[str, Any]) -> Incident:
    return Incident(
        name=_text(one.get("name")),
        status=_text(one.get("status")),
        began=_text(one.get("started_at") or one.get("created_at")),
        components=tuple(_text(part.get("name")) for part in _objects(one.get("components"))),
    )


def _native_incident(one: Mapping[str, Any], named: Mapping[str, str]) -> Incident:
    parts = (_text(part.get("component_id")) for part in _objects(one.get("affected_components")))
    return Incident(
        name=_text(one.get("name")),
        status=_text(one.get("status")),
        began=_text(one.get("published_at")),
        components=tuple(named[key] for key in parts if key in named),
    )


def _of_google(one: Mapping[str, Any]) -> Incident:
    return Incident(
        name=_text(one.get("external_desc") or one.get("service_name")),
        status=_text(one.get("status_impact")),
        began=_text(one.get("begin")),
        components=tuple(_text(part.get("title")) for part in _objects(one.get("affected_products"))),
    )


def _affected(listed: Any) -> dict[str, str] | None:
    """Give component -> state; None where the list is missing."""
    if not isinstance(listed, list):
        return None
    return {_text(one.get("component_id")): _state(one.get("status")) for one in _objects(listed)}


def _is_closed(one: Mapping[str, Any]) -> bool:
    return _text(one.get("status")).lower() in _CLOSED or bool(one.get("resolved_at"))


def _state(value: Any) -> str:
    """Give a state as it stands there; one that is missing is not a healthy one."""
    return _text(value).lower() or "not stated"


def _objects(value: Any) -> Iterator[Mapping[str, Any]]:
    for one in value[:_ITEMS] if isinstance(value, list) else ():
        if isinstance(one, Mapping):
            yield one


def _text(value: Any) -> str:
    """Give a short text on one line, empty for anything else."""
    return " ".join(value[: 4 * _CHARACTERS].split())[:_CHARACTERS] if isinstance(value, str) else ""


def _tag(text: str, names: str) -> str:
    found = re.search(rf"<(?:{names})\b[^>]*>(.{{0,4000}}?)</(?:{names})>", text, re.DOTALL)
    inner = re.sub(r"<!\[CDATA\[|\]\]>", "", found[1]) if found else ""
    return _text(re.sub(r"<[^<>]{0,200}>", " ", html.unescape(inner)))
