"""F41 to F43: what a refusal says about when to come back, in every form, and what its headers teach the limiter."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx2
import pytest

from tests.faults.clients import ClientRow
from tests.faults.crowd import Crowd
from tests.faults.field import Case, Field, open_field
from tests.faults.inject.answer import answer
from tests.faults.inject.plain_body import plain_body
from tests.faults.inject.refused import refused
from tests.faults.inject.with_headers import with_headers
from tests.faults.never_sent import SLACK_SECONDS
from tests.faults.upstream import Fault

OWN_SECONDS = 8.0
"""No wait of our own for two refusals that state nothing is longer; between the stated ones and the cap of 120 s."""

SKEWED = datetime(2001, 2, 3, 4, 5, 6, tzinfo=UTC)
"""What the provider's clock says: only the difference to it may count."""


def date(after_seconds: float) -> str:
    return format_datetime(SKEWED + timedelta(seconds=after_seconds), usegmt=True)


def slow_down(*headers: tuple[str, str], message: str = "Rate limit reached for requests.") -> Fault:
    """Refuse with 429 and these headers."""
    return with_headers(refused(429, "rate_limit_exceeded", message), *headers)


@pytest.fixture(scope="module")
def signals(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Field]:
    """A field with Gemini, too, and nothing that another file's cases have taught it."""
    settings = '[[providers]]\nname = "gemini"\nupstream = "http://127.0.0.1:{port}"\n'
    with open_field(tmp_path_factory.mktemp("signals"), f"[network]\n{settings}") as made:
        yield made


@pytest.fixture
def place(signals: Field, *, full: bool) -> Iterator[Case]:
    made = Case(signals, full=full)
    yield made
    made.finish()


# F41

TOO_LONG = {
    "a day": slow_down(("retry-after", "86400")),
    "over the cap": slow_down(("retry-after", "121")),
    "in milliseconds": slow_down(("retry-after-ms", "86400000")),
    "a date of tomorrow": slow_down(("date", date(0)), ("retry-after", date(86_400))),
    "in words": slow_down(message="Rate limit reached. Please try again in 1h12m0s."),
}

JUNK = {
    "beyond every number": (("retry-after", "1e309"),),
    "so many digits": (("retry-after", "9" * 400),),
    "negative": (("retry-after", "-5"),),
    "not a number": (("retry-after", "NaN"),),
    "infinite": (("retry-after-ms", "inf"),),
    "a word": (("retry-after", "abc"),),
    "empty": (("retry-after", ""),),
    "now": (("retry-after", "0"),),
    "a date that is past": (("date", date(0)), ("retry-after", date(-3_600))),
    "a date without a date to compare": (("retry-after", date(86_400)),),
    "no such date": (("date", date(0)), ("retry-after", "Mon, 99 Feb 2001 99:99:99 GMT")),
    "milliseconds below zero": (("retry-after-ms", "-1"),),
}

SOON: dict[str, tuple[Fault, float]] = {
    "seconds": (slow_down(("retry-after", "1")), 1.0),
    "milliseconds": (slow_down(("retry-after-ms", "300")), 0.3),
    "both": (slow_down(("retry-after", "9"), ("retry-after-ms", "300")), 0.3),
    "a date by a clock that is wrong": (slow_down(("date", date(0)), ("retry-after", date(1))), 1.0),
    "words": (slow_down(message="Rate limit reached for gpt-4o-mini. Please try again in 20ms."), 0.02),
}


def waited_seconds(case: Case, call: ClientRow) -> float:
    """Give the time between the end of the first attempt and the second one, as the upstream saw it."""
    first, second, *_ = case.received(call)
    return second.at - first.ended_at


async def test_a_wait_that_nobody_has_time_for_is_passed_on_at_once(place: Case) -> None:
    calls = await asyncio.gather(
        *(place.sdk(place.plan(fault, answer()), max_retries=0, timeout_seconds=600) for fault in TOO_LONG.values())
    )
    for name, call in zip(TOO_LONG, calls, strict=True):
        assert (call.outcome, call.status) == ("error", 429), name
        assert call.cause.startswith("rate_limit."), name
        assert len(place.received(call)) == len(place.flow(call)["attempts"]) == 1, name
        assert call.seconds < SLACK_SECONDS, name
    assert calls[0].answers[0].headers["retry-after"] == "86400"


