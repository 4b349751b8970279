"""F01 to F04, F07: the upstream cannot be reached. What was never sent is tried three times in all, and billed to nobody."""

import asyncio
import itertools
from contextlib import AbstractContextManager
from typing import Any

import pytest

from tests.faults.clients import ClientRow
from tests.faults.field import Case
from tests.faults.inject.closed_port import closed_port
from tests.faults.inject.full_backlog import full_backlog
from tests.faults.inject.listener import Listener
from tests.faults.inject.reset_after_hello import reset_after_hello
from tests.faults.inject.reset_at_accept import reset_at_accept
from tests.faults.never_sent import BACKOFF_SECONDS, SLACK_SECONDS, TRIES, longest_seconds, refused

RESOLVE_SECONDS = 2.0
_names = (f"n{number}" for number in itertools.count(1))


# F01


async def test_a_name_that_does_not_exist_is_looked_up_three_times_and_refused_within_three_seconds(case: Case) -> None:
    url = case.field.https_url(443, f"{next(_names)}.invalid")
    call = await case.sdk(case.plan(), base_url=url, max_retries=2)
    flow = refused(case, call, "network.dns_failure", "dns_failure")
    assert len(flow["attempts"]) == TRIES
    assert {attempt["failure"]["phase"] for attempt in flow["attempts"]} == {"dns"}
    assert call.seconds < 3
    assert ".invalid" in call.message


# F02


@pytest.mark.parametrize("behaviour", ["slow-10", "never"])
async def test_a_resolver_that_is_silent_is_given_two_seconds_and_holds_up_nobody_else(
    case: Case, behaviour: str
) -> None:
    url = case.field.https_url(443, f"{next(_names)}--{behaviour}.fault.test")
    with case.bystander():
        call = await case.sdk(case.plan(), base_url=url)
    flow = refused(case, call, "network.dns_failure", "dns_timeout", 504)
    assert len(flow["attempts"]) == 2
    assert RESOLVE_SECONDS - 0.1 < longest_seconds(flow) < RESOLVE_SECONDS + SLACK_SECONDS
    assert call.seconds < 5


async def test_many_names_without_an_answer_leave_others_resolvable(case: Case) -> None:
    silent = [case.field.https_url(443, f"{next(_names)}--slow-3.fault.test") for _ in range(12)]
    fine = case.field.adopt(f"http://{next(_names)}--fine.fault.test:{case.field.upstream.port}/v1")
    headers = {"x-whygate-timeout-ms": "1900"}
    async with asyncio.TaskGroup() as tasks:
        waiting = [tasks.create_task(case.sdk(case.plan(), base_url=url, headers=headers)) for url in silent]
        await asyncio.sleep(0.5)
        call = await case.sdk(case.plan(), base_url=fine)
    assert call.outcome == "answer"
    assert call.seconds < SLACK_SECONDS
    assert {task.result().cause for task in waiting} == {"network.dns_failure"}


async def test_a_resolver_that_fails_for_now_is_asked_again(case: Case) -> None:
    url = case.field.https_url(443, f"{next(_names)}--servfail.fault.test")
    call = await case.sdk(case.plan(), base_url=url)
    flow = refused(case, call, "network.dns_failure", "dns_failure")
    assert len(flow["attempts"]) == TRIES
    assert call.seconds < BACKOFF_SECONDS + SLACK_SECONDS
    assert "emporary" in str(flow["attempts"][0]["failure"]["detail"])


# F03


@pytest.mark.parametrize("first", ["refused", "dropped"])
async def test_of_two_addresses_the_second_is_taken_when_the_first_is_dead(case: Case, first: str) -> None:
    port = case.field.upstream.port
    url = case.field.adopt(f"http://{next(_names)}--two-127.0.0.2-127.0.0.1.fault.test:{port}/v1")
    call = await _call_past_dead_address(case, url, first, port)
    assert (call.outcome, call.text) == ("answer", "words")
    (attempt,) = case.flow(call)["attempts"]
    connecting = sum(one["end_ms"] - one["start_ms"] for one in attempt["phases"] if one["name"] in {"dns", "connect"})
    assert connecting < 300 + SLACK_SECONDS * 1000


async def _call_past_dead_address(case: Case, url: str, first: str, port: int) -> ClientRow:
    if first == "refused":
        return await case.sdk(case.plan(), base_url=url)
    with full_backlog("127.0.0.2", port):
        return await case.sdk(case.plan(), base_url=url)


# F04


@pytest.mark.parametrize("way", ["tls", "plain"])
async def test_a_refused_port_is_tried_three_times_and_named(case: Case, way: str) -> None:
    """Nor does the SDK go on after us, which would try for it."""
    with closed_port() as port:
        url = case.field.https_url(port) if way == "tls" else case.field.adopt(f"http://127.0.0.1:{port}/v1")
        call = await case.sdk(case.plan(), base_url=url, max_retries=2)
    flow = refused(case, call, "network.tcp_refused", "connection_refused")
    assert len(flow["attempts"]) == TRIES
    assert longest_seconds(flow) < 1
    assert call.seconds < BACKOFF_SECONDS + SLACK_SECONDS
    assert str(port) in call.message


# F07


@pytest.mark.parametrize("fault", [reset_at_accept, reset_after_hello])
async def test_a_connection_that_is_reset_before_tls_is_there_is_made_three_times(case: Case, fault: Any) -> None:
    opened: AbstractContextManager[Listener] = fault()
    with opened as listener:
        call = await case.sdk(case.plan(), base_url=case.field.https_url(listener.port), max_retries=2)
    flow = refused(case, call, "network.connection_reset", "connection_reset")
    assert len(flow["attempts"]) == listener.dials == TRIES
    assert all(first[:1] == b"\x16" for first in listener.received)
    assert longest_seconds(flow) < 1
    assert call.seconds < BACKOFF_SECONDS + SLACK_SECONDS


async def test_a_plain_connection_that_is_reset_at_once_may_have_carried_the_request_and_the_log_says_so(
    case: Case,
) -> None:
    with reset_at_accept() as listener:
        url = case.field.adopt(f"http://127.0.0.1:{listener.port}/v1")
        call = await case.sdk(case.plan(), base_url=url)
    flow = case.flow(call)
    assert (call.outcome, call.status, call.cause) == ("error", 502, "network.connection_reset")
    assert len(flow["attempts"]) == listener.dials <= TRIES
    repeated = flow["attempts"][:-1]
    assert flow["possible_duplicate"] == any(attempt["failure"]["sent"] for attempt in repeated)
