"""Limits of all gateways, counted in Redis or Valkey by one script: what it decides is decided for everybody at once.

Names of scopes stand there as digests alone. The script's text says what is kept, and for how long.
"""

from hashlib import sha256
from importlib import resources
from typing import Any

import orjson
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as LostError

from gateway.limit.shared import LEASE_SECONDS, Present, Question, Turn, Word
from gateway.redis_link import NonsenseError, RedisLink

_SCRIPTS = resources.files("gateway.limit.backends")


class RedisCounter:
    """See `gateway.limit.shared.Counter`.

    Args:
        prefix: Begins all names.
        me: Names this gateway; another one at each start.
    """

    def __init__(self, link: RedisLink, prefix: str, me: str) -> None:
        self._link, self._prefix, self._me = link, prefix, me
        self._script = link.script(_SCRIPTS.joinpath("turn.lua").read_text("utf-8"))
        self._presence = link.script(_SCRIPTS.joinpath("presence.lua").read_text("utf-8"))

    async def ask(self, question: Question) -> Turn:
        """See `Counter.ask`. Over a connection that was closed meanwhile it is asked once more, and counted once."""
        op = f"{self._me}.{question.number}"
        digest = sha256(question.scope.encode("utf-8", "surrogatepass")).hexdigest()[:32]
        base = f"{self._prefix}limit:{{{digest}}}"
        keys = [f"{base}:state", f"{base}:line", f"{base}:said:{self._me}"]
        text = self._text(question, op)

        async def work(redis: Redis) -> Turn:
            try:
                answer = await self._script(keys=keys, args=[text], client=redis)
            except LostError:
                answer = await self._script(keys=keys, args=[text], client=redis)
            try:
                return _turn(orjson.loads(answer), op, question)
            except (ValueError, KeyError, TypeError) as error:
                raise NonsenseError from error

        return await self._link.ask(work, writes=True)

    async def present(self, word: Word) -> Present:
        """See `Counter.present`."""
        keys = [f"{self._prefix}{{gateways}}:here", f"{self._prefix}{{gateways}}:ready"]
        args: list[str | int] = [self._me, round(LEASE_SECONDS * 1000), word]

        async def work(redis: Redis) -> Present:
            said = await self._presence(keys=keys, args=args, client=redis)
            try:
                here, ready, known = said
                return Present(int(here), int(ready), known == 1)
            except (ValueError, TypeError) as error:
                raise NonsenseError from error

        return await self._link.ask(work, writes=True)

    def _text(self, question: Question, op: str) -> bytes:
        return orjson.dumps({
            "op": op,
            "me": self._me,
            "meters": [
                [one.id, "window" if one.stepwise else "bucket", one.limit, one.seconds, one.capacity]
                for one in question.meters
            ],
            "items": [list(item) for item in question.items],
            "waiting": {tenant: list(line) for tenant, line in question.waiting.items()},
            "running": question.running,
            "most": question.most,
            "lease": LEASE_SECONDS * 1000,
            "fixes": [[fix.meter + 1, fix.granted_ms, fix.more] for fix in question.fixes],
            "told": question.told or False,
            "whole": question.whole or False,
            "book": question.book,
            "again": question.again,
            "pause": [question.pause[0] * 1000, question.pause[1]] if question.pause else False,
        })  # fmt: skip


def _turn(said: dict[str, Any], op: str, question: Question) -> Turn:
    """Read an answer, and make sure that it is one to this very question."""
    if said["op"] != op:
        raise ValueError(said["op"])
    by = int(said["by"])
    if len(said["ok"]) != len(question.items) or not 0 <= by <= len(question.meters):
        raise ValueError(op)
    return Turn(
        at_ms=float(said["ms"]),
        granted=tuple(one == 1 for one in said["ok"]),
        wait_seconds=said["wait"] / 1000,
        meter=by - 1 if by else None,
        why=str(said["why"]),
        paused_seconds=said["paused"] / 1000,
        reason=str(said["reason"]),
        used=tuple(float(one) for one in said["used"]),
        book=str(said["book"]),
    )
