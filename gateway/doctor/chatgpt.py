"""What ChatGPT in browsers and apps needs of a network: the domains, and which part fails without each.

Sources, read 2026-11: help.openai.com article 9247338, "Network recommendations for ChatGPT errors on web and apps",
with its 29 entries, its WebSocket host and its voice ports; the six domains that stood in its list of 34 until 2025 and
that older apps still call; Apple, "Use Apple products on enterprise networks" (support.apple.com/101555) for App
Attest, whose connections Apple forbids to intercept. `member` is a host that a wildcard is known to cover, if any is.
"""

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

NEEDS: Final = ("core", "sign-in", "upload", "assets", "sso", "apps", "attest", "telemetry", "extras")
"""What the domains are for, in the order in which they are told."""

VOICE_HOSTS: Final = ("chatgpt.livekit.cloud", "chatgpt.turn.livekit.cloud")
VOICE_TCP: Final = (443, 7881)
VOICE_UDP: Final = 3478
VOICE_RANGE: Final = "50000-60000"
"""Of voice: docs.livekit.io, "Configuring firewalls"; the article names UDP 3478 and, without it, TCP 443."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One domain.

    Attributes:
        pattern: As OpenAI lists it.
        member: A host of it that can be looked at; empty when none is known.
        need: One of `NEEDS`.
        vital: Without it alone the need is not met.
        pinned: Its app accepts no other certificate than the true one.
        why: What it is for.
    """

    pattern: str
    member: str
    need: str
    vital: bool
    pinned: bool
    why: str


@cache
def entries() -> tuple[Entry, ...]:
    """Give all of them, in the order of the file."""
    text = (files(__package__) / "chatgpt.csv").read_text("utf-8")
    return tuple(
        Entry(row["pattern"], row["member"], row["need"], row["vital"] == "yes", row["pinned"] == "yes", row["why"])
        for row in csv.DictReader(text.splitlines())
    )


def patterns() -> tuple[str, ...]:
    """Give what a firewall has to let through on TCP 443, each once; with a wildcard also its zone, where that is used.

    Nothing that a wildcard covers is left out: for many firewalls ``*`` stands for one label alone.
    """
    named = ((entry.member if f"*.{entry.member}" == entry.pattern else "", entry.pattern) for entry in entries())
    return tuple(dict.fromkeys(one for pair in named for one in pair if one))
