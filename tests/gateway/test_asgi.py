"""The path as an ASGI application: apps that leave, that read slowly, and that upload slowly."""

import asyncio
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.asgi import Gateway, new_id
from gateway.limit.gate import LimitRule
from gateway.model.call import Mode, Origin
from gateway.model.cause import Cause
from gateway.stages import Stages
from tests.gateway.driver import HEADERS, Exchange, ask, only_row, until
from tests.gateway.factories import Answer, ListSink, ScriptedUpstream, error_answer, json_answer, stages, stream_answer

GOOD = json_answer({"choices": []})
EVENT = b'data: {"choices":[{"delta":{"content":"a"},"finish_reason":null}]}\n\n'


def _left(made: Stages) -> None:
    row = only_row(made)
    assert row.diagnosis is not None
    assert row.diagnosis.cause is Cause.CLIENT_DISCONNECTED
    assert row.answered.outcome.client_left
    assert not row.answered.outcome.complete


def _upstream(made: Stages) -> ScriptedUpstream:
    assert isinstance(made.upstream, ScriptedUpstream)
    return made.upstream


async def test_an_app_that_leaves_the_queue_gives_its_place_up() -> None:
    go = asyncio.Event()
    made = stages(go, GOOD, GOOD, rules=(LimitRule(concurrency=1),))
    first = Exchange(made)
    second, third = Exchange(made), Exchange(made)
    await until(lambda: made.gate.waiting == 2)
    second.hang_up()
    await second.task
    assert made.gate.waiting == 1
    go.set()
    assert await first.done()
    assert await third.done()
    assert second.head is None
    assert isinstance(made.sink, ListSink)
    rows = made.sink.rows
    assert [row.answered.outcome.client_left for row in rows] == [True, False, False]
    assert rows[0].answered.attempts == ()
    assert len(_upstream(made).asked) == 2


async def test_an_app_that_leaves_while_the_provider_thinks_ends_the_attempt() -> None:
    made = stages(asyncio.Event(), rules=(LimitRule(concurrency=1),))
    exchange = Exchange(made)
    await until(lambda: _upstream(made).asked)
    exchange.hang_up()
    await exchange.task
    assert exchange.head is None
    _left(made)


async def test_an_app_that_leaves_while_a_small_body_is_read_lets_the_connection_go() -> None:
    answer = Answer(headers=((b"content-length", b"10"),), pieces=(b"half", asyncio.Event()), sized=False)
    made = stages(answer, rules=(LimitRule(concurrency=1),))
    exchange = Exchange(made)
    await until(lambda: _upstream(made).incoming and _upstream(made).incoming[0].taken)
    exchange.hang_up()
    await exchange.task
    assert answer.aborted
    _left(made)


async def test_an_app_that_leaves_between_attempts_is_not_asked_for_again() -> None:
    async def sleep(_seconds: float) -> None:
        exchange.hang_up()
        await asyncio.Event().wait()

    made = stages(error_answer(503, None), rules=(LimitRule(concurrency=1),), sleep=sleep)
    exchange = Exchange(made)
    await exchange.task
    assert len(_upstream(made).asked) == 1
    _left(made)


async def test_an_app_that_leaves_mid_stream_ends_the_providers_work() -> None:
    answer = stream_answer(EVENT, asyncio.Event())
    made = stages(answer, rules=(LimitRule(concurrency=1),))
    exchange = Exchange(made)
    await exchange.until(pieces=1)
    exchange.hang_up()
    await exchange.task
    assert exchange.body == EVENT
    assert not exchange.ended
    assert answer.aborted
    _left(made)


async def test_a_stream_that_the_stopping_gateway_cuts_is_not_blamed_on_the_app() -> None:
    made = stages(stream_answer(EVENT, asyncio.Event()))
    exchange = Exchange(made)
    await exchange.until(pieces=1)
    made.gate.cut = True
    exchange.hang_up()
    await exchange.task
    diagnosis = only_row(made).diagnosis
    assert diagnosis is not None
    assert diagnosis.cause is Cause.PROXY_DRAINING


