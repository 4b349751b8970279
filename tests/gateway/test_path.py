"""The path in memory: whatever happens, one outcome, one row, and nothing held."""

import asyncio
from typing import Any

import httpx2
import orjson
import pytest

from gateway.asgi import Gateway
from gateway.limit.gate import LimitRule
from gateway.model.call import Mode, Origin
from gateway.model.cause import Cause
from gateway.model.flow import State
from gateway.stages import Stages
from tests.gateway.driver import CHAT, HEADERS, Exchange, ask, nothing_is_held, only_row, until
from tests.gateway.factories import (
    HandClock,
    ListSink,
    ScriptedUpstream,
    error_answer,
    json_answer,
    stages,
    stream_answer,
)

GOOD = {
    "choices": [{"message": {"content": "hi", "refusal": None}}],
    "usage": {"prompt_tokens": 7, "completion_tokens": 2},
}
STATIC = b'{"model":"gpt-5","temperature":0,"messages":[]}'
EVENTS = (b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n', b"data: [DONE]\n\n")


def _upstream(made: Stages) -> ScriptedUpstream:
    assert isinstance(made.upstream, ScriptedUpstream)
    return made.upstream


def _rows(made: Stages) -> list[Any]:
    assert isinstance(made.sink, ListSink)
    return made.sink.rows


async def test_a_good_answer_goes_through_with_our_marks_on_it() -> None:
    made = stages(json_answer(GOOD, 200, (b"x-request-id", b"req_1")))
    exchange = await ask(made)
    assert exchange.status == 200
    assert exchange.body == orjson.dumps(GOOD)
    assert exchange.header("x-request-id") == "req_1"
    assert exchange.header("x-whygate-attempts") == "1"
    assert exchange.header("x-whygate-cause") is None
    row = only_row(made)
    assert row.diagnosis is None
    assert row.answered.outcome.complete
    assert row.answered.outcome.usage == (7, 2)
    assert exchange.header("x-whygate-flow-id") == row.answered.admitted.call.id
    assert (len(row.answered.attempts), row.cache) == (1, "none")


async def test_what_the_app_asked_is_what_the_provider_gets() -> None:
    made = stages(json_answer(GOOD))
    await ask(made, target=b"/v1/chat/completions?x=%2F", headers=(*HEADERS, (b"x-whygate-timeout-ms", b"9")))
    (asked,) = _upstream(made).asked
    assert (asked.method, asked.target, asked.body) == ("POST", b"/v1/chat/completions?x=%2F", CHAT)
    assert asked.headers == (*HEADERS, (b"content-length", b"%d" % len(CHAT)))


async def test_a_base_url_reaches_the_provider_through_any_http_client() -> None:
    """Through httpx2's own ASGI transport."""
    made = stages(json_answer(GOOD), error_answer(401, "invalid_api_key"), error_answer(401, "invalid_api_key"))
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(Gateway(made)), base_url="http://127.0.0.1:8080"
    ) as http:
        good = await http.post("/openai/v1/chat/completions", content=CHAT, headers={"authorization": "Bearer sk-test"})
        bad = await http.post("/openai/v1/chat/completions", content=CHAT, headers={"authorization": "Bearer sk-old"})
        none = await http.post("/openai/v1/chat/completions", content=CHAT)
    assert (good.status_code, good.json()) == (200, GOOD)
    assert (bad.status_code, bad.headers["x-whygate-cause"]) == (401, "auth.invalid_key")
    assert (none.status_code, none.headers["x-whygate-cause"]) == (401, "auth.missing_key")
    assert dict(_upstream(made).asked[0].headers)[b"host"] == b"api.openai.com"
    assert [row.answered.admitted.call.mode for row in _rows(made)] == [Mode.BASE_URL] * 3


# refused


async def test_a_request_to_another_host_is_carried_without_an_opinion() -> None:
    """Its 404 is none of our business; that it cannot be reached is."""
    elsewhere: dict[str, Any] = {"origin": Origin("http", "example.com", 80), "headers": ()}
    made = stages(json_answer({"no": "thing"}, 404))
    exchange = await ask(made, **elsewhere)
    assert (exchange.status, exchange.body) == (404, b'{"no":"thing"}')
    assert exchange.header("x-whygate-flow-id") is None
    assert exchange.header("x-whygate-cause") is None
    assert only_row(made).diagnosis is None