async def test_two_waits_in_one_answer_are_never_a_longer_sleep_than_the_cap(place: Case) -> None:
    orders = [("1", "86400"), ("86400", "1"), ("abc", "1"), ("1", "abc")]
    faults = [slow_down(*(("retry-after", value) for value in order)) for order in orders]
    calls = await asyncio.gather(*(place.sdk(place.plan(fault, answer()), timeout_seconds=600) for fault in faults))
    for order, call in zip(orders, calls, strict=True):
        assert call.seconds < OWN_SECONDS, order
        if call.outcome == "answer":
            assert waited_seconds(place, call) < OWN_SECONDS, order
        else:
            assert (call.status, len(place.received(call))) == (429, 1), order


@pytest.mark.parametrize("status", [429, 503])
async def test_a_wait_that_is_no_wait_is_ours_to_choose_and_never_long(place: Case, status: int) -> None:
    faults = [with_headers(refused(status, "slow_down", "Slow down."), *headers) for headers in JUNK.values()]
    with place.bystander():
        calls = await asyncio.gather(*(place.sdk(place.plan(fault, answer()), timeout_seconds=600) for fault in faults))
    for name, call in zip(JUNK, calls, strict=True):
        assert (call.outcome, len(place.received(call))) == ("answer", 2), name
        assert waited_seconds(place, call) < OWN_SECONDS, name


async def test_a_wait_of_any_form_is_waited_for_and_hardly_longer(place: Case) -> None:
    calls = await asyncio.gather(*(place.sdk(place.plan(fault, answer())) for fault, _ in SOON.values()))
    for (name, (_, seconds)), call in zip(SOON.items(), calls, strict=True):
        assert (call.outcome, len(place.received(call))) == ("answer", 2), name
        assert seconds - 0.01 <= waited_seconds(place, call) < 1.1 * seconds + SLACK_SECONDS, name
        assert place.flow(call)["cause"] is None
        assert not place.flow(call)["possible_duplicate"]


async def test_googles_retry_info_is_a_wait_like_any_other(place: Case) -> None:
    def exhausted(delay: str) -> Fault:
        return plain_body(
            b'{"error":{"code":429,"message":"Resource has been exhausted (e.g. check quota).",'
            b'"status":"RESOURCE_EXHAUSTED","details":['
            b'{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"%b"}]}}' % delay.encode(),
            429,
        )

    good = plain_body(b'{"candidates":[{"content":{"parts":[{"text":"hi"}]},"finishReason":"STOP","index":0}]}')
    path, body = "/gemini/v1beta/models/gemini-2.5-flash:generateContent", b'{"contents":[{"parts":[{"text":"hi"}]}]}'
    soon, late = await asyncio.gather(
        *(place.raw(place.plan(exhausted(delay), good), way="plain", path=path, body=body) for delay in ("1s", "3600s"))
    )
    assert (soon.outcome, len(place.received(soon))) == ("answer", 2)
    assert 0.99 <= waited_seconds(place, soon) < 1.1 + SLACK_SECONDS
    assert (late.outcome, late.status, len(place.received(late))) == ("error", 429, 1)
    assert late.seconds < SLACK_SECONDS


# F42


@pytest.mark.parametrize(
    ("code", "cause"), [("insufficient_quota", "quota.exhausted"), ("billing_not_active", "account.billing_inactive")]
)
async def test_an_empty_account_is_asked_once_for_each_call_and_works_again_once_it_is_filled(
    place: Case, code: str, cause: str
) -> None:
    message = {
        "insufficient_quota": "You exceeded your current quota, please check your plan and billing details.",
        "billing_not_active": "Your account is not active, please check your billing details on our website.",
    }[code]
    empty = refused(429, code, message)
    call = await place.sdk(place.plan(empty), max_retries=2)
    assert (call.requests, call.status, call.cause, len(place.received(call))) == (1, 429, cause, 1)
    assert call.answers[0].headers["x-should-retry"] == "false"
    filled: list[Fault] = []

    async def account(exchange: Any) -> None:
        await (filled[0] if filled else empty)(exchange)

    async with Crowd(place, account) as crowd:
        calls = [await crowd.ask() for _ in range(30)]
        assert {(one.status, one.cause) for one in calls} == {(429, cause)}
        assert len(crowd.received()) == len(calls), "none fails fast, and none is repeated"
        assert max(one.seconds for one in calls) < SLACK_SECONDS
        filled.append(answer())
        assert (await crowd.ask()).outcome == "answer"


