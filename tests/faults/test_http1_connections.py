"""F18 to F20: connections that end when they should not, and answers that are shorter or longer than they say."""

import asyncio
import itertools
import threading

import pytest

from tests.faults.clients import ClientRow
from tests.faults.field import Case
from tests.faults.inject.answer import JSON, answer
from tests.faults.inject.extra_bytes import NEXT_ANSWER, RAW, extra_bytes, own_mark
from tests.faults.inject.then_close import then_close
from tests.faults.inject.unread import closed_unread, reset_unread
from tests.faults.never_sent import BACKOFF_SECONDS, SLACK_SECONDS, TRIES
from tests.faults.upstream import Exchange, Fault

IDLE_SECONDS = 0.05
_names = (f"n{number}" for number in itertools.count(1))


def alone(case: Case) -> str:
    """Give the base path of a provider of one's own, whose connections no other case uses."""
    base = case.field.adopt(f"http://{next(_names)}--http1.fault.test:{case.field.upstream.port}/v1")
    return base.removeprefix(case.field.gateway.proxy)


async def ask(case: Case, base: str, *faults: Fault, path: str = "/chat/completions") -> ClientRow:
    return await case.raw(case.plan(*faults), way="plain", path=base + path)


def connections(case: Case, call: ClientRow) -> list[int]:
    return [row.connection for row in case.received(call)]


# F18


@pytest.mark.parametrize("path", ["/chat/completions", "/files"])
async def test_a_connection_that_was_closed_while_idle_is_replaced_and_nobody_notices(case: Case, path: str) -> None:
    base = alone(case)
    first = await ask(case, base, then_close(answer(), after_seconds=IDLE_SECONDS))
    case.field.gateway.until(lambda: case.received(first)[0].ended == "answered")
    await asyncio.sleep(2 * IDLE_SECONDS)  # the connection ends while nobody uses it
    then = await ask(case, base, answer(), path=path)
    flow = case.flow(then)
    assert (first.outcome, then.outcome) == ("answer", "answer")
    assert [attempt["failure"] for attempt in flow["attempts"]] == [None]
    assert not flow["possible_duplicate"]
    assert connections(case, first) != connections(case, then)


@pytest.mark.parametrize("fault", [reset_unread, closed_unread])
async def test_a_connection_that_closes_as_we_send_is_followed_by_another_where_that_only_costs_money(
    case: Case, fault: Fault
) -> None:
    base = alone(case)
    first = await ask(case, base, answer())
    then = await ask(case, base, fault, answer())
    flow = case.flow(then)
    assert (then.outcome, then.status) == ("answer", 200)
    assert connections(case, then)[0] == connections(case, first)[0] != connections(case, then)[1]
    assert [(one["failure"] or {}).get("code") for one in flow["attempts"]] == ["connection_reset", None]
    assert flow["possible_duplicate"]
    assert then.answers[0].headers["x-whygate-possible-duplicate"] == "true"
    assert then.seconds < BACKOFF_SECONDS + SLACK_SECONDS


@pytest.mark.parametrize("fault", [reset_unread, closed_unread])
async def test_a_connection_that_closes_as_we_send_is_told_where_nobody_knows_what_a_repetition_does(
    case: Case, fault: Fault
) -> None:
    base = alone(case)
    first = await ask(case, base, answer())
    then = await ask(case, base, fault, answer(), path="/files")
    flow = case.flow(then)
    assert connections(case, then) == connections(case, first)
    assert (then.outcome, then.status, then.cause) == ("error", 502, "network.connection_reset")
    assert len(flow["attempts"]) == 1
    assert not flow["possible_duplicate"]
    assert "x-should-retry" not in then.answers[0].headers
    assert then.seconds < SLACK_SECONDS


# F19


def cut(size_bytes: int) -> Fault:
    """Promise twice as much as is sent, and close."""

    async def fault(exchange: Exchange) -> None:
        await exchange.receive()
        await exchange.write_head(200, JSON, 2 * size_bytes)
        await exchange.write(b'{"id":"' + b"x" * (size_bytes - 7))
        exchange.fin()

    return fault


