"""F47, F48, F50: what may be asked twice, what is never asked twice, and when there is no time for it."""

import asyncio
import json
import time

import pytest

from tests.faults.clients import ClientRow
from tests.faults.crowd import Crowd
from tests.faults.field import Case
from tests.faults.inject.answer import answer
from tests.faults.inject.close_before_head import close_before_head
from tests.faults.inject.plain_body import plain_body
from tests.faults.inject.refused import broken, overloaded
from tests.faults.inject.reset_before_head import reset_before_head
from tests.faults.inject.slow import slow
from tests.faults.never_sent import BACKOFF_SECONDS, SLACK_SECONDS
from tests.faults.upstream import Fault

# F47

AMBIGUOUS: dict[str, Fault] = {
    "500": broken(500),
    "502": broken(502),
    "504": broken(504),
    "reset": reset_before_head,
    "closed": close_before_head,
}
PURE = {
    "/v1/chat/completions": b'{"model":"gpt-4o-mini","messages":[{"role":"user","content":"hi"}]}',
    "/v1/embeddings": b'{"model":"text-embedding-3-small","input":"%d"}',
    "/v1/responses": b'{"model":"gpt-4o-mini","input":"hi"}',
}
ACTING = {
    "/v1/files": b'{"purpose":"batch"}',
    "/v1/batches": b'{"input_file_id":"file-1","endpoint":"/v1/chat/completions","completion_window":"24h"}',
    "/v1/images/generations": b'{"model":"gpt-image-1","prompt":"hi"}',
    "/v1/nobody/knows": b"{}",
    "/v1/responses": b'{"model":"gpt-4o-mini","input":"hi","background":true}',
}


def seen(call: ClientRow, header: str) -> str | None:
    return call.answers[-1].headers.get(header)


@pytest.mark.parametrize("fault", AMBIGUOUS)
async def test_what_may_have_been_done_is_done_again_where_that_only_costs_money_and_is_marked(
    case: Case, fault: str
) -> None:
    bodies = {path: body % number if b"%d" in body else body for number, (path, body) in enumerate(PURE.items())}
    calls = await asyncio.gather(
        *(
            case.raw(
                case.plan(AMBIGUOUS[fault], answer()), path=path, body=body, headers={"x-whygate-cache": "no-cache"}
            )
            for path, body in bodies.items()
        )
    )
    for path, call in zip(bodies, calls, strict=True):
        flow, received = case.flow(call), case.received(call)
        assert (call.outcome, len(flow["attempts"]), len(received)) == ("answer", 2, 2), path
        assert all(row.billable for row in received)
        assert flow["possible_duplicate"] is True
        assert seen(call, "x-whygate-possible-duplicate") == "true"
        assert len({row.sha256 for row in received}) == 1
        assert call.seconds < BACKOFF_SECONDS + SLACK_SECONDS


@pytest.mark.parametrize("fault", AMBIGUOUS)
async def test_what_may_have_been_done_is_never_done_again_where_it_does_more(case: Case, fault: str) -> None:
    calls = await asyncio.gather(
        *(case.raw(case.plan(AMBIGUOUS[fault], answer()), path=path, body=body) for path, body in ACTING.items())
    )
    for path, call in zip(ACTING, calls, strict=True):
        flow, received = case.flow(call), case.received(call)
        assert (call.outcome, len(flow["attempts"]), len(received)) == ("error", 1, 1), path
        assert flow["possible_duplicate"] is False
        assert seen(call, "x-whygate-possible-duplicate") is None
        assert seen(call, "x-should-retry") is None, "the app knows whether it may ask again"
        if fault.isdigit():
            assert call.status == int(fault)


async def test_five_hundreds_without_end_are_the_providers_last_word_byte_for_byte(case: Case) -> None:
    call = await case.raw(case.plan(broken(500)))
    flow = case.flow(call)
    assert (call.status, call.cause, len(flow["attempts"])) == (500, "service.server_error", 3)
    assert json.loads(call.text)["error"]["message"].startswith("The server had an error")
    assert flow["possible_duplicate"] is True
    assert seen(call, "x-should-retry") == "false"


# F48

