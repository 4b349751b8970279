"""A verdict in a terminal: what happened, who can fix it, what to do, what we saw. Renders; prints nothing."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from gateway.diagnose.remedy import words
from gateway.diagnose.waits import span
from gateway.model.cause import Cause
from gateway.show.labels import Labels, labels
from gateway.show.parts import CALM, heading, item, steps, tone_of
from gateway.show.plain import plain, title_of


def verdict(row: Mapping[str, Any]) -> list[RenderableType]:
    """Give the verdict of a row that failed; of rows that older versions wrote, what they hold.

    Args:
        row: With ``cause``, ``fault``, ``precision`` and, in ``diagnosis``, the verdict as it is stored.
    """
    said = row.get("diagnosis") or {}
    language = str(said.get("language") or "en")
    spoken = labels(language)
    head = Text().append(plain(said.get("title") or title_of(row["cause"]), 120), style=f"bold {tone_of(row['cause'])}")
    for about in (_fixing(row, said, spoken), _surroundings(said, spoken)):
        if known := spoken.text("comma").join(part for part in about if part):
            head.append(f"\n{known}", style=CALM)
    parts: list[RenderableType] = [head]
    if said.get("what_happened"):
        parts += [Text(), Text(plain(said["what_happened"]))]
    if said.get("what_to_do"):
        parts += [heading(spoken.text("what_to_do")), *steps(plain(step) for step in said["what_to_do"])]
    for name, title, lines in (
        ("evidence", "what_we_saw", [plain(fact) for fact in said.get("evidence") or ()]),
        ("alternatives", "could_also_be", [_titled(slug, language) for slug in said.get("alternatives") or ()]),
        ("ruled_out", "ruled_out", _ruled_out(said.get("ruled_out") or ())),
    ):
        if lines:
            style = "" if name == "evidence" else CALM
            parts += [heading(spoken.text(title)), *(item("-", line, style) for line in lines)]
    return parts


def _fixing(row: Mapping[str, Any], said: Mapping[str, Any], spoken: Labels) -> Iterable[str]:
    """Give the slug, who can fix it, how sure it is."""
    precision = row.get("precision") or ""
    if precision == "declared" and said.get("author", "provider") != "provider":
        precision = "declared_otherwise"
    return plain(row["cause"], 80), spoken.text(f"fault.{row.get('fault')}"), spoken.text(f"precision.{precision}")


def _surroundings(said: Mapping[str, Any], spoken: Labels) -> Iterable[str]:
    """Give who wrote the answer, who stands on the way, and whether waiting helps, as far as a row says it."""
    vendor, author = plain(said.get("vendor") or "", 80), str(said.get("author") or "")
    writes = vendor if vendor and author in {"middlebox", "edge"} else ""
    name = writes or spoken.text(f"author.{author}")
    yield spoken.text("written_by").replace("{name}", name) if name else ""
    yield spoken.text("on_the_way").replace("{name}", vendor) if vendor and not writes else ""
    if "waiting_helps" in said and said.get("cause") != Cause.UNKNOWN:
        wait = said.get("wait_seconds")
        if not said["waiting_helps"]:
            yield spoken.text("waiting_is_in_vain")
        elif isinstance(wait, int | float):
            yield spoken.text("wait").replace("{wait}", span(wait))
        else:
            yield spoken.text("waiting_helps")


def _titled(slug: object, language: str) -> str:
    """Give a cause with its title; alone when it is none that we know."""
    try:
        title = words(language).remedies[Cause(str(slug))].title
    except ValueError:
        return plain(slug, 80)
    return f"{plain(slug, 80)}: {title}"


def _ruled_out(entries: Sequence[Any]) -> list[str]:
    """Give each cause with what excludes it; older rows name the causes alone."""
    if all(isinstance(entry, str) for entry in entries):
        return [", ".join(plain(slug, 80) for slug in entries)] if entries else []
    return [_excluded(entry) for entry in entries]


def _excluded(entry: Any) -> str:
    if not isinstance(entry, Mapping):
        return plain(entry, 80)
    cause, why = plain(entry.get("cause") or "", 80), plain(entry.get("why") or "", 500)
    return f"{cause}: {why}" if why else cause
