"""What answers say of a limit: how it is counted, how much is left, and how fast to go where nothing is said."""

import math
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.limit.bucket import Bucket
from gateway.limit.learn import (
    DAY,
    HEADERS_FADE_SECONDS,
    HOUR,
    MINUTE,
    REFUSAL_FADE_SECONDS,
    Learned,
    Pace,
    Shape,
    judge,
)
from gateway.limit.window import Window
from gateway.model.provider import StatedLimit

_EVENLY, _HOURLY, _DAILY = Shape(False, MINUTE), Shape(False, HOUR), Shape(False, DAY)
_WINDOW, _SECOND = Shape(True, MINUTE), Shape(True, 1.0)


def _judge(limit: float, used: float, reset: float | None, **more: Any) -> Shape:
    values: dict[str, Any] = {"window_seconds": None, "took_seconds": 0.3, "now": None}
    return judge(limit=limit, used=used, reset_seconds=reset, **(values | more))


@pytest.mark.parametrize(
    ("limit", "used", "reset", "shape"),
    [
        # OpenAI, a bucket of a minute: exact, from the request on
        (500, 1, 0.12, _EVENLY),
        (10_000, 1, 0.006, _EVENLY),
        (200_000, 1_350, 0.405, _EVENLY),
        (500, 250, 30.0, _EVENLY),
        (60, 60, 60.0, _EVENLY),
        (500, 0, 0.0, _EVENLY),
        # OpenAI, a bucket of a day: "7m12s", "8.64s"
        (200, 1, 432.0, _DAILY),
        (200, 3, 1_296.0, _DAILY),
        (10_000, 1, 8.64, _DAILY),
        (10_000, 200, 1_728.0, _DAILY),
        # of an hour
        (100, 1, 36.0, _HOURLY),
        (1_000, 50, 180.0, _HOURLY),
        # a sliding window is empty a window after the last call, whatever is used
        (100, 1, 60.0, _WINDOW),
        (100, 50, 60.0, _WINDOW),
        (100, 50, 59.7, _WINDOW),
        (10, 1, 1.0, _SECOND),
        (10, 4, 1.0, _SECOND),
        (10, 10, 0.95, _SECOND),
        # whole seconds, rounded up or down
        (50, 1, 1.0, _EVENLY),
        (50, 1, 2.0, _EVENLY),
        (50, 25, 30.0, _EVENLY),
        (50, 26, 32.0, _EVENLY),
        (4_000, 3_999, 60.0, _EVENLY),
        # a strict bucket that holds ten at most of 600 a minute
        (600, 3, 0.3, _EVENLY),
        (600, 10, 1.0, _EVENLY),
        # nothing resets later than its own window
        (100, 1, 7_000.0, _DAILY),
        (100, 1, 30 * DAY, _DAILY),
        # no reset, or one that fits nothing
        (100, 1, None, _EVENLY),
        (100, 50, 11.3, _EVENLY),
    ],
)
def test_how_a_limit_is_counted_follows_from_when_all_of_it_is_back(
    limit: float, used: float, reset: float | None, shape: Shape
) -> None:
    assert _judge(limit, used, reset) == shape


@pytest.mark.parametrize(
    ("used", "reset", "window", "shape"),
    [
        (1, 0.6, 60.0, _EVENLY),
        (1, 1.0, 60.0, _EVENLY),
        (1, 0.0, 60.0, _EVENLY),
        (5, 60.0, 60.0, _WINDOW),
        (5, 0.05, 1.0, Shape(False, 1.0)),
        (5, 1.0, 1.0, _SECOND),
        (5, 864.0 * 5, DAY, _DAILY),
        (5, 17.0, DAY, _DAILY),
        (5, None, 10.0, Shape(False, 10.0)),
        (5, 3.3, 10.0, Shape(False, 10.0)),
        (5, 7_200.0, 60.0, _EVENLY),
    ],
)
def test_a_documented_window_is_believed(used: float, reset: float | None, window: float, shape: Shape) -> None:
    assert _judge(100, used, reset, window_seconds=window) == shape