CUT = json.dumps(
    {"id": "c1", "object": "chat.completion", "choices": [{"index": 0, "message": {"content": "hi" * 40}}]}
)
CUT_BYTES = CUT.encode()[:90]
ERROR_BYTES = (
    b'{"error":{"message":"The server had an error.","type":"server_error","param":null,"code":"server_error"}}'
)


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunks"])
async def test_a_success_whose_json_is_cut_is_given_on_as_it_is_and_not_repeated(case: Case, chunked: bool) -> None:
    fault = plain_body(CUT_BYTES, chunked=chunked)
    call = await case.raw(case.plan(fault, answer()))
    assert (call.status, call.text.encode()) == (200, CUT_BYTES)
    call.outcome = "error"  # for whoever reads it
    assert case.flow(call)["cause"] == "service.stream_truncated"
    assert len(case.received(call)) == len(case.flow(call)["attempts"]) == 1
    assert case.flow(call)["possible_duplicate"] is False


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunks"])
async def test_an_app_sees_that_json_which_is_cut_is_no_answer(case: Case, chunked: bool) -> None:
    call = await case.sdk(case.plan(plain_body(CUT_BYTES, chunked=chunked), answer()), max_retries=2)
    assert (call.outcome, call.requests, len(case.received(call))) == ("exception", 1, 1)


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunks"])
async def test_a_success_that_says_inside_that_it_is_none_has_a_verdict_and_is_not_repeated(
    case: Case, chunked: bool
) -> None:
    call = await case.sdk(case.plan(plain_body(ERROR_BYTES, chunked=chunked), answer()), max_retries=2)
    flow = case.flow(call)
    assert (flow["status"], flow["cause"], len(flow["attempts"])) == (200, "service.server_error", 1)
    assert (call.outcome, call.requests, len(case.received(call))) == ("exception", 1, 1)
    assert call.cause == ("" if chunked else "service.server_error"), "in chunks the head has gone before"


# F50


async def test_a_wait_that_ends_after_the_app_has_given_up_is_not_begun(case: Case) -> None:
    plan = overloaded(headers={"retry-after": "3"}), answer()
    with case.bystander():
        call = await case.sdk(case.plan(*plan), timeout_seconds=2.0, max_retries=0)
    assert (call.outcome, call.status, len(case.received(call))) == ("error", 503, 1)
    assert call.seconds < SLACK_SECONDS
    assert seen(call, "retry-after") == "3"


async def test_an_attempt_whose_answer_would_come_too_late_is_not_begun(case: Case) -> None:
    """The model's answers usually begin after 0.6 s; after a wait of one second 1.5 s are not enough."""
    async with Crowd(case, slow(0.6, answer()), body={"model": "gpt-slow-to-begin"}) as crowd:
        await asyncio.gather(*(crowd.ask() for _ in range(16)))
        assert {row.outcome for row in crowd.rows} == {"answer"}
    more = {"model": "gpt-slow-to-begin"}
    plan = overloaded(headers={"retry-after": "1"}), answer()
    late = await case.sdk(case.plan(*plan), timeout_seconds=1.5, more=more)
    assert (late.outcome, late.status, len(case.received(late))) == ("error", 503, 1)
    assert late.seconds < SLACK_SECONDS
    soon = await case.sdk(case.plan(*plan), timeout_seconds=6.0, more=more)
    assert (soon.outcome, len(case.received(soon))) == ("answer", 2)


async def test_no_attempt_follows_an_app_that_has_gone(case: Case) -> None:
    """It has less time than it says, and leaves in the middle of our wait; that wait's end is waited for here."""
    headers = {"x-whygate-timeout-ms": "10000"}
    plan = overloaded(headers={"retry-after": "2"}), answer()
    calls = await asyncio.gather(
        *(case.sdk(case.plan(*plan), headers=headers, timeout_seconds=0.5 + 0.2 * n) for n in range(4))
    )
    await asyncio.to_thread(lambda: [case.flow(call) for call in calls])
    for call in calls:
        assert call.outcome == "exception"
        call.outcome = "left"  # which is what its own timeout comes to
        assert len(case.received(call)) == 1
        assert case.flow(call)["cause"].startswith("client.")
    await asyncio.sleep(
        max(0.0, max(row.ended_at for call in calls for row in case.received(call)) + 2.3 - time.monotonic())
    )
    assert [len(case.received(call)) for call in calls] == [1] * 4
