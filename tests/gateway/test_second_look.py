"""A failed call waits a moment for a second look, no longer than its app does, and gives what it found."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from gateway.diagnose.say import say
from gateway.model.cause import Cause, Precision
from gateway.model.diagnosis import Diagnosis
from gateway.model.failure import NetFailure, Phase
from gateway.model.route import Route
from gateway.stages import Surer
from tests.gateway.driver import ask, only_row
from tests.gateway.factories import Answer, ScriptedUpstream, error_answer, json_answer, stages

REFUSED = ConnectionRefusedError(111, "refused")
Told = Callable[[Diagnosis], Awaitable[Diagnosis]]


def _refusing(times: int, *then: Answer) -> ScriptedUpstream:
    return ScriptedUpstream([*[REFUSED] * times, *then], phase=Phase.CONNECT)


class Look:
    """A second look that says what it is told to."""

    def __init__(self, told: Told) -> None:
        self.told = told
        self.asked: list[tuple[Cause, NetFailure | None]] = []

    def __call__(self, _route: Route, diagnosis: Diagnosis, failure: NetFailure | None) -> Surer | None:
        self.asked.append((diagnosis.cause, failure))
        return self.told


async def _tampered(diagnosis: Diagnosis) -> Diagnosis:
    return say(replace(diagnosis, cause=Cause.NETWORK_DNS_TAMPERED, precision=Precision.CONFIRMED))


async def _never(_diagnosis: Diagnosis) -> Diagnosis:
    await asyncio.Event().wait()
    raise AssertionError


async def test_the_app_hears_what_the_second_look_found() -> None:
    look = Look(_tampered)
    made = stages(upstream=_refusing(3), look=look)
    answer = await ask(made)
    assert answer.header("x-whygate-cause") == "network.dns_tampered"
    assert b"network.dns_tampered" in answer.body
    row = only_row(made)
    assert row.answered.outcome.diagnosis is not None
    assert row.answered.outcome.diagnosis.precision is Precision.CONFIRMED


async def test_it_begins_with_the_first_failure_and_once_a_call() -> None:
    look = Look(_tampered)
    made = stages(upstream=_refusing(3), look=look)
    await ask(made)
    assert [cause for cause, _ in look.asked] == [Cause.NETWORK_TCP_REFUSED]


async def test_nobody_waits_longer_for_it_than_the_app_waits() -> None:
    hurried = ((b"host", b"api.openai.com"), (b"x-whygate-timeout-ms", b"600"))
    made = stages(upstream=_refusing(3), look=Look(_never))
    answer = await ask(made, headers=hurried)
    assert answer.header("x-whygate-cause") == "network.tcp_refused"


async def test_a_call_that_got_through_in_the_end_does_not_wait_for_it() -> None:
    made = stages(upstream=_refusing(1, json_answer({"n": 1})), look=Look(_never))
    assert (await ask(made)).status == 200


async def test_a_providers_own_answer_is_given_byte_for_byte_with_the_surer_verdict_beside_it() -> None:
    async def incident(diagnosis: Diagnosis) -> Diagnosis:
        return say(replace(diagnosis, cause=Cause.SERVICE_INCIDENT, precision=Precision.CONFIRMED))

    made = stages(*[error_answer(500, "server_error")] * 3, look=Look(incident))
    answer = await ask(made)
    assert answer.status == 500
    assert answer.header("x-whygate-cause") == "service.incident"


async def test_what_a_status_page_says_is_evidence() -> None:
    made = stages(*[error_answer(500, "server_error")] * 3, incident=lambda provider: f"{provider} is down")
    answer = await ask(made)
    assert answer.header("x-whygate-cause") == "service.incident"
