"""What the gateways of a team tell one another besides counts: which hosts answer nobody, and what limits are known.

They leave notes on two boards in Redis and read them a few times a second, beside the path: no call ever waits for it,
and while Redis is away each goes on with what it knows itself. Of failures, only those of the provider and of what
stands before it are told: what one machine's network does says nothing of another's. Whoever is answered takes the note
about a host away, and that closes the breaker everywhere; a note that nobody renews holds for five seconds.
"""

import asyncio
import itertools
import logging
from importlib import resources
from typing import NamedTuple

import orjson
from redis.asyncio import Redis

from gateway.egress.breaker import Account, Breaker, Open
from gateway.limit.gate import Gate
from gateway.limit.handed import Document, Fact, adopt, gist, known
from gateway.model.cause import Cause, Fault
from gateway.model.clock import Clock
from gateway.redis_link import NonsenseError, RedisLink
from gateway.unreachable import UnreachableError

BEAT_SECONDS = 0.25
LIMITS_EVERY = 4
"""Beats."""

HOST_SECONDS, LIMIT_SECONDS = 5.0, 3_600.0
AGAIN_SECONDS = 60.0
"""A limit that is stated again and again is told again so often."""

ASK_SECONDS = 0.25
"""Nobody waits for it."""

HOSTS_MAX = 200

logger = logging.getLogger("whygate")


class _Note(NamedTuple):
    age_seconds: float
    holds: bool
    text: str


class _Left(NamedTuple):
    """A note to leave; ``renew``: only when it is there yet."""

    text: str
    renew: bool = False


class Board:
    """One board."""

    def __init__(self, link: RedisLink, name: str) -> None:
        self._link, self._name, self._numbers = link, name, itertools.count(1)
        self._script = link.script(resources.files("gateway").joinpath("news.lua").read_text("utf-8"))
        self.read_at_ms = 0
        """When it was read last, in the server's time."""

    async def tell(self, put: dict[str, _Left], drop: list[str], seconds: float, since_ms: int = 0) -> dict[str, _Note]:
        """Leave notes, take some away, and give what is there then and was left since.

        Raises:
            UnreachableError: Redis cannot be asked now, or answers nonsense.
        """
        op = f"{self._name} {next(self._numbers)}"  # an answer to another question is known by it
        notes = [[name, note.text, round(seconds * 1000), int(note.renew)] for name, note in put.items()]
        asked = orjson.dumps({"op": op, "put": notes, "drop": drop, "since": since_ms})

        async def work(redis: Redis) -> dict[str, _Note]:
            answer = await self._script(keys=[self._name], args=[asked], client=redis)
            try:
                said, at_ms, *found = orjson.loads(answer)
                notes = {str(name): _Note(age / 1000, holds == 1, str(text)) for name, age, holds, text in found}
            except (ValueError, TypeError) as error:
                raise NonsenseError from error
            if said != op:
                raise NonsenseError
            self.read_at_ms = int(at_ms)
            return notes

        return await self._link.ask(work, seconds=ASK_SECONDS)


class News:
    """Tells and hears for one gateway. Belongs to one event loop."""

    def __init__(self, link: RedisLink, prefix: str, clock: Clock, gate: Gate, breaker: Breaker) -> None:
        self._link, self._clock, self._gate, self._breaker = link, clock, gate, breaker
        self._hosts, self._limits = Board(link, f"{prefix}news:hosts"), Board(link, f"{prefix}news:limits")
        self._on_board: set[Account] = set()
        self._told_hosts: dict[Account, Open] = {}
        self._told: dict[Fact, tuple[object, float]] = {}
        self._complained = False

    async def run(self) -> None:
        """Tell and hear, until cancelled."""
        beat = 0
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            try:
                await self.hosts()
                if beat % LIMITS_EVERY == 0:
                    await self.limits()
            except UnreachableError:
                if not self._link.is_up:
                    self._forget()
            except Exception:
                if not self._complained:
                    self._complained = True
                    logger.exception("news of other gateways could not be heard")  # and calls go on
            beat += 1

    async def hosts(self) -> None:
        """Open what others found to answer nobody, and close what somebody was answered by."""
        mine = {account: seen for account, seen in self._breaker.opened().items() if _says_something(seen.cause)}
        new = [account for account, seen in mine.items() if self._told_hosts.get(account) != seen][:HOSTS_MAX]
        put = {_name(account): _Left(_text(mine[account]), renew=account in self._on_board) for account in new}
        answered = {account for account in self._on_board if not self._breaker.is_open(account)}
        board = await self._hosts.tell(put, [_name(account) for account in answered], HOST_SECONDS)
        notes = {account: (note, _open(note.text)) for name, note in board.items() if (account := _account(name))}
        for account in self._on_board - answered - notes.keys():
            self._breaker.answered(*account)  # somebody else was
        self._on_board = {account for account, (note, said) in notes.items() if note.holds and said is not None}
        self._told_hosts = {account: seen for account, seen in mine.items() if account in self._on_board}
        for account, (_, said) in notes.items():
            if account in self._on_board and said is not None:
                self._breaker.hear(account, said, self._clock.now())
            else:
                self._breaker.unhear(account)

    async def limits(self) -> None:
        """Take over what others know of limits, and tell what is new here."""
        now, facts = self._clock.now(), known(self._gate)
        put, told = {}, {}
        for fact, document in facts.items():
            before, at = self._told.get(fact, (None, 0.0))
            if (new := gist(document)) != before or now - at >= AGAIN_SECONDS:
                told[fact] = new, now
                put[_name(fact)] = _Left(orjson.dumps(document).decode())
        found = await self._limits.tell(put, [], LIMIT_SECONDS, self._limits.read_at_ms)
        self._told = {fact: told.get(fact) or self._told[fact] for fact in facts}
        for name, note in found.items():
            if name not in put and (parts := _parts(name, len(Fact._fields))) is not None:
                adopt(self._gate, Fact(*parts), _document(note.text), note.age_seconds)

    def _forget(self) -> None:
        """Go on alone: what others said may be over, and everything is told again when they can be asked."""
        for account in self._on_board:
            self._breaker.unhear(account)
        self._on_board.clear()
        self._told_hosts.clear()
        self._told.clear()
        self._limits.read_at_ms = 0


def _says_something(cause: Cause) -> bool:
    return cause.fault is not Fault.NETWORK


def _name(parts: Account | Fact) -> str:
    return orjson.dumps(list(parts)).decode()


def _parts(name: str, count: int) -> list[str] | None:
    try:
        found = orjson.loads(name)
    except ValueError:
        return None
    fits = isinstance(found, list) and len(found) == count and all(isinstance(part, str) for part in found)
    return found if fits else None


def _account(name: str) -> Account | None:
    parts = _parts(name, 2)
    return None if parts is None else (parts[0], parts[1])


def _text(seen: Open) -> str:
    return orjson.dumps([seen.failures, seen.cause.value]).decode()


def _open(text: str) -> Open | None:
    try:
        failures, cause = orjson.loads(text)
        return Open(int(failures), Cause(cause))
    except (ValueError, TypeError):
        return None


def _document(text: str) -> Document | None:
    try:
        found = orjson.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
