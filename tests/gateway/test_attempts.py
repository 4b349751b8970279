"""Asking the provider until an answer is good, or until trying again cannot help any more."""

import asyncio
import ssl
from dataclasses import replace
from typing import Any

import aiohttp
import orjson
import pytest

from gateway.diagnose.remedy import words
from gateway.egress import opening
from gateway.egress.breaker import FAILURES_MIN
from gateway.egress.resolve import LoopError
from gateway.egress.retry import Halt, RetryPolicy
from gateway.identify.identify import Identifier
from gateway.identify.locate import Locator
from gateway.limit.gate import LimitRule
from gateway.model.call import Origin
from gateway.model.cause import Cause, Precision
from gateway.model.exchange import Concluded
from gateway.model.failure import Phase
from gateway.providers.openai import PROVIDER as OPENAI
from gateway.record.row import times_of
from gateway.stages import Stages
from tests.gateway.driver import CHAT, HEADERS, Exchange, ask, nothing_is_held, only_row, until
from tests.gateway.factories import (
    ANTHROPIC_ORIGIN,
    Answer,
    HandClock,
    ListSink,
    ScriptedUpstream,
    error_answer,
    json_answer,
    stages,
    stream_answer,
)
from tests.gateway.limit.timed import TimedLoop, timed

GOOD = json_answer({"choices": []})
SCHEME = aiohttp.client_reqrep.ConnectionKey(
    "h", 1, is_ssl=False, ssl=True, proxy=None, proxy_auth=None, proxy_headers_hash=None, server_hostname=None
)
ACTING = b'{"model":"gpt-5","input":"hello","tools":[{"type":"mcp","server_label":"x"}]}'
REFUSED = aiohttp.ClientConnectorError(SCHEME, ConnectionRefusedError(111, "Connection refused"))
RESET = ConnectionResetError(104, "Connection reset by peer")


def _upstream(made: Stages) -> ScriptedUpstream:
    assert isinstance(made.upstream, ScriptedUpstream)
    return made.upstream


def _cause(row: Concluded) -> Cause | None:
    return None if row.diagnosis is None else row.diagnosis.cause


def _never_sent(*script: Answer | Exception) -> ScriptedUpstream:
    """Attempts that fail while the connection is made."""
    return ScriptedUpstream(list(script), phase=Phase.CONNECT)


# again


@pytest.mark.parametrize("how", ["a header", "its words"])
def test_a_429_that_names_its_wait_is_waited_for_and_the_app_sees_nothing_of_it(how: str) -> None:
    async def main(loop: TimedLoop) -> None:
        refusal = error_answer(429, "rate_limit_exceeded", "slower", (b"retry-after", b"7"))
        if how == "its words":
            refusal = error_answer(429, "rate_limit_exceeded", "Rate limit reached. Please try again in 7s.")
        made = stages(refusal, GOOD, clock=loop, sleep=asyncio.sleep)
        exchange = await ask(made)
        assert exchange.status == 200
        assert exchange.header("x-whygate-attempts") == "2"
        assert exchange.header("x-whygate-overhead-ms") == "0.0"
        assert loop.now() == pytest.approx(1007.0, abs=0.01)
        row = only_row(made)
        assert _cause(row) is None
        assert [attempt.waited_seconds for attempt in row.answered.attempts] == pytest.approx([0.0, 7.0], abs=0.01)
        assert [attempt.head.status for attempt in row.answered.attempts if attempt.head] == [429, 200]

    timed(main)


def test_a_retrys_time_in_the_queue_is_taken_off_once() -> None:
    """A second of our own beside seven that were waited for is seen as that second."""

    async def main(loop: TimedLoop) -> None:
        refusal = error_answer(429, "rate_limit_exceeded", "slower", (b"retry-after", b"7"))
        made = stages(refusal, GOOD, clock=loop, sleep=asyncio.sleep)
        await ask(made)
        row = only_row(made)
        assert row.answered.queued_seconds == pytest.approx(7.0, abs=0.01)
        at = (row.answered.admitted.call.arrived, row.ended + 1.0)
        times = times_of(*at, row.answered.queued_seconds, row.answered.attempts, None)
        assert times["overhead_ms"] == pytest.approx(1000, abs=20)
        first, second = row.answered.attempts
        assert (first.queued_seconds, second.queued_seconds) == pytest.approx((0.0, 7.0), abs=0.01)

    timed(main)


