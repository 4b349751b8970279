"""From settings to stages: which providers, which limits, which store."""

import asyncio
import random
import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import NamedTuple

from gateway._discover import discover
from gateway.cache.backend import Backend
from gateway.diagnose.recent import Recent
from gateway.diagnose.remedy import LANGUAGES, words
from gateway.egress.breaker import Breaker
from gateway.egress.budget import RetryBudget
from gateway.egress.dial import Dialer
from gateway.egress.fence import Fence
from gateway.egress.first_bytes import FirstBytes
from gateway.egress.network import Ways, is_same, parse_via, ways_from
from gateway.egress.retry import RetryPolicy
from gateway.egress.send import Upstream
from gateway.egress.warm import Target
from gateway.identify.estimate import Estimates
from gateway.identify.identify import Identifier
from gateway.identify.locate import Locator, Place, home_of
from gateway.limit.gate import Gate, LimitRule
from gateway.model.call import Origin
from gateway.model.clock import Clock
from gateway.model.event import EventSink
from gateway.model.provider import Provider
from gateway.model.route import Route
from gateway.providers import openai_compatible
from gateway.settings import Settings
from gateway.stages import Stages, anywhere, unseen


def providers(settings: Settings) -> tuple[Provider, ...]:
    """Give the built-in providers with the configured changes, and the configured new ones."""
    kinds = discover("gateway.providers", "PROVIDER", Provider)
    known = {provider.name: provider for provider in kinds.values()}
    for entry in settings.providers:
        base = known.get(entry.name) or replace(kinds[entry.kind], name=entry.name, hosts=(), base_url_variables=())
        known[entry.name] = replace(
            base,
            hosts=(*base.hosts, *entry.hosts),
            upstream=entry.upstream or base.upstream,
            upstream_ca_file=str(entry.upstream_ca_file) if entry.upstream_ca_file else base.upstream_ca_file,
        )
    return tuple(known.values())


def ways(settings: Settings, env: Mapping[str, str]) -> tuple[Ways, tuple[str, ...]]:
    """Give the ways out of this network, and a sentence about each variable that is not used.

    A shell that took its variables from a gateway names that gateway as its proxy: it is never its own way out.
    """
    network = settings.network
    found, problems = ways_from(env)
    remarks = [f"{name} is not used: expected {expected}." for name, expected in problems]
    if network.proxy is not None:
        text = network.proxy.get_secret_value()
        via = None if text == "none" else parse_via(text)
        found, remarks = replace(found, https=via, http=via), []
    own = settings.listen.address
    https, http = (
        None if via is None or is_same(via, own.host, own.port) else via for via in (found.https, found.http)
    )
    if (https, http) != (found.https, found.http):
        remarks.append(f"the proxy variables name {own}, which is this gateway itself; it goes straight instead.")
        found = replace(found, https=https, http=http)
    return replace(found, no_proxy=(*found.no_proxy, *network.no_proxy)), tuple(remarks)


class Egress(NamedTuple):
    """The way to providers.

    Attributes:
        bounds: Where apps may go; None where only this machine's own come.
        remarks: A sentence about each variable that is not used.
    """

    dialer: Dialer
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
    return Egress(dialer, bounds, remarks)


def opened_ahead(settings: Settings) -> tuple[Target, ...]:
    """Give the providers to which a connection is kept open."""
    known = {provider.name: provider for provider in providers(settings)}
    wanted = [known[name] for name in dict.fromkeys(settings.network.preconnect)]
    homes = [(provider, home_of(provider)) for provider in wanted]
    return tuple(Target(one.name, home, one.upstream_ca_file) for one, home in homes if home is not None)


def fence(settings: Settings, out: Ways) -> Fence | None:
    """Give the bounds for apps of a listener that others can reach; None where only this machine's own come."""
    if settings.listen.address.is_loopback:
        return None
    # What is adopted while we run is not in it: its address must be a public one, as that of any other name.
    known = Locator(providers(settings))
    proxies = {(via.host, via.port) for via in (out.https, out.http) if via is not None}
    return Fence(settings.listen.allow_hosts, lambda host, port: known.knows(host, port) or (host, port) in proxies)


def edited_place(identifier: Identifier, routes: tuple[str, ...], origin: Origin | None, target: bytes) -> Place | None:
    """Give where a request goes that mitmproxy shall have, None for all others.

    Args:
        routes: Globs over ``provider/path``, for example ``openai/v1/chat/*``.
    """
    place = identifier.place(origin, target)
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


def limit_rules(settings: Settings) -> tuple[LimitRule, ...]:
    """Give the configured limits."""
    return tuple(
        LimitRule(
            provider=rule.provider,
            model=rule.model,
            per_second=rule.per_second,
            per_minute=rule.rpm,
            per_hour=rule.rph,
            per_day=rule.rpd,
            tokens_per_minute=rule.tpm,
            tokens_per_day=rule.tpd,
            concurrency=rule.concurrency,
            burst=rule.burst,
            together=rule.together,
        )
        for rule in settings.limits.rules
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
) -> Stages:
    """Put the stages together."""
    for language in {LANGUAGES[0], settings.diagnose.language}:
        words(language)  # read now, not when the first call fails
    cache, limits, retry, estimates = settings.cache, settings.limits, settings.retry, Estimates()
    stores = discover("gateway.cache.backends", "BACKEND", Backend)
    return Stages(
        clock=clock,
        instance=secrets.token_hex(8),
        secret=secret,
        identifier=Identifier(
            Locator(providers(settings), openai_compatible.PROVIDER),
            secret,
            estimates,
            pure_add=retry.pure_add,
            pure_remove=retry.pure_remove,
        ),
        estimates=estimates,
        store=stores["memory"].open(cache.max_bytes) if cache.enabled else None,
        cache_ttl_seconds=float(cache.ttl_seconds),
        gate=Gate(
            limit_rules(settings),
            clock,
            queue_max=limits.queue_max,
            queue_max_bytes=limits.queue_max_bytes,
            shadow=limits.shadow,
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
        barred=anywhere if bounds is None else bounds.bars,
    )
