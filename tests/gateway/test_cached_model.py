"""Whatever happens in whatever order: no answer crosses from one key to another, and each call ends once and whole."""

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import orjson
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gateway.cache.backends.memory import MemoryStore
from gateway.egress.connector import Pool
from gateway.egress.send import Outgoing
from gateway.egress.timeline import Timeline
from gateway.model.call import Origin
from gateway.model.failure import NetFailure, Phase
from gateway.stages import Stages
from tests.gateway.driver import Exchange, ask, nothing_is_held
from tests.gateway.factories import (
    Answer,
    HandClock,
    ListSink,
    ScriptedIncoming,
    ScriptedUpstream,
    json_answer,
    stages,
    stream_answer,
)

KEYS = [b"Bearer sk-%d" % number for number in range(5)]
PROMPTS = 1_000
TURNS = 200


@dataclass
class Echo(ScriptedUpstream):
    """A provider that says to whom it speaks and what it was asked, after some turns, in some pieces, or fails.

    Attributes:
        plans: Turns of the loop before the head, turns between events, and whether it fails; the last one stays.
    """

    plans: list[tuple[int, int, str]] = field(default_factory=lambda: [(0, 0, "")])
    served: Counter[bytes] = field(default_factory=Counter)
    billed: int = 0

    async def open(self, request: Outgoing, timeline: Timeline) -> ScriptedIncoming:
        before, between, fails = self.plans.pop(0) if len(self.plans) > 1 else self.plans[0]
        timeline.enter(Phase.FIRST_BYTE)
        document = orjson.loads(request.body)
        text = f"{dict(request.headers)[b'authorization'].decode()} asked {document['messages']}"
        self.served[text.encode()] += 1
        for _ in range(before):
            await asyncio.sleep(0)
        if fails == "refused":
            raise ConnectionRefusedError
        self.billed += 1
        if fails == "error":
            return ScriptedIncoming(json_answer({"error": {"message": text, "type": "x", "code": "x"}}, 400))
        if not document.get("stream"):
            return ScriptedIncoming(json_answer({"text": text}))
        events = [b'data: {"choices":[{"delta":{"content":"%b"}}]}\n\n' % word.encode() for word in text.split()]
        end: list[bytes | Exception] = [ConnectionResetError()] if fails == "breaks" else [b"data: [DONE]\n\n"]
        return Slowly(stream_answer(*events, *end), between)

    async def look(self, _origin: Origin, failure: NetFailure) -> NetFailure:
        return failure

    def pool(self) -> Pool:
        return Pool(0, 0)


class Slowly(ScriptedIncoming):
    def __init__(self, answer: Answer, between: int) -> None:
        super().__init__(answer)
        self._between = between

    async def next(self) -> bytes:
        for _ in range(self._between):
            await asyncio.sleep(0)
        return await super().next()


def _made(upstream: Echo, clock: HandClock | None = None) -> Stages:
    return stages(upstream=upstream, shelf={"store": MemoryStore(16_000_000)}, clock=clock or HandClock())


def _question(prompt: int, *, stream: bool = False) -> bytes:
    return orjson.dumps({"model": "m", "temperature": 0, "messages": prompt, "stream": stream})


def _headers(key: int) -> tuple[tuple[bytes, bytes], ...]:
    return ((b"host", b"api.openai.com"), (b"content-type", b"application/json"), (b"authorization", KEYS[key]))


async def test_of_a_thousand_prompts_by_five_keys_no_answer_crosses_over() -> None:
    upstream = Echo(script=[])
    made = _made(upstream)
    asked = [(key, prompt) for key in range(len(KEYS)) for prompt in range(PROMPTS)] * 2
    random.shuffle(asked)
    crossed = 0
    for key, prompt in asked:
        exchange = await ask(made, body=_question(prompt), headers=_headers(key))
        crossed += orjson.loads(exchange.body)["text"] != f"{KEYS[key].decode()} asked {prompt}"
    assert crossed == 0
    assert upstream.billed == len(KEYS) * PROMPTS
    assert set(upstream.served.values()) == {1}
    assert isinstance(made.sink, ListSink)
    assert Counter(row.cache for row in made.sink.rows) == {"stored": len(asked) // 2, "hit": len(asked) // 2}


_CALLS = st.tuples(
    st.integers(0, TURNS),  # when it comes
    st.integers(0, 1),  # whose key
    st.integers(0, 1),  # which prompt
    st.booleans(),  # a stream
    st.none() | st.integers(0, TURNS),  # when its app hangs up
    st.sampled_from([0.0, 0.0, 10.0, 4_000.0, 100_000.0]),  # how much time passes before it
)
_PLANS = st.tuples(st.integers(0, 60), st.integers(0, 10), st.sampled_from(["", "", "", "error", "refused", "breaks"]))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(calls=st.lists(_CALLS, min_size=1, max_size=12), plans=st.lists(_PLANS, min_size=1, max_size=6))
@example(  # who joins an answer that is whole and hangs up at once, behind the one whose row tells of the request
    calls=[(0, 0, 0, False, None, 0.0)] * 9 + [(83, 1, 1, False, None, 0.0), (89, 1, 1, False, 0, 0.0)],
    plans=[(4, 0, "")],
)
async def test_in_any_order_of_calls_failures_and_goodbyes_each_has_its_own_whole_answer(
    calls: list[tuple[int, int, int, bool, int | None, float]], plans: list[tuple[int, int, str]]
) -> None:
    clock, upstream = HandClock(), Echo(script=[], plans=plans)
    made = _made(upstream, clock)
    running: list[tuple[Exchange, Any]] = []
    coming, going = sorted(calls, key=lambda call: call[0]), []
    for turn in range(2 * TURNS):
        while coming and coming[0][0] <= turn:
            call = coming.pop(0)
            clock.seconds += call[5]
            exchange = Exchange(made, body=_question(call[2], stream=call[3]), headers=_headers(call[1]))
            running.append((exchange, call))
            if call[4] is not None:
                going.append((turn + call[4], exchange))
        for _, exchange in [pair for pair in going if pair[0] <= turn]:
            exchange.hang_up()
        going = [pair for pair in going if pair[0] > turn]
        await asyncio.sleep(0)
    whole = [await exchange.done() for exchange, _ in running]
    for (exchange, call), ended in zip(running, whole, strict=True):
        _is_its_own(exchange, call, ended=ended)
    nothing_is_held(made)
    assert made.cache is not None
    assert not made.cache.flights
    assert isinstance(made.sink, ListSink)
    assert len(made.sink.rows) == len(calls)
    attempts = sum(len(row.answered.attempts) for row in made.sink.rows)
    assert attempts == sum(upstream.served.values()), "what the provider was asked stands in one row each"


def _is_its_own(exchange: Exchange, call: tuple[int, int, int, bool, int | None, float], *, ended: bool) -> None:
    text = f"{KEYS[call[1]].decode()} asked {call[2]}"
    if exchange.status not in {200, 400}:
        return  # it left, or the provider was not reached
    if exchange.status == 400:
        assert orjson.loads(exchange.body)["error"]["message"] == text
    elif not call[3]:
        if ended:
            assert orjson.loads(exchange.body)["text"] == text
    else:
        words = [orjson.loads(line[6:])["choices"][0]["delta"]["content"] for line in _lines(exchange.body)]
        assert words == text.split()[: len(words)]
        if ended:
            assert len(words) == len(text.split())
            assert exchange.body.endswith(b"data: [DONE]\n\n")


def _lines(body: bytes) -> list[bytes]:
    return [line for line in body.split(b"\n\n") if line.startswith(b'data: {"choices"')]
