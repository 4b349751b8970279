"""The cache of one gateway: its store, the rules, what is under way, and who may read.

Whatever fails here is a miss: a call is asked as if there were no cache, and the page says what is wrong.
"""

import asyncio
import logging
import math
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from gateway.cache import kept
from gateway.cache.backend import Contents, Store, Wanted
from gateway.cache.counts import Counts
from gateway.cache.freshness import can_be_static, kept_headers, use_of
from gateway.cache.key import keys_of
from gateway.cache.repeats import Repeats
from gateway.cache.rule import CacheRule, system_sha256
from gateway.cache.single_flight import Flight
from gateway.files import StateError
from gateway.model.attempt import ReplyHead
from gateway.model.call import Call
from gateway.model.clock import Clock
from gateway.model.decision import Forward, Label, Plan, ServeCached, StoredReply
from gateway.model.provider import Usage
from gateway.model.route import Route

GET_SECONDS = 0.05
"""A store that takes longer is no help: the call is asked."""
REST_SECONDS = 1.0
PUT_SECONDS = 5.0
OPEN_SECONDS = 2.0
SWEEP_SECONDS = 60.0
SAID_SECONDS = 60.0
"""The same trouble of a store that comes and goes is told so often."""
LEFT_SECONDS = 60.0
"""Who hangs up and asks the same again so soon did not like the answer, or its delay."""
REMEMBERED_MAX = 10_000
LEARNED_BYTES_MAX = 65_536
"""Larger requests are not compared with one another: it takes a millisecond, and few come twice."""

logger = logging.getLogger("whygate")


class Counted(NamedTuple):
    """What is counted of a finished call.

    Attributes:
        word: What the cache had to do with it.
        size_bytes: Of a good answer, 0 of any other.
    """

    word: str
    usage: Usage | None
    size_bytes: int


@dataclass(slots=True)
class _Remembered:
    """Something remembered of the last `REMEMBERED_MAX` of a kind."""

    _known: OrderedDict[Hashable, float] = field(default_factory=OrderedDict)

    def add(self, what: Hashable, at: float) -> None:
        self._known[what] = at
        self._known.move_to_end(what)
        if len(self._known) > REMEMBERED_MAX:
            self._known.popitem(last=False)

    def drop(self, what: Hashable) -> float | None:
        return self._known.pop(what, None)

    def __contains__(self, what: Hashable) -> bool:
        return what in self._known


