"""What a gateway shares with the others of its team: one way to Redis, and whether limits are counted together."""

import secrets

from gateway.limit.backends.redis import RedisCounter
from gateway.limit.sharing import Sharing
from gateway.model.clock import Clock
from gateway.redis_link import RedisLink
from gateway.settings import Settings


def open_link(settings: Settings, clock: Clock) -> RedisLink | None:
    """Give the way to Redis, None where none is set. Nothing is connected yet."""
    url = settings.team.redis
    return None if url is None else RedisLink(url.get_secret_value(), clock)


def sharing(settings: Settings, clock: Clock, link: RedisLink | None) -> Sharing | None:
    """Give a gateway's part in its team, None where it has none."""
    if link is None:
        return None
    counter = RedisCounter(link, settings.team.redis_prefix, secrets.token_hex(8))
    made = Sharing(counter, clock, expected=settings.team.replicas)
    link.on_fall(made.apart)
    return made
