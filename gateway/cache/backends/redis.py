"""Answers in Redis or Valkey: the gateways of a team give one another's, under one cap.

Theory of operation: an answer is one sealed value that Redis forgets by itself. Beside the values stands an index (what
there is, by use and by time), which nobody has to believe: a key's answer counts only when its seal fits. Everything
lies under a name made of the secret, so that a gateway with another secret neither sees nor disturbs it.
"""

import asyncio
import hmac
import json
import logging
import math
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from gateway.cache.backend import Backend, Contents, Place, Size, Store, Wanted
from gateway.cache.backends import _redis_scripts as scripts
from gateway.cache.backends._entries import is_meant, size_bytes
from gateway.cache.backends.memory import MemoryStore
from gateway.cache.seal import DamagedError, seal, unseal
from gateway.model.decision import Label, StoredReply
from gateway.unreachable import UnreachableError

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from gateway.redis_link import RedisLink

TURN_SECONDS, GET_SECONDS = 0.015, 0.03
"""How long a call waits for its turn, and then for Redis. Together less than the shelf allows, so that a failure is
counted by who owns the way to Redis."""
PUT_SECONDS, PUT_BYTES_PER_SECOND = 0.05, 50_000_000
ANSWER_BYTES_MAX = 2_097_152
"""A larger one would not come back in time (4 MiB take 20 ms on one machine), and Redis would seem to be slow."""
REST_SECONDS = 1.0
"""For one step of what no call waits for."""
AT_ONCE_MAX = 16
"""More would only wait for this process's own time, and the limiter needs connections, too."""
GRACE_MS = 60_000
"""A value outlives its time by so much: until the next sweep, value and index go together."""
LIVES_MS_MAX = 366 * 86_400_000
DAMAGED_IN_A_ROW_MAX = 1_000

logger = logging.getLogger("whygate")


class UnusableError(UnreachableError):
    """What lies in Redis under our names cannot be used, or there is too much to ask at once."""


class About(NamedTuple):
    """What the index says of an entry. On the wire: size, time and label as JSON, in this order, a blank between.

    Attributes:
        size_bytes: What it counts.
        label: As JSON.
    """

    size_bytes: int
    stored_at: float
    label: bytes

    @classmethod
    def of(cls, reply: StoredReply) -> Self:
        """Give that of an answer."""
        label = reply.label
        fields = (label.provider, label.endpoint, label.model, label.key, label.tenant, label.rule)
        return cls(size_bytes(reply), reply.stored_at, json.dumps(fields).encode())

    @classmethod
    def read(cls, text: bytes) -> Self:
        """Read it. What makes no sense counts nothing and is of nobody."""
        try:
            size, stored_at, label = text.split(b" ", 2)
            return cls(max(0, int(size)), float(stored_at), label)
        except ValueError:
            return cls(0, math.nan, b"[]")

    def written(self) -> bytes:
        """Give it as it is stored."""
        return b"%d %a %b" % (self.size_bytes, self.stored_at, self.label)


