"""What a canary printed, and what it says of each means of calling. Pure."""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

URL = "https://api.openai.com/v1/models"
"""Asked without a key: should it get there past us, it is refused and costs nothing."""

REACHED, PAST, UNTRUSTED, UNASKED = "yes", "no", "no trust", "-"

_TEXT_CHARACTERS = 100
_CERTIFICATE = re.compile(r"certificate|PKIX|self.signed|issuer|UnknownIssuer|\bx509\b", re.IGNORECASE)
_WAYS = (("proxy", "by proxy"), ("base_url", "by base URL"))


@dataclass(frozen=True, slots=True)
class Asked:
    """How one means of calling fared."""

    name: str
    by_proxy: str
    by_base_url: str
    details: tuple[str, ...]

    @property
    def reached(self) -> bool:
        """Whether calls can come through in one way at least."""
        return REACHED in {self.by_proxy, self.by_base_url}


def document_in(said: str) -> dict[str, Any] | None:
    """Give what a canary printed, None when it printed nothing."""
    for line in reversed(said.splitlines()):
        if '"whygate_canary":' in line:
            with suppress(ValueError):
                document = json.loads(line)
                if isinstance(document, dict):
                    return document
    return None


def read(document: Mapping[str, Any], token: str) -> list[Asked]:
    """Give how each means of calling fared, by what the gateway gave back of the token."""
    by_name: dict[str, dict[str, dict[str, Any]]] = {}
    for entry in document.get("means", ()):
        by_name.setdefault(str(entry["name"]), {})[str(entry["way"])] = entry
    return [
        Asked(
            name,
            verdict(ways.get("proxy"), token),
            verdict(ways.get("base_url"), token),
            tuple(_detail(ways[way], words) for way, words in _WAYS if verdict(ways.get(way), token) == PAST),
        )
        for name, ways in by_name.items()
    ]


def verdict(entry: Mapping[str, Any] | None, token: str) -> str:
    """Say whether one attempt came through."""
    if entry is None:
        return UNASKED
    # A gateway that is older than this passes the call on, and says so in its answer.
    if entry.get("echo") == token or entry.get("flow"):
        return REACHED
    return UNTRUSTED if _CERTIFICATE.search(str(entry.get("error", ""))) else PAST


def one_line(text: Any) -> str:
    """Keep a text that came from elsewhere on one line."""
    plain = "".join(c if c.isprintable() else " " for c in str(text)).strip()
    return plain if len(plain) <= _TEXT_CHARACTERS else plain[: _TEXT_CHARACTERS - 3] + "..."


def _detail(entry: Mapping[str, Any], way: str) -> str:
    error = entry.get("error")
    told = one_line(error) if error else f"someone else answered, with status {entry.get('status')}"
    return f"{entry['name']} {way}: past the gateway ({told})"
