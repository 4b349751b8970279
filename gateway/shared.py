"""What the gateways of a team have in common: the way to Redis, and one secret."""

import asyncio
import hashlib
import logging
import os
import re
import secrets
import stat
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.files import StateError
from gateway.model.clock import Clock
from gateway.ports import StartError
from gateway.settings import Settings
from gateway.state import State

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from gateway.budgets_redis import RedisBudgets
    from gateway.egress.breaker import Breaker
    from gateway.limit.gate import Gate
    from gateway.limit.sharing import Sharing
    from gateway.redis_link import RedisLink

SECRET_BYTES = 32
SECRET_FILE_BYTES_MAX = 65_536
_MEET_SECONDS = 1.0
_SECRET = re.compile(rb"[0-9a-f]{64}")

logger = logging.getLogger("whygate")


def open_link(settings: Settings, clock: Clock) -> "RedisLink | None":
    """Give the way to Redis, None where none is set. Nothing is asked yet."""
    if settings.team.redis is None:
        return None
    from gateway.redis_link import RedisLink  # noqa: PLC0415 - over a second of imports; who works alone does not pay

    return RedisLink(settings.team.redis.get_secret_value(), clock, settings.team.redis_prefix)


def _sharing(link: "RedisLink", settings: Settings, clock: Clock) -> "Sharing":
    from gateway.limit.backends.redis import RedisCounter  # noqa: PLC0415 - as above
    from gateway.limit.sharing import Sharing  # noqa: PLC0415

    counter = RedisCounter(link, settings.team.redis_prefix, secrets.token_hex(8))
    made = Sharing(counter, clock, expected=settings.team.replicas)
    link.on_fall(made.apart)
    return made


def own_secret(settings: Settings, state: State) -> bytes:
    """Give the 32 bytes that this gateway begins with: from the team's file, else from the state directory.

    Raises:
        StateError: The file is of no use.
    """
    path = settings.team.secret_file
    return state.fingerprint_key() if path is None else _read(path)


