"""What gateways that share a limit ask one another: the facts, and who answers. See `gateway.limit.backends`."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

LEASE_SECONDS = 5.0
"""After this long without a word of a gateway, what ran there counts no longer."""

_numbers = itertools.count(1)


Spent = tuple[tuple[float, float], ...]
"""What was spent of a meter: seconds ago, and how much."""


class SharedMeter(NamedTuple):
    """One limit of a scope, as all gateways count it.

    Attributes:
        id: The same wherever the same limit is meant.
        stepwise: Whether a window; else a bucket that fills evenly.
        capacity: What a bucket holds.
    """

    id: str
    stepwise: bool
    limit: float
    seconds: float
    capacity: float


class Item(NamedTuple):
    """A call that is next: whose it is, what it takes of its tenant's share, and of each meter."""

    tenant: str
    weight: float
    amounts: tuple[int, ...]


class Line(NamedTuple):
    """A tenant's calls that wait here: how many, and what one of them takes."""

    waiting: int
    weight: float
    amounts: Mapping[str, int]


class Fix(NamedTuple):
    """An amount that turned out otherwise: of which meter, when it was granted (the server's ms), by how much."""

    meter: int
    granted_ms: float
    more: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Asks who of those that are next may go.

    Attributes:
        scope: What the limits are counted by; the same text in every gateway.
        running: Calls under way here.
        most: Calls at the same time, everywhere; 0 for no such limit.
        told: What this gateway has spent of each meter while it counted alone, and has not told yet; None for nothing.
        whole: All that it has spent of each meter and that still counts; counted instead, where ``book`` is no longer
            that by which the scope is counted. None when it is not known to be needed.
        book: The one in which it was counted so far; empty before the first answer.
        pause: Seconds for which a provider holds everybody, and its reason.
        number: Of this question. Asked once more, it is answered as the first time, and counted once.
        again: It is asked once more; where all that was counted is lost, it needs not be counted either.
    """

    scope: str
    meters: tuple[SharedMeter, ...] = ()
    items: tuple[Item, ...] = ()
    waiting: Mapping[str, Line] = field(default_factory=dict)
    running: int = 0
    most: int = 0
    fixes: tuple[Fix, ...] = ()
    told: tuple[Spent, ...] | None = None
    whole: tuple[Spent, ...] | None = None
    book: str = ""
    pause: tuple[float, str] | None = None
    number: int = field(default_factory=lambda: next(_numbers))
    again: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """The answer.

    Attributes:
        at_ms: The server's time.
        granted: For each item.
        wait_seconds: After which to ask again, when not all were granted.
        meter: Which one holds the first that was not granted; None when it is something else.
        why: ``limit``, ``pause``, ``concurrency``, ``turn`` (others' turn) or nothing.
        paused_seconds: For which the provider holds everybody yet.
        used: Of each meter, by all gateways.
        book: Names what the scope is counted in; another one, when what was counted has been lost.
    """

    at_ms: float
    granted: tuple[bool, ...]
    wait_seconds: float
    meter: int | None
    why: str
    paused_seconds: float
    reason: str
    used: tuple[float, ...]
    book: str = ""


Word = Literal["here", "ready", "gone"]


class Present(NamedTuple):
    """How many gateways are there, how many have told what they spent alone, and whether this one was known before."""

    here: int
    ready: int
    known: bool


class Counter(Protocol):
    """Counts for all gateways."""

    async def ask(self, question: Question) -> Turn:
        """Answer at once.

        Raises:
            UnreachableError: It cannot; whoever asks counts alone meanwhile.
        """
        ...

    async def present(self, word: Word) -> Present:
        """Say that this gateway is here, or has told all it spent alone, or goes; and count the others.

        Raises:
            UnreachableError: As above.
        """
        ...
