"""From settings to stages: which providers, which limits, which store."""

import asyncio
import random
import secrets
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from gateway._discover import discover
from gateway.cache import kept
from gateway.cache.backend import Backend
from gateway.cache.backend import Place as Room
from gateway.cache.front import Fronted
from gateway.cache.rule import CacheRule
from gateway.cache.shelf import Shelf
from gateway.configured import providers, ways
from gateway.diagnose.recent import Recent
from gateway.diagnose.remedy import LANGUAGES, words
from gateway.egress.breaker import Breaker
from gateway.egress.budget import RetryBudget
from gateway.egress.dial import Dialer
from gateway.egress.fence import Fence
from gateway.egress.first_bytes import FirstBytes
from gateway.egress.network import Ways
from gateway.egress.retry import RetryPolicy
from gateway.egress.send import Upstream
from gateway.egress.warm import Target
from gateway.identify.estimate import Estimates
from gateway.identify.identify import Identifier
from gateway.identify.locate import Locator, Place, home_of, parted
from gateway.limit.gate import LimitRule
from gateway.limit.sharing import Sharing
from gateway.model.call import Origin
from gateway.model.clock import Clock
from gateway.model.diagnosis import Diagnosis
from gateway.model.event import EventSink
from gateway.model.failure import NetFailure
from gateway.model.fallback import Fallback
from gateway.model.route import Route
from gateway.providers import openai_compatible
from gateway.settings import Settings
from gateway.stages import Stages, Surer, all_well, anywhere, never, no_look, unseen
from gateway.team import TeamParts
from gateway.tenants import Team
from gateway.tenants import limit_rules as rules_of

if TYPE_CHECKING:
    from gateway.redis_link import RedisLink


class Egress(NamedTuple):
    """The way to providers.

    Attributes:
        ways: The ways out of this network.
        bounds: Where apps may go; None where only this machine's own come.
        remarks: A sentence about each variable that is not used.
    """

    dialer: Dialer
    ways: Ways
    bounds: Fence | None
    remarks: tuple[str, ...]


def egress(settings: Settings, env: Mapping[str, str], own_address: Callable[[str, int], bool]) -> Egress:
    """Put together what opens connections.

    Args:
        own_address: Whether an address and port is one of our own listeners.
    """
    out, remarks = ways(settings, env)
    bounds = fence(settings, out)
    ca_file = settings.network.ca_file
    dialer = Dialer(
        ca_file=str(ca_file) if ca_file else None,
        own_address=own_address,
        ways=out,
        barred=None if bounds is None else bounds.bars_address,
    )
    return Egress(dialer, out, bounds, remarks)


def opened_ahead(settings: Settings) -> tuple[Target, ...]:
    """Give the providers to which a connection is kept open."""
    known = {provider.name: provider for provider in providers(settings)}
    wanted = [known[name] for name in dict.fromkeys(settings.network.preconnect)]
    homes = [(provider, home_of(provider)) for provider in wanted]
    return tuple(Target(one.name, home, one.upstream_ca_file) for one, home in homes if home is not None)


def fence(settings: Settings, out: Ways) -> Fence | None:
    """Give the bounds for apps of a listener that others can reach; None where only this machine's own come."""
    return None if settings.listen.address.is_loopback else Fence(*fence_of(settings, out))


def fence_of(settings: Settings, out: Ways) -> tuple[tuple[str, ...], Callable[[str, int], bool]]:
    """Give what a `Fence` is made of."""
    # What is adopted while we run is not in it: its address must be a public one, as that of any other name.
    known = Locator(providers(settings))
    others = {(via.host, via.port) for via in (out.https, out.http) if via is not None}
    others |= {(one.origin.host, one.origin.port) for one in fallbacks(settings) if one.origin is not None}
    return settings.listen.allow_hosts, lambda host, port: known.knows(host, port) or (host, port) in others


def identifier(
    settings: Settings, secret: bytes, estimates: Estimates, *, before: Identifier | None = None
) -> Identifier:
    """Give what gives calls their meaning.

    Args:
        before: The one that it takes the place of: what was adopted while it was in force stays adopted.
    """
    locator = Locator(providers(settings), openai_compatible.PROVIDER)
    if before is not None:
        before.hand_over(locator)
    retry = settings.retry
    return Identifier(locator, secret, estimates, pure_add=retry.pure_add, pure_remove=retry.pure_remove)


def edited_place(
    place_of: Callable[[Origin | None, bytes], Place | None],
    routes: tuple[str, ...],
    origin: Origin | None,
    target: bytes,
) -> Place | None:
    """Give where a request goes that mitmproxy shall have, None for all others.

    Args:
        routes: Globs over ``provider/path``, for example ``openai/v1/chat/*``.
    """
    place = place_of(origin, target) if routes else None
    if place is None:
        return None
    path = place.target.partition(b"?")[0].decode("latin-1")
    return place if any(fnmatchcase(place.provider.name + path, route) for route in routes) else None