class Shared:
    """What one gateway has of its team; it may be alone.

    Args:
        own: What `own_secret` gave.

    Attributes:
        link: The way to Redis; None where none is set.
        secret: Keys fingerprints and seals, 32 bytes. Final once `meet` is over.
        sharing: Whether limits are counted together; None where it is alone.
    """

    def __init__(self, settings: Settings, clock: Clock, own: bytes) -> None:
        self.link = open_link(settings, clock)
        self.secret = own
        self.sharing = None if self.link is None else _sharing(self.link, settings, clock)
        self._has_file = settings.team.secret_file is not None
        self._name = f"{settings.team.redis_prefix}secret"
        self._prefix, self._clock = settings.team.redis_prefix, clock
        self._budgets: RedisBudgets | None = None
        self._is_shared = False

    async def meet(self) -> None:
        """Look whether Redis is there; without a file, take the secret that lies there, or leave a new one.

        Raises:
            StartError: What lies there is none.
        """
        if self.link is None:
            return
        if await self.link.look() and (self._has_file or await self._has_agreed()):
            if self.sharing is not None:
                await self.sharing.begin(_MEET_SECONDS)
            return
        alone = (
            "this gateway goes on without it until it answers"
            if self._has_file
            else "this gateway takes a secret of its own. Until it is started again, it shares no answers with others"
            " and names keys differently ([team] secret_file gives one to them all)"
        )
        why = self.link.why or "it did not answer in time"
        logger.warning("whygate: Redis cannot be used (%s); %s.%s", why, alone, self.link.advice)
        self.link.is_missed = not self.link.is_up

    async def run(self) -> None:
        """Look after the way to Redis, until cancelled. A server that came back empty is given the secret again."""
        if self.link is None:
            return
        healed = asyncio.Event()
        if self._is_shared:
            self.link.on_heal(healed.set)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.link.run())
            if self.sharing is not None:
                tasks.create_task(self.sharing.run())
            if self._budgets is not None:
                tasks.create_task(self._budgets.run())
            while await healed.wait():
                healed.clear()
                await self._leave()

    def view(self) -> dict[str, Any] | None:
        """Say how it fares, None where this gateway is alone; ``why`` is None while all count together."""
        if self.link is None or self.sharing is None:
            return None
        state = "together" if self.sharing.together else "apart"
        why = f"Redis: {self.link.why}" if self.link.why else "the gateways are about to meet"
        return {"state": state, "gateways": self.sharing.replicas, "why": None if self.sharing.together else why}

    def parts(self) -> dict[str, Callable[[], bool]]:
        """Say, for the figures, whether it does not work as it should; nothing where this gateway is alone."""
        sharing = self.sharing
        return {} if sharing is None else {"team": lambda: not sharing.together}

    def budgets(self) -> "RedisBudgets | None":
        """Give where budgets are counted for all gateways, None where this one is alone. `run` runs it, too."""
        if self.link is None:
            return None
        from gateway.budgets_redis import RedisBudgets  # noqa: PLC0415 - as the link

        self._budgets = RedisBudgets(self.link, self._prefix)
        return self._budgets

    def news(self, gate: "Gate", breaker: "Breaker") -> "list[Coroutine[Any, Any, None]]":
        """Give what tells the others which hosts answer nobody and what limits are known, and hears the same."""
        if self.link is None:
            return []
        from gateway.news import News  # noqa: PLC0415 - as the link

        return [News(self.link, self._prefix, self._clock, gate, breaker).run()]

    async def close(self) -> None:
        """Leave the team, and close every connection."""
        if self.sharing is not None:
            await self.sharing.close()
        if self.link is not None:
            await self.link.close()

    async def _has_agreed(self) -> bool:
        from gateway.unreachable import UnreachableError  # noqa: PLC0415 - loaded with the link

        try:
            self.secret = await self._agreed(secrets.token_bytes(SECRET_BYTES))
        except UnreachableError:
            return False
        self._is_shared = True
        return True

    async def _leave(self) -> None:
        from gateway.unreachable import UnreachableError  # noqa: PLC0415 - loaded with the link

        try:
            is_same = await self._agreed(self.secret) == self.secret
        except (UnreachableError, StartError):
            return
        if not is_same:
            logger.warning(
                "whygate: Redis lost the team's secret, and another gateway has made a new one. Start this one again"
                " to share with it ([team] secret_file spares that)."
            )

    async def _agreed(self, proposed: bytes) -> bytes:
        """Leave a secret unless there is one; give the one that counts."""
        assert self.link is not None

        async def leave_and_read(redis: "Redis") -> object:
            await redis.set(self._name, proposed.hex(), nx=True)
            return await redis.get(self._name)

        found = await self.link.ask(leave_and_read, seconds=_MEET_SECONDS)
        if not isinstance(found, bytes) or not _SECRET.fullmatch(found):
            what = f"What lies in Redis under {self._name} is no secret of whygate's"
            fix = f"Remove it (redis-cli DEL {self._name}), choose another redis_prefix, or set secret_file."
            raise StartError(what, "[team] redis_prefix", fix)
        return bytes.fromhex(found.decode())


def _read(path: Path) -> bytes:
    fix = f"Make one and give it to all gateways: (umask 077; openssl rand -hex 32 > {path})"
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        raise StateError(f"The team's secret cannot be read ({error.strerror})", path, fix) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise StateError("The team's secret is no plain file", path, fix)
    with os.fdopen(descriptor, "rb") as file:
        text = file.read(SECRET_FILE_BYTES_MAX + 1).rstrip(b"\r\n")
    if len(text) > SECRET_FILE_BYTES_MAX:
        raise StateError(f"The team's secret is larger than {SECRET_FILE_BYTES_MAX:,} bytes", path, fix)
    if len(text) < SECRET_BYTES:
        what = f"The team's secret is too short ({len(text)} bytes instead of {SECRET_BYTES} or more)"
        raise StateError(what, path, fix)
    return hashlib.sha256(text).digest()
