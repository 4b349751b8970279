"""From settings to stages: which providers, which limits, which store."""

import asyncio
import random
import secrets
from dataclasses import replace

from gateway._discover import discover
from gateway.cache.backend import Backend
from gateway.egress.budget import RetryBudget
from gateway.egress.retry import RetryPolicy
from gateway.egress.send import Upstream
from gateway.identify.estimate import Estimates
from gateway.identify.identify import Identifier
from gateway.identify.locate import Locator
from gateway.limit.gate import Gate, LimitRule
from gateway.model.clock import Clock
from gateway.model.event import EventSink
from gateway.model.provider import Provider
from gateway.providers import openai_compatible
from gateway.settings import Settings
from gateway.stages import Stages


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


def limit_rules(settings: Settings) -> tuple[LimitRule, ...]:
    """Give the configured limits."""
    return tuple(
        LimitRule(
            provider=rule.provider,
            model=rule.model,
            per_second=rule.per_second,
            per_minute=rule.rpm,
            concurrency=rule.concurrency,
        )
        for rule in settings.limits.rules
    )


def compose(settings: Settings, clock: Clock, secret: bytes, sink: EventSink, upstream: Upstream) -> Stages:
    """Put the stages together."""
    cache, limits, estimates = settings.cache, settings.limits, Estimates()
    stores = discover("gateway.cache.backends", "BACKEND", Backend)
    return Stages(
        clock=clock,
        instance=secrets.token_hex(8),
        secret=secret,
        identifier=Identifier(Locator(providers(settings), openai_compatible.PROVIDER), secret, estimates),
        estimates=estimates,
        store=stores["memory"].open(cache.max_bytes) if cache.enabled else None,
        cache_ttl_seconds=float(cache.ttl_seconds),
        gate=Gate(limit_rules(settings), clock, queue_max=limits.queue_max, queue_max_bytes=limits.queue_max_bytes),
        upstream=upstream,
        policy=RetryPolicy(max_attempts=settings.retry.max_attempts),
        budget=RetryBudget(),
        sink=sink,
        draw=random.random,
        sleep=asyncio.sleep,
    )
