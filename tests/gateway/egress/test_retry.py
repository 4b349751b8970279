"""Whether to try again, and after how long."""

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.egress.retry import (
    SPREAD,
    STATED_WAITS_MAX,
    WAIT_MAX_SECONDS,
    Fate,
    Retry,
    RetryPolicy,
    Stop,
    fate_of,
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
        "harmless": True,
        "left_seconds": 60.0,
        "usual_seconds": 0.0,
        "may_try": lambda: True,
        "may_spend": may_spend or _Budget(),
        "policy": RetryPolicy(),
        "draw": 1.0,
    }
    if "head" in changes:
        values |= {"failure": None, "cause": Cause.RATE_LIMIT_UNKNOWN}
    return next_step(**(values | changes))


def _retry(step: Retry | Stop) -> Retry:
    assert isinstance(step, Retry)
    return step


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


# how far it came


@pytest.mark.parametrize("status", [s for s in range(400, 600) if s not in {429, 503, 529, 521, 522, 523, 525}])
@pytest.mark.parametrize(
    "cause", [Cause.SERVICE_SERVER_ERROR, Cause.SERVICE_TIMEOUT, Cause.EDGE_ORIGIN_ERROR, Cause.REQUEST_CONFLICT]
)
def test_an_answer_that_is_no_refusal_may_have_been_paid_for(status: int, cause: Cause) -> None:
    assert fate_of(_head(status), None, cause) is Fate.AMBIGUOUS


@pytest.mark.parametrize("cause", [cause for cause in Cause if cause.again is Again.AFTER_STATED_WAIT])
def test_a_stream_that_begins_with_a_refusal_for_speed_may_have_been_paid_for(cause: Cause) -> None:
    assert fate_of(_head(200), None, cause) is Fate.AMBIGUOUS
    assert fate_of(_head(400), None, cause) is Fate.FINAL


@pytest.mark.parametrize("status", [521, 522, 523, 525])
def test_what_never_reached_the_origin_was_not_worked_on(status: int) -> None:
    assert fate_of(_head(status), None, Cause.EDGE_ORIGIN_ERROR) is Fate.REFUSED


@pytest.mark.parametrize("phase", [Phase.SEND, Phase.FIRST_BYTE, Phase.BODY])
@pytest.mark.parametrize(
    ("code", "cause"),
    [
        (NetCode.CONNECTION_RESET, Cause.NETWORK_CONNECTION_RESET),
        (NetCode.CONNECTION_RESET, Cause.NETWORK_STREAM_INTERRUPTED),
        (NetCode.READ_TIMEOUT, Cause.NETWORK_READ_TIMEOUT),
        (NetCode.TRUNCATED, Cause.NETWORK_STREAM_INTERRUPTED),
        (NetCode.STREAM_TRUNCATED, Cause.SERVICE_STREAM_TRUNCATED),
    ],
)
def test_what_was_cut_after_it_was_sent_is_ambiguous(phase: Phase, code: NetCode, cause: Cause) -> None:
    assert fate_of(None, NetFailure(phase=phase, code=code, detail="", sent=True), cause) is Fate.AMBIGUOUS


def test_an_answer_that_breaks_http_is_final() -> None:
    failure = NetFailure(phase=Phase.FIRST_BYTE, code=NetCode.PROTOCOL_ERROR, detail="", sent=True)
    assert fate_of(None, failure, Cause.SERVICE_PROTOCOL_ERROR) is Fate.FINAL


def test_what_may_have_been_worked_on_is_sent_again_where_that_only_costs_money_and_is_marked() -> None:
    budget = _Budget()
    assert _next(budget, failure=AMBIGUOUS, cause=Cause.NETWORK_CONNECTION_RESET) == Retry(
        after_seconds=0.5, stated=False, duplicate=True
    )
    assert budget.asked == 1
    assert not _retry(_next()).duplicate
    assert not _retry(_next(head=_head(503))).duplicate


@pytest.mark.parametrize(
    "how", [{"harmless": False}, {"policy": RetryPolicy(strict=True)}], ids=["a route that acts", "strict"]
)
@pytest.mark.parametrize("status", [500, 502, 504])
def test_what_may_have_been_worked_on_is_not_sent_again_elsewhere(how: dict[str, Any], status: int) -> None:
    budget = _Budget()
    assert _next(budget, failure=AMBIGUOUS, cause=Cause.NETWORK_CONNECTION_RESET, **how) == Stop(spent=False)
    assert _next(budget, head=_head(status), cause=Cause.SERVICE_SERVER_ERROR, **how) == Stop(spent=False)
    assert budget.asked == 0
    assert isinstance(_next(**how), Retry), "what was never sent goes again on every route"
    assert isinstance(_next(head=_head(503), cause=Cause.SERVICE_OVERLOADED, **how), Retry)


def test_a_body_that_is_gone_cannot_be_sent_again() -> None:
    assert _next(can_repeat=False) == Stop(spent=False)
    assert _next(head=_head(429), stated_seconds=1.0, can_repeat=False) == Stop(spent=False)


def test_a_server_that_speaks_no_tls_of_ours_is_asked_once_by_us_and_by_the_sdk() -> None:
    refused = NetFailure(phase=Phase.TLS, code=NetCode.TLS_REFUSED, detail="", sent=False)
    assert _next(failure=refused, cause=Cause.NETWORK_TLS_HANDSHAKE) == Stop(spent=True)
    stumbled = NetFailure(phase=Phase.TLS, code=NetCode.TLS_HANDSHAKE, detail="", sent=False)
    assert isinstance(_next(failure=stumbled, cause=Cause.NETWORK_TLS_HANDSHAKE), Retry)


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