@pytest.mark.parametrize(
    ("how", "status", "cause"),
    [
        ({"headers": (*HEADERS, (b"x-whygate-hop", b"this-gateway"))}, 508, Cause.PROXY_LOOP_DETECTED),
        ({"headers": ((b"host", b"evil.example"),)}, 421, Cause.CLIENT_MALFORMED_REQUEST),
        ({"origin": None, "target": b"/openai/v1/models"}, 403, Cause.PROXY_DESTINATION_BLOCKED),
        ({"origin": None, "target": b"/nobody/v1/models", "headers": ((b"host", b"localhost:1"),)}, 404, Cause.REQUEST_INVALID_URL),
    ],
    ids=["a loop", "another host", "a foreign page", "an unknown base URL"],
)  # fmt: skip
async def test_a_refusal_names_its_cause_in_the_shape_of_an_error(
    how: dict[str, Any], status: int, cause: Cause
) -> None:
    made = stages()
    exchange = await ask(made, **how)
    assert exchange.status == status
    assert orjson.loads(exchange.body)["error"]["code"] == cause.value
    assert exchange.header("x-whygate-cause") == cause.value
    assert exchange.header("x-should-retry") == "false"
    row = only_row(made)
    assert row.diagnosis is not None
    assert row.diagnosis.cause is cause
    assert (_upstream(made).asked, row.answered.attempts) == ([], ())


async def test_a_call_that_cannot_have_its_turn_in_time_is_told_when_to_come_back() -> None:
    made = stages(json_answer(GOOD), rules=(LimitRule(per_minute=1),))
    await ask(made)
    exchange = await ask(made, headers=(*HEADERS, (b"x-whygate-timeout-ms", b"5000")))
    assert exchange.status == 429
    assert exchange.header("x-whygate-cause") == "proxy.queue_timeout"
    assert exchange.header("retry-after") == "61", "rounded up, since a minute is counted a little long"
    assert 60_000 <= int(exchange.header("retry-after-ms") or 0) <= 60_100
    assert exchange.header("x-should-retry") is None
    assert [row.diagnosis is None for row in _rows(made)] == [True, False]
    nothing_is_held(made)


# bugs of ours


async def test_a_bug_of_ours_is_a_500_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def bug(*_: object) -> None:
        raise RuntimeError("a bug")

    made = stages(rules=(LimitRule(concurrency=1),))
    monkeypatch.setattr("gateway.path.refusal", bug)
    exchange = await ask(made, body=STATIC)
    assert exchange.status == 500
    assert orjson.loads(exchange.body)["error"]["code"] == "proxy.internal_error"
    row = only_row(made)
    assert row.diagnosis is not None
    assert row.diagnosis.cause is Cause.PROXY_INTERNAL_ERROR


async def test_a_bug_after_the_permit_leaks_no_place() -> None:
    def draw() -> float:
        raise RuntimeError("a bug")

    made = stages(error_answer(503, None), json_answer(GOOD), rules=(LimitRule(concurrency=1),), draw=draw)
    assert (await ask(made)).status == 500
    row = only_row(made)
    assert row.diagnosis is not None
    assert row.diagnosis.cause is Cause.PROXY_INTERNAL_ERROR
    assert len(row.answered.attempts) == 1
    assert (await ask(made)).status == 200


async def test_a_bug_after_the_head_cuts_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def bug(*_: object) -> None:
        raise RuntimeError("a bug")

    made = stages(stream_answer(*EVENTS), rules=(LimitRule(concurrency=1),))
    monkeypatch.setattr("gateway.delivery.relay_events", bug)
    exchange = Exchange(made)
    assert not await exchange.done()
    assert (exchange.status, exchange.ended) == (200, False)
    row = only_row(made)
    assert row.diagnosis is not None
    assert row.diagnosis.cause is Cause.PROXY_INTERNAL_ERROR


# what went before


async def test_a_failure_is_told_with_what_went_before_it() -> None:
    clock = HandClock()
    made = stages(json_answer(GOOD), error_answer(401, "invalid_api_key"), clock=clock)
    await ask(made)
    clock.seconds += 300
    await ask(made)
    diagnosis = _rows(made)[-1].diagnosis
    assert "this key last worked 5 min ago" in diagnosis.evidence


async def test_an_app_that_does_not_wait_is_told_so() -> None:
    clock = HandClock()
    slower = error_answer(429, "rate_limit_exceeded", "slower", (b"retry-after", b"300"))
    made = stages(slower, slower, clock=clock)
    await ask(made)
    clock.seconds += 2
    await ask(made)
    told = [row.diagnosis.evidence for row in _rows(made)]
    line = "this app called again before the stated wait was over"
    assert [line in evidence for evidence in told] == [False, True]


# live


async def test_a_row_is_seen_moving_forward() -> None:
    go = asyncio.Event()
    made = stages(go, stream_answer(EVENTS[0], go, EVENTS[1]))
    exchange = Exchange(made)
    sink = made.sink
    assert isinstance(sink, ListSink)
    await until(lambda: _upstream(made).asked)
    (live,) = sink.open.values()
    assert (live.state, live.attempts, live.status) == (State.CONNECTING, 1, None)
    go.set()
    await exchange.done()
    assert (live.state, live.status) == (State.DONE, 200)


async def test_what_providers_count_makes_estimates_better() -> None:
    clock = HandClock()
    made = stages(json_answer(GOOD), clock=clock)
    await ask(made)
    assert made.estimates.tokens_out("gpt-5", 100) == 2
