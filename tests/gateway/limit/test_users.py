"""Who uses a scope, and how much is asked of it: bounded, and forgotten with time."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.limit.users import USERS_MAX, User, Users


def _user(number: int) -> User:
    return User("default", f"key-{number}", f"127.0.0.1:{number}")


def test_of_too_many_users_the_one_that_was_not_seen_for_longest_is_forgotten() -> None:
    users = Users()
    for number in range(USERS_MAX):
        users.asked(_user(number), 0, 0.0)
    users.asked(_user(0), 0, 1.0)
    users.asked(_user(USERS_MAX), 0, 2.0)
    assert len(users.uses) == USERS_MAX
    assert _user(1) not in users.uses
    assert _user(0) in users.uses


@pytest.mark.parametrize("busy", ["in_flight", "queued"])
def test_who_has_something_under_way_or_waiting_is_not_forgotten_before_who_has_not(busy: str) -> None:
    users = Users()
    users.asked(_user(0), 0, 0.0)
    setattr(users.of(_user(0)), busy, 1)
    for number in range(1, 3 * USERS_MAX):
        users.asked(_user(number), 0, 1.0)
    assert _user(0) in users.uses
    assert len(users.uses) == USERS_MAX


@given(st.lists(st.tuples(st.integers(0, 200), st.booleans()), max_size=300))
def test_there_are_never_more_users_than_the_most_and_the_newest_is_among_them(asked: list[tuple[int, bool]]) -> None:
    users = Users()
    for number, keeps in asked:
        users.asked(_user(number), 0, 0.0)
        users.of(_user(number)).in_flight += keeps
        assert len(users.uses) <= USERS_MAX
        assert _user(number) in users.uses


def test_the_calls_of_a_user_are_counted_together() -> None:
    users = Users()
    for now in (0.0, 5.0):
        users.asked(_user(1), 0, now)
    assert users.uses[_user(1)].calls == 2


def test_demand_is_calls_a_second_and_decays_when_nobody_asks() -> None:
    users = Users()
    for tick in range(400):
        users.asked(_user(1), 0, tick * 0.25)
    asked_last = 399 * 0.25
    assert users.demand(asked_last) == pytest.approx(4, rel=0.05)
    assert users.demand(asked_last + 10) == pytest.approx(4 / math.e, rel=0.05)
    assert users.demand(asked_last + 1_000) < 1e-9


@given(st.lists(st.floats(0, 30), max_size=50))
def test_demand_is_never_negative_and_never_more_than_was_asked(pauses: list[float]) -> None:
    users, now = Users(), 0.0
    for pause in pauses:
        now += pause
        users.asked(_user(1), 0, now)
        assert 0 < users.demand(now) <= len(pauses) / 10 + 1e-9


def test_tokens_each_goes_after_what_calls_take_lately() -> None:
    users = Users()
    for _ in range(60):
        users.asked(_user(1), 1_000, 0.0)
    assert users.tokens_each == pytest.approx(1_000, rel=0.01)
    users.asked(_user(1), 0, 0.0)
    assert 850 < users.tokens_each < 950, "one call says little"


def test_the_rate_is_what_was_answered_well_in_the_last_ten_seconds() -> None:
    users = Users()
    for tick in range(100):
        users.answered(tick * 0.2)
    assert users.rate(19.8) == pytest.approx(5, rel=0.05)
    assert users.rate(25.0) < 5
    assert users.rate(31.0) == 1.0, "of long ago nothing is known"


def test_a_burst_of_answers_in_one_moment_is_a_rate_of_one_second() -> None:
    users = Users()
    for _ in range(30):
        users.answered(5.0)
    assert users.rate(5.0) == 30


def test_without_an_answer_one_call_a_second_is_supposed() -> None:
    assert Users().rate(0.0) == 1.0


def test_two_scopes_users_become_one_list_that_is_still_bounded() -> None:
    ours, theirs = Users(), Users()
    for number in range(USERS_MAX):
        ours.asked(_user(number), 0, 0.0)
        theirs.asked(_user(number + 40), 0, 0.0)
    ours.join(theirs)
    assert len(ours.uses) == USERS_MAX


def test_who_has_something_under_way_is_kept_when_two_scopes_become_one() -> None:
    ours, theirs = Users(), Users()
    ours.of(_user(0)).in_flight = 1
    for number in range(1, USERS_MAX + 1):
        theirs.asked(_user(number), 0, 0.0)
    ours.join(theirs)
    assert _user(0) in ours.uses


def test_what_one_user_has_under_way_in_both_scopes_is_added_up() -> None:
    """One program, one connection, one tenant; its calls were counted in a scope for each host."""
    ours, theirs = Users(), Users()
    ours.of(_user(1)).in_flight = 1
    theirs.of(_user(1)).in_flight = 2
    ours.join(theirs)
    assert ours.uses[_user(1)].in_flight == 3


def test_who_was_forgotten_can_still_give_back_what_it_had() -> None:
    users = Users()
    users.left(_user(1))
    users.got(_user(1))
    users.of(_user(1)).in_flight = 1
    users.left(_user(1))
    users.left(_user(1))
    assert (users.of(_user(1)).in_flight, users.of(_user(1)).queued) == (0, 0)
