"""What a provider answers, an SDK sees: same exception, same bytes, and beside them the verdict."""

import base64
from collections.abc import Callable
from functools import cache

import pytest

from gateway.model.cause import Again, Cause
from gateway.simulate import known_failures
from gateway.simulate.failure import Behaviour, Failure, UnknownFailureError, find
from gateway.simulate.provider import Provider as Face
from tests.e2e.world import Job, Result, World, job

_SAYS_OTHERWISE = "the app did send a good header; only the simulated provider claims that it did not"

NOT_EXACT_YET: dict[tuple[str, str], tuple[str, str]] = {
    ("auth.malformed_header", "anthropic"): ("auth.invalid_key", _SAYS_OTHERWISE),
    ("auth.malformed_header", "openai"): ("auth.missing_key", _SAYS_OTHERWISE),
}
"""(asked for, by whom) -> (what is said, why). A line that is no longer true fails its test."""

API = {Face.OPENAI: "chat", Face.ANTHROPIC: "messages"}


def answered() -> list[tuple[str, Face, Failure]]:
    """Give every failure that is an answer, as each provider gives it."""
    found = []
    for cause in known_failures():
        for face in API:
            try:
                failure = find(cause, face)
            except UnknownFailureError:
                continue
            if failure.behaviour is Behaviour.ANSWER:
                found.append((cause, face, failure))
    return found


ANSWERED = answered()
each_answer = pytest.mark.parametrize(
    ("cause", "face", "failure"), ANSWERED, ids=[f"{cause}-{face.value}" for cause, face, _ in ANSWERED]
)


def asking(cause: str, face: Face) -> Job:
    """Ask for a failure, without the patience to wait until a stated time is over."""
    patient = Cause(cause).again is not Again.AFTER_STATED_WAIT
    headers = {} if patient else {"x-whygate-timeout-ms": "400"}
    # An SDK's own retries are left on where we tell it that they are in vain.
    said = cause_said(cause, face)
    retries = {} if said.again is Again.NEVER and said is not Cause.UNKNOWN else {"max_retries": 0}
    return job(API[face], f"fail with {cause}", model=f"simulate:{cause}", headers=headers, **retries)


def cause_said(cause: str, face: Face) -> Cause:
    """Give the verdict that is expected today."""
    for whose in (face.value, "both"):
        if (cause, whose) in NOT_EXACT_YET:
            return Cause(NOT_EXACT_YET[cause, whose][0])
    return Cause(cause)


@pytest.fixture(scope="session")
def seen(world: World) -> Callable[[str, Face], tuple[Job, Result, Result]]:
    """Make all these calls once, at the same time: through the gateway, and without it."""

    @cache
    def everything() -> dict[tuple[str, Face], tuple[Job, Result, Result]]:
        asked = [asking(cause, face) for cause, face, _ in ANSWERED]
        world.proxied.send(asked)
        # To the provider itself under other keys, so that the ledger does not mix them up.
        direct = world.direct.ask([job(a["api"], a["prompt"], model=a["model"], max_retries=0) for a in asked])
        through = world.proxied.results()
        keys = [(cause, face) for cause, face, _ in ANSWERED]
        return dict(zip(keys, zip(asked, through, direct, strict=True), strict=True))

    return lambda cause, face: everything()[cause, face]


@each_answer
def test_an_sdk_raises_what_it_raises_without_a_gateway(
    seen: Callable[[str, Face], tuple[Job, Result, Result]], cause: str, face: Face, failure: Failure
) -> None:
    _, through, direct = seen(cause, face)
    assert through["error"]["kind"] == direct["error"]["kind"]
    assert through["error"]["status"] == direct["error"]["status"] == failure.status
    assert "APIStatusError" in through["error"]["kinds"]


@each_answer
def test_the_body_of_a_failure_is_the_providers_byte_for_byte(
    world: World, seen: Callable[[str, Face], tuple[Job, Result, Result]], cause: str, face: Face, failure: Failure
) -> None:
    asked, through, _ = seen(cause, face)
    assert base64.b64decode(through["error"]["content"]) == world.provider.sent(asked)[-1]


