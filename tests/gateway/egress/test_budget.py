"""Retries may be a share of what was asked lately, and never more."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.egress import budget as budget_module
from gateway.egress.budget import FLOOR, RATIO, WINDOW_SECONDS, RetryBudget


def test_a_few_retries_are_always_allowed() -> None:
    budget = RetryBudget()
    assert [budget.spend("h", "k", 1.0) for _ in range(FLOOR + 1)] == [True] * FLOOR + [False]


def test_above_that_a_fifth_of_what_was_asked_is_allowed() -> None:
    budget = RetryBudget()
    for _ in range(100):
        budget.asked("h", "k", 5.0)
    assert sum(budget.spend("h", "k", 5.5) for _ in range(100)) == FLOOR + 20


def test_what_was_asked_longer_ago_counts_no_more() -> None:
    budget = RetryBudget()
    for _ in range(100):
        budget.asked("h", "k", 0.0)
    assert sum(budget.spend("h", "k", 10.0) for _ in range(100)) == FLOOR
    assert not budget.spend("h", "k", 19.9)
    assert budget.spend("h", "k", 21.0)


def test_share_and_floor_can_be_set() -> None:
    budget = RetryBudget(0.5, 1)
    for _ in range(10):
        budget.asked("h", "k", 5.0)
    assert sum(budget.spend("h", "k", 5.5) for _ in range(100)) == 6
    assert not RetryBudget(0.0, 0).spend("h", "k", 1.0)


def test_retries_of_others_are_charged_and_never_refused() -> None:
    budget = RetryBudget()
    for _ in range(5):
        budget.charge("h", "k", 1.0)
    assert not budget.spend("h", "k", 1.0)


def test_hosts_and_keys_have_budgets_of_their_own() -> None:
    budget = RetryBudget()
    while budget.spend("h", "k", 1.0):
        pass
    assert budget.spend("h", "other", 1.0)
    assert budget.spend("other", "k", 1.0)


def test_the_number_of_budgets_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget_module, "SCOPES_MAX", 5)
    budget = RetryBudget()
    for number in range(50):
        budget.asked("h", str(number), 1.0)
    assert len(budget._scopes) == 5


@given(
    events=st.lists(
        st.tuples(st.sampled_from([0.0, 0.1, 0.9, 1.0, 3.0, 9.9, 25.0]), st.sampled_from(["call", "retry"])),
        max_size=150,
    )
)
def test_in_no_window_are_there_more_retries_than_the_share(events: list[tuple[float, str]]) -> None:
    budget, now = RetryBudget(), 1000.0
    calls: list[float] = []
    retries: list[float] = []
    for pause, kind in events:
        now += pause
        if kind == "call":
            budget.asked("h", "k", now)
            calls.append(now)
        elif budget.spend("h", "k", now):
            retries.append(now)
            lately = [sum(at > now - WINDOW_SECONDS for at in times) for times in (calls, retries)]
            assert lately[1] <= FLOOR + RATIO * lately[0]
        assert len(budget._scopes["h", "k"]) <= WINDOW_SECONDS + 1 if budget._scopes else True
    assert len(retries) <= len(events)