def test_the_first_turn_in_the_queue_is_no_wait_before_a_retry() -> None:
    async def main(loop: TimedLoop) -> None:
        held = asyncio.Event()
        script = (held, GOOD, error_answer(503, None, "no"), GOOD)
        made = stages(*script, clock=loop, sleep=asyncio.sleep, rules=[LimitRule(concurrency=1)])
        running = Exchange(made)
        await until(lambda: _upstream(made).asked)
        queued = Exchange(made)
        await until(lambda: made.gate.waiting)
        loop.call_later(5.0, held.set)
        await asyncio.gather(running.done(), queued.done())
        assert isinstance(made.sink, ListSink)
        row = max(made.sink.rows, key=lambda one: len(one.answered.attempts))
        first, second = row.answered.attempts
        assert first.waited_seconds == 0.0
        assert first.queued_seconds == pytest.approx(5.0, abs=0.01)
        assert second.waited_seconds > 0.1
        assert second.queued_seconds == pytest.approx(0.0, abs=0.01)

    timed(main)


def test_a_429_holds_everybody_with_that_key_and_nobody_else() -> None:
    async def main(loop: TimedLoop) -> None:
        refusal = error_answer(429, "rate_limit_exceeded", "slower", (b"retry-after", b"7"))
        made = stages(refusal, GOOD, GOOD, GOOD, clock=loop, sleep=asyncio.sleep)
        other_key = (*HEADERS[:-1], (b"authorization", b"Bearer sk-other"))
        first = Exchange(made)
        await until(lambda: made.gate.waiting)
        second, elsewhere = Exchange(made), Exchange(made, headers=other_key)
        await elsewhere.done()
        assert (elsewhere.status, loop.now()) == (200, 1000.0)
        await asyncio.gather(first.done(), second.done())
        assert first.status == second.status == 200
        assert loop.now() >= 1007.0
        assert len(_upstream(made).asked) == 4
        nothing_is_held(made)

    timed(main)


def test_a_wait_that_grows_too_long_in_the_queue_ends_in_the_providers_own_last_word() -> None:
    async def main(loop: TimedLoop) -> None:
        refusals = [error_answer(429, "rate_limit_exceeded", f"no {n}", (b"retry-after", b"25")) for n in range(3)]
        answers = [answer.pieces[0] for answer in refusals]
        made = stages(*refusals, clock=loop, sleep=asyncio.sleep)
        exchange = Exchange(made)
        await exchange.task
        assert (exchange.status, exchange.body) == (429, answers[2])
        assert exchange.header("x-whygate-cause") == "rate_limit.unknown"
        assert exchange.header("x-should-retry") is None, "waiting helps, and the app may have more time than it said"
        assert len(only_row(made).answered.attempts) == 3

    timed(main)


async def test_a_call_that_never_fits_is_not_tried_again() -> None:
    words = "Request too large for gpt-5 on tokens per min (TPM): Limit 30000, Requested 45000."
    made = stages(error_answer(429, "rate_limit_exceeded", words, (b"retry-after", b"1")))
    assert (await ask(made)).status == 429
    assert len(only_row(made).answered.attempts) == 1


async def test_after_three_503_the_last_goes_through_byte_for_byte() -> None:
    answers = [error_answer(503, None, f"no {number}", (b"x-request-id", b"%d" % number)) for number in range(3)]
    made = stages(*answers)
    exchange = await ask(made)
    assert exchange.status == 503
    assert exchange.body == answers[2].pieces[0]
    assert exchange.header("x-request-id") == "2"
    assert exchange.header("x-should-retry") == "false"
    assert exchange.header("proxy-status") == "whygate; received-status=503"
    row = only_row(made)
    assert len(row.answered.attempts) == 3
    assert row.answered.outcome.excerpt == exchange.body
    assert _cause(row) in {Cause.SERVICE_UNAVAILABLE, Cause.SERVICE_OVERLOADED}