class Shelf:
    """Decides about calls, and keeps and gives answers.

    Args:
        secret: The key of cache keys.
        ttl_seconds: For the built-in rule.
        stale_seconds: How long behind its time an answer still stands in for a provider that fails; 0 for never.
        backend_name: Of the store, for people; so is ``max_bytes``.
        repeats_file: Where it is remembered what comes again and again; None for nowhere.

    Attributes:
        degraded: Why the store cannot be used now, in words; None when it can.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        *,
        secret: bytes,
        rules: tuple[CacheRule, ...] = (),
        ttl_seconds: float = 3600.0,
        stale_seconds: float = 86_400.0,
        backend_name: str = "memory",
        max_bytes: int = 0,
        repeats_file: Path | None = None,
    ) -> None:
        self.rules, self.backend_name, self.max_bytes = rules, backend_name, max_bytes
        self.degraded: str | None = None
        self.repeats, self.counts = Repeats(), Counts()
        self.flights: dict[bytes, Flight] = {}
        self._store, self._clock, self._secret = store, clock, secret
        self._ttl_seconds, self._stale_seconds = ttl_seconds, stale_seconds
        self._repeats_file, self._notes_kept = repeats_file, 0
        self._rests_until, self._said = -math.inf, ("", -math.inf)
        self._epoch = clock.wall() - clock.now()
        self._left, self._refused, self._accepted = _Remembered(), _Remembered(), _Remembered()

    def renew(self, rules: tuple[CacheRule, ...], ttl_seconds: float, stale_seconds: float) -> None:
        """Decide by other rules from the next call on. What is stored is given for no longer than they say."""
        self.rules, self._ttl_seconds, self._stale_seconds = rules, ttl_seconds, stale_seconds

    # life

    async def open(self) -> None:
        """Go on from the time that stands in the store: a clock that was put back makes nothing young again."""
        latest = await self._of_store(self._store.latest, OPEN_SECONDS, 0.0)
        self._epoch = max(self._epoch, latest - self._clock.now())
        if self._repeats_file is not None:
            document = await asyncio.to_thread(kept.read, self._repeats_file)
            if document is not None and not self.repeats.restore(document):
                logger.warning("whygate: %s is damaged; repeated prompts are counted anew.", self._repeats_file)

    async def run(self) -> None:
        """Remove what nobody may have any more and save what was learned, once a minute, until cancelled."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            await self._of_store(lambda: self._store.sweep(self.now()), SWEEP_SECONDS, 0)
            await self._save()

    async def close(self) -> None:
        """Give everything back."""
        await self._save()
        await self._of_store(self._store.close, PUT_SECONDS, None)

    async def _save(self) -> None:
        if self._repeats_file is None or self.repeats.notes == self._notes_kept:
            return
        self._notes_kept = self.repeats.notes
        try:
            await asyncio.to_thread(kept.write, self._repeats_file, self.repeats.document())
        except (StateError, OSError) as error:
            logger.warning("whygate: %s; what is learned of repeated prompts is lost with the next restart.", error)

    def now(self) -> float:
        """Give the cache's own seconds: those since the epoch, but they never go back."""
        return self._epoch + self._clock.now()

    # deciding

    async def decide(self, call: Call, route: Route) -> Forward | ServeCached:
        """Say what is done about a call: what is stored is given, anything else is asked."""
        use = use_of(call, route, self.rules, self._ttl_seconds)
        if not use.rule:
            return Forward(bypass=use.bypass)
        keys = keys_of(call, route, self._secret, lent=use.lent)
        bypass = use.bypass or self._why_not(keys.answer, call, route, lent=use.lent)
        plan = Plan(
            key=keys.answer,
            flight=keys.flight,
            ttl_seconds=use.ttl_seconds,
            read=not bypass,
            lent=use.lent,
            about=Label(
                provider=route.provider.name,
                endpoint=route.endpoint.name,
                model=route.model,
                key="" if use.lent else route.key,
                tenant=route.tenant,
                rule=use.rule,
            ),
        )
        if bypass:
            return Forward(plan=plan, bypass=bypass)
        now = self.now()
        stored = await self._get(plan.key, now)
        if stored is None or stored.fresh_until <= now or stored.stored_at + plan.ttl_seconds <= now:
            return Forward(plan=plan)
        fresh_until = min(stored.fresh_until, stored.stored_at + plan.ttl_seconds)
        return ServeCached(reply=stored, age_seconds=max(0.0, now - stored.stored_at), fresh_seconds=fresh_until - now)

    def _why_not(self, key: bytes, call: Call, route: Route, *, lent: bool) -> str:
        """Say why a call is asked although it could be read; empty when nothing speaks against reading."""
        left_at = self._left.drop((key, _address(call)))
        if left_at is not None and self._clock.now() - left_at < LEFT_SECONDS:
            return "the app hung up on the same call just before"
        who = (route.upstream.host, route.key)
        if who in self._refused:
            return "the provider has refused this key"
        if lent and who not in self._accepted:
            return "the provider has not accepted this key yet"
        return ""

    async def stand_in(self, plan: Plan) -> ServeCached | None:
        """Give what is stored although it may be too old: for a call whose provider fails."""
        now = self.now()
        stored = await self._get(plan.key, now)
        if stored is None or now >= stored.fresh_until + self._stale_seconds:
            return None
        return ServeCached(
            reply=stored, age_seconds=max(0.0, now - stored.stored_at), fresh_seconds=stored.fresh_until - now
        )

    # keeping

    async def keep(self, plan: Plan, head: ReplyHead, body: bytes, usage: Usage | None) -> bool:
        """Store an answer that may be stored; say whether it is."""
        now = self.now()
        tokens = usage or (None, None)
        stored = StoredReply(
            status=head.status,
            headers=kept_headers(head.headers),
            body=body,
            stored_at=now,
            fresh_until=now + plan.ttl_seconds,
            kept_until=now + plan.ttl_seconds + self._stale_seconds,
            label=plan.about,
            tokens_in=tokens[0],
            tokens_out=tokens[1],
        )

        async def put() -> bool:
            await self._store.put(plan.key, stored)
            return True

        return await self._of_store(put, PUT_SECONDS, default=False)

    def left(self, plan: Plan, call: Call) -> None:
        """Note that an app hung up before its answer was whole."""
        self._left.add((plan.key, _address(call)), self._clock.now())

    def heard(self, route: Route, status: int, cause: str | None) -> None:
        """Note what a provider answered to a key: one that it refuses reads nothing from here either."""
        who = (route.upstream.host, route.key)
        if status in {401, 403} and cause is not None and cause.startswith(("auth.", "account.")):
            self._refused.add(who, self._clock.now())
            self._accepted.drop(who)
        elif status < 300:
            self._refused.drop(who)
            self._accepted.add(who, self._clock.now())

    def count(self, call: Call, route: Route, decision: Forward | ServeCached, answered: Counted) -> None:
        """Count a finished call; of one that no rule covers, that it came, so that a rule can be suggested."""
        word, usage, size_bytes = answered
        about = decision.reply.label if isinstance(decision, ServeCached) else decision.plan and decision.plan.about
        tokens = usage or Usage(None, None)
        if about is not None or word == "bypass":
            self.counts.note(word, about or Label(), *tokens)
        elif size_bytes and len(call.body) <= LEARNED_BYTES_MAX and can_be_static(call, route) and route.pure:
            document = route.document or {}
            temperature = document.get("temperature")
            self.repeats.note(
                keys_of(call, route, self._secret).answer,
                Label(provider=route.provider.name, endpoint=route.endpoint.name, model=route.model),
                system_sha256(document),
                *tokens,
                size_bytes,
                self._epoch + call.arrived,
                temperature=float(temperature) if isinstance(temperature, int | float) else None,
                ended=self.now(),
            )

    # for people

    async def contents(self) -> Contents | None:
        """Say what is stored; None when nobody can tell now."""
        return await self._of_store(self._store.contents, PUT_SECONDS, None)

    async def clear(self, wanted: Wanted) -> int:
        """Remove answers, and give how many they were. Raises what the store raises."""
        return await self._store.clear(wanted)

    async def _get(self, key: bytes, now: float) -> StoredReply | None:
        if self._clock.now() < self._rests_until:
            return None
        return await self._of_store(lambda: self._store.get(key, now), GET_SECONDS, None)

    async def _of_store[T, D](self, work: Callable[[], Awaitable[T]], seconds: float, default: D) -> T | D:
        """Ask the store; when it cannot, say so once and go on without."""
        try:
            async with asyncio.timeout(seconds):
                result = await work()
        except Exception as error:  # noqa: BLE001 - a store that fails in whatever way stops no call
            self._say(_words(error))
            if isinstance(error, TimeoutError):  # not every call shall wait for what hangs
                self._rests_until = self._clock.now() + REST_SECONDS
            return default
        self.degraded = None
        return result

    def _say(self, why: str) -> None:
        was, self.degraded = self.degraded, why
        if was is None and (self._said[0] != why or self._clock.now() >= self._said[1] + SAID_SECONDS):
            self._said = (why, self._clock.now())
            logger.warning("whygate: the cache cannot be used now (%s); every call is asked.", why)


def _address(call: Call) -> str:
    return call.client.rpartition(":")[0]


def _words(error: Exception) -> str:
    return "it does not answer in time" if isinstance(error, TimeoutError) else f"{type(error).__name__}: {error}"
