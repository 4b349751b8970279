"""What a gateway shares with the others of its team: one way to Redis, and whether limits are counted together."""

import asyncio
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


class Team:
    """One gateway's part in its team; a gateway without Redis has one, too, in which nothing happens.

    Attributes:
        link: None where it is alone; likewise sharing.
    """

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.link = open_link(settings, clock)
        self.sharing: Sharing | None = None
        if self.link is not None:
            counter = RedisCounter(self.link, settings.team.redis_prefix, secrets.token_hex(8))
            self.sharing = Sharing(counter, clock, expected=settings.team.replicas)
            self.link.on_fall(self.sharing.apart)

    async def run(self) -> None:
        """Look after it, until cancelled."""
        if self.link is None or self.sharing is None:
            return
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.link.run())
            tasks.create_task(self.sharing.run())

    async def close(self) -> None:
        """Leave the team, and close the way."""
        if self.link is not None and self.sharing is not None:
            await self.sharing.close()
            await self.link.close()
