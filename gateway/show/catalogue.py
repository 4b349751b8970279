"""What is known of a cause whether or not it happened: its entry, a family, all of them. Renders; prints nothing."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from gateway.diagnose.remedy import fill, words
from gateway.model.cause import Again, Cause
from gateway.show.labels import labels
from gateway.show.parts import CALM, heading, steps, tone_of

_SLUG_CELLS = max(len(cause) for cause in Cause)


def families() -> Mapping[str, Sequence[Cause]]:
    """Give the causes by the first part of their slug, in the order of the catalogue."""
    found: dict[str, list[Cause]] = {}
    for cause in Cause:
        found.setdefault(cause.value.partition(".")[0], []).append(cause)
    return found


def as_dict(cause: Cause, language: str) -> dict[str, Any]:
    """Give the entry of a cause for a program."""
    remedy, spoken = words(language).remedies[cause], labels(language)
    return {
        "cause": cause.value,
        "fault": cause.fault.value if cause.fault else None,
        "retryable": cause.again is not Again.NEVER,
        "title": remedy.title,
        "what_it_means": remedy.what_it_means,
        "how_we_know": remedy.how_we_know,
        "what_to_do": [fill(step, {}) for step in remedy.what_to_do],
        "trying_again": spoken.again(cause),
        "not_to_be_confused_with": remedy.not_to_be_confused_with,
        "source": remedy.source,
        "language": language,
    }


def entry(cause: Cause, language: str) -> Group:
    """Give all that there is to say of a cause."""
    told, spoken = as_dict(cause, language), labels(language)
    head = Text().append(told["title"], style=f"bold {tone_of(cause)}")
    head.append(f"\n{cause.value}{spoken.text('comma')}{spoken.fault(cause)}", style=CALM)
    parts: list[RenderableType] = [head]
    for name in ("what_it_means", "how_we_know", "what_to_do", "trying_again", "not_to_be_confused_with", "source"):
        parts.append(heading(spoken.text(name)))
        if name == "what_to_do":
            parts += steps(told[name])
        else:
            parts.append(Padding(Text(told[name], style=CALM if name == "source" else ""), (0, 0, 0, 2)))
    return Group(*parts)


def listing(causes: Sequence[Cause], language: str) -> Text:
    """Give causes, one line each: the slug, its title, who can fix it."""
    spoken, remedies = labels(language), words(language).remedies
    return Text("\n").join(
        Text()
        .append(f"  {cause.value:<{_SLUG_CELLS}}", style=tone_of(cause))
        .append(f"  {remedies[cause].title}")
        .append(f"{spoken.text('comma')}{spoken.fault(cause)}", style=CALM)
        for cause in causes
    )