@pytest.mark.parametrize("now", [_EVENLY, _WINDOW, _SECOND, _DAILY])
def test_what_was_thought_so_far_stays_where_nothing_contradicts_it(now: Shape) -> None:
    expected = now.seconds if now.stepwise else now.seconds * 0.5
    assert _judge(100, 50, expected, now=now) == now
    assert _judge(100, 50, None, now=now) == now


@pytest.mark.parametrize("late", [0.0, 0.4, 2.0, 5.0])
@pytest.mark.parametrize(("limit", "used", "full", "shape"), [(100, 40, 24.0, _EVENLY), (100, 3, 60.0, _WINDOW)])
def test_a_reset_may_be_stated_as_of_the_request_or_of_its_answer(
    late: float, limit: float, used: float, full: float, shape: Shape
) -> None:
    assert _judge(limit, used, full - late, took_seconds=5.0) == shape


@pytest.mark.parametrize(("limit", "used", "took"), [(50, 0.5, 0.3), (1_000, 5, 0.3), (1_000, 8, 2.0)])
def test_a_reset_in_less_than_a_whole_second_makes_no_limit_sixty_times_as_high(
    limit: float, used: float, took: float
) -> None:
    assert _judge(limit, used, 0.0, took_seconds=took) == _EVENLY


@settings(deadline=None)
@given(
    said=st.fixed_dictionaries(
        {
            "limit": st.floats(1, 1e12),
            "used": st.floats(0, 1e12),
            "reset_seconds": st.none() | st.floats(0, 32 * DAY),
            "window_seconds": st.none() | st.sampled_from([1.0, 10.0, MINUTE, HOUR, DAY]),
            "took_seconds": st.floats(0, 1e5),
            "now": st.none() | st.builds(Shape, st.booleans(), st.sampled_from([1.0, MINUTE, HOUR, DAY])),
        }
    )
)
def test_whatever_is_said_there_is_a_judgement(said: dict[str, Any]) -> None:
    shape, window, now = judge(**said), said["window_seconds"], said["now"]
    assert 1.0 <= shape.seconds <= DAY
    reset = said["reset_seconds"]
    far = window is not None and reset is not None and reset < said["used"] * window / said["limit"] / 2 - 3
    if window is not None and not far and (now is None or now.seconds == window):
        assert shape.seconds == window


def test_a_documented_window_is_not_believed_where_everything_is_back_far_too_early() -> None:
    """Five a second, of a provider that documents minutes: waiting a minute for what is back in a second helps nobody."""
    assert _judge(5, 1, 1.0, window_seconds=MINUTE) == Shape(stepwise=True, seconds=1.0)
    assert _judge(5, 1, 12.0, window_seconds=MINUTE).seconds == MINUTE


# one limit


def _said(
    limit: int | None, remaining: int | None, reset: float | None = None, window: float | None = None
) -> StatedLimit:
    return StatedLimit("requests", limit, remaining, reset, window)


def _hear(learned: Learned, said: StatedLimit, at: float, *, took: float = 0.3, source: str = "headers") -> None:
    """Take in an answer to a call that was sent at that moment."""
    if learned.meter is not None:
        learned.meter.sent(learned.meter.take(1, at), at)
    learned.hear(said, cost=1, sent_at=at, now=at + took, source=source)


def _heard(*said: StatedLimit, kind: str = "requests") -> Learned:
    learned = Learned(kind, 1000.0)
    for number, one in enumerate(said):
        _hear(learned, one, 1000.0 + number)
    return learned


def test_a_bucket_of_a_minute_is_known_from_one_answer() -> None:
    learned = _heard(_said(500, 499, 0.12))
    assert (learned.shape, learned.enforced, learned.source) == (_EVENLY, True, "headers")
    assert isinstance(learned.meter, Bucket)
    assert (learned.meter.limit, learned.meter.capacity, learned.meter.seconds) == (500, 500, MINUTE)
    assert learned.meter.level(1000.0) == pytest.approx(499, abs=3)


def test_a_window_is_known_from_one_answer() -> None:
    learned = _heard(_said(100, 70, 60.0))
    assert (learned.shape, learned.enforced) == (_WINDOW, True)
    assert isinstance(learned.meter, Window)
    assert learned.meter.level(1000.3) == 70
    assert learned.meter.level(1060.4) == 100


