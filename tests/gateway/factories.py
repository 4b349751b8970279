"""Facts for tests of the path: calls, routes and stages with sensible values, each of which a test may replace.

The doubles are a clock that is moved by hand, a draw that is always the same, and `ScriptedUpstream`.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from gateway.cache.backends.memory import MemoryStore
from gateway.cache.shelf import Shelf
from gateway.diagnose.recent import Recent
from gateway.egress.breaker import Breaker
from gateway.egress.budget import RetryBudget
from gateway.egress.connector import Pool
from gateway.egress.first_bytes import FirstBytes
from gateway.egress.retry import RetryPolicy
from gateway.egress.send import Outgoing
from gateway.egress.timeline import Timeline
from gateway.identify.estimate import Estimates
from gateway.identify.identify import Identifier
from gateway.identify.locate import Locator
from gateway.limit.gate import Gate, LimitRule
from gateway.model.attempt import ReplyHead
from gateway.model.call import Call, Headers, Mode, Origin
from gateway.model.event import Live
from gateway.model.exchange import Concluded
from gateway.model.failure import NetFailure, Phase
from gateway.model.flow import FlowRow
from gateway.model.route import Route
from gateway.providers.anthropic import PROVIDER as ANTHROPIC
from gateway.providers.openai import PROVIDER as OPENAI
from gateway.stages import Stages

EPOCH = 1_790_000_000.0
SECRET = bytes(range(32))
OPENAI_ORIGIN = Origin("https", "api.openai.com", 443)
ANTHROPIC_ORIGIN = Origin("https", "api.anthropic.com", 443)
_ids = itertools.count(1)


class HandClock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def now(self) -> float:
        return self.seconds

    def wall(self) -> float:
        return EPOCH + self.seconds

    async def sleep(self, seconds: float) -> None:
        """Let the time pass at once."""
        self.seconds += seconds
        await asyncio.sleep(0)


def a_call(**changes: Any) -> Call:
    values: dict[str, Any] = {
        "id": f"{next(_ids):026d}",
        "arrived_at": EPOCH,
        "arrived": 1000.0,
        "client": "127.0.0.1:50123",
        "mode": Mode.PROXY,
        "method": "POST",
        "origin": OPENAI_ORIGIN,
        "target": b"/v1/chat/completions",
        "headers": (
            (b"host", b"api.openai.com"),
            (b"content-type", b"application/json"),
            (b"authorization", b"Bearer sk-test"),
        ),
        "body": b'{"model":"gpt-5","messages":[{"role":"user","content":"hello"}]}',
    }
    return Call(**(values | changes))


def with_headers(call: Call, *more: tuple[bytes, bytes]) -> Headers:
    return (*call.headers, *more)


def an_identifier() -> Identifier:
    return Identifier(Locator((OPENAI, ANTHROPIC)), SECRET, Estimates())


def a_route(call: Call | None = None, **changes: Any) -> Route:
    """Give the route that identify gives, with changes."""
    route = an_identifier().route(call or a_call())
    assert route is not None
    values = {name: getattr(route, name) for name in Route.__slots__}
    return Route(**(values | changes))


@dataclass
class Answer:
    """What a scripted provider answers.

    Attributes:
        pieces: Of the body. An exception is raised, an event is waited for.
    """

    status: int = 200
    headers: Sequence[tuple[bytes, bytes]] = ((b"content-type", b"application/json"),)
    pieces: Sequence[bytes | Exception | asyncio.Event] = ()
    sized: bool = True
    aborted: bool = False
    ended: bool = False

    @property
    def head(self) -> ReplyHead:
        headers = tuple(self.headers)
        if self.sized:
            size = sum(len(piece) for piece in self.pieces if isinstance(piece, bytes))
            headers += ((b"content-length", b"%d" % size),)
        return ReplyHead(status=self.status, headers=headers)


def json_answer(document: object, status: int = 200, *headers: tuple[bytes, bytes]) -> Answer:
    return Answer(
        status=status, headers=((b"content-type", b"application/json"), *headers), pieces=(orjson.dumps(document),)
    )


def error_answer(status: int, code: str | None, message: str = "no", *headers: tuple[bytes, bytes]) -> Answer:
    return json_answer({"error": {"message": message, "type": "x", "param": None, "code": code}}, status, *headers)


def stream_answer(*pieces: bytes | Exception | asyncio.Event) -> Answer:
    return Answer(headers=((b"content-type", b"text/event-stream; charset=utf-8"),), pieces=pieces, sized=False)


class ScriptedIncoming:
    """One answer of a scripted provider."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.head = answer.head
        self._left = list(answer.pieces)
        self.taken = 0

    async def next(self) -> bytes:
        await asyncio.sleep(0)
        while self._left and isinstance(gate := self._left[0], asyncio.Event):
            await gate.wait()
            del self._left[0]
        piece = self._left.pop(0) if self._left else b""
        if isinstance(piece, Exception):
            raise piece
        assert isinstance(piece, bytes)
        self.taken += 1
        self._answer.ended = not piece
        return piece

    async def all(self, limit_bytes: int) -> bytes:
        body = b""
        while len(body) <= limit_bytes and (part := await self.next()):
            body += part
        return body

    def abort(self) -> None:
        self._answer.aborted = True


