"""What to tell a person about a cause, and how its sentence about one call is filled in."""

import re
from dataclasses import dataclass
from typing import Final

PLACEHOLDERS: Final = ("provider", "model", "host", "status", "detail")

_TIDYING: Final = (
    (re.compile(r"\s+"), " "),
    (re.compile(r" ?\( ?\)"), ""),
    (re.compile(r" ?[:,](?= ?[.:,])"), ""),
    (re.compile(r" (?=[.,:;])"), ""),
)
_DOUBLED_END: Final = re.compile(r"([.!?\u2026\u3002])\.$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """The fixed words for one cause in one language.

    Attributes:
        title: A few words without a full stop.
        what_it_means: The cause in general, in one or two sentences.
        what_happened: One sentence about a single call. It may hold PLACEHOLDERS and must read well without them.
        what_to_do: Steps, most likely first.
        not_to_be_confused_with: What looks alike, and how it differs.

    """

    title: str
    what_it_means: str
    what_happened: str
    what_to_do: tuple[str, ...]
    not_to_be_confused_with: str


def fill(remedy: Remedy, **facts: str) -> str:
    """Say what happened in this very call.

    A fact that is missing or blank leaves no trace. Facts that are not PLACEHOLDERS are ignored. Values appear as they
    are, on one line: braces in them mean nothing.
    """
    known = {name: " ".join(facts.get(name, "").split()) for name in PLACEHOLDERS}
    template = remedy.what_happened
    for name, value in known.items():
        if not value:
            template = template.replace(f"{{{name}}}", "")
    for untidy, tidy in _TIDYING:
        template = untidy.sub(tidy, template)
    return _DOUBLED_END.sub(r"\1", template.format_map(known).strip())