def test_a_limit_of_a_day_is_known_and_nobody_waits_for_it() -> None:
    learned = _heard(_said(200, 199, 432.0))
    assert (learned.shape, learned.enforced) == (_DAILY, False)
    assert learned.meter is not None
    assert learned.meter.limit == 200


@pytest.mark.parametrize("said", [_said(None, 5), _said(0, 5), _said(0, None), _said(None, None)])
def test_what_is_left_of_a_limit_that_nobody_knows_says_nothing(said: StatedLimit) -> None:
    learned = _heard(said)
    assert (learned.meter, learned.shape, learned.enforced, learned.capacity) == (None, None, False, 0)


@pytest.mark.parametrize("limit", [None, 0])
def test_what_is_left_of_a_known_limit_is_heard_without_its_number(limit: int | None) -> None:
    learned = _heard(_said(100, 99, 0.6), _said(limit, 20))
    assert learned.meter is not None
    assert learned.meter.limit == 100
    assert learned.meter.level(1001.3) < 25


def test_more_left_than_the_limit_is_all_of_it() -> None:
    learned = _heard(_said(10, 10**9, 0.0))
    assert learned.meter is not None
    assert learned.meter.level(1000.3) <= 10


def test_where_only_a_limit_is_stated_a_second_of_it_may_go_at_once() -> None:
    learned = _heard(_said(600, None))
    assert isinstance(learned.meter, Bucket)
    assert (learned.shape, learned.meter.capacity) == (_EVENLY, 10)


def test_what_may_go_at_once_is_the_most_that_was_ever_left() -> None:
    learned = _heard(_said(600, 7), _said(600, 9), _said(600, 2))
    assert isinstance(learned.meter, Bucket)
    assert learned.meter.capacity == 10


def test_another_limit_is_adopted_with_the_next_answer() -> None:
    for reset in (0.6, 60.0):
        learned = _heard(_said(100, 90, reset), _said(20, 15, 15.0 if reset < 1 else reset))
        assert learned.meter is not None
        assert learned.meter.limit == 20
        assert learned.meter.level(1001.3) <= 16


def test_one_contradicting_answer_changes_nothing_and_two_in_a_row_do() -> None:
    fits, contradicts = _said(100, 90, 6.0), _said(100, 90, 60.0)
    for answers, shape in (
        ([fits, contradicts], _EVENLY),
        ([fits, contradicts, _said(100, 90, None), contradicts], _EVENLY),
        ([fits, contradicts, contradicts], _WINDOW),
    ):
        learned = _heard(_said(100, 99, 0.6), *answers)
        assert learned.shape == shape
        assert isinstance(learned.meter, Window if shape.stepwise else Bucket)


def test_a_documented_window_that_contradicts_is_believed_at_once() -> None:
    learned = _heard(_said(100, None), _said(100, 90, None, HOUR))
    assert learned.shape == _HOURLY


def test_what_is_under_way_counts_on_when_a_limit_turns_out_to_be_counted_otherwise() -> None:
    learned = _heard(_said(100, None))
    assert learned.meter is not None
    for at in (1001.0, 1002.0, 1003.0, 1004.0):
        learned.meter.sent(learned.meter.take(1, at), at)
    for at, left in ((1001.0, 99), (1002.0, 98)):
        learned.hear(_said(100, left, 60.0), cost=1, sent_at=at, now=at + 3.5, source="headers")
    assert learned.shape == _WINDOW
    assert learned.meter.level(1006.0) == 96


def test_a_limit_that_is_not_said_again_fades_sooner_when_a_refusal_said_it() -> None:
    for source, seconds in (("headers", HEADERS_FADE_SECONDS), ("refusal", REFUSAL_FADE_SECONDS)):
        learned = Learned("requests", 0.0)
        _hear(learned, _said(10, 5), 0.0, source=source, took=0.0)
        assert learned.source == source
        assert not learned.faded(seconds)
        assert learned.faded(seconds + 1)
        _hear(learned, _said(10, 5), seconds, source=source, took=0.0)
        assert not learned.faded(2 * seconds)


