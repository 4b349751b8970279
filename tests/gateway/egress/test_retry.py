"""Whether to try again, and after how long."""

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.egress.retry import (
    STATED_WAITS_MAX,
    WAIT_MAX_SECONDS,
    Retry,
    RetryPolicy,
    Stop,
    never_fits,
    next_step,
)
from gateway.model.attempt import ReplyHead
from gateway.model.cause import Again, Cause
from gateway.model.failure import NetCode, NetFailure, Phase

DATE = (b"date", b"Sat, 21 Nov 2026 20:00:00 GMT")
NEVER_SENT = NetFailure(phase=Phase.CONNECT, code=NetCode.CONNECTION_REFUSED, detail="", sent=False)
AMBIGUOUS = NetFailure(phase=Phase.FIRST_BYTE, code=NetCode.CONNECTION_RESET, detail="", sent=True)


def _head(status: int = 429, *headers: tuple[bytes, bytes]) -> ReplyHead:
    return ReplyHead(status=status, headers=headers)


class _Budget:
    def __init__(self, left: int = 100) -> None:
        self.left, self.asked = left, 0

    def __call__(self) -> bool:
        self.asked += 1
        self.left -= 1
        return self.left >= 0


def _next(may_spend: Callable[[], bool] | None = None, **changes: Any) -> Retry | Stop:
    values: dict[str, Any] = {
        "number": 1,
        "failures": 1,
        "head": None,
        "failure": NEVER_SENT,
        "cause": Cause.NETWORK_TCP_REFUSED,
        "stated_seconds": None,
        "can_repeat": True,
        "left_seconds": 60.0,
        "may_spend": may_spend or _Budget(),
        "policy": RetryPolicy(),
        "draw": 1.0,
    }
    if "head" in changes:
        values |= {"failure": None, "cause": Cause.RATE_LIMIT_UNKNOWN}
    return next_step(**(values | changes))


def test_a_refusal_that_says_that_the_call_is_larger_than_the_limit_never_fits() -> None:
    assert never_fits((("limit", "30000"), ("requested", "45000")))
    assert not never_fits((("limit", "30000"), ("requested", "800")))
    assert not never_fits((("limit", "30000"),))
    assert not never_fits((("limit", "0"), ("requested", "1")))
    assert not never_fits((("limit", "a"), ("requested", "b")))


# never


@pytest.mark.parametrize(
    "cause", [cause for cause in Cause if cause.again is Again.NEVER and cause is not Cause.UNKNOWN]
)
def test_what_waiting_cannot_cure_is_never_tried_again(cause: Cause) -> None:
    budget = _Budget()
    for status in (429, 503, 529):
        assert _next(budget, head=_head(status), stated_seconds=1.0, cause=cause) == Stop(spent=False)
    assert _next(budget, cause=cause) == Stop(spent=False)
    assert budget.asked == 0


@pytest.mark.parametrize("status", [s for s in range(400, 600) if s not in {429, 503, 529}])
def test_an_answer_that_is_no_refusal_may_have_been_paid_for(status: int) -> None:
    budget = _Budget()
    for cause in (Cause.SERVICE_SERVER_ERROR, Cause.SERVICE_TIMEOUT, Cause.EDGE_ORIGIN_ERROR, Cause.REQUEST_CONFLICT):
        assert _next(budget, head=_head(status), stated_seconds=1.0, cause=cause) == Stop(spent=False)
    assert budget.asked == 0


@pytest.mark.parametrize("phase", [Phase.SEND, Phase.FIRST_BYTE, Phase.BODY])
def test_what_may_have_arrived_is_not_sent_again(phase: Phase) -> None:
    failure = NetFailure(phase=phase, code=NetCode.CONNECTION_RESET, detail="", sent=True)
    assert _next(failure=failure, cause=Cause.NETWORK_CONNECTION_RESET) == Stop(spent=False)


def test_a_body_that_is_gone_cannot_be_sent_again() -> None:
    assert _next(can_repeat=False) == Stop(spent=False)
    assert _next(head=_head(429), stated_seconds=1.0, can_repeat=False) == Stop(spent=False)


# again


def test_what_was_never_sent_is_sent_again() -> None:
    assert _next() == Retry(after_seconds=0.5, stated=False)


@pytest.mark.parametrize("status", [429, 503, 529])
def test_a_refusal_is_tried_again(status: int) -> None:
    assert _next(head=_head(status)) == Retry(after_seconds=0.5, stated=False)