def idle_seconds(settings: Settings) -> Callable[[Route], float]:
    """Give how long a route's upstream may be silent: as the first rule that matches says, else the general time."""
    general = float(settings.network.idle_seconds)
    rules = tuple((rule.route, float(rule.seconds)) for rule in settings.network.idle)
    if not rules:
        return lambda _route: general

    def of(route: Route) -> float:
        path = route.provider.name + route.target.partition(b"?")[0].decode("latin-1")
        return next((seconds for glob, seconds in rules if fnmatchcase(path, glob)), general)

    return of


def fallbacks(settings: Settings) -> tuple[Fallback, ...]:
    """Give who answers when a provider does not, in the order in which they are looked at."""
    return tuple(
        Fallback(
            name=rule.name,
            provider=rule.provider,
            model=rule.model,
            causes=rule.causes,
            origin=origin,
            prefix=prefix,
            models=None if rule.models is None else tuple(rule.models.items()),
            text=rule.text or "",
            timeout_seconds=float(rule.timeout_seconds),
        )
        for rule in settings.fallback
        for origin, prefix in ((None, b"") if rule.upstream is None else parted(rule.upstream),)
    )


def limit_rules(settings: Settings) -> tuple[LimitRule, ...]:
    """Give the configured limits."""
    return rules_of(settings.limits.rules)


def cache_backend(settings: Settings) -> str:
    """Give the name of the kind of store: the team's Redis, else a file; memory where others reach the gateway."""
    chosen = settings.cache.backend
    if chosen != "auto":
        return chosen
    if settings.team.redis is not None:
        return "redis"
    return "sqlite" if settings.listen.address.is_loopback and not settings.team.tenants else "memory"


def shelf(
    settings: Settings, clock: Clock, secret: bytes, directory: Path | None, link: "RedisLink | None" = None
) -> Shelf | None:
    """Give the cache, None where it is turned off. Nothing is opened yet."""
    cache = settings.cache
    if not cache.enabled:
        return None
    name = cache_backend(settings)
    backend = discover("gateway.cache.backends", "BACKEND", Backend)[name]
    store = backend.open(Room(cache.max_bytes, directory, secret, link, settings.team.redis_prefix))
    return Shelf(
        Fronted(store) if backend.fronted else store,
        clock,
        secret=secret,
        rules=cache_rules(settings),
        ttl_seconds=float(cache.ttl_seconds),
        stale_seconds=float(cache.stale_if_error_seconds),
        backend_name=name,
        max_bytes=cache.max_bytes,
        repeats_file=None if directory is None else directory / kept.FILE_NAME,
    )


def cache_rules(settings: Settings) -> tuple[CacheRule, ...]:
    """Give the configured rules."""
    return tuple(
        CacheRule(
            name=rule.name,
            provider=rule.provider,
            endpoint=rule.endpoint,
            model=rule.model,
            system_sha256=rule.system_sha256,
            header=tuple((name.encode(), value) for name, value in rule.header.items()),
            match=tuple(rule.match.items()),
            ttl_seconds=float(rule.ttl_seconds),
            shared=rule.shared,
        )
        for rule in settings.cache.rules
    )


def compose(
    settings: Settings,
    clock: Clock,
    secret: bytes,
    sink: EventSink,
    upstream: Upstream,
    *,
    bounds: Fence | None = None,
    seen: Callable[[str], None] = unseen,
    directory: Path | None = None,
    link: "RedisLink | None" = None,
    capture: Callable[[Route | None], bool] = never,
    look: Callable[[Route, Diagnosis, NetFailure | None], Surer | None] = no_look,
    incident: Callable[[str], str] = all_well,
    sharing: Sharing | None = None,
    team: TeamParts | None = None,
) -> Stages:
    """Put the stages together. The cache may keep a file in ``directory``, or what it shares beyond ``link``."""
    for language in {LANGUAGES[0], settings.diagnose.language}:
        words(language)  # read now, not when the first call fails
    limits, retry, estimates = settings.limits, settings.retry, Estimates()
    team = team or TeamParts(Team(), clock)
    return Stages(
        clock=clock,
        instance=secrets.token_hex(8),
        secret=secret,
        identifier=identifier(settings, secret, estimates),
        estimates=estimates,
        cache=shelf(settings, clock, secret, directory, link),
        gate=team.gate(
            limit_rules(settings),
            queue_max=limits.queue_max,
            queue_max_bytes=limits.queue_max_bytes,
            shadow=limits.shadow,
            sharing=sharing,
        ),
        upstream=upstream,
        policy=RetryPolicy(max_attempts=retry.max_attempts, strict=retry.strict),
        budget=RetryBudget(retry.budget_ratio, retry.budget_min),
        breaker=Breaker(),
        first_bytes=FirstBytes(),
        sink=sink,
        draw=random.random,
        sleep=asyncio.sleep,
        recent=Recent(),
        language=settings.diagnose.language,
        seen=seen,
        idle_seconds=idle_seconds(settings),
        capture=capture,
        look=look,
        incident=incident,
        barred=anywhere if bounds is None else bounds.bars,
        fallbacks=fallbacks(settings),
        tenancy=team.tenancy,
    )