def test_headers_are_the_better_source() -> None:
    learned = Learned("requests", 0.0)
    _hear(learned, _said(10, 5), 0.0, source="refusal")
    _hear(learned, _said(10, 5), 1.0, source="headers")
    _hear(learned, _said(10, 5), 2.0, source="refusal")
    assert learned.source == "headers"


def test_what_an_earlier_process_knew_is_where_it_begins_until_it_is_said_again() -> None:
    for shape in (_EVENLY, _WINDOW):
        learned = Learned("requests", 50.0)
        learned.restore(shape, 100.0, 80.0, 30.0, 50.0)
        assert (learned.remembered, learned.shape) == (True, shape)
        assert learned.meter is not None
        assert learned.meter.level(50.0) == pytest.approx(30)
        _hear(learned, _said(100, 29, 60.0 if shape.stepwise else 30.6), 51.0)
        assert not learned.remembered


@pytest.mark.parametrize("told", [True, False])
def test_after_a_refusal_nothing_is_left_until_the_provider_takes_calls_again(told: bool) -> None:
    learned = _heard(_said(60, 59, 1.0))
    assert isinstance(learned.meter, Bucket)
    for _ in range(5):
        learned.meter.sent(learned.meter.take(1, 1001.0), 1001.0)
    learned.refused(1011.0, 1, 1001.0, 1001.5, told=told)
    assert learned.meter.level(1011.0) <= 3
    assert learned.meter.wait(5, 1001.5) > 9.5
    assert learned.meter.wait(1, 1040.0) == 0


def test_a_refusal_against_our_count_lowers_what_may_go_at_once() -> None:
    learned = _heard(_said(600, 99))
    learned.refused(1002.0, 1, 1000.5, 1001.0, told=False)
    _hear(learned, _said(600, None), 1010.0)
    assert isinstance(learned.meter, Bucket)
    assert learned.meter.capacity == 75


def test_a_window_whose_refusal_says_nothing_of_its_rest_counts_on() -> None:
    """Everybody is held until the provider takes calls again; what is left then, the next answer says."""
    learned = _heard(_said(100, 70, 60.0))
    learned.refused(1005.0, 1, 1000.5, 1001.0, told=False)
    assert learned.meter is not None
    assert learned.meter.level(1001.0) == 70


@pytest.mark.parametrize("left", [95, 90, 83, 60, 40, 20, 5])
def test_a_bucket_that_is_partly_empty_at_first_sight_is_known_for_what_it_is(left: int) -> None:
    """The app has run without us before; 100 a minute, exact resets."""
    learned = _heard(_said(100, left, (100 - left) * 0.6))
    assert learned.shape == _EVENLY


@settings(deadline=None)
@given(
    answers=st.lists(
        st.tuples(
            st.none() | st.integers(0, 5) | st.integers(1, 10**12), st.none() | st.integers(0, 10**12),
            st.none() | st.sampled_from([0.0, 0.6, 1.0, 60.0]) | st.floats(0, 32 * DAY),
            st.none() | st.sampled_from([1.0, 10.0, MINUTE, HOUR, DAY]),
            st.sampled_from([0.0, 0.3, 70.0, 1e6]), st.sampled_from([0.0, 0.5, 100.0]), st.sampled_from(["headers", "refusal"]),
            st.booleans(),
        ),
        max_size=12,
    ),
    kind=st.sampled_from(["requests", "tokens"]), cost=st.sampled_from([0, 1, 5_000]),
)  # fmt: skip
def test_whatever_answers_say_a_limit_stays_a_limit(answers: list[tuple[Any, ...]], kind: str, cost: int) -> None:
    learned, now = Learned(kind, 1000.0), 1000.0
    for limit, left, reset, window, pause, took, source, is_refused in answers:
        now += pause
        if learned.meter is not None:
            learned.meter.sent(learned.meter.take(cost, now), now)
        learned.hear(
            StatedLimit(kind, limit, left, reset, window), cost=cost, sent_at=now, now=now + took, source=source
        )
        now += took
        if is_refused:
            learned.refused(now + 1.0, cost, now, now, told=left is not None)
        assert (learned.meter is None) == (learned.shape is None)
        if limit:
            assert learned.meter is not None
        if learned.meter is not None and learned.shape is not None:
            meter = learned.meter
            assert meter.limit >= 1
            assert meter.seconds == pytest.approx(learned.shape.seconds, abs=0.031)
            assert meter.limit == limit or not limit
            assert meter.level(now) <= (meter.capacity if isinstance(meter, Bucket) else meter.limit)
            wait = meter.wait(1, now)
            assert 0 <= wait < math.inf
            assert meter.wait(1, now + wait + 1.0) < max(wait, 1.0), "and it ends"


