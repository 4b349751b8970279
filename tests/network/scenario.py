"""A golden scenario: a world in which one thing is wrong, and what the doctor says of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.network.faults import Pieces


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One world and one verdict.

    Attributes:
        name: What is wrong, as a sentence.
        faults: Of the world.
        network: Further arguments of `Network`.
        proxy: Arguments of `Network.squid`: programs go through that proxy; None for none.
        args: Of ``whygate doctor``, besides ``--json``.
        env: Variables of whoever asks. ``{proxy}`` stands for the proxy's address, ``{login}`` for it with its password.
        config: Settings, as TOML.
        check: Name of the check that finds it; empty when all is well.
        about: Its ``about``, empty for any.
        evidence: Words that some line of the evidence holds.
        ruled_out: Causes that the controls exclude.
        most_likely: It is the one on top.
        told: Words of the line of ``check``, for what is ok or a note.
        untouched: Servers that must not have been asked anything.
    """

    name: str
    faults: tuple[Pieces, ...] = ()
    network: Mapping[str, Any] = field(default_factory=dict)
    proxy: Mapping[str, Any] | None = None
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    config: str = ""
    check: str = ""
    about: str = ""
    status: str = "fail"
    cause: str | None = None
    precision: str = ""
    vendor: str = ""
    evidence: tuple[str, ...] = ()
    ruled_out: tuple[str, ...] = ()
    most_likely: bool = True
    told: tuple[str, ...] = ()
    exit_code: int = 1
    untouched: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Give the name, for pytest."""
        return self.name.replace(" ", "-")
