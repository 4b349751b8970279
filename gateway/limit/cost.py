"""What a call costs of each kind of limit, and what every meter can do."""

import math
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from gateway.model.provider import StatedLimit

REQUESTS, TOKENS, INPUT, OUTPUT, CONCURRENCY = "requests", "tokens", "input_tokens", "output_tokens", "concurrency"


ORDER_SECONDS = 0.03
"""Requests that are sent so close to one another may arrive in any order: what is told of one is true within that."""


class Cost(NamedTuple):
    """What one call takes: itself, and tokens."""

    requests: int = 1
    tokens_in: int = 0
    tokens_out: int = 0

    def of(self, kind: str) -> int:
        """Give the amount of one kind of limit. Concurrency is no amount: it is counted by what runs."""
        if kind == REQUESTS:
            return self.requests
        if kind == TOKENS:
            return self.tokens_in + self.tokens_out
        return self.tokens_in if kind == INPUT else self.tokens_out


@dataclass(slots=True)
class Entry:
    """A moment of the log, and what was counted in it. ``gone`` when it has left the window."""

    at: float
    amount: float
    gone: bool = False


class Hold:
    """What one call has taken of one meter. The meter alone changes it.

    Attributes:
        amount: What is counted for it at present.
        entry: Where it stands in the meter's log; None until the request has been sent.
        absorbed: The provider has told its own count since; ours of this call has no meaning any more.
    """

    __slots__ = ("absorbed", "amount", "entry", "gone")

    def __init__(self, amount: float) -> None:
        self.amount = amount
        self.entry: Entry | None = None
        self.absorbed = self.gone = False


class Meter(Protocol):
    """Counts one kind of amount against one limit. The caller brings the time: monotonic seconds, never going back.

    An amount that is taken counts at once, and as of the moment in which the request was sent: connecting may take a
    while, and a provider counts what arrives.
    """

    @property
    def limit(self) -> float:
        """The most that one window can hold."""
        ...

    def wait(self, amount: float, now: float, ahead: float = 0.0) -> float:
        """Seconds until such an amount fits behind what goes first; 0.0 when it fits now."""
        ...

    def take(self, amount: float, now: float) -> Hold:
        """Count it. Only after `wait` said 0.0, or to know what would have been."""
        ...

    def sent(self, hold: Hold, now: float) -> None:
        """Say that the request is on its way."""
        ...

    def settle(self, hold: Hold, amount: float, now: float) -> None:
        """Correct an estimate: count what it really was. A second time counts the difference alone."""
        ...

    def give_back(self, hold: Hold, now: float) -> None:
        """Count it no longer; it was never used. A second time does nothing."""
        ...

    def level(self, now: float) -> float:
        """What could go now."""
        ...

    def join(self, other: "Meter", now: float) -> None:
        """Take over what another meter of the same kind counts, its holds included."""
        ...


def check(limit: float, seconds: float) -> None:
    """Refuse numbers that make no limit.

    Raises:
        ValueError: Below 1 unit, or not above 0 seconds, or not finite.
    """
    if not (limit >= 1 and math.isfinite(limit) and 0 < seconds < math.inf):
        message = f"a limit needs at least 1 unit and a length above 0 s, not {limit} in {seconds} s"
        raise ValueError(message)


__all__ = ["CONCURRENCY", "INPUT", "OUTPUT", "REQUESTS", "TOKENS", "Cost", "Entry", "Hold", "Meter", "StatedLimit"]
