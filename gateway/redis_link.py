"""The way to Redis or Valkey: asked within milliseconds or not at all.

redis-py 8.1 left to itself holds a command for 4.5 s when the server was killed, and for more than 8 s when it is
frozen: it tries again ten times. Here nothing is tried again, every question has one deadline, and after three failures
in a row nobody asks until a look of its own has found the server well. Whoever asks goes on without it meanwhile.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.commands.core import AsyncScript
from redis.exceptions import ConnectionError as LostError
from redis.exceptions import InvalidResponse, RedisError

from gateway.model.clock import Clock
from gateway.unreachable import UnreachableError

ASK_SECONDS = 0.05
"""A call that is held by a sick server waits so long at most, and three in a row at most."""

FAILURES_MAX = 3
LATE_SECONDS, TRUST_SECONDS = 0.005, 1.0
"""Who looks at the clock so late was busy itself, and that says nothing of a server that answered so lately."""

LOOK_SECONDS, LOOK_LIMIT_SECONDS, LOOKS = 0.5, 1.0, 3
SAY_SECONDS = 60.0
"""The same is said no more often: some servers look well, and refuse each question all the same."""

CONNECTIONS_MAX = 64

logger = logging.getLogger("whygate")


class NonsenseError(RedisError):
    """What was answered is none to what was asked; it may be another's."""


class RedisLink:
    """One server, for everything that a gateway shares.

    Args:
        url: As in the settings; may hold a password, which no text of ours ever repeats.
        prefix: Begins the name of all that is kept there; a server's rules may allow no other.
    """

    def __init__(self, url: str, clock: Clock, prefix: str = "whygate:") -> None:
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=CONNECTIONS_MAX,
            timeout=ASK_SECONDS,
            socket_timeout=LOOK_LIMIT_SECONDS,
            socket_connect_timeout=LOOK_LIMIT_SECONDS,
            retry=Retry(NoBackoff(), 0),
            client_name="whygate",
        )
        self._redis = Redis(connection_pool=pool)
        self._clock, self._prefix = clock, prefix
        self._failures, self._takes_nothing, self._answered_at = 0, False, 0.0
        self._was_late = False
        self._said, self._said_at = "", -SAY_SECONDS
        self.is_missed = False
        """Somebody was told that it cannot be used, and not yet that it can."""
        self._heal: list[Callable[[], None]] = []
        self._fall: list[Callable[[], None]] = []
        self.down_since: float | None = clock.now()
        """Monotonic seconds; None while it answers. It is down until it has been seen well for the first time."""
        self.why = "it has not been asked yet"

    @property
    def is_up(self) -> bool:
        """Whether asking makes sense."""
        return self.down_since is None

    @property
    def advice(self) -> str:
        """What to do about ``why``, after a space; nothing where waiting is all."""
        found = _NEXT.get(self.why, "")
        return found and f" {found}"

    def on_heal(self, told: Callable[[], None]) -> None:
        """Have a function called whenever the server is well again, the first time included."""
        self._heal.append(told)

    def on_fall(self, told: Callable[[], None]) -> None:
        """Have a function called whenever the server is no longer asked."""
        self._fall.append(told)

    async def ask[T](
        self, work: Callable[[Redis], Awaitable[T]], *, seconds: float = ASK_SECONDS, writes: bool = False
    ) -> T:
        """Do something there, within a deadline.

        A question that is cut off closes its connection, so that nobody reads an answer that is another's.

        Args:
            work: May raise `NonsenseError`; no connection is then used again, since one may be an answer behind.
            writes: It always writes. What is only read may be answered by a server that takes nothing.

        Raises:
            UnreachableError: It is down, or did not answer in time, or refused.
        """
        if self.down_since is not None:
            raise UnreachableError(self.why)
        ends_at = (now := asyncio.get_running_loop().time)() + seconds
        try:
            async with asyncio.timeout(seconds):
                found = await work(self._redis)
        except (RedisError, OSError, TimeoutError) as error:
            was_busy = now() - ends_at > LATE_SECONDS and now() - self._answered_at < TRUST_SECONDS
            if isinstance(error, NonsenseError):
                await self._leave()
            if not was_busy:
                self._failed(error)
            raise UnreachableError(reason(error)) from None
        if writes or not self._takes_nothing:
            self._failures, self._takes_nothing = 0, False
        self._answered_at = now()
        return found

    def script(self, text: str) -> AsyncScript:
        """Give a script that is sent once, and by its digest from then on."""
        return self._redis.register_script(text)

    async def look(self, *, soon: bool = False) -> bool:
        """See whether the server takes what is written to it; it may be full, or a replica after a failover.

        Args:
            soon: It has to answer within the deadline of a question: it was left because it did not.
        """
        try:
            async with asyncio.timeout(LOOK_LIMIT_SECONDS):
                await self._write()
            if soon:
                await self._soon()
        except (RedisError, OSError, TimeoutError) as error:
            self._down(reason(error))
            return False
        self._well()
        return True

    async def run(self) -> None:
        """Look after a server that is down, until cancelled."""
        while True:
            if not self.is_up:
                await self.look(soon=self._was_late)
            await asyncio.sleep(LOOK_SECONDS)

    async def close(self) -> None:
        """Close every connection."""
        with contextlib.suppress(RedisError, OSError, TimeoutError):
            await self._redis.aclose(close_connection_pool=True)  # a pool that was given is else left open

    async def _write(self) -> None:
        if await self._redis.set(f"{self._prefix}look", "1", px=5_000) is not True:
            await self._leave()
            raise NonsenseError

    async def _soon(self) -> None:
        """Time it over a connection that is open. Once is enough: this machine may have been busy."""
        for _ in range(LOOKS - 1):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ASK_SECONDS):
                    await self._write()
                return
        async with asyncio.timeout(ASK_SECONDS):
            await self._write()

    async def _leave(self) -> None:
        with contextlib.suppress(RedisError, OSError, TimeoutError):
            async with asyncio.timeout(ASK_SECONDS):
                await self._redis.connection_pool.disconnect(inuse_connections=False)

    def _failed(self, error: BaseException) -> None:
        self._failures += 1
        self._takes_nothing = self._takes_nothing or _code(error) in _TAKES_NOTHING
        if self._failures >= FAILURES_MAX:
            self._down(reason(error))

    def _down(self, why: str) -> None:
        self.why = why
        if self.down_since is None:
            self.down_since = now = self._clock.now()
            self._was_late = why == _LATE
            if why != self._said or now - self._said_at >= SAY_SECONDS:
                self._said, self._said_at, self.is_missed = why, now, True
                logger.warning(
                    "whygate: Redis cannot be used (%s). Calls go on; this gateway keeps to its share of the limits"
                    " until it can.%s",
                    why, self.advice,
                )  # fmt: skip
            for told in self._fall:
                told()

    def _well(self) -> None:
        self._failures, self._takes_nothing = 0, False
        self._answered_at = asyncio.get_running_loop().time()
        if self.down_since is not None:
            if self.is_missed:
                logger.warning("whygate: Redis can be used again, after %.0f s.", self._clock.now() - self.down_since)
            self.down_since, self.why, self.is_missed = None, "", False
            for told in self._heal:
                told()