def test_a_stated_wait_is_kept_and_costs_no_budget() -> None:
    budget = _Budget(0)
    step = _next(budget, head=_head(429), stated_seconds=7.0, draw=0.0)
    assert step == Retry(after_seconds=7.0, stated=True)
    assert budget.asked == 0


def test_a_wait_is_never_shorter_than_stated() -> None:
    step = _next(head=_head(429), stated_seconds=7.0, draw=1.0)
    assert isinstance(step, Retry)
    assert 7.0 <= step.after_seconds <= 7.1


def test_a_wait_over_the_bound_is_passed_on() -> None:
    for value in (120.5, 86400.0, math.inf):
        assert _next(head=_head(), stated_seconds=value, left_seconds=1e9) == Stop(spent=False)
    assert isinstance(_next(head=_head(429), stated_seconds=120.0, left_seconds=1e9), Retry)


def test_nothing_starts_after_the_app_has_given_up() -> None:
    assert _next(head=_head(429), stated_seconds=7.0, left_seconds=6.9) == Stop(spent=False)
    assert _next(left_seconds=0.4) == Stop(spent=True)
    assert _next(left_seconds=-1.0, draw=0.0) == Stop(spent=True)


def test_failures_are_counted_and_stated_waits_are_bounded() -> None:
    assert isinstance(_next(number=2, failures=2), Retry)
    assert _next(number=3, failures=3) == Stop(spent=True)
    assert isinstance(_next(head=_head(), stated_seconds=1.0, number=STATED_WAITS_MAX, failures=0), Retry)
    assert _next(head=_head(), stated_seconds=1.0, number=STATED_WAITS_MAX + 1, failures=0) == Stop(spent=True)


def test_an_empty_budget_stops_us() -> None:
    assert _next(_Budget(0)) == Stop(spent=True)


_HEADS = st.builds(_head, st.sampled_from([400, 401, 403, 404, 408, 409, 422, 429, 500, 502, 503, 504, 529]))
_FAILURES = st.builds(
    NetFailure, phase=st.sampled_from(Phase), code=st.sampled_from(NetCode), detail=st.just(""), sent=st.booleans()
)


@given(
    answer=_HEADS | _FAILURES,
    cause=st.sampled_from(Cause),
    stated=st.none() | st.floats(0, 1e9),
    number=st.integers(1, 10_000),
    failures=st.integers(0, 12),
    left=st.floats(-10, 1e6),
    draw=st.floats(0, 1),
    budget=st.integers(0, 1),
    can_repeat=st.booleans(),
)
def test_every_decision_keeps_its_promises(  # noqa: PLR0917 - hypothesis gives them by name
    answer: ReplyHead | NetFailure,
    cause: Cause,
    stated: float | None,
    number: int,
    failures: int,
    left: float,
    draw: float,
    budget: int,
    can_repeat: bool,
) -> None:
    spend, policy = _Budget(budget), RetryPolicy()
    head, failure = (answer, None) if isinstance(answer, ReplyHead) else (None, answer)
    step = next_step(
        number=number,
        failures=failures,
        head=head,
        failure=failure,
        cause=cause,
        stated_seconds=stated,
        can_repeat=can_repeat,
        left_seconds=left,
        may_spend=spend,
        policy=policy,
        draw=draw,
    )
    assert spend.asked <= 1
    if isinstance(step, Stop):
        assert step.spent or number == 1 or spend.asked == 0
        return
    assert can_repeat
    assert cause.again is not Again.NEVER or cause is Cause.UNKNOWN
    assert failure is None or not failure.sent
    assert 0 <= step.after_seconds <= min(left, WAIT_MAX_SECONDS + 0.1 * policy.cap_seconds)
    if step.stated:
        assert spend.asked == 0
        assert head is not None
        assert step.after_seconds >= (stated or math.inf)
    else:
        assert spend.asked == 1
        assert failures < policy.max_attempts
        assert step.after_seconds <= min(policy.cap_seconds, policy.base_seconds * 2 ** min(number - 1, 10))


@pytest.mark.parametrize("status", [429, 503, 529])
def test_a_refusal_of_an_unknown_author_is_tried_again(status: int) -> None:
    assert isinstance(_next(head=_head(status), cause=Cause.UNKNOWN), Retry)


@pytest.mark.parametrize("status", [400, 403, 404, 500, 502])
def test_any_other_answer_of_an_unknown_author_is_not(status: int) -> None:
    assert _next(head=_head(status), cause=Cause.UNKNOWN) == Stop(spent=False)