async def test_retries_of_the_sdk_are_charged_to_the_budget_and_never_refused() -> None:
    made = stages(*(error_answer(503, None) for _ in range(6)))
    for _ in range(3):
        assert (await ask(made, headers=(*HEADERS, (b"x-stainless-retry-count", b"1")))).status == 503
    sink = made.sink
    assert isinstance(sink, ListSink)
    # The floor of three and a fifth of the calls: three are the SDK's own, so ours stop, and its calls still go out.
    assert [len(row.answered.attempts) for row in sink.rows] == [3, 1, 1]


async def test_what_is_sent_again_is_the_same() -> None:
    made = stages(error_answer(503, None), error_answer(503, None), GOOD)
    await ask(made)
    one, *others = _upstream(made).asked
    assert others == [one, one]


async def test_quota_is_never_tried_again_whatever_wait_is_named() -> None:
    made = stages(error_answer(429, "insufficient_quota", "no credit", (b"retry-after", b"1")))
    exchange = await ask(made)
    assert exchange.status == 429
    assert exchange.header("x-whygate-cause") == "quota.exhausted"
    assert exchange.header("x-should-retry") == "false"
    assert exchange.header("retry-after") == "1"
    assert len(only_row(made).answered.attempts) == 1


async def test_what_was_never_sent_is_sent_again() -> None:
    made = stages(upstream=_never_sent(REFUSED, REFUSED, GOOD))
    assert (await ask(made)).status == 200
    row = only_row(made)
    assert [attempt.failure is None for attempt in row.answered.attempts] == [False, False, True]


async def test_what_can_never_be_sent_is_a_502_with_its_cause() -> None:
    made = stages(upstream=_never_sent(REFUSED, REFUSED, REFUSED))
    exchange = await ask(made)
    assert exchange.status == 502
    assert exchange.header("x-whygate-cause") == "network.tcp_refused"
    assert exchange.header("proxy-status") == "whygate; error=connection_refused"
    assert exchange.header("x-should-retry") == "false"
    assert orjson.loads(exchange.body)["error"]["code"] == "network.tcp_refused"
    assert _cause(only_row(made)) is Cause.NETWORK_TCP_REFUSED


@pytest.mark.parametrize("how", [{"target": b"/v1/files"}, {"target": b"/v1/unknown"}, {"body": ACTING}])
async def test_what_may_have_arrived_is_not_sent_again_where_that_may_do_harm(how: dict[str, Any]) -> None:
    made = stages(RESET)
    exchange = await ask(made, **({"target": b"/v1/responses"} | how))
    assert exchange.status == 502
    assert exchange.header("x-whygate-cause") == "network.connection_reset"
    assert exchange.header("x-should-retry") is None, "the app knows better than we do whether to repeat it"
    row = only_row(made)
    assert len(row.answered.attempts) == 1
    assert not row.answered.possible_duplicate


@pytest.mark.parametrize(
    "failed",
    [
        RESET,
        error_answer(500, None),
        error_answer(504, None),
        Answer(headers=((b"content-length", b"100"),), pieces=(b"half", RESET), sized=False),
        stream_answer(RESET),
        stream_answer(),
        stream_answer(b'data: {"choices":[', RESET),
        stream_answer(b'data: {"error":{"code":"server_is_overloaded","message":"overloaded"}}\n\n'),
    ],
    ids=["a reset", "500", "504", "half a body", "a stream that breaks", "an empty stream", "half an event", "an error event"],
)  # fmt: skip
async def test_what_may_have_been_paid_for_is_asked_again_where_that_only_costs_money_and_is_marked(
    failed: Answer | Exception,
) -> None:
    made = stages(failed, GOOD)
    exchange = await ask(made)
    assert (exchange.status, exchange.ended) == (200, True)
    assert exchange.header("x-whygate-possible-duplicate") == "true"
    row = only_row(made)
    assert row.diagnosis is None
    assert row.answered.possible_duplicate
    assert len(row.answered.attempts) == 2