@dataclass
class ScriptedUpstream:
    """A provider that answers by heart, one entry an attempt; an exception is raised, an event is waited for first.

    Attributes:
        phase: That in which exceptions are raised.
    """

    script: list[Answer | Exception | asyncio.Event]
    phase: Phase = Phase.FIRST_BYTE
    asked: list[Outgoing] = field(default_factory=list)
    uploads: list[bytes] = field(default_factory=list)
    incoming: list[ScriptedIncoming] = field(default_factory=list)

    async def open(self, request: Outgoing, timeline: Timeline) -> ScriptedIncoming:
        self.asked.append(request)
        timeline.enter(self.phase)
        if request.rest is not None:  # in a task of its own, as the real client does
            done, _ = await asyncio.wait({asyncio.ensure_future(self._take(request.rest))})
            done.pop().result()
        step = self.script.pop(0)
        while isinstance(step, asyncio.Event):
            await step.wait()
            step = self.script.pop(0)
        if isinstance(step, Exception):
            raise step
        self.incoming.append(ScriptedIncoming(step))
        return self.incoming[-1]

    async def look(self, _origin: Origin, failure: NetFailure) -> NetFailure:
        return failure

    def pool(self) -> Pool:
        return Pool(0, 0)

    async def close(self) -> None:
        pass

    async def _take(self, rest: AsyncIterator[bytes]) -> None:
        async for part in rest:
            self.uploads.append(part)


@dataclass
class ListSink:
    """Keeps what the path tells; asserts that a call ends once."""

    open: dict[str, Live] = field(default_factory=dict)
    rows: list[Concluded] = field(default_factory=list)

    def opened(self, live: Live) -> None:
        self.open[live.call.id] = live

    def closed(self, live: Live, concluded: Concluded) -> None:
        assert self.open.pop(live.call.id) is live
        self.rows.append(concluded)

    def recorded(self, row: FlowRow) -> None:
        raise AssertionError


def a_shelf(clock: HandClock, **how: Any) -> Shelf:
    """Give a cache in memory."""
    return Shelf(how.pop("store", None) or MemoryStore(1_000_000), clock, secret=SECRET, **how)


def stages(*script: Answer | Exception | asyncio.Event, rules: Sequence[LimitRule] = (), **changes: Any) -> Stages:
    """Give stages that ask a scripted provider, with a clock that sleeping moves.

    Args:
        shelf: What the cache is made with; without it there is none.
    """
    clock = changes.pop("clock", None) or HandClock()
    shelf: dict[str, Any] | None = changes.pop("shelf", None)
    estimates = Estimates()
    values: dict[str, Any] = {
        "clock": clock,
        "instance": "this-gateway",
        "secret": SECRET,
        "identifier": Identifier(Locator((OPENAI, ANTHROPIC)), SECRET, estimates),
        "estimates": estimates,
        "cache": a_shelf(clock, **shelf) if shelf is not None else None,
        "gate": Gate(rules, clock, queue_max=10, queue_max_bytes=1_000_000),
        "upstream": ScriptedUpstream(list(script)),
        "policy": RetryPolicy(),
        "budget": RetryBudget(),
        "breaker": Breaker(),
        "first_bytes": FirstBytes(),
        "sink": ListSink(),
        "draw": lambda: 0.5,
        "sleep": getattr(clock, "sleep", asyncio.sleep),
        "recent": Recent(),
    }
    return Stages(**(values | changes))


async def parts(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