@each_answer
def test_the_verdict_is_the_documented_one(
    world: World, seen: Callable[[str, Face], tuple[Job, Result, Result]], cause: str, face: Face, failure: Failure
) -> None:
    _, through, _ = seen(cause, face)
    said = through["error"]["headers"]["x-whygate-cause"]
    assert said == cause_said(cause, face)
    row = world.row(through)
    assert (row["cause"], row["status"]) == (said, failure.status)
    assert row["diagnosis"]["what_to_do"]


@each_answer
def test_what_a_retry_cannot_help_is_asked_once_by_us_and_by_the_sdk(
    world: World, seen: Callable[[str, Face], tuple[Job, Result, Result]], cause: str, face: Face, failure: Failure
) -> None:
    """The SDK would ask three times; a header keeps it from that, where the verdict is sure."""
    asked, through, _ = seen(cause, face)
    said = Cause(through["error"]["headers"]["x-whygate-cause"])
    if said.again is not Again.NEVER or said is Cause.UNKNOWN:
        assert through["error"]["headers"].get("x-should-retry") != "true" or "x-should-retry" in dict(failure.headers)
        return
    assert through["error"]["headers"]["x-should-retry"] == "false"
    assert len(world.provider.rows(asked["key"])) == 1
    assert len(world.row(through)["attempts"]) == 1


def test_a_used_up_quota_is_never_asked_for_again(
    world: World, seen: Callable[[str, Face], tuple[Job, Result, Result]]
) -> None:
    """Although it comes as a 429 from one provider."""
    for face in API:
        asked, through, _ = seen("quota.exhausted", face)
        assert "max_retries" not in asked
        assert [row.status for row in world.provider.rows(asked["key"])] == [through["error"]["status"]]


def test_every_line_of_the_table_names_a_failure_that_is_answered() -> None:
    names = {(cause, face.value) for cause, face, _ in ANSWERED} | {(cause, "both") for cause, _, _ in ANSWERED}
    assert set(NOT_EXACT_YET) <= names


BELOW_HTTP = {
    "network.connection_reset": ("network.connection_reset", "InternalServerError", 502, 3),
    "service.protocol_error": ("service.protocol_error", "InternalServerError", 502, 1),
    "network.stream_interrupted": ("service.stream_truncated", "InternalServerError", 502, 3),
}
"""Asked for, without a stream -> verdict, exception, status, attempts. A body cut off is truncated, whoever cut it."""


@pytest.mark.parametrize("face", API)
@pytest.mark.parametrize("cause", BELOW_HTTP)
def test_a_connection_that_breaks_before_an_answer_is_an_error_with_a_verdict_and_says_that_it_may_be_paid_for_twice(
    world: World, cause: str, face: Face
) -> None:
    """Whether the provider took the call is not known; on these routes asking again only costs money."""
    asked = job(API[face], f"break with {cause}", model=f"simulate:{cause}", max_retries=0)
    result = world.proxied.ask_one(asked)
    said, kind, status, attempts = BELOW_HTTP[cause]
    error = result["error"]
    assert kind in error["kinds"]
    assert (error["status"], error["headers"]["x-whygate-cause"]) == (status, said)
    assert "whygate: " in error["message"]
    assert len(world.provider.rows(asked["key"])) == attempts
    assert error["headers"].get("x-whygate-possible-duplicate") == ("true" if attempts > 1 else None)
    row = world.row(result)
    assert row["possible_duplicate"] is (attempts > 1)
    assert {attempt["status"] for attempt in row["attempts"]} <= {None, 200}
    assert [attempt["failure"]["sent"] for attempt in row["attempts"]] == [True] * attempts


@pytest.mark.parametrize("face", API)
@pytest.mark.parametrize("model", ["client.timeout_too_short", "network.read_timeout", "service.stream_stalled"])
def test_an_app_that_gives_up_on_a_silent_provider_gets_its_own_timeout_and_its_row_says_so(
    world: World, model: str, face: Face
) -> None:
    asked = job(API[face], f"be silent as {model}", model=f"simulate:{model}", timeout=0.7, max_retries=0)
    result = world.proxied.ask_one(asked)
    assert "APITimeoutError" in result["error"]["kinds"]
    rows = world.gateway.until(
        lambda: [r for r in world.gateway.flows() if r["model"] == asked["model"] and r["state"] == "done"]
    )
    assert {row["cause"] for row in rows} == {"client.timeout_too_short"}
    (upstream,) = world.provider.rows(asked["key"])
    assert upstream.aborted_by_client
