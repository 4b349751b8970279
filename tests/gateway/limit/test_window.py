"""The sliding window: never more than its limit in any stretch of its length."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.limit.window import Window

_STEPS = st.lists(st.sampled_from([0.0, 0.001, 0.1, 0.25, 0.5, 0.999, 1.0, 1.7, 60.0]), max_size=60)


@pytest.mark.parametrize(("limit", "seconds"), [(0, 1.0), (-1, 1.0), (1, 0.0), (1, -1.0), (1, float("nan"))])
def test_a_window_without_sense_is_refused(limit: int, seconds: float) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Window(limit, seconds)


def test_a_burst_passes_and_the_next_waits_for_the_oldest_to_leave() -> None:
    window = Window(2, 1.0)
    for now in (10.0, 10.4):
        assert window.free_at(now) == now
        window.grant(now)
    assert window.remaining(10.9) == 0
    assert window.free_at(10.9) == 11.0
    assert window.free_at(11.0) == 11.0
    assert window.remaining(11.0) == 1


def test_what_was_given_back_may_be_granted_again() -> None:
    window = Window(1, 60.0)
    window.grant(5.0)
    window.give_back(5.0)
    assert window.free_at(5.0) == 5.0
    window.give_back(5.0)
    assert window.remaining(5.0) == 1


def test_a_grant_counts_from_when_it_was_used() -> None:
    window = Window(2, 1.0)
    window.grant(5.0)
    window.grant(5.2)
    window.move(5.0, 5.5)
    assert window.remaining(5.5) == 0
    assert window.free_at(5.5) == 6.2
    window.move(1.0, 7.0)
    assert window.remaining(7.0) == 1, "a grant that was forgotten meanwhile counts again"


@given(steps=_STEPS, limit=st.integers(1, 5), seconds=st.sampled_from([0.4, 1.0, 60.0]))
def test_no_window_ever_holds_more_than_its_limit(steps: list[float], limit: int, seconds: float) -> None:
    """Whoever is granted as soon as `free_at` allows stays within it, whatever the rhythm."""
    window, now, grants = Window(limit, seconds), 1000.0, list[float]()
    for step in steps:
        now += step
        if window.free_at(now) <= now:
            window.grant(now)
            grants.append(now)
    for start in grants:
        assert sum(start <= grant < start + seconds for grant in grants) <= limit


@given(steps=_STEPS, limit=st.integers(1, 5), seconds=st.sampled_from([0.4, 1.0, 60.0]))
def test_nobody_is_kept_waiting_by_less_than_a_full_window(steps: list[float], limit: int, seconds: float) -> None:
    window, now, grants = Window(limit, seconds), 1000.0, list[float]()
    for step in steps:
        now += step
        full = sum(grant + seconds > now for grant in grants) >= limit
        assert (window.free_at(now) > now) == full
        assert window.remaining(now) == limit - sum(grant + seconds > now for grant in grants)
        if not full:
            window.grant(now)
            grants.append(now)


@given(steps=_STEPS, limit=st.integers(1, 5), ahead=st.integers(0, 17))
def test_a_prediction_is_what_happens(steps: list[float], limit: int, ahead: int) -> None:
    window, now = Window(limit, 1.0), 1000.0
    for step in steps:
        now += step
        if window.free_at(now) <= now:
            window.grant(now)
    predicted = window.free_at(now, ahead)
    for _ in range(ahead):
        now = window.free_at(now)
        window.grant(now)
    assert window.free_at(now) == pytest.approx(predicted, abs=1e-9)