async def test_a_small_answer_that_is_cut_is_asked_for_again_where_that_only_costs_money(case: Case) -> None:
    call = await case.sdk(case.plan(cut(100), answer()))
    flow = case.flow(call)
    assert (call.outcome, call.text) == ("answer", "words")
    assert [(one["status"], (one["failure"] or {}).get("code")) for one in flow["attempts"]] == [
        (200, "truncated"),
        (200, None),
    ]
    assert flow["possible_duplicate"]
    assert call.answers[0].headers["x-whygate-possible-duplicate"] == "true"


@pytest.mark.parametrize(("path", "tries"), [("/chat/completions", TRIES), ("/files", 1)])
async def test_a_small_answer_that_stays_cut_is_never_a_short_200(case: Case, path: str, tries: int) -> None:
    call = await ask(case, alone(case), cut(100), path=path)
    flow = case.flow(call)
    assert (call.outcome, call.status, call.cause) == ("error", 502, "service.stream_truncated")
    assert len(flow["attempts"]) == tries
    assert flow["possible_duplicate"] == (tries > 1)
    assert call.seconds < BACKOFF_SECONDS + SLACK_SECONDS


async def test_a_large_answer_that_is_cut_is_cut_for_the_app_too_and_not_asked_for_again(case: Case) -> None:
    call = await case.sdk(case.plan(cut(200_000)))
    flow = case.flow(call)
    assert call.outcome == "exception"
    assert "APIConnectionError" in call.exception
    assert (flow["status"], flow["cause"], len(flow["attempts"])) == (200, "service.stream_truncated", 1)


# F20

LANES = 8


@pytest.mark.parametrize("later", [False, True], ids=["at once", "later"])
@pytest.mark.parametrize(("extra", "status"), [(NEXT_ANSWER, 200), (RAW, None)], ids=["an answer", "junk"])
async def test_bytes_behind_an_answer_never_reach_another_call(
    case: Case, extra: bytes, status: int | None, *, later: bool
) -> None:
    """A thousand calls follow in all four cases together, six thousand in a full run.

    What comes behind comes while the connection is idle: once the next request is out, nobody could tell it from its
    answer. Junk that comes at once is refused with the answer that it stands behind.
    """
    poisoned, clean = list[ClientRow](), list[ClientRow]()

    async def lane() -> None:
        base = alone(case)
        for _ in range(63 if case.full else 11):
            go = threading.Event()
            fault = extra_bytes(extra, go=go) if later else extra_bytes(extra, status=status)
            poisoned.append(odd := await ask(case, base, fault))
            go.set()
            async with asyncio.timeout(5):
                while case.received(odd)[0].ended == "running":  # noqa: ASYNC110 - the ledger has no event
                    await asyncio.sleep(0.001)
            clean.extend([await ask(case, base, own_mark) for _ in range(3)])

    async with asyncio.TaskGroup() as lanes:
        for _ in range(LANES):
            lanes.create_task(lane())
    assert {(call.outcome, call.text == own_text(call)) for call in clean} == {("answer", True)}
    for call in poisoned:
        assert (call.outcome, call.text) == ("answer", own_text(call)) or call.cause == "service.protocol_error"
    dirty = {connection for call in poisoned for connection in connections(case, call)}
    assert len(dirty) == len(poisoned), "no connection carries two of them"
    assert all(_is_last(case, call) for call in poisoned)


def own_text(call: ClientRow) -> str:
    return f'{{"mark": "{call.mark}"}}'


def _is_last(case: Case, call: ClientRow) -> bool:
    """Whether nothing was asked on a call's connection after it."""
    connection = connections(case, call)[-1]
    rows = case.field.upstream.rows_since(case.received_before)
    return [row.mark for row in rows if row.connection == connection][-1] == call.mark
