"""The first moments of a scope: one call, then twice as many with each round of answers and each half second."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.limit.starting import OVER_AT, OVER_SECONDS, STEP_SECONDS, Starting


def _goes(starting: Starting, now: float, most: int = 200) -> int:
    """Let go who may in this moment; how many that were."""
    for number in range(most):
        if starting.wait(now) > 0:
            return number
        starting.went(now)
    return most


def test_one_call_goes_first_whenever_it_comes() -> None:
    starting = Starting()
    assert starting.wait(5.0) == starting.wait(500.0) == 0
    assert _goes(starting, 1000.0) == 1
    assert starting.wait(1000.0) == STEP_SECONDS


def test_each_round_of_answers_doubles_how_many_may_be_under_way() -> None:
    starting, rounds = Starting(), []
    for _ in range(6):
        rounds.append(_goes(starting, 0.01))
        for _ in range(rounds[-1]):
            starting.ended(answered=True)
    assert rounds == [1, 2, 4, 8, 16, 32]
    assert not starting.over


def test_each_answer_lets_one_more_be_under_way_than_before() -> None:
    starting = Starting()
    assert _goes(starting, 0.0) == 1
    for _ in range(10):
        starting.ended(answered=True)
        assert _goes(starting, 0.01) == 2  # the one that has ended, and one more


def test_every_half_second_doubles_them_as_well_so_a_slow_first_answer_holds_nobody_for_long() -> None:
    starting = Starting()
    assert [_goes(starting, step * STEP_SECONDS) for step in range(6)] == [1, 1, 2, 4, 8, 16]
    assert starting.wait(2.6) == pytest.approx(0.4)


def test_answers_and_time_count_together() -> None:
    starting = Starting()
    starting.went(0.0)
    starting.ended(answered=True)
    assert _goes(starting, STEP_SECONDS) == 4


def test_it_is_over_at_its_greatest_window() -> None:
    starting = Starting()
    for _ in range(OVER_AT - 2):
        starting.went(0.0)
        starting.ended(answered=True)
    assert _goes(starting, 0.0) == OVER_AT - 1
    starting.ended(answered=True)
    assert _goes(starting, 0.0) == 200
    assert starting.over


def test_it_is_over_after_some_seconds_whatever_is_under_way() -> None:
    starting = Starting()
    _goes(starting, 10.0)
    _goes(starting, 10.0 + OVER_SECONDS - 0.01)
    assert not starting.over
    assert starting.wait(10.0 + OVER_SECONDS - 0.01) == pytest.approx(0.01)
    assert _goes(starting, 10.0 + OVER_SECONDS) == 200
    assert starting.over


def test_what_is_over_stays_over() -> None:
    starting = Starting()
    starting.over = True
    assert _goes(starting, 0.0) == 200
    for _ in range(200):
        starting.ended(answered=False)
    assert _goes(starting, 0.1) == 200


def test_a_first_call_that_fails_lets_the_next_one_try_and_doubles_nothing() -> None:
    starting = Starting()
    for _ in range(20):
        assert _goes(starting, 0.1) == 1
        starting.ended(answered=False)
    assert not starting.over


def test_more_ends_than_beginnings_make_no_room() -> None:
    starting = Starting()
    for _ in range(5):
        starting.ended(answered=False)
    assert _goes(starting, 0.0) == 1


def test_after_a_refusal_it_begins_once_more_with_what_is_still_under_way() -> None:
    starting = Starting()
    starting.over = True
    assert _goes(starting, 0.0, most=3) == 3
    starting.again(0.0)
    assert _goes(starting, 0.0) == 0
    for _ in range(3):
        starting.ended(answered=False)
    assert _goes(starting, 0.0) == 1
    assert _goes(starting, OVER_SECONDS) == 200


def test_when_it_begins_later_nothing_goes_by_time_before_then() -> None:
    """The provider takes calls again at 10; the second may go half a second after that."""
    starting = Starting()
    starting.went(0.0)
    starting.again(10.0)
    assert all(starting.wait(now) > 0 for now in (0.0, 1.0, 5.0, 9.9, 10.0, 10.4))
    assert starting.wait(10.0 + STEP_SECONDS) == 0


def test_when_it_begins_later_the_wait_reaches_to_the_step_after_that() -> None:
    starting = Starting()
    starting.went(0.0)
    starting.again(10.0)
    assert starting.wait(4.0) == pytest.approx(6.0 + STEP_SECONDS)


@given(
    events=st.lists(
        st.tuples(st.sampled_from([0.0, 0.1, 0.5, 0.6, 3.0]), st.sampled_from(["ask", "good", "bad", "again"])),
        max_size=60,
    )
)
def test_whoever_waits_may_go_when_it_was_said_and_nothing_ever_locks_it(events: list[tuple[float, str]]) -> None:
    starting, now = Starting(), 0.0
    for pause, what in events:
        now += pause
        if what == "again":
            starting.again(now)
        elif what != "ask":
            starting.ended(answered=what == "good")
        elif (wait := starting.wait(now)) > 0:
            assert wait <= STEP_SECONDS
        else:
            starting.went(now)
    for _ in range(int(OVER_SECONDS / STEP_SECONDS) + 2):
        now += starting.wait(now) + 1e-6  # as the alarm is set: a moment late
    assert starting.wait(now) == 0
