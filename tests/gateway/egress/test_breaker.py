"""A host that answers nobody is not asked by everybody."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.egress import breaker as breaker_module
from gateway.egress.breaker import (
    FAILURES_MIN,
    OPEN_MAX_SECONDS,
    OPEN_SECONDS,
    QUIET_SECONDS,
    Breaker,
    Open,
    is_owned,
)
from gateway.model.cause import Again, Cause, Fault

HERE = ("h", "k")


def _opened(at: float = 0.0) -> Breaker:
    breaker = Breaker()
    for _ in range(FAILURES_MIN):
        breaker.failed(*HERE, at, Cause.SERVICE_OVERLOADED)
    return breaker


def test_it_opens_after_so_many_failures_in_a_row() -> None:
    breaker = Breaker()
    for _ in range(FAILURES_MIN - 1):
        breaker.failed(*HERE, 0.0, Cause.SERVICE_OVERLOADED)
    assert breaker.wait(*HERE, 0.0) == breaker.enter(*HERE, 0.0) == 0
    breaker.failed(*HERE, 0.0, Cause.NETWORK_TCP_REFUSED)
    assert breaker.wait(*HERE, 0.0) == breaker.enter(*HERE, 0.0) == OPEN_SECONDS
    assert breaker.why(*HERE) == (FAILURES_MIN, Cause.NETWORK_TCP_REFUSED)


def test_one_answer_in_between_and_it_stays_closed() -> None:
    breaker = Breaker()
    for number in range(200):
        breaker.failed(*HERE, 0.0, Cause.SERVICE_OVERLOADED)
        if number % (FAILURES_MIN - 1) == 0:
            breaker.answered(*HERE)
        assert breaker.wait(*HERE, 0.0) == 0


def test_failures_far_apart_are_no_run() -> None:
    breaker = Breaker()
    for number in range(200):
        now = number * (QUIET_SECONDS + 1)
        breaker.failed(*HERE, now, Cause.SERVICE_OVERLOADED)
        assert breaker.wait(*HERE, now) == 0


def test_open_it_lets_one_try_in_each_period_and_the_periods_grow_up_to_a_bound() -> None:
    breaker, let_through = _opened(), []
    for step in range(1000):
        now = step / 100
        if breaker.enter(*HERE, now) == 0:
            let_through.append(now)
    quarters, halves = [0.25, 0.5, 0.75, 1.0], [1.5, 2.0, 2.5, 3.0]
    assert let_through == pytest.approx([*quarters, *halves, 4.0, 5.0, 6.0, 7.0, 9.0], abs=0.011)


def test_it_does_not_wait_for_whoever_was_let_through_to_fail() -> None:
    breaker = _opened()
    assert breaker.enter(*HERE, OPEN_SECONDS) == 0
    assert breaker.enter(*HERE, OPEN_SECONDS) > 0
    assert breaker.enter(*HERE, OPEN_SECONDS + OPEN_MAX_SECONDS) == 0


def test_the_first_answer_closes_it() -> None:
    breaker = _opened()
    assert breaker.enter(*HERE, OPEN_SECONDS) == 0
    breaker.answered(*HERE)
    assert all(breaker.enter(*HERE, OPEN_SECONDS) == 0 for _ in range(100))
    breaker.failed(*HERE, OPEN_SECONDS, Cause.SERVICE_OVERLOADED)
    assert breaker.wait(*HERE, OPEN_SECONDS) == 0, "a run begins anew"


def test_hosts_and_keys_have_breakers_of_their_own() -> None:
    breaker = _opened()
    assert breaker.wait("h", "other", 0.0) == breaker.wait("other", "k", 0.0) == 0


def test_their_number_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breaker_module, "SCOPES_MAX", 5)
    breaker = Breaker()
    for number in range(50):
        breaker.failed("h", str(number), 0.0, Cause.SERVICE_OVERLOADED)
    assert len(breaker._failing) == 5


def test_who_answers_well_leaves_nothing_behind() -> None:
    breaker = Breaker()
    breaker.answered(*HERE)
    breaker.failed(*HERE, 0.0, Cause.SERVICE_OVERLOADED)
    breaker.answered(*HERE)
    assert not breaker._failing


@pytest.mark.parametrize("cause", Cause)
def test_it_owns_what_says_that_the_host_cannot_serve_and_nothing_that_a_caller_causes(cause: Cause) -> None:
    if is_owned(cause):
        assert cause.fault in {Fault.NETWORK, Fault.EDGE, Fault.PROVIDER}
        assert cause.again not in {Again.NEVER, Again.AFTER_STATED_WAIT}
    for mine in (Cause.SERVICE_OVERLOADED, Cause.SERVICE_SERVER_ERROR, Cause.NETWORK_TCP_REFUSED):
        assert is_owned(mine)
    for other in (Cause.RATE_LIMIT_REQUESTS, Cause.QUOTA_EXHAUSTED, Cause.AUTH_INVALID_KEY, Cause.UNKNOWN):
        assert not is_owned(other)


@given(
    events=st.lists(
        st.tuples(st.sampled_from([0.0, 0.1, 0.5, 2.0, 15.0]), st.sampled_from(["try", "fail", "answer"])), max_size=200
    )
)
def test_whatever_happens_somebody_may_try_within_the_longest_period(events: list[tuple[float, str]]) -> None:
    breaker, now, run = _opened(), 0.0, FAILURES_MIN
    for pause, what in events:
        now += pause
        if what == "answer":
            breaker.answered(*HERE)
            run = 0
        elif what == "fail":
            breaker.failed(*HERE, now, Cause.SERVICE_OVERLOADED)
            run += 1
        wait = breaker.wait(*HERE, now)
        assert 0 <= wait <= OPEN_MAX_SECONDS
        assert run >= FAILURES_MIN or wait == 0
        if what == "try":
            assert breaker.enter(*HERE, now) == wait
    assert breaker.enter(*HERE, now + OPEN_MAX_SECONDS) == 0


SAID = Open(25, Cause.SERVICE_OVERLOADED)


def test_what_another_gateway_has_opened_lets_attempts_through_as_if_it_were_ones_own() -> None:
    breaker = Breaker()
    breaker.hear(HERE, SAID, 0.0)
    assert breaker.is_open(HERE)
    assert breaker.why(*HERE) == SAID
    assert breaker.enter(*HERE, 0.0) == OPEN_SECONDS
    assert breaker.enter(*HERE, OPEN_SECONDS) == 0
    assert breaker.enter(*HERE, OPEN_SECONDS) > 0
    breaker.answered(*HERE)
    assert not breaker.is_open(HERE)


def test_what_is_heard_again_changes_nothing_of_what_is_known_here() -> None:
    breaker = _opened()
    breaker.enter(*HERE, OPEN_SECONDS)
    before = breaker.wait(*HERE, 0.3)
    breaker.hear(HERE, SAID, 0.3)
    assert breaker.wait(*HERE, 0.3) == before
    assert set(breaker.opened()) == {HERE}


def test_only_what_is_known_by_hearsay_alone_is_forgotten_with_it() -> None:
    breaker = Breaker()
    breaker.hear(HERE, SAID, 0.0)
    assert breaker.opened() == {}
    breaker.unhear(HERE)
    assert not breaker.is_open(HERE)
    breaker.hear(HERE, SAID, 0.0)
    breaker.failed(*HERE, 1.0, Cause.SERVICE_OVERLOADED)
    breaker.unhear(HERE)
    assert breaker.opened() == {HERE: Open(26, Cause.SERVICE_OVERLOADED)}


def test_what_is_heard_has_a_bound() -> None:
    breaker = Breaker()
    for number in range(breaker_module.SCOPES_MAX + 10):
        breaker.hear((f"h{number}", "k"), SAID, 0.0)
    assert sum(breaker.is_open((f"h{n}", "k")) for n in range(breaker_module.SCOPES_MAX + 10)) == 1_000