_LATE = "it did not answer in time"
_CODES = {
    "OutOfMemoryError": "OOM",
    "ReadOnlyError": "READONLY",
    "BusyLoadingError": "LOADING",
    "NoPermissionError": "NOPERM",
    "AuthenticationError": "WRONGPASS",
    "AuthenticationWrongNumberOfArgsError": "WRONGPASS",
    "ClusterDownError": "CLUSTERDOWN",
    "MasterDownError": "MASTERDOWN",
}


_TAKES_NOTHING = {"OOM", "READONLY", "NOREPLICAS", "MISCONF"}
"""What a server answers that takes no writes, however often it is asked."""


_KNOWN = {
    "OOM": ("its memory is full", "Raise its maxmemory, or have it drop what is old (maxmemory-policy)."),
    "READONLY": ("it is a replica that takes nothing", "Name the primary in [team] redis."),
    "NOAUTH": ("it wants a password", "Put it into [team] redis: redis://:PASSWORD@HOST."),
    "WRONGPASS": (
        "it wants a password, or another one",
        "Put the right one into [team] redis: redis://:PASSWORD@HOST.",
    ),
    "NOPERM": (
        "its rules do not allow what is asked",
        "Allow its user all that begins with [team] redis_prefix (ACL).",
    ),
    "LOADING": ("it is still loading its data", ""),
    "BUSY": ("it is busy with a script", "If that lasts, end it: redis-cli SCRIPT KILL."),
    "MISCONF": ("it cannot write to its disk", "Make room on its disk, and read its log."),
    "WRONGTYPE": (
        "another program keeps something under the names used here",
        "Give whygate names of its own ([team] redis_prefix).",
    ),
    "CLUSTERDOWN": ("its cluster is down", ""),
    "MASTERDOWN": ("its primary is gone", ""),
    "NOREPLICAS": ("it has too few replicas to take anything", "Start them, or lower its min-replicas-to-write."),
}
"""What a server says of itself: why it cannot be used, and what ends that where it does not end by itself."""

_NEXT = dict(_KNOWN.values()) | {
    "it cannot be reached": "Start it, or correct [team] redis.",
}


def _code(error: BaseException) -> str:
    # redis-py takes the code off the text where it has a class for it.
    return _CODES.get(type(error).__name__) or str(error).partition(" ")[0]


def reason(error: BaseException) -> str:
    """Say in a few words of ours what is wrong; what the server or a library wrote may hold names and keys."""
    if isinstance(error, TimeoutError):
        return _LATE
    text = _code(error)
    known = _KNOWN.get(text)
    if known is not None:
        return known[0]
    if isinstance(error, NonsenseError | InvalidResponse):
        return "what it answers is no answer to what was asked"
    if isinstance(error, LostError | OSError):
        return "it cannot be reached"
    return f"it did not do what was asked ({type(error).__name__})"
