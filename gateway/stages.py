"""What the path works with: one frozen object, put together by `gateway.app` (or by a test)."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from gateway.cache.backend import Store
from gateway.diagnose.recent import Recent
from gateway.egress.breaker import Breaker
from gateway.egress.budget import RetryBudget
from gateway.egress.first_bytes import FirstBytes
from gateway.egress.retry import RetryPolicy
from gateway.egress.send import IDLE_SECONDS, Upstream
from gateway.identify.estimate import Estimates
from gateway.identify.identify import Identifier
from gateway.limit.gate import Gate
from gateway.model.clock import Clock
from gateway.model.event import EventSink
from gateway.model.route import Route


def anywhere(_host: str, _port: int) -> str | None:
    """Bar nothing."""
    return None


def unseen(_client: str) -> None:
    """Look at nobody."""


def as_sdks_do(_route: Route) -> float:
    """Bear silence for as long as the official SDKs do."""
    return IDLE_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Stages:
    """The stages and what they share.

    Attributes:
        instance: Marks requests to this machine, so that a circle is seen.
        secret: The key of fingerprints and cache keys, 32 bytes.
        store: None when the cache is off.
        breaker: Hosts that answer nobody.
        first_bytes: How long answers take to begin.
        recent: What happened lately, for verdicts.
        draw: A random number from 0 to 1.
        language: Of the errors that we write.
        seen: Told who calls, as ``address:port``; returns at once.
        idle_seconds: The longest silence of a route's upstream, before the head and between bytes.
        barred: Host and port of what is no provider's -> why no app may go there, None when it may.
    """

    clock: Clock
    instance: str
    secret: bytes
    identifier: Identifier
    estimates: Estimates
    store: Store | None
    cache_ttl_seconds: float
    gate: Gate
    upstream: Upstream
    policy: RetryPolicy
    budget: RetryBudget
    breaker: Breaker
    first_bytes: FirstBytes
    sink: EventSink
    draw: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
    recent: Recent
    language: str = "en"
    seen: Callable[[str], None] = unseen
    idle_seconds: Callable[[Route], float] = as_sdks_do
    barred: Callable[[str, int], str | None] = anywhere