async def test_what_found_no_second_turn_was_not_sent_twice() -> None:
    """It was to be asked again, and the host was given up by others before its wait was over."""
    made = stages(error_answer(500, None))
    sleep = made.sleep

    async def meanwhile(seconds: float) -> None:
        await sleep(seconds)
        who = ("api.openai.com", made.identifier.fingerprint("sk-test"))
        for _ in range(FAILURES_MIN):
            made.breaker.failed(*who, made.clock.now(), Cause.SERVICE_SERVER_ERROR)

    exchange = await ask(replace(made, sleep=meanwhile))
    assert (exchange.status, exchange.header("x-whygate-possible-duplicate")) == (500, None)
    row = only_row(made)
    assert len(row.answered.attempts) == 1
    assert not row.answered.possible_duplicate


async def test_an_answer_that_was_cut_on_a_route_that_acts_is_the_apps_to_repeat() -> None:
    """Its cause is one that a retry cannot change once something was given; here nothing was."""
    cut = Answer(headers=((b"content-length", b"100"),), pieces=(b"half", RESET), sized=False)
    exchange = await ask(stages(cut), target=b"/v1/files")
    assert (exchange.status, exchange.header("x-should-retry")) == (502, None)


async def test_strict_means_that_nothing_is_asked_again_that_may_have_been_paid_for() -> None:
    made = stages(RESET, policy=RetryPolicy(strict=True))
    exchange = await ask(made)
    assert (exchange.status, exchange.header("x-should-retry")) == (502, None)
    assert len(only_row(made).answered.attempts) == 1


async def test_a_question_without_effect_is_asked_again_and_is_no_duplicate() -> None:
    made = stages(RESET, GOOD)
    exchange = await ask(made, method="GET", target=b"/v1/models", body=b"")
    assert (exchange.status, exchange.header("x-whygate-possible-duplicate")) == (200, None)
    assert not only_row(made).answered.possible_duplicate


@pytest.mark.parametrize("status", [400, 404])
async def test_an_answer_that_a_retry_cannot_change_is_given_on_at_once(status: int) -> None:
    made = stages(error_answer(status, None))
    assert (await ask(made)).status == status
    assert len(only_row(made).answered.attempts) == 1


async def test_a_silence_is_a_504() -> None:
    made = stages(aiohttp.SocketTimeoutError("Timeout on reading data from socket"))
    assert (await ask(made, target=b"/v1/files")).status == 504


async def test_an_error_event_that_comes_first_is_given_on_as_it_is_when_asking_again_did_not_help() -> None:
    event = b'data: {"error":{"code":"server_is_overloaded","message":"overloaded"}}\n\n'
    made = stages(*[stream_answer(event) for _ in range(3)])
    exchange = await ask(made)
    assert (exchange.status, exchange.body) == (200, event)
    assert exchange.header("x-whygate-cause") == "service.overloaded"
    assert exchange.header("x-should-retry") == "false"
    row = only_row(made)
    assert _cause(row) is Cause.SERVICE_OVERLOADED
    assert len(row.answered.attempts) == 3


async def test_a_wait_that_only_the_words_of_an_answer_name_is_named_in_headers_too() -> None:
    words = "Rate limit reached for gpt-5. Please try again in 61.5s."
    made = stages(error_answer(429, "rate_limit_exceeded", words))
    exchange = await ask(made)
    assert (exchange.header("retry-after"), exchange.header("retry-after-ms")) == ("62", "61500")
    assert exchange.header("x-should-retry") is None


@pytest.mark.parametrize("language", ["it", "zh"])
@pytest.mark.parametrize("why", Halt)
def test_why_there_was_no_further_attempt_is_said_in_every_language(why: Halt, language: str) -> None:
    assert why.value in words(language).clues


async def test_why_there_was_no_further_attempt_stands_in_the_evidence() -> None:
    made = stages(RESET)
    await ask(made, target=b"/v1/files")
    diagnosis = only_row(made).diagnosis
    assert diagnosis is not None
    assert diagnosis.evidence[-1] == diagnosis.clues[-1].text == Halt.ROUTE
    spent = stages(*[error_answer(503, None) for _ in range(3)])
    spent.budget.spend = lambda *_: False  # type: ignore[method-assign]
    await ask(spent)
    assert (diagnosis := only_row(spent).diagnosis) is not None
    assert diagnosis.evidence[-1] == Halt.BUDGET