# beside providers that count in their own ways


@dataclass
class _Provider:
    """Counts requests, evenly or in a sliding window; states limit, rest and reset as of the request."""

    limit: int
    seconds: float
    capacity: int | None = None
    """Of the bucket; None for a window."""

    digits: int = 3
    gone: deque[float] = field(default_factory=deque)
    level: float = 0.0
    at: float = 0.0
    refused: int = 0
    passed: int = 0

    def __post_init__(self) -> None:
        self.level = float(self.capacity or 0)

    def arrives(self, now: float) -> tuple[bool, StatedLimit]:
        if self.capacity is None:
            while self.gone and self.gone[0] <= now - self.seconds:
                self.gone.popleft()
            passes = len(self.gone) < self.limit
            if passes:
                self.gone.append(now)
            left, reset = self.limit - len(self.gone), self.seconds - (now - self.gone[-1])
        else:
            rate = self.limit / self.seconds
            self.level = min(self.capacity, self.level + (now - self.at) * rate)
            self.at = now
            passes = self.level >= 1 - 1e-9
            self.level -= passes
            left, reset = int(self.level + 1e-9), (self.capacity - self.level) / rate
        self.passed += passes
        self.refused += not passes
        stated = round(reset, self.digits) if self.digits else float(math.ceil(reset))
        return passes, StatedLimit("requests", self.limit, max(0, left), stated)


def _used_alone(provider: _Provider, latency: float, seconds: float) -> Learned:
    """Send whatever may go, as the scope would: one call first, and none during a pause."""
    learned, now, paused = Learned("requests", 0.0), 0.0, 0.0
    answers: list[tuple[float, float, bool, StatedLimit]] = []
    _, said = provider.arrives(now)
    answers.append((latency, now, True, said))
    while now < seconds:
        ready = [answer for answer in answers if answer[0] <= now]
        answers = [answer for answer in answers if answer[0] > now]
        for at, sent_at, passed, said in ready:
            learned.hear(said, cost=1, sent_at=sent_at, now=at, source="headers")
            if not passed:
                paused = max(paused, at + 1.0)
                learned.refused(at + 1.0, 1, at, at, told=True)
        meter = learned.meter
        wait = max(0.0, paused - now)
        if meter is not None:
            wait = max(wait, meter.wait(1, now)) if wait <= 0 else wait
        if meter is not None and wait <= 0:
            meter.sent(meter.take(1, now), now)
            passed, said = provider.arrives(now)
            answers.append((now + latency, now, passed, said))
            now += 1e-4
            continue
        soonest = min((at for at, *_ in answers), default=now + 1.0)
        now = max(now + 1e-3, min(soonest, now + wait) if meter is not None else soonest)
    return learned


@pytest.mark.parametrize("latency", [0.2, 2.0])
@pytest.mark.parametrize(
    ("provider", "shape"),
    [
        ({"limit": 600, "seconds": MINUTE, "capacity": 600}, _EVENLY),
        ({"limit": 600, "seconds": MINUTE, "capacity": 10}, _EVENLY),
        ({"limit": 60, "seconds": MINUTE, "capacity": 60, "digits": 0}, _EVENLY),
        ({"limit": 60, "seconds": MINUTE, "capacity": 1}, _EVENLY),
        ({"limit": 3_000, "seconds": MINUTE, "capacity": 50}, _EVENLY),
    ],
    ids=["a whole minute at once", "ten at once", "whole seconds", "one at once", "a second at once"],
)
def test_beside_a_bucket_of_a_minute_nearly_all_of_it_goes_and_nearly_nothing_is_refused(
    provider: dict[str, Any], shape: Shape, latency: float
) -> None:
    theirs = _Provider(**provider)
    learned = _used_alone(theirs, latency, 300.0)
    assert learned.shape == shape
    assert theirs.refused <= 2
    assert theirs.passed >= 0.93 * (theirs.capacity or 0) + 0.93 * 300 * theirs.limit / theirs.seconds