async def test_an_app_that_leaves_once_it_has_everything_is_a_success() -> None:
    made = stages(stream_answer(EVENT, b"data: [DONE]\n\n"))
    exchange = Exchange(made)
    assert await exchange.done()
    exchange.hang_up()
    await asyncio.sleep(0)
    assert only_row(made).diagnosis is None


async def test_an_app_that_leaves_while_the_last_bytes_go_out_is_a_success() -> None:
    class AtTheEnd(asyncio.Event):
        async def wait(self) -> Any:
            return exchange.head is None or await super().wait()

    made = stages(GOOD)
    exchange = Exchange(made)
    exchange.reading = AtTheEnd()
    await until(lambda: exchange.head)
    exchange.hang_up()
    for _ in range(5):
        await asyncio.sleep(0)
    exchange.reading.set()
    assert await exchange.done()
    assert only_row(made).diagnosis is None


async def test_an_app_that_leaves_before_it_has_asked_leaves_a_row_and_nothing_else() -> None:
    made = stages()
    exchange = Exchange(made, body=None)
    exchange.upload(b"half of", more=True)
    exchange.hang_up()
    await exchange.task
    assert exchange.head is None
    assert _upstream(made).asked == []
    _left(made)


async def test_a_request_that_the_server_could_not_read_has_the_servers_row_and_no_other() -> None:
    made = stages()
    exchange = Exchange(made, body=None)
    exchange.upload(b"half of", more=True)
    exchange.scope["state"]["malformed"] = True
    exchange.hang_up()
    await exchange.task
    assert exchange.head is None
    assert isinstance(made.sink, ListSink)
    assert made.sink.rows == []


async def test_an_app_that_leaves_in_the_middle_of_a_large_upload_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.asgi.REPLAY_BYTES", 2)
    made = stages(GOOD, rules=(LimitRule(concurrency=1),))
    exchange = Exchange(made, body=None, target=b"/v1/files")
    exchange.upload(b"one", more=True)
    exchange.upload(b"two", more=True)
    await until(lambda: _upstream(made).asked)
    exchange.hang_up()
    await exchange.task
    assert exchange.head is None
    _left(made)


async def test_a_cancelled_server_task_is_cancelled_and_has_its_row() -> None:
    made = stages(asyncio.Event(), rules=(LimitRule(concurrency=1),))
    exchange = Exchange(made)
    await until(lambda: _upstream(made).asked)
    exchange.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await exchange.task
    _left(made)


async def test_an_app_that_does_not_read_stops_the_provider() -> None:
    made = stages(stream_answer(*[EVENT] * 1_000, b"data: [DONE]\n\n"))
    exchange = Exchange(made)
    await exchange.until(pieces=3)
    exchange.reading.clear()
    taken = -1
    (incoming,) = _upstream(made).incoming
    while taken != incoming.taken:
        taken = incoming.taken
        for _ in range(20):
            await asyncio.sleep(0)
    assert taken <= 6
    exchange.reading.set()
    assert await exchange.done()
    assert exchange.body == EVENT * 1_000 + b"data: [DONE]\n\n"


async def test_an_app_that_does_not_read_may_still_leave() -> None:
    answer = stream_answer(*[EVENT] * 10)
    made = stages(answer)
    exchange = Exchange(made)
    await exchange.until(pieces=1)
    exchange.reading.clear()
    for _ in range(20):
        await asyncio.sleep(0)
    exchange.hang_up()
    await exchange.task
    assert answer.aborted
    _left(made)


async def test_a_body_in_many_pieces_is_one_body() -> None:
    made = stages(GOOD)
    exchange = Exchange(made, body=None)
    for piece in (b'{"mo', b"", b'del":"x"}'):
        exchange.upload(piece, more=True)
    exchange.upload(b"")
    await exchange.done()
    assert _upstream(made).asked[0].body == b'{"model":"x"}'
    assert only_row(made).answered.admitted.route.model == "x"