# when nobody is answered


async def test_a_host_that_answers_nobody_is_left_alone_and_asked_again_soon() -> None:
    clock = HandClock()
    failures = [error_answer(503, None) for _ in range(FAILURES_MIN)]
    made = stages(*failures, GOOD, clock=clock, policy=RetryPolicy(max_attempts=1))
    for _ in range(FAILURES_MIN):
        await ask(made)
    exchange = await ask(made)
    assert (exchange.status, exchange.header("x-whygate-cause")) == (503, "proxy.circuit_open")
    assert exchange.header("retry-after-ms") == "250"
    assert exchange.header("x-should-retry") is None
    message = orjson.loads(exchange.body)["error"]["message"]
    assert f"{FAILURES_MIN} attempts in a row failed, the last one with service." in message
    assert len(_upstream(made).asked) == FAILURES_MIN
    clock.seconds += 0.5
    assert (await ask(made)).status == 200
    assert (await ask(stages(GOOD))).status == 200
    nothing_is_held(made)


async def test_a_call_that_is_being_retried_when_the_host_is_left_alone_ends_in_its_own_last_answer() -> None:
    made = stages(*[error_answer(503, None, f"no {number}") for number in range(FAILURES_MIN)])
    made.budget.spend = lambda *_: True  # type: ignore[method-assign]
    bodies = [CHAT.replace(b"hello", b"hello %d" % number) for number in range(FAILURES_MIN // 3 + 1)]
    exchanges = [await ask(made, body=body) for body in bodies]
    last = exchanges[-1]
    assert (last.status, last.header("x-whygate-attempts")) == (503, "2")
    assert orjson.loads(last.body)["error"]["message"] == f"no {FAILURES_MIN - 1}"
    assert last.header("x-should-retry") is None
    nothing_is_held(made)


async def test_an_attempt_that_could_not_begin_to_answer_in_time_is_not_made() -> None:
    """Answers of this model usually take 25 s; the app waits for 60."""
    clock = HandClock()
    made = stages(error_answer(503, None, "no", (b"retry-after", b"40")), GOOD, clock=clock)
    for _ in range(8):
        made.first_bytes.note("api.openai.com", "gpt-5", 25.0, stream=False)
    assert (await ask(made)).status == 503
    assert clock.now() == 1000.0
    assert (await ask(made)).status == 200, "a first attempt is made whatever is usual"


async def test_a_certificate_that_is_not_trusted_is_not_tried_again() -> None:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code, error.verify_message = 20, "unable to get local issuer certificate"
    wrapped = aiohttp.ClientConnectorCertificateError(SCHEME, error)
    wrapped.__cause__ = error
    made = stages(upstream=_never_sent(wrapped))
    exchange = await ask(made)
    assert (exchange.status, exchange.header("x-whygate-cause")) == (502, "network.tls_inspection")
    assert len(only_row(made).answered.attempts) == 1


async def test_a_request_that_would_reach_ourselves_is_a_508() -> None:
    made = stages(LoopError("api.openai.com:443 is the gateway itself"))
    exchange = await ask(made)
    assert (exchange.status, exchange.header("x-whygate-cause")) == (508, "proxy.loop_detected")
    assert "api.openai.com:443 is the gateway itself" in orjson.loads(exchange.body)["error"]["message"]
    assert _cause(only_row(made)) is Cause.PROXY_LOOP_DETECTED


async def test_a_wait_that_outlasts_the_app_is_not_begun() -> None:
    clock = HandClock()
    made = stages(error_answer(429, "rate_limit_exceeded", "slower", (b"retry-after", b"61")), clock=clock)
    exchange = await ask(made)
    assert (exchange.status, exchange.header("retry-after")) == (429, "61")
    assert clock.now() == 1000.0


async def test_a_storm_is_not_made_worse() -> None:
    """With everything failing, retries are a few and a fifth; here of 30 calls with 60 possible retries."""
    made = stages(*[error_answer(503, None) for _ in range(90)], sleep=lambda _seconds: asyncio.sleep(0))
    for _ in range(30):
        await ask(made)
    assert len(_upstream(made).asked) <= 30 + 3 + 0.2 * 30


async def test_each_attempt_waits_for_its_turn() -> None:
    order: list[str] = []

    async def sleep(_seconds: float) -> None:
        order.append("waited")
        (scope,) = made.gate.scopes.values()
        assert scope.in_flight == 0, "who sleeps holds no place"

    made = stages(error_answer(503, None), GOOD, rules=(LimitRule(concurrency=1),), sleep=sleep)
    assert (await ask(made)).status == 200
    assert order == ["waited"]


# bodies


async def test_a_small_body_that_breaks_is_a_502_and_never_a_short_200() -> None:
    broken = Answer(
        headers=((b"content-length", b"100"),), pieces=(b"half", aiohttp.ClientPayloadError("cut")), sized=False
    )
    made = stages(broken)
    exchange = await ask(made, target=b"/v1/files")
    assert exchange.status == 502
    assert exchange.header("x-whygate-cause") == "service.stream_truncated"
    assert exchange.ended
    row = only_row(made)
    assert _cause(row) is Cause.SERVICE_STREAM_TRUNCATED
    assert broken.aborted


@pytest.mark.parametrize("sized", [False, True], ids=["in pieces", "at once"])
async def test_json_that_stops_in_the_middle_is_given_on_and_is_no_success(*, sized: bool) -> None:
    kind = ((b"content-type", b"application/json; charset=utf-8"),)
    made = stages(Answer(headers=kind, pieces=(b'{"choices":[{"mess', b'age": ""'), sized=sized))
    exchange = await ask(made)
    assert (exchange.status, exchange.body) == (200, b'{"choices":[{"message": ""')
    assert _cause(only_row(made)) is Cause.SERVICE_STREAM_TRUNCATED
    assert exchange.header("x-whygate-cause") == ("service.stream_truncated" if sized else None)


@pytest.mark.parametrize("body", [b' {"choices": []} \n', b"[1]", b'"text"', b"17", b""])
async def test_json_that_ends_well_is_a_success(body: bytes) -> None:
    made = stages(Answer(headers=((b"content-type", b"application/json"),), pieces=(body,)))
    assert (await ask(made)).status == 200
    assert only_row(made).diagnosis is None


@pytest.mark.parametrize(
    ("end", "cause"),
    [
        ((aiohttp.ClientPayloadError("cut"),), Cause.NETWORK_STREAM_INTERRUPTED),
        ((RESET,), Cause.NETWORK_STREAM_INTERRUPTED),
        ((), Cause.SERVICE_STREAM_TRUNCATED),
    ],
    ids=["cut", "reset", "clean end"],
)
async def test_a_stream_that_breaks_before_its_first_event_has_the_same_cause_as_one_that_breaks_later(
    end: tuple[Exception, ...], cause: Cause
) -> None:
    made = stages(*(stream_answer(*end) for _ in range(3)))
    assert (await ask(made)).status == 502
    assert _cause(only_row(made)) is cause


async def test_a_large_body_that_breaks_is_cut() -> None:
    broken = Answer(headers=((b"content-length", b"100000"),), pieces=(b"half", RESET), sized=False)
    made = stages(broken)
    exchange = Exchange(made)
    assert not await exchange.done()
    assert (exchange.status, exchange.body) == (200, b"half")
    assert _cause(only_row(made)) is Cause.NETWORK_STREAM_INTERRUPTED
    assert broken.aborted


async def test_an_error_page_of_any_size_goes_through_whole() -> None:
    page = b"<html>" + b"x" * 200_000
    made = stages(Answer(status=502, headers=((b"content-type", b"text/html"),), pieces=[page[:70_000], page[70_000:]]))
    exchange = await ask(made, target=b"/v1/files")
    assert exchange.body == page
    row = only_row(made)
    assert row.diagnosis is not None
    assert (row.diagnosis.cause, row.diagnosis.precision) == (Cause.SERVICE_UNAVAILABLE, Precision.INFERRED)
    assert len(row.answered.outcome.excerpt) <= 65_536


async def test_an_error_that_comes_slowly_is_given_on_as_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "ERROR_BODY_SECONDS", 0.02)
    go = asyncio.Event()
    made = stages(Answer(status=500, pieces=(b"slow", go, b"ly"), sized=False))
    exchange = Exchange(made, target=b"/v1/files")
    await exchange.until(pieces=1)
    assert exchange.body == b"slow"
    go.set()
    assert await exchange.done()
    assert exchange.body == b"slowly"
    only_row(made)


async def test_a_success_that_fails_inside_goes_through_with_its_cause() -> None:
    made = stages(json_answer({"error": {"code": "insufficient_quota", "message": "no credit"}}))
    exchange = await ask(made)
    assert (exchange.status, exchange.header("x-whygate-cause")) == (200, "quota.exhausted")
    assert orjson.loads(exchange.body)["error"]["message"] == "no credit"
    row = only_row(made)
    assert _cause(row) is Cause.QUOTA_EXHAUSTED
    assert row.answered.outcome.excerpt == exchange.body
    assert len(row.answered.attempts) == 1


async def test_a_success_that_speaks_of_errors_is_one() -> None:
    made = stages(json_answer({"choices": [{"message": {"content": '{"error": {"message": "no"}}'}}], "error": None}))
    exchange = await ask(made)
    assert (exchange.status, exchange.header("x-whygate-cause")) == (200, None)
    assert _cause(only_row(made)) is None


@pytest.mark.parametrize("filler", [0, 200_000])
async def test_a_page_in_place_of_an_answer_goes_through_with_its_cause(filler: int) -> None:
    html = b"<html><title>Guest WiFi</title><p>Please log in to use the internet.</p>" + b" " * filler + b"</html>"
    made = stages(Answer(headers=((b"content-type", b"text/html; charset=utf-8"),), pieces=(html,)))
    exchange = await ask(made)
    assert (exchange.status, exchange.body, exchange.ended) == (200, html, True)
    row = only_row(made)
    assert _cause(row) is Cause.NETWORK_CAPTIVE_PORTAL
    assert not row.answered.outcome.complete


async def test_an_empty_answer_is_an_answer() -> None:
    made = stages(Answer(status=204, headers=(), pieces=(), sized=False))
    exchange = await ask(made)
    assert (exchange.status, exchange.body) == (204, b"")
    assert only_row(made).diagnosis is None


async def test_a_redirect_is_given_on() -> None:
    made = stages(Answer(status=307, headers=((b"location", b"https://elsewhere.example/"),)))
    exchange = await ask(made)
    assert (exchange.status, exchange.header("location")) == (307, "https://elsewhere.example/")


# streams


CHAT_EVENT = b'data: {"choices":[{"delta":{"content":"a"},"finish_reason":null}]}\n\n'
CASES: dict[str, tuple[bytes, dict[str, Any], bytes, bytes]] = {
    "chat": (b"/v1/chat/completions", {}, CHAT_EVENT, b"data: [DONE]\n\n"),
    "responses": (b"/v1/responses", {}, b"event: x\ndata: {}\n\n", b"event: response.completed\ndata: {}\n\n"),
    "messages": (
        b"/v1/messages",
        {"origin": ANTHROPIC_ORIGIN, "headers": ((b"host", b"api.anthropic.com"), (b"x-api-key", b"sk-ant"))},
        b"event: ping\ndata: {}\n\n",
        b"event: message_stop\ndata: {}\n\n",
    ),
}


@pytest.mark.parametrize("name", CASES)
async def test_a_whole_stream_is_a_success(name: str) -> None:
    target, how, event, end = CASES[name]
    made = stages(stream_answer(event, event + end))
    exchange = Exchange(made, target=target, **how)
    assert await exchange.done()
    assert exchange.body == event * 2 + end
    assert only_row(made).diagnosis is None


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(
    ("ends", "cause"),
    [
        ((RESET,), Cause.NETWORK_STREAM_INTERRUPTED),
        ((aiohttp.ClientPayloadError("cut"),), Cause.NETWORK_STREAM_INTERRUPTED),
        ((aiohttp.SocketTimeoutError("silence"),), Cause.SERVICE_STREAM_STALLED),
        ((), Cause.SERVICE_STREAM_TRUNCATED),
    ],
    ids=["reset", "cut", "stalled", "clean end without a mark"],
)
async def test_a_broken_stream_ends_with_one_error_event_and_a_cut(
    name: str, ends: tuple[Exception, ...], cause: Cause
) -> None:
    target, how, event, _ = CASES[name]
    answer = stream_answer(event, event[:9], *ends)
    made = stages(answer)
    exchange = Exchange(made, target=target, **how)
    assert not await exchange.done()
    assert exchange.body.startswith(event)
    ours = exchange.body.removeprefix(event)
    assert ours.endswith(b"\n\n")
    assert ours.count(b"data: ") == 1
    assert orjson.loads(ours.partition(b"data: ")[2])["error"]["code"] == cause.value
    row = only_row(made)
    assert _cause(row) is cause
    assert not row.answered.outcome.complete
    assert answer.aborted


async def test_an_error_of_the_providers_own_in_a_stream_is_its_fault_and_ends_properly() -> None:
    event = b'data: {"error":{"message":"The server had an error","type":"server_error","code":null}}\n\n'
    made = stages(stream_answer(CHAT_EVENT, event))
    exchange = Exchange(made)
    assert await exchange.done()
    assert exchange.body == CHAT_EVENT + event
    row = only_row(made)
    assert _cause(row) is Cause.SERVICE_SERVER_ERROR
    assert row.answered.outcome.excerpt == event


async def test_an_encoded_stream_is_passed_as_it_is_and_only_cut() -> None:
    head = ((b"content-type", b"text/event-stream"), (b"content-encoding", b"gzip"))
    made = stages(Answer(headers=head, pieces=(b"\x1f\x8b...", RESET), sized=False))
    exchange = Exchange(made)
    assert not await exchange.done()
    assert exchange.body == b"\x1f\x8b..."


async def test_a_stream_on_a_route_of_no_known_protocol_is_only_cut() -> None:
    made = stages(stream_answer(CHAT_EVENT, RESET))
    exchange = Exchange(made, target=b"/v1/assistants")
    assert not await exchange.done()
    assert exchange.body == CHAT_EVENT


# what can be sent only once


async def test_a_large_upload_is_streamed_and_sent_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.asgi.REPLAY_BYTES", 10)
    made = stages(error_answer(503, None))
    length = (b"content-length", b"29")
    exchange = Exchange(made, body=None, target=b"/v1/files", headers=(*HEADERS, length))
    for piece, more in ((b"first eleven", True), (b"and ", True), (b"more of that.", False)):
        exchange.upload(piece, more=more)
    await exchange.done()
    (asked,) = _upstream(made).asked
    assert (asked.body, _upstream(made).uploads) == (b"first eleven", [b"and ", b"more of that."])
    assert length in asked.headers
    assert not asked.chunked
    assert exchange.status == 503
    assert len(only_row(made).answered.attempts) == 1


async def test_an_upload_without_a_length_goes_on_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.asgi.REPLAY_BYTES", 2)
    made = stages(GOOD)
    exchange = Exchange(made, body=None, target=b"/v1/files")
    exchange.upload(b"one", more=True)
    exchange.upload(b"two")
    await exchange.done()
    (asked,) = _upstream(made).asked
    assert asked.chunked
    assert (b"transfer-encoding", b"chunked") in asked.headers


async def test_a_plain_host_of_this_machine_is_marked_against_circles() -> None:
    made = stages(GOOD)
    provider = replace(OPENAI, upstream="http://127.0.0.1:9/v1", upstream_ca_file="/a.pem")
    made = replace(made, identifier=Identifier(Locator((provider,)), made.secret, made.estimates))
    await ask(made)
    (asked,) = _upstream(made).asked
    assert (asked.origin, asked.target, asked.ca_file) == (
        Origin("http", "127.0.0.1", 9),
        b"/v1/chat/completions",
        "/a.pem",
    )
    assert (b"x-whygate-hop", b"this-gateway") in asked.headers
    assert (b"host", b"127.0.0.1:9") in asked.headers
    assert asked.body == CHAT