@pytest.mark.parametrize(
    ("limit", "seconds", "latency"),
    [
        (60, MINUTE, 0.2),
        (60, MINUTE, 5.0),
        (10, 1.0, 0.01),
        (10, 1.0, 0.3),
        (10, 1.0, 3.0),
    ],
)
def test_beside_a_sliding_window_nearly_all_of_it_goes_and_nearly_nothing_is_refused(
    limit: int, seconds: float, latency: float
) -> None:
    theirs = _Provider(limit, seconds)
    learned = _used_alone(theirs, latency, 10 * seconds + 20)
    assert learned.shape == Shape(True, seconds)
    assert theirs.refused <= 2 + theirs.passed // 100
    assert theirs.passed >= 0.93 * limit * 10


# how fast, where nothing is said


def _per_second(pace: Pace) -> float:
    return pace.meter.limit / pace.meter.seconds


def test_the_pace_begins_below_what_went_well() -> None:
    pace = Pace(10.0, 5.0)
    assert _per_second(pace) == pytest.approx(7.0)
    assert pace.meter.wait(1, 5.0) == 0


def test_refusals_of_one_burst_slow_down_once_and_of_another_once_more() -> None:
    pace = Pace(10.0, 0.0)
    for now in (0.0, 0.1, 0.9):
        pace.refused(now + 1.0, now)
    assert _per_second(pace) == pytest.approx(7.0), "its beginning was the same burst"
    for now in (5.0, 5.2, 6.0, 6.9):
        pace.refused(6.0, now)
    assert _per_second(pace) == pytest.approx(4.9)


def test_during_a_long_stated_wait_late_refusals_slow_down_no_further() -> None:
    pace = Pace(10.0, 0.0)
    pace.refused(60.0, 0.5)
    for now in (3.0, 20.0, 60.5):
        pace.refused(60.0, now)
    assert _per_second(pace) == pytest.approx(7.0)


def test_after_a_second_without_refusal_it_grows_and_once_a_second_alone() -> None:
    pace = Pace(10.0, 0.0)
    pace.refused(2.0, 0.0)
    rates = []
    for now in (1.0, 2.5, 2.99, 3.0, 3.1, 3.9, 4.0):
        pace.grow(now)
        rates.append(_per_second(pace) / 7.0)
    assert rates == pytest.approx([1, 1, 1, 1.08, 1.08, 1.08, 1.08**2])


def test_after_a_refusal_one_call_may_go_when_the_wait_is_over() -> None:
    pace = Pace(2.0, 0.0)
    pace.refused(10.0, 1.0)
    assert pace.meter.wait(1, 10.0) == 0
    pace.meter.sent(pace.meter.take(1, 10.0), 10.0)
    assert pace.meter.wait(1, 10.0) == pytest.approx(1 / 1.4)


@pytest.mark.parametrize("rate", [0.0, 1e-9, 0.5, 1.0, 3.3, 1e9])
def test_however_often_it_is_refused_or_not_it_stays_between_one_in_two_minutes_and_a_million_a_second(
    rate: float,
) -> None:
    pace, now = Pace(rate, 0.0), 0.0
    for _ in range(100):
        now += 3
        pace.refused(now, now)
        assert _per_second(pace) >= 1 / 120 - 1e-12
        assert pace.meter.wait(1, now + 121) == 0
    for _ in range(400):
        now += 3
        pace.grow(now)
    assert _per_second(pace) == pytest.approx(1e6)


def test_a_pace_fades_when_nothing_was_refused_for_long() -> None:
    pace = Pace(1.0, 0.0)
    pace.refused(30.0, 0.0)
    assert not pace.faded(30.0 + REFUSAL_FADE_SECONDS)
    assert pace.faded(31.0 + REFUSAL_FADE_SECONDS)
