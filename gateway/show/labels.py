"""The words around a verdict in a terminal: headings, who can fix it, how sure it is, whether trying again helps."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from gateway.model.cause import Cause

DEFAULT = "en"


@dataclass(frozen=True, slots=True)
class Labels:
    """Those of one language; ``text`` gives one by its name, and what is not known gives nothing."""

    texts: Mapping[str, str]

    def text(self, name: str) -> str:
        """Give a label, ``fault.caller`` say; empty for one that there is not."""
        return self.texts.get(name, "")

    def again(self, cause: Cause) -> str:
        """Say in a sentence whether trying again helps."""
        return self.text("again.unknown" if cause is Cause.UNKNOWN else f"again.{cause.again.value}")

    def fault(self, cause: Cause) -> str:
        """Say who can fix it."""
        return self.text(f"fault.{cause.fault.value if cause.fault else 'nobody'}")


def labels(language: str) -> Labels:
    """Give the labels of a language, those of English for one that we do not speak."""
    every = _read()
    return every.get(language) or every[DEFAULT]


def languages() -> tuple[str, ...]:
    """Give the languages that have labels."""
    return tuple(_read())


@cache
def _read() -> Mapping[str, Labels]:
    document = tomllib.loads((files(__package__) / "labels.toml").read_text("utf-8"))
    return {language: Labels(dict(_flat(texts))) for language, texts in document.items()}


def _flat(texts: Mapping[str, object], before: str = "") -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name, value in texts.items():
        found += _flat(value, f"{before}{name}.") if isinstance(value, dict) else [(before + name, str(value))]
    return found
