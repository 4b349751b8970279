"""Whether a gateway is at rest: what it held before a case, and nothing more, soon after it."""

import threading
import time
from dataclasses import asdict, dataclass
from typing import Any

import httpx2

from tests.running import GatewayProcess

REST_SECONDS = 2.0
"""By then everything that a case took has to be given back."""


class NotAtRestError(AssertionError):
    """Something is still held; the message says what, before and after."""


@dataclass(frozen=True)
class Vitals:
    """What a gateway holds, as ``/api/health`` tells it.

    Attributes:
        descriptors: Without those of idle connections in the pool, which may stay; 0 where the system does not tell.
        busy: Connections to upstreams in use.
        connections: Of clients.
        running: Calls that are answered now.
        waiting: Calls in the queue.
    """

    tasks: int
    descriptors: int
    reservations: int
    busy: int
    connections: int
    running: int
    waiting: int

    def over(self, before: "Vitals") -> dict[str, str]:
        """Name what is held beyond what was held before."""
        now, then = asdict(self), asdict(before)
        return {name: f"{then[name]} -> {value}" for name, value in now.items() if value > then[name]}

    def least(self, other: "Vitals") -> "Vitals":
        """Give the smaller of each."""
        mine, theirs = asdict(self), asdict(other)
        return Vitals(**{name: min(value, theirs[name]) for name, value in mine.items()})


class Watch:
    """Looks at one gateway's vitals, on one connection that is there from first to last."""

    def __init__(self, gateway: GatewayProcess) -> None:
        token = {"authorization": f"Bearer {gateway.runtime['token']}"}
        self._client = httpx2.Client(
            base_url=f"http://{gateway.runtime['page']}", headers=token, trust_env=False, timeout=5
        )
        self.look()
        self.baseline = self.settled(self.look(), REST_SECONDS)

    def close(self) -> None:
        self._client.close()

    def back_at_rest(self, seconds: float = REST_SECONDS) -> None:
        """Wait until nothing more is held than at the beginning.

        Raises:
            NotAtRestError: It never came to that. What is held now is the next baseline, so that the next case is
                judged by itself.
        """
        end = time.monotonic() + seconds
        while over := (seen := self.look()).over(self.baseline):
            if time.monotonic() > end:
                self.baseline = seen
                held = ", ".join(f"{name} {change}" for name, change in over.items())
                raise NotAtRestError(f"not given back within {seconds:g} s: {held}")
            threading.Event().wait(0.02)
        self.baseline = self.baseline.least(seen)

    def settled(self, first: Vitals, seconds: float) -> Vitals:
        """Give what is held once it has not changed for a tenth of it."""
        end = since = time.monotonic()
        seen = first
        while time.monotonic() - since < seconds / 10 and time.monotonic() < end + seconds:
            threading.Event().wait(0.02)
            if (new := self.look()) != seen:
                seen, since = new, time.monotonic()
        return seen

    def look(self) -> Vitals:
        """Look now."""
        health: dict[str, Any] = self._client.get("/api/health").raise_for_status().json()
        pool = health["pool"]
        return Vitals(
            tasks=health["tasks"],
            descriptors=0 if health["descriptors"] is None else health["descriptors"] - pool["idle"],
            reservations=health["reservations"],
            busy=pool["busy"],
            connections=health["connections"],
            running=health["running"],
            waiting=health["waiting"],
        )