# F43

HEADERS = {
    "openai, a second": (("x-ratelimit-limit-requests", "60"), ("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "1s")),
    "openai, milliseconds": (("x-ratelimit-limit-requests", "3000"), ("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "20ms")),
    "openai, minutes": (("x-ratelimit-limit-requests", "10"), ("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "6m0s")),
    "the draft": (("ratelimit-policy", '"default";q=10;w=60'), ("ratelimit", '"default";r=0;t=6')),
}  # fmt: skip
LIMITS = {"openai, a second": 60, "openai, milliseconds": 3000, "openai, minutes": 10, "the draft": 10}
NONSENSE = (
    ("x-ratelimit-limit-requests", "-5"), ("x-ratelimit-remaining-requests", "banana"),
    ("x-ratelimit-reset-requests", "1e309s"), ("x-ratelimit-limit-tokens", "9" * 60),
    ("x-ratelimit-remaining-tokens", "NaN"), ("x-ratelimit-reset-tokens", "-1s"),
)  # fmt: skip


def learned(case: Case, model: str) -> dict[str, Any]:
    """Give the limits of a model that headers stated, as the page shows them, by what they count."""
    runtime = case.field.gateway.runtime
    answered = httpx2.get(
        f"http://{runtime['page']}/api/limits",
        headers={"authorization": f"Bearer {runtime['token']}"},
        trust_env=False,
    )
    scopes = [scope for scope in answered.raise_for_status().json()["scopes"] if scope["model"] == model]
    stated = [limit for scope in scopes for limit in scope["limits"] if limit["source"] == "headers"]
    return {limit["kind"]: limit for limit in stated}


@pytest.mark.parametrize("kind", HEADERS)
async def test_the_limit_that_a_refusal_states_is_the_limit_from_then_on(place: Case, kind: str) -> None:
    model = f"gpt-{kind.replace(', ', '-').replace(' ', '-')}"
    url = place.field.adopt(f"http://draft.fault.test:{place.field.upstream.port}/v1") + "/chat/completions"
    where = url if kind == "the draft" else None
    async with Crowd(place, slow_down(*HEADERS[kind], ("retry-after-ms", "10"))) as crowd:
        call = await crowd.ask({"x-whygate-timeout-ms": "1000"}, url=where, model=model)
        stated = learned(place, model)["requests"]
        print(f"\n{kind}: {call.status} {call.cause} after {call.seconds:.2f} s, {stated}")
        assert (call.outcome, call.status) == ("error", 429)
        assert stated["limit"] == LIMITS[kind]
        assert call.seconds < 1 + SLACK_SECONDS


async def test_a_limit_that_is_stated_lower_counts_from_the_next_call_on(place: Case) -> None:
    def left(limit: int, remaining: int, reset: str) -> Fault:
        named = {"limit": str(limit), "remaining": str(remaining), "reset": reset}
        return with_headers(answer(), *((f"x-ratelimit-{name}-requests", value) for name, value in named.items()))

    plan = [left(120, 1, "500ms"), left(60, 0, "2s"), left(60, 0, "2s")]
    async with Crowd(place) as crowd:
        marks = [f"{crowd.mark}.{number}" for number in range(1, 4)]
        for mark, fault in zip(marks, plan, strict=True):
            place.field.upstream.plan(mark, fault)
        first, second, third = [await crowd.ask(model="gpt-lowered") for _ in marks]
        assert (first.outcome, second.outcome, third.outcome) == ("answer", "answer", "answer")
        assert max(crowd.flow(first)["queue_ms"], crowd.flow(second)["queue_ms"]) < 500
        assert 500 < crowd.flow(third)["queue_ms"] < 3_000
    assert learned(place, "gpt-lowered")["requests"]["limit"] == 60


async def test_a_limit_that_makes_no_sense_holds_nobody(place: Case) -> None:
    async with Crowd(place, with_headers(answer(), *NONSENSE)) as crowd:
        calls = [await crowd.ask(model="gpt-nonsense") for _ in range(10)]
        assert {call.outcome for call in calls} == {"answer"}
        assert max(crowd.flow(call)["queue_ms"] for call in calls) == 0
    assert learned(place, "gpt-nonsense") == {}
