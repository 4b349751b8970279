"""Who uses a scope, how much is asked of it, and how much of that is used. Bounded.

Only for being shown, for a first guess of a pace, and for not refusing a call on a guess.
"""

import math
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import NamedTuple

from gateway.limit.cost import Cost

USERS_MAX = 64
_DEMAND_SECONDS = 10.0
_GOOD_MAX = 64


class User(NamedTuple):
    """Who asks: tenant, fingerprint of the key, and ``address:port`` of the app's connection."""

    tenant: str
    key: str
    client: str


@dataclass(slots=True)
class Use:
    """What one user has under way and waiting, and how many calls it made."""

    in_flight: int = 0
    queued: int = 0
    calls: int = 0


class Users:
    """Of over 64 users those without anything under way are forgotten first."""

    def __init__(self) -> None:
        self.uses: OrderedDict[User, Use] = OrderedDict()
        self._demand = 0.0
        self._demand_at = 0.0
        self._good: deque[float] = deque(maxlen=_GOOD_MAX)
        self.tokens_each = 0.0
        self._share = 0.0
        """Of the tokens that calls reserve: what they turn out to take. Nothing, before the first has said."""

    def of(self, user: User) -> Use:
        """Give what one has."""
        use = self.uses.get(user)
        if use is None:
            use = self.uses[user] = Use()
            self._bound(user)
        return use

    def asked(self, user: User, tokens: int, now: float) -> Use:
        """Count a call."""
        use = self.of(user)
        use.calls += 1
        self.uses.move_to_end(user)
        self.tokens_each += 0.1 * (tokens - self.tokens_each)
        self._demand = self.demand(now) + 1 / _DEMAND_SECONDS
        self._demand_at = now
        return use

    def left(self, user: User) -> None:
        """One of a user's calls is under way no longer."""
        if (use := self.uses.get(user)) is not None:
            use.in_flight = max(0, use.in_flight - 1)

    def got(self, user: User) -> None:
        """One of a user's calls waits no longer."""
        if (use := self.uses.get(user)) is not None:
            use.queued = max(0, use.queued - 1)

    def demand(self, now: float) -> float:
        """Calls a second that were asked for lately."""
        return self._demand * math.exp(-(now - self._demand_at) / _DEMAND_SECONDS)

    def answered(self, now: float) -> None:
        """Note a good answer."""
        self._good.append(now)

    def spent(self, reserved: int, tokens: int) -> None:
        """Note what a call took of what it had reserved."""
        if reserved:
            share = min(1.0, tokens / reserved)
            self._share += (0.2 if self._share else 1.0) * (share - self._share)

    def likely(self, reserved: Cost) -> Cost:
        """Say what calls will really take, as far as those before them tell."""
        return Cost(reserved.requests, int(reserved.tokens_in * self._share), int(reserved.tokens_out * self._share))

    def rate(self, now: float) -> float:
        """Good answers a second lately: over the last ten seconds, and the last 64 of them at most."""
        good = [at for at in self._good if now - at <= _DEMAND_SECONDS]
        return len(good) / max(1.0, now - good[0]) if good else 1.0

    def join(self, other: "Users") -> None:
        """Take over another scope's."""
        for user, theirs in other.uses.items():
            ours = self.of(user)
            ours.in_flight += theirs.in_flight
            ours.queued += theirs.queued
            ours.calls += theirs.calls

    def _bound(self, newest: User) -> None:
        if len(self.uses) > USERS_MAX:
            idle = (one for one, use in self.uses.items() if not use.in_flight and not use.queued and one != newest)
            self.uses.pop(next(idle, next(iter(self.uses))))
