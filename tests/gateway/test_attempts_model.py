"""Whatever becomes of each attempt, the promises about repetition hold: a model beside the whole loop, in memory."""

import asyncio
from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.egress.budget import FLOOR, RATIO, WINDOW_SECONDS
from gateway.egress.retry import Fate, RetryPolicy
from gateway.model.failure import Phase
from gateway.stages import Stages
from tests.gateway.driver import ask, nothing_is_held
from tests.gateway.factories import (
    Answer,
    HandClock,
    ListSink,
    ScriptedUpstream,
    error_answer,
    json_answer,
    stages,
    stream_answer,
)
from tests.gateway.test_attempts import CHAT_EVENT, REFUSED, RESET

DONE = b"data: [DONE]\n\n"
ROUTES = {"chat": (b"/v1/chat/completions", True), "files": (b"/v1/files", False), "unknown": (b"/v1/x", False)}
OVERLOADED_EVENT = b'data: {"error":{"code":"server_is_overloaded","message":"overloaded"}}\n\n'


@dataclass(frozen=True)
class Kind:
    """What an attempt ends in: how far it came, and whether the app gets an answer of the provider's from it."""

    fate: Fate | None
    connects: bool = True
    streams: bool = False


KINDS = {
    "good": Kind(None),
    "good stream": Kind(None, streams=True),
    "not sent": Kind(Fate.NEVER_SENT, connects=False),
    "503": Kind(Fate.REFUSED),
    "529": Kind(Fate.REFUSED),
    "500": Kind(Fate.AMBIGUOUS),
    "504": Kind(Fate.AMBIGUOUS),
    "reset": Kind(Fate.AMBIGUOUS),
    "half a body": Kind(Fate.AMBIGUOUS),
    "empty stream": Kind(Fate.AMBIGUOUS, streams=True),
    "overloaded in a stream": Kind(Fate.AMBIGUOUS, streams=True),
    "400": Kind(Fate.FINAL),
    "401": Kind(Fate.FINAL),
    "quota": Kind(Fate.FINAL),
}


def step(kind: str, number: int) -> Answer | Exception:
    """Script one attempt; its number stands in every body that has one."""
    made: dict[str, Any] = {
        "good": lambda: json_answer({"choices": [], "n": number}),
        "good stream": lambda: stream_answer(CHAT_EVENT, DONE),
        "not sent": lambda: REFUSED,
        "reset": lambda: RESET,
        "half a body": lambda: Answer(headers=((b"content-length", b"99"),), pieces=(b"half", RESET), sized=False),
        "empty stream": stream_answer,
        "overloaded in a stream": lambda: stream_answer(OVERLOADED_EVENT),
        "quota": lambda: error_answer(429, "insufficient_quota", f"n {number}", (b"retry-after", b"1")),
    }
    return made[kind]() if kind in made else error_answer(int(kind), None, f"n {number}")


class Upstream(ScriptedUpstream):
    """Fails each attempt in the phase that its kind says."""

    def __init__(self, kinds: list[str]) -> None:
        self.kinds, self.steps = kinds, [step(kind, number) for number, kind in enumerate(kinds)]
        super().__init__(list(self.steps))

    async def open(self, request: Any, timeline: Any) -> Any:
        kind = self.kinds[len(self.asked)]
        self.phase = Phase.FIRST_BYTE if KINDS[kind].connects else Phase.CONNECT
        return await super().open(request, timeline)


CALLS = st.lists(
    st.tuples(
        st.sampled_from(sorted(ROUTES)),
        st.lists(st.sampled_from(sorted(KINDS)), min_size=3, max_size=3),
        st.sampled_from([0.0, 0.1, 1.0, 11.0]),
    ),
    min_size=1,
    max_size=25,
)


@settings(max_examples=60, deadline=None)
@given(calls=CALLS, strict=st.booleans())
def test_whatever_becomes_of_each_attempt_the_promises_about_repetition_hold(
    calls: list[tuple[str, list[str], float]], strict: bool
) -> None:
    asyncio.run(_serve(calls, strict=strict))


async def _serve(calls: list[tuple[str, list[str], float]], *, strict: bool) -> None:
    clock = HandClock()
    made = stages(clock=clock, policy=RetryPolicy(strict=strict))
    asked_at: list[float] = []
    again_at: list[float] = []
    for number, (route, kinds, pause) in enumerate(calls):
        clock.seconds += pause
        upstream = Upstream(kinds)
        now = Stages(**{name: getattr(made, name) for name in Stages.__slots__} | {"upstream": upstream})
        asked_at.append(clock.now())
        await _one(now, upstream, route, b'{"model":"gpt-5","n":%d}' % number, strict=strict)
        again_at += [clock.now()] * (len(upstream.asked) - 1)
    for at in again_at:
        again, asked = (sum(at - WINDOW_SECONDS < other <= at for other in times) for times in (again_at, asked_at))
        assert again <= FLOOR * 2 + RATIO * asked  # a retry is dated by its call's end: at most one window earlier


async def _one(made: Stages, upstream: Upstream, route: str, body: bytes, *, strict: bool) -> None:
    target, pure = ROUTES[route]
    exchange = await ask(made, target=target, body=body)
    sink = made.sink
    assert isinstance(sink, ListSink)
    row = sink.rows[-1]
    nothing_is_held(made)
    tried = [_fate(kind, route) for kind in upstream.kinds[: len(upstream.asked)]]
    assert {request.body for request in upstream.asked} <= {body}
    assert len(row.answered.attempts) == len(tried) <= 3
    if not tried:
        assert exchange.header("x-whygate-cause") == "proxy.circuit_open"
        return
    for fate in tried[:-1]:
        assert fate in {Fate.NEVER_SENT, Fate.REFUSED, Fate.AMBIGUOUS}
        assert fate is not Fate.AMBIGUOUS or (pure and not strict)
    assert row.answered.possible_duplicate is (Fate.AMBIGUOUS in tried[:-1])
    assert (exchange.header("x-whygate-possible-duplicate") == "true") is row.answered.possible_duplicate
    last = upstream.steps[len(tried) - 1]
    if isinstance(last, Answer) and last.status >= 400:
        assert (exchange.status, exchange.body) == (last.status, last.pieces[0])
    elif tried[-1] is None:
        assert (exchange.status, exchange.ended) == (200, True)
        assert row.diagnosis is None
    else:
        assert row.diagnosis is not None
        assert exchange.status == 502 or (exchange.status, exchange.body) == (200, OVERLOADED_EVENT)


def _fate(kind: str, route: str) -> Fate | None:
    """Say how far an attempt came; where no stream is expected, one is a body like any other."""
    return None if KINDS[kind].streams and route != "chat" else KINDS[kind].fate