@pytest.mark.parametrize(
    ("target", "seen"),
    [
        (b"/v1/models?a=%20", b"/v1/models?a=%20"),
        (b"*", b"*"),
        (b"/\xff?\xff", b"/\xff?\xff"),
    ],
)
async def test_the_target_is_what_the_app_wrote(target: bytes, seen: bytes) -> None:
    made = stages(GOOD)
    await ask(made, method="GET", body=b"", target=target)
    assert _upstream(made).asked[0].target == seen


async def test_without_a_target_from_the_listener_path_and_query_are_put_together() -> None:
    made = stages(GOOD)
    host = ((b"host", b"localhost:8080"),)
    await ask(made, method="GET", body=b"", origin=None, target=b"/openai/v1/models?limit=%31", headers=host)
    row = only_row(made)
    assert _upstream(made).asked[0].target == b"/v1/models?limit=%31"
    call = row.answered.admitted.call
    assert (call.mode, call.origin, call.client) == (
        Mode.BASE_URL,
        Origin("http", "localhost", 8080),
        "127.0.0.1:50123",
    )


@pytest.mark.parametrize(
    ("written", "origin", "told"),
    [
        (b"127.0.0.1:8080", Origin("http", "127.0.0.1", 8080), "http://127.0.0.1:8080"),
        (b"LocalHost", Origin("http", "localhost", 80), "http://localhost"),
        (b"localhost:", Origin("http", "localhost", 80), "http://localhost"),
        (b"localhost:80", Origin("http", "localhost", 80), "http://localhost"),
        (b"[::1]:8081", Origin("http", "::1", 8081), "http://[::1]:8081"),
        (b"[::1]", Origin("http", "::1", 80), "http://[::1]"),
        (b"localhost:http", Origin("http", "localhost:http", 80), None),
        (b"a:1:2", Origin("http", "a:1:2", 80), None),
        (b"", Origin("http", "", 80), None),
    ],
)
async def test_a_call_by_base_url_is_for_the_address_that_the_app_wrote(
    written: bytes, origin: Origin, told: str | None
) -> None:
    """A repetition that is made from its row goes there again."""
    made = stages(GOOD)
    await ask(made, method="GET", body=b"", origin=None, target=b"/openai/v1/models", headers=((b"host", written),))
    call = only_row(made).answered.admitted.call
    assert call.origin == origin
    assert told is None or str(call.origin) == told


async def test_what_is_no_request_is_left_alone() -> None:
    async def never(*_: Any) -> Any:
        raise AssertionError

    await Gateway(stages())({"type": "lifespan"}, never, never)


async def test_hundreds_of_exchanges_at_once_have_a_row_each_and_leave_no_task() -> None:
    made = stages(*[stream_answer(EVENT, b"data: [DONE]\n\n") for _ in range(300)], rules=(LimitRule(concurrency=300),))
    exchanges = [Exchange(made) for _ in range(300)]
    for number, exchange in enumerate(exchanges):
        if number % 3 == 0:
            exchange.hang_up()
    await asyncio.gather(*(exchange.task for exchange in exchanges))
    assert isinstance(made.sink, ListSink)
    assert len(made.sink.rows) == 300
    assert not made.sink.open
    for exchange, row in zip(exchanges, sorted(made.sink.rows, key=lambda r: r.answered.admitted.call.id), strict=True):
        assert exchange.ended or row is not None
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


@given(one=st.floats(0, 2**48 / 1000 - 1), other=st.floats(0, 2**48 / 1000 - 1))
def test_ids_sort_by_time_and_are_all_different(one: float, other: float) -> None:
    first, second = new_id(one), new_id(other)
    assert re.fullmatch("[0-9a-f]{26}", first)
    assert first != second
    if int(one * 1000) != int(other * 1000):
        assert (first < second) == (one < other)


async def test_headers_of_ours_are_always_there() -> None:
    exchange = await ask(stages(GOOD), headers=HEADERS)
    assert exchange.header("x-whygate-queue-ms") == "0"
    assert exchange.header("x-whygate-overhead-ms") == "0.0"
