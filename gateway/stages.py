"""What the path works with: one frozen object, put together by `gateway.app` (or by a test)."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from gateway.cache.shelf import Shelf
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
from gateway.model.diagnosis import Diagnosis
from gateway.model.event import EventSink
from gateway.model.failure import NetFailure
from gateway.model.fallback import Fallback
from gateway.model.route import Route
from gateway.tenancy import NOBODY, Tenancy


def anywhere(_host: str, _port: int) -> str | None:
    """Bar nothing."""
    return None


def unseen(_client: str) -> None:
    """Look at nobody."""


type Surer = Callable[[Diagnosis], Awaitable[Diagnosis]]
"""Gives a verdict with what a second look found, once that is over."""


def no_look(_route: Route, _diagnosis: Diagnosis, _failure: NetFailure | None) -> Surer | None:
    """Look at nothing a second time."""
    return None


def all_well(_provider: str) -> str:
    """Know of no incident."""
    return ""


def never(_route: Route | None) -> bool:
    """Keep no bodies."""
    return False


def as_sdks_do(_route: Route) -> float:
    """Bear silence for as long as the official SDKs do."""
    return IDLE_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Stages:
    """The stages and what they share.

    Attributes:
        instance: Marks requests to this machine, so that a circle is seen.
        secret: The key of fingerprints and cache keys, 32 bytes.
        cache: None when it is off.
        breaker: Hosts that answer nobody.
        first_bytes: How long answers take to begin.
        recent: What happened lately, for verdicts.
        draw: A random number from 0 to 1.
        language: Of the errors that we write.
        seen: Told who calls, as ``address:port``; returns at once.
        idle_seconds: The longest silence of a route's upstream, before the head and between bytes.
        capture: Whether whole bodies are to be kept of a call.
        barred: Host and port of what is no provider's -> why no app may go there, None when it may.
        look: Begins a second look at what a call failed of, and returns at once; None where there is none.
        incident: Provider's name -> what its status page says goes on, empty when nothing is known.
        fallbacks: Who answers when a provider does not; the first that fits a call counts.
        tenancy: What is open to whom, and how much of it.
    """

    clock: Clock
    instance: str
    secret: bytes
    identifier: Identifier
    estimates: Estimates
    cache: Shelf | None
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
    capture: Callable[[Route | None], bool] = never
    look: Callable[[Route, Diagnosis, NetFailure | None], Surer | None] = no_look
    incident: Callable[[str], str] = all_well
    fallbacks: tuple[Fallback, ...] = ()
    tenancy: Tenancy = NOBODY