def test_those_who_heard_the_same_wait_do_not_come_back_at_once_and_never_too_early() -> None:
    assert _next(head=_head(429), stated_seconds=10.0, draw=1.0) == Retry(after_seconds=10 * (1 + SPREAD), stated=True)


def test_a_wait_that_an_overload_states_is_kept_but_is_a_failure_all_the_same() -> None:
    """Else a storm of 503 with a Retry-After of one second would be asked ten times by each call."""
    budget = _Budget(1)
    overload: dict[str, Any] = {"head": _head(503), "stated_seconds": 7.0, "cause": Cause.SERVICE_OVERLOADED}
    assert _next(budget, draw=0.0, **overload) == Retry(after_seconds=7.0, stated=True)
    assert _next(budget, **overload) == Stop(spent=False)
    assert _next(**overload, failures=3) == Stop(spent=True)


def test_a_wait_over_the_bound_is_passed_on() -> None:
    for value in (120.5, 86400.0, math.inf):
        assert _next(head=_head(), stated_seconds=value, left_seconds=1e9) == Stop(spent=False)
    assert isinstance(_next(head=_head(429), stated_seconds=120.0, left_seconds=1e9), Retry)


def test_nothing_starts_after_the_app_has_given_up() -> None:
    assert _next(head=_head(429), stated_seconds=7.0, left_seconds=6.9) == Stop(spent=False)
    assert _next(left_seconds=0.4) == Stop(spent=False)
    assert _next(left_seconds=-1.0, draw=0.0, number=2, failures=2) == Stop(spent=True)


def test_nothing_starts_that_cannot_begin_to_answer_in_time() -> None:
    assert isinstance(_next(left_seconds=10.0, usual_seconds=9.0), Retry)
    assert _next(left_seconds=10.0, usual_seconds=9.6) == Stop(spent=False)
    assert _next(head=_head(429), stated_seconds=7.0, left_seconds=10.0, usual_seconds=3.1) == Stop(spent=False)


def test_failures_are_counted_and_stated_waits_are_bounded() -> None:
    assert isinstance(_next(number=2, failures=2), Retry)
    assert _next(number=3, failures=3) == Stop(spent=True)
    assert isinstance(_next(head=_head(), stated_seconds=1.0, number=STATED_WAITS_MAX, failures=0), Retry)
    assert _next(head=_head(), stated_seconds=1.0, number=STATED_WAITS_MAX + 1, failures=0) == Stop(spent=False)


def test_a_resolver_that_hangs_is_asked_twice() -> None:
    hangs = NetFailure(phase=Phase.DNS, code=NetCode.DNS_TIMEOUT, detail="", sent=False)
    assert isinstance(_next(failure=hangs, cause=Cause.NETWORK_DNS_FAILURE), Retry)
    assert _next(failure=hangs, cause=Cause.NETWORK_DNS_FAILURE, number=2, failures=2) == Stop(spent=True)


def test_an_empty_budget_stops_us_and_the_sdk_only_where_we_have_tried() -> None:
    """Somebody who makes few calls would else be worse off with us than without."""
    assert _next(_Budget(0)) == Stop(spent=False)
    assert _next(_Budget(0), number=2, failures=2) == Stop(spent=True)


def test_a_breaker_that_is_open_stops_us_and_not_the_sdk_whose_retry_costs_the_host_nothing() -> None:
    budget = _Budget()
    assert _next(budget, may_try=lambda: False) == Stop(spent=False)
    assert budget.asked == 0


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
    harmless=st.booleans(),
    strict=st.booleans(),
    usual=st.floats(0, 100),
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
    harmless: bool,
    strict: bool,
    usual: float,
) -> None:
    spend, policy = _Budget(budget), RetryPolicy(strict=strict)
    head, failure = (answer, None) if isinstance(answer, ReplyHead) else (None, answer)
    step = next_step(
        number=number,
        failures=failures,
        head=head,
        failure=failure,
        cause=cause,
        stated_seconds=stated,
        can_repeat=can_repeat,
        harmless=harmless,
        left_seconds=left,
        usual_seconds=usual,
        may_try=lambda: True,
        may_spend=spend,
        policy=policy,
        draw=draw,
    )
    assert spend.asked <= 1
    if isinstance(step, Stop):
        assert step.spent or number == 1 or spend.asked == 0
        return
    fate = fate_of(head, failure, cause)
    assert can_repeat
    assert fate is not Fate.FINAL
    assert step.duplicate is (fate is Fate.AMBIGUOUS)
    assert not step.duplicate or (harmless and not strict)
    assert 0 <= step.after_seconds <= min(left - usual, WAIT_MAX_SECONDS * (1 + SPREAD))
    if step.stated:
        assert head is not None
        assert step.after_seconds >= (stated or math.inf)
    else:
        assert step.after_seconds <= min(policy.cap_seconds, policy.base_seconds * 2 ** min(number - 1, 10))
    if spend.asked:
        assert budget
        assert failures < policy.max_attempts
    else:
        assert step.stated
        assert cause.again is not Again.WITHIN_BUDGET
        assert number <= STATED_WAITS_MAX


@pytest.mark.parametrize("status", [429, 503, 529])
def test_a_refusal_of_an_unknown_author_is_tried_again(status: int) -> None:
    assert isinstance(_next(head=_head(status), cause=Cause.UNKNOWN), Retry)


@pytest.mark.parametrize("status", [400, 403, 404, 418, 505])
def test_any_other_answer_of_an_unknown_author_is_not(status: int) -> None:
    assert _next(head=_head(status), cause=Cause.UNKNOWN) == Stop(spent=False)