class RedisStore:
    """See `Store`. A method raises `UnreachableError` or `UnusableError` when Redis cannot be used now.

    Args:
        link: The way to Redis; whoever made it closes it.
        prefix: Begins every name.
        max_bytes: Of the entries of all gateways together, as `Contents.size_bytes` counts.
        secret: The key of seals, 32 bytes.
    """

    def __init__(self, link: "RedisLink", prefix: str, max_bytes: int, secret: bytes) -> None:
        self._link, self._max_bytes, self._secret = link, max_bytes, secret
        team = hmac.new(secret, b"whygate cache names", "sha256").hexdigest()[:12]
        self._name = f"{prefix}cache:{team}:"
        self._keys = [self._name + part for part in ("index", "used", "kept", "stored", "answer:")]
        self._at_once = asyncio.Semaphore(AT_ONCE_MAX)
        self._shas: dict[str, str] = {}
        self._damaged = 0

    async def get(self, key: bytes, now: float) -> StoredReply | None:
        """See `Store`."""
        found = await self._run(scripts.GET, key, repr(now), seconds=GET_SECONDS, turn_seconds=TURN_SECONDS)
        if not found:
            return None
        about, sealed = found
        reply = await self._unsealed(key, about, sealed)
        return None if reply is None or now >= reply.kept_until else reply

    async def put(self, key: bytes, reply: StoredReply) -> None:
        """See `Store`. One larger than `ANSWER_BYTES_MAX` is treated as one larger than all room."""
        about = About.of(reply)
        fits = about.size_bytes <= min(self._max_bytes, ANSWER_BYTES_MAX)
        sealed = seal(self._secret, key, reply) if fits else b""
        size = about.size_bytes if fits else self._max_bytes + 1
        lives = min(max(0.0, reply.kept_until - reply.stored_at) * 1000 + GRACE_MS, LIVES_MS_MAX)
        times = (repr(reply.kept_until), repr(reply.stored_at))
        words = (key, sealed, int(lives), about.written(), size, *times, self._max_bytes, scripts.STEP)
        seconds = PUT_SECONDS + len(sealed) / PUT_BYTES_PER_SECOND
        while await self._run(scripts.PUT, *words, seconds=seconds) < 0:
            pass

    async def clear(self, wanted: Wanted) -> int:
        """See `Store`."""
        cleared = 0
        async for entries in self._entries():
            meant = [word for key, text in entries for word in (key, text) if _is_wanted(About.read(text), wanted)]
            if meant:
                cleared += await self._run(scripts.FORGET, *meant)
        return cleared

    async def sweep(self, now: float) -> int:
        """See `Store`."""
        swept, more = 0, 1
        while more:
            gone, more = await self._run(scripts.SWEEP, repr(now), scripts.STEP)
            swept += gone
        return swept

    async def contents(self) -> Contents:
        """See `Store`."""
        kinds: dict[bytes, Size] = {}
        seen: set[bytes] = set()
        async for entries in self._entries():
            for key, text in entries:
                if key not in seen:  # Redis may name one twice
                    seen.add(key)
                    about = About.read(text)
                    count, size = kinds.get(about.label, Size(0, 0))
                    kinds[about.label] = Size(count + 1, size + about.size_bytes)
        by_label: dict[Label, Size] = {}
        for text, more in kinds.items():
            count, size = by_label.get(_label(text), Size(0, 0))
            by_label[_label(text)] = Size(count + more.entries, size + more.size_bytes)
        entries_now, size_now, oldest = await self._run(scripts.SUMS)
        return Contents(entries_now, size_now, 0, float(oldest) if oldest else None, by_label, self._damaged)

    async def latest(self) -> float:
        """See `Store`. Only a sound entry counts."""
        for _ in range(DAMAGED_IN_A_ROW_MAX):
            found = await self._run(scripts.NEWEST)
            if not found:
                break
            key, about, sealed = found
            reply = await self._unsealed(key, about, sealed)
            if reply is not None:
                return reply.stored_at
        return 0.0

    async def close(self) -> None:
        """See `Store`. What is stored stays, for the others."""

    async def _unsealed(self, key: bytes, about: bytes, sealed: bytes) -> StoredReply | None:
        """Give the answer, or drop it and give None where it is not what was stored."""
        try:
            return unseal(self._secret, key, sealed)
        except DamagedError:
            self._damaged += 1
            if self._damaged == 1:
                logger.warning(
                    "whygate: an answer in Redis (%s*) was damaged, or put there by somebody without the secret. It is"
                    " dropped, and so are others like it.",
                    self._name,
                )
        await self._run(scripts.FORGET, key, about)
        return None

    async def _entries(self) -> AsyncIterator[Sequence[tuple[bytes, bytes]]]:
        """Give all entries, some at a time: key, and what the index says of it."""
        cursor = 0
        while True:
            cursor, found = await self._ask(lambda redis, at=cursor: redis.hscan(self._keys[0], at, count=scripts.STEP))
            yield [(field[1:], text) for field, text in found.items() if field.startswith(b"=")]
            if not cursor:
                return

    async def _run(
        self,
        script: str,
        *words: bytes | str | int,
        seconds: float | None = None,
        turn_seconds: float | None = None,
    ) -> Any:
        """Have a script run there, by its digest where it is known there."""

        async def run(redis: "Redis") -> Any:
            from redis.exceptions import NoScriptError  # noqa: PLC0415 - over a second; loaded with the link

            if (sha := self._shas.get(script)) is not None:
                with suppress(NoScriptError):
                    return await redis.evalsha(sha, len(self._keys), *self._keys, *words)
            self._shas[script] = await redis.script_load(script)
            return await redis.evalsha(self._shas[script], len(self._keys), *self._keys, *words)

        return await self._ask(run, seconds, turn_seconds)

    async def _ask(self, work: Any, seconds: float | None = None, turn_seconds: float | None = None) -> Any:
        """Ask when it is our turn. Who waits too long for that has not found Redis to be slow."""
        from redis.exceptions import ResponseError  # noqa: PLC0415 - as above

        async def done(redis: "Redis") -> Any:
            try:
                return await work(redis)
            except ResponseError as error:
                # The server is well, only not this part of it: the link stays up for the others who need it.
                if "WRONGTYPE" in str(error):
                    return UnusableError(f"another program keeps something under {self._name}* in Redis")
                raise

        async with self._turn(turn_seconds or REST_SECONDS):
            found = await self._link.ask(done, seconds=seconds or REST_SECONDS)
        if isinstance(found, UnusableError):
            raise found
        return found

    @asynccontextmanager
    async def _turn(self, seconds: float) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(seconds):
                await self._at_once.acquire()
        except TimeoutError:
            raise UnusableError("too much is asked of Redis at once") from None
        try:
            yield
        finally:
            self._at_once.release()


def _is_wanted(about: About, wanted: Wanted) -> bool:
    label = _label(about.label)
    return (
        (not wanted.key or label.key == wanted.key)
        and (wanted.before is None or about.stored_at < wanted.before)
        and is_meant(label.model, wanted.model)
    )


def _label(text: bytes) -> Label:
    try:
        provider, endpoint, model, key, tenant, rule = map(str, json.loads(text))
    except (ValueError, TypeError, RecursionError):
        return Label()
    return Label(provider=provider, endpoint=endpoint, model=model, key=key, tenant=tenant, rule=rule)


def _open(place: Place) -> Store:
    if place.link is None:
        return MemoryStore(place.max_bytes)
    return RedisStore(place.link, place.prefix, place.max_bytes, place.secret)


BACKEND = Backend(name="redis", open=_open)
