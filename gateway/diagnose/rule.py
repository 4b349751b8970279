"""A rule: what in an observation speaks for one cause, how strongly, and which other causes it sets aside."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from gateway.diagnose.author import Kind
from gateway.diagnose.observation import Observation
from gateway.diagnose.wording import groups
from gateway.model.cause import Cause
from gateway.model.failure import NetCode, Phase


class Basis(IntEnum):
    """What a finding rests on, the weakest first."""

    STATUS = 0
    """The status alone, or a bare timeout: what is left when nothing says more."""
    SHOWN = 1
    """Shape, headers, addresses, history."""
    SAID = 2
    """Words that name the subject and what is wrong with it."""
    NAMED = 3
    """A code, a product's mark, or a wording that the provider documents."""


class Layer(IntEnum):
    """Where a rule looks. Findings of a higher layer set those of a lower one aside, unless they rest on a status."""

    NETWORK = 0
    ANSWER = 1
    CLIENT = 2


class Finding(NamedTuple):
    """What a rule found: how strong it is, and what was seen, in a few words."""

    basis: Basis
    seen: str


Test = Callable[[Observation], Finding | None]
Condition = Callable[[Observation], bool]

WROTE_ANSWERS = frozenset({Kind.PROVIDER, Kind.RELAY, Kind.MESH, Kind.SERVER, Kind.UNKNOWN})
"""Everybody who may speak for the service."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One cause that evidence decides. A file in `rules` exports one as ``RULE``.

    Attributes:
        authors: Whose answers it reads; None for any, and for rules that look below HTTP.
        outranks: Slugs, or families as ``"rate_limit."``, that are set aside where this one is found.
        reads_pages: It holds for web pages as well, although it is about a request.
        general: How much it stands for what is left when nothing more special is known: 0 for a cause of its own, 1 for
            one that covers others, 2 for what is said when nobody says anything.
    """

    cause: Cause
    match: Test
    layer: Layer = Layer.ANSWER
    authors: frozenset[Kind] | None = WROTE_ANSWERS
    outranks: tuple[str, ...] = ()
    general: int = 0
    reads_pages: bool = False


def said(*alternatives: str) -> Test:
    """Look for a sentence of the answer that holds one phrase of every group, each written ``"a|b"``."""
    wanted = groups(*alternatives)

    def test(observation: Observation) -> Finding | None:
        return Finding(Basis.SAID, "its words") if observation.message.says(wanted) else None

    return test


def heard(*alternatives: str) -> Test:
    """Look for the same in what a client said."""
    wanted = groups(*alternatives)

    def test(observation: Observation) -> Finding | None:
        return Finding(Basis.SAID, "the client's words") if observation.words.says(wanted) else None

    return test


def hinted(*phrases: str) -> Test:
    """Look for a phrase that is a tool's own code or general term: weaker than words that say what is wrong."""

    def test(observation: Observation) -> Finding | None:
        return Finding(Basis.SHOWN, "the client's general words") if observation.words.has(*phrases) else None

    return test


def named(codes: str) -> Test:
    """Look for a code, type or reason of the envelope, in any case; written ``"a|b"``."""
    wanted = frozenset(codes.lower().split("|"))

    def test(observation: Observation) -> Finding | None:
        found = sorted(observation.read.codes & wanted)
        return Finding(Basis.NAMED, f"the code {found[0]}") if found else None

    return test


def status(*numbers: int) -> Test:
    """Take the status for it."""
    wanted = frozenset(numbers)

    def test(observation: Observation) -> Finding | None:
        return Finding(Basis.STATUS, f"status {observation.status}") if observation.status in wanted else None

    return test


def failed(*codes: NetCode, phase: Phase | None = None) -> Test:
    """Take what egress found out below HTTP."""

    def test(observation: Observation) -> Finding | None:
        return Finding(Basis.NAMED, "the attempt itself") if observation.failed(*codes, phase=phase) else None

    return test


def shown(condition: Condition, seen: str, basis: Basis = Basis.SHOWN) -> Test:
    """Take a fact about shape, headers, addresses or history."""

    def test(observation: Observation) -> Finding | None:
        return Finding(basis, seen) if condition(observation) else None

    return test


def first(*tests: Test) -> Test:
    """Give the strongest finding of several; of equals the first."""

    def test(observation: Observation) -> Finding | None:
        best: Finding | None = None
        for one in tests:
            found = one(observation)
            if found is not None and (best is None or found.basis > best.basis):
                best = found
        return best

    return test


def only(condition: Condition, test: Test) -> Test:
    """Let a test count only where a condition holds."""

    def narrowed(observation: Observation) -> Finding | None:
        return test(observation) if condition(observation) else None

    return narrowed


def unless(other: Test, test: Test) -> Test:
    """Let a test count only where another finds nothing."""

    def narrowed(observation: Observation) -> Finding | None:
        found = test(observation)
        return None if found is None or other(observation) is not None else found

    return narrowed


def in_status(*numbers: int) -> Condition:
    """Hold for these statuses; a number below 10 stands for its hundred (4 for 4xx)."""
    exact = frozenset(number for number in numbers if number >= 10)
    hundreds = frozenset(number for number in numbers if number < 10)
    return lambda observation: observation.status in exact or observation.status // 100 in hundreds
