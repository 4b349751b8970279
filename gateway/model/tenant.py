"""Who asks, where a gateway serves several: what each may do, and how much of it in a day."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import NamedTuple

DEFAULT = "default"
"""Whoever presents the listener's own token, and everybody where there are no tenants."""


class Spent(NamedTuple):
    """What a budget counts."""

    requests: int = 0
    tokens: int = 0
    dollars: float = 0.0

    def plus(self, other: "Spent") -> "Spent":
        """Give both together. Nothing falls below 0."""
        dollars = max(0.0, self.dollars + other.dollars)
        return Spent(max(0, self.requests + other.requests), max(0, self.tokens + other.tokens), dollars)

    def minus(self, other: "Spent") -> "Spent":
        """Give the difference, which may be negative."""
        return Spent(self.requests - other.requests, self.tokens - other.tokens, self.dollars - other.dollars)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What may be used in one day of UTC; None for as much as one likes.

    Attributes:
        tokens: Question and answer together.
        dollars: By the table of prices.
    """

    requests: int | None = None
    tokens: int | None = None
    dollars: float | None = None

    @property
    def is_none(self) -> bool:
        """Whether nothing is bounded."""
        return self.requests is None and self.counts_requests_alone

    @property
    def counts_requests_alone(self) -> bool:
        """Whether it does not matter how large a call is."""
        return self.tokens is None and self.dollars is None

    def over(self, total: Spent) -> str:
        """Name the first bound that a sum is above: ``requests``, ``tokens`` or ``dollars``; empty for none."""
        for name in Spent._fields:
            most = getattr(self, name)
            if most is not None and getattr(total, name) > most:
                return name
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """One of several who use a gateway.

    Attributes:
        admin: Sees on the page what everybody does, and may change things there.
        providers: Globs over the names of those that it may ask.
        models: Globs over names of models.
        share: Its weight where several wait for one limit.
        keys: Provider's name -> the key that its calls go out with, whatever key the app sent.
    """

    name: str
    admin: bool = False
    providers: tuple[str, ...] = ("*",)
    models: tuple[str, ...] = ("*",)
    share: float = 1.0
    budget: Budget = Budget()
    keys: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    @property
    def may_use_all(self) -> bool:
        """Whether nothing has to be looked at, counted or changed in its calls."""
        return "*" in self.providers and "*" in self.models and self.budget.is_none and not self.keys

    def may_ask(self, provider: str) -> bool:
        """Whether a provider is open to it."""
        return is_among(provider, self.providers)

    def may_use(self, model: str) -> bool:
        """Whether a model is open to it."""
        return is_among(model, self.models)


def is_among(name: str, globs: Iterable[str]) -> bool:
    """Whether one of some globs fits, letter by letter."""
    return any(fnmatchcase(name, glob) for glob in globs)


def day_of(epoch_seconds: float) -> str:
    """Give the day of UTC, as ISO 8601 has it."""
    return datetime.fromtimestamp(epoch_seconds, UTC).strftime("%Y-%m-%d")


def seconds_left(epoch_seconds: float) -> float:
    """Give how long that day lasts."""
    now = datetime.fromtimestamp(epoch_seconds, UTC)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    return max(1.0, (midnight - now).total_seconds())
