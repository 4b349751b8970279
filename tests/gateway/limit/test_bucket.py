"""The bucket: fills evenly, and stays in step with the provider's."""

import itertools
import math
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from gateway.limit.bucket import _EVENTS_MAX, Bucket
from gateway.limit.cost import Hold

_MINUTE = 60.0


def _go(bucket: Bucket, now: float, amount: float = 1) -> Hold:
    """Take and send at once."""
    hold = bucket.take(amount, now)
    bucket.sent(hold, now)
    return hold


@pytest.mark.parametrize(
    ("capacity", "limit", "seconds"),
    [(0, 10, 1.0), (10, 0, 1.0), (10, -1, 1.0), (10, 10, 0.0), (10, 10, -1.0), (10, 10, math.inf), (math.nan, 10, 1.0),
     (10, math.inf, 1.0)],
)  # fmt: skip
def test_a_bucket_without_sense_is_refused(capacity: float, limit: float, seconds: float) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Bucket(capacity, limit, seconds, 0.0)
    bucket = Bucket(5, 60, _MINUTE, 0.0)
    with pytest.raises(ValueError, match="at least 1"):
        bucket.adopt(capacity, limit, seconds, 0.0)
    assert (bucket.capacity, bucket.limit, bucket.seconds) == (5, 60, _MINUTE), "and leaves the old one in force"


def test_a_burst_passes_and_the_others_follow_evenly() -> None:
    bucket = Bucket(3, 60, _MINUTE, 10.0)
    for _ in range(3):
        assert bucket.wait(1, 10.0) == 0
        _go(bucket, 10.0)
    assert bucket.wait(1, 10.0) == pytest.approx(1.0)
    assert bucket.wait(1, 10.0, ahead=4) == pytest.approx(5.0)
    assert bucket.level(11.5) == pytest.approx(1.5)
    assert bucket.level(1000.0) == 3, "a pause saves up no more than a burst"


def test_a_reserve_is_kept_back_but_never_from_a_full_bucket() -> None:
    bucket = Bucket(10, 60, _MINUTE, 0.0, reserve=2.0)
    _go(bucket, 0.0, 8)
    assert bucket.wait(1, 0.0) == pytest.approx(1.0)
    assert bucket.wait(10, 8.0) == 0, "all of it goes when it is full"


def test_what_is_larger_than_the_bucket_goes_when_it_is_full() -> None:
    bucket = Bucket(10, 60, _MINUTE, 0.0)
    _go(bucket, 0.0, 4)
    assert bucket.wait(50, 0.0) == pytest.approx(4.0)
    assert bucket.wait(50, 4.0) == 0
    _go(bucket, 4.0, 50)
    assert bucket.wait(1, 4.0) == pytest.approx(41.0)


@settings(deadline=None)
@given(
    capacity=st.integers(1, 20), rate=st.sampled_from([0.2, 1.0, 7.5]),
    calls=st.lists(st.tuples(st.sampled_from([0.0, 0.05, 0.5, 1.0, 9.0, 1e6]), st.integers(0, 20)), max_size=60),
)  # fmt: skip
def test_in_no_stretch_of_time_passes_more_than_a_burst_and_what_flows_in(
    capacity: int, rate: float, calls: list[tuple[float, int]]
) -> None:
    bucket, now, sent = Bucket(capacity, rate * 60, _MINUTE, 0.0), 0.0, list[tuple[float, int]]()
    for pause, wanted in calls:
        now += pause
        amount = min(wanted, capacity)
        if bucket.wait(amount, now) == 0:
            _go(bucket, now, amount)
            sent.append((now, amount))
        else:
            now += bucket.wait(amount, now)
            assert bucket.wait(amount, now) == pytest.approx(0.0, abs=1e-4), "what it promised comes true"
    for first, (start, _) in enumerate(sent):
        passed = 0
        for at, amount in sent[first:]:
            passed += amount
            assert passed <= capacity + (at - start) * rate + 1e-3


def test_what_is_taken_and_not_sent_yet_leaves_no_room_for_a_second_burst() -> None:
    """The provider counts what arrives: both bursts in one moment, when the connections stand."""
    bucket, taken, now = Bucket(10, 600, _MINUTE, 0.0), list[Hold](), 0.0
    while now < 3:
        if bucket.wait(1, now) == 0:
            taken.append(bucket.take(1, now))
        now += 0.05
    for hold in taken:
        bucket.sent(hold, now)
    assert len(taken) <= 10


def test_an_estimate_is_corrected_up_and_down_and_each_correction_counts_the_difference() -> None:
    bucket = Bucket(100, 60, _MINUTE, 0.0)
    hold, left = bucket.take(30, 0.0), []
    for amount in (10, 10, 50, 0, 120, 40):
        bucket.settle(hold, amount, 0.0)
        left.append(bucket.level(0.0))
    bucket.sent(hold, 0.0)
    bucket.settle(hold, 25, 0.0)
    assert [*left, bucket.level(0.0)] == [90, 90, 50, 100, -20, 60, 75]


def test_what_was_given_back_is_there_again_but_once() -> None:
    bucket = Bucket(10, 60, _MINUTE, 0.0)
    waiting, gone = bucket.take(2, 0.0), _go(bucket, 0.0, 3)
    for hold in (waiting, gone):
        bucket.give_back(hold, 0.0)
        bucket.give_back(hold, 0.0)
        bucket.settle(hold, 9, 0.0)
        bucket.sent(hold, 0.0)
    assert bucket.level(0.0) == 10
    assert bucket.after(-1.0) == 0


def test_a_refund_never_fills_above_the_brim() -> None:
    bucket = Bucket(10, 60, _MINUTE, 0.0)
    hold = _go(bucket, 0.0, 5)
    bucket.settle(hold, 0, 1000.0)
    assert bucket.level(1000.0) == 10


# in step with the provider


def test_what_is_told_is_true_for_the_moment_in_which_the_request_was_sent() -> None:
    bucket = Bucket(100, 60, _MINUTE, 0.0)
    _go(bucket, 0.0, 10)
    _go(bucket, 1.0, 20)
    waiting = bucket.take(5, 1.5)
    assert bucket.after(0.0) == 25
    bucket.told(0.0, 40, 2.0, first=True)
    assert bucket.level(2.0) == pytest.approx(40 + 2 - 20 - 5)
    bucket.give_back(waiting, 2.0)
    assert bucket.level(2.0) == pytest.approx(22)


def test_what_was_absorbed_by_a_told_count_is_not_corrected_any_more() -> None:
    bucket = Bucket(1_000, 60, _MINUTE, 0.0)
    before, after = _go(bucket, 0.0, 100), _go(bucket, 1.0, 100)
    bucket.told(0.5, 500, 2.0, first=True)
    level = bucket.level(2.0)
    bucket.settle(before, 7, 2.0)
    assert bucket.level(2.0) == level
    bucket.settle(after, 60, 2.0)
    assert bucket.level(2.0) == pytest.approx(level + 40)


def test_an_older_answer_that_took_longer_changes_nothing() -> None:
    bucket = Bucket(100, 60, _MINUTE, 0.0)
    for now in (0.0, 1.0):
        _go(bucket, now, 10)
    bucket.told(1.0, 50, 2.0)
    level = bucket.level(3.0)
    bucket.told(0.0, 90, 3.0)
    assert bucket.level(3.0) == level


@pytest.mark.parametrize("told", [0, 50, 88, 89, 90, 91, 100])
def test_our_own_count_is_kept_within_what_a_told_one_was_rounded_by(told: int) -> None:
    bucket = Bucket(100, 6, _MINUTE, 0.0)
    assert 0 < bucket.slack <= 1, "it is rounded down, by less than one"
    _go(bucket, 0.0, 10)
    bucket.told(0.0, told, 0.0)
    assert bucket.level(0.0) == pytest.approx(min(max(90, told), told + bucket.slack))


def test_more_than_fits_is_never_believed() -> None:
    bucket = Bucket(10, 60, _MINUTE, 0.0)
    _go(bucket, 0.0, 5)
    bucket.told(0.0, 1_000, 0.5)
    assert bucket.level(0.5) == 10


def test_what_others_use_is_learned_taken_off_and_forgotten() -> None:
    bucket, provider, now = Bucket(600, 600, _MINUTE, 0.0), 600.0, 0.0

    def go_on(seconds: int, others_each_second: float) -> None:
        nonlocal provider, now
        for _ in range(seconds * 2):
            now += 0.5
            provider = min(600.0, provider + 5.0) - 1.0 - others_each_second / 2
            provider = max(0.0, provider)
            _go(bucket, now)
            bucket.told(now, int(provider), now + 0.1)

    go_on(30, 0.0)
    assert bucket.others == 0
    go_on(60, 9.5)
    assert bucket.others == pytest.approx(9.5, rel=0.15)
    assert bucket.rate == pytest.approx(10.0 - bucket.others)
    go_on(60, 30.0)
    assert 0 < bucket.rate <= 2.5, "a share stays ours, however busy others are"
    go_on(120, 0.0)
    assert bucket.others == 0
    assert bucket.rate == pytest.approx(10.0)


def test_after_a_drain_there_is_so_much_and_what_went_before_has_no_meaning() -> None:
    bucket = Bucket(10, 60, _MINUTE, 0.0)
    gone, waiting = _go(bucket, 0.0, 2), bucket.take(3, 0.0)
    bucket.drain(5.0, 4.0, 1.0)
    bucket.settle(gone, 0, 1.0)
    assert bucket.level(5.0) == pytest.approx(1.0), "what is not sent yet still takes its own"
    bucket.give_back(waiting, 5.0)
    assert bucket.level(5.0) == pytest.approx(4.0)
    assert bucket.level(7.0) == pytest.approx(6.0)
    bucket.told(4.0, 10, 7.0)
    assert bucket.level(7.0) == pytest.approx(6.0), "an answer of before"


def test_after_a_drain_the_wait_reaches_beyond_its_moment() -> None:
    bucket = Bucket(10, 60, _MINUTE, 0.0)
    bucket.drain(5.0, 0.0, 1.0)
    assert bucket.wait(2, 1.0) == pytest.approx(6.0)
    _go(bucket, 2.0)
    assert bucket.level(5.0) == pytest.approx(-1.0)
    bucket.drain(0.0, 3.0, 6.0)
    assert bucket.level(6.0) == pytest.approx(3.0), "a moment that has passed is now"


def test_what_a_drain_leaves_is_there_at_its_moment_and_not_before() -> None:
    bucket = Bucket(10, 60, _MINUTE, 0.0)
    bucket.drain(5.0, 3.0, 1.0)
    assert bucket.wait(3, 1.0) == pytest.approx(4.0)


def test_another_limit_holds_from_then_on() -> None:
    bucket = Bucket(10, 60, _MINUTE, 0.0)
    bucket.adopt(4, 30, _MINUTE, 1.0)
    assert (bucket.capacity, bucket.limit, bucket.rate, bucket.level(1.0)) == (4, 30, 0.5, 4)
    _go(bucket, 1.0, 2)
    bucket.adopt(40, 60, _MINUTE, 3.0)
    assert bucket.level(3.0) == pytest.approx(3.0), "it was not full, and is not"
    bucket.adopt(4, 60, _MINUTE, 100.0)
    bucket.adopt(8, 60, _MINUTE, 100.0)
    assert bucket.level(100.0) == 8, "it was full, and still is"
    bucket.adopt(2, 60, _MINUTE, 100.0)
    bucket.told(100.0, 8, 100.0)
    assert bucket.level(100.0) == 2


def test_bad_news_is_believed_however_many_are_under_way() -> None:
    bucket = Bucket(2_000, 2_000, _MINUTE, 0.0)
    for number in range(_EVENTS_MAX + 100):
        _go(bucket, number / 1_000)
    for number in range(50):
        bucket.told(number / 1_000, 1_000 - number, 1.0 + number / 1_000)
    assert bucket.level(1.1) < 500


def test_what_was_sent_in_the_same_moment_as_the_answered_one_is_not_forgotten() -> None:
    """`time.monotonic` of Python 3.12 on Windows stands still for 16 ms; a burst of ten goes out in one."""
    bucket = Bucket(10, 10, _MINUTE, 0.0)
    for _ in range(10):
        _go(bucket, 0.0)
    bucket.told(0.0, 9, 0.5)  # the provider has counted the first of them
    assert bucket.level(0.5) < 1


def test_its_memory_is_bounded_however_many_are_under_way() -> None:
    bucket = Bucket(100_000, 100_000, _MINUTE, 0.0)
    for number in range(20_000):
        _go(bucket, number / 10_000)
    assert len(bucket._events) <= _EVENTS_MAX
    assert bucket.level(2.0) == pytest.approx(min(100_000.0, 80_000 + 2 * 100_000 / 60), rel=1e-6)


# beside a provider's own bucket


@dataclass
class _Provider:
    """A bucket that counts what arrives, tells its level rounded down, and refuses what does not fit."""

    capacity: float
    rate: float
    level: float
    at: float
    refused: int = 0
    passed: float = 0.0
    answers: list[tuple[float, int, float, float]] = field(default_factory=list)
    """When each comes, its number, when its request was sent, what it tells."""

    _numbers: Any = field(default_factory=itertools.count)

    def arrives(self, amount: float, now: float, latency: float) -> None:
        self.level = min(self.capacity, self.level + (now - self.at) * self.rate)
        self.at = now
        if amount > self.level + 1e-6:
            self.refused += 1
        else:
            self.level -= amount
            self.passed += amount
        self.answers.append((now + latency, next(self._numbers), now, math.floor(self.level + 1e-9)))

    def answers_by(self, now: float) -> list[tuple[float, int, float, float]]:
        ready = sorted(answer for answer in self.answers if answer[0] <= now)
        self.answers = [answer for answer in self.answers if answer[0] > now]
        return ready


def _hear(bucket: Bucket, provider: _Provider, now: float) -> None:
    for at, _, sent_at, remaining in provider.answers_by(now):
        bucket.told(sent_at, remaining, at)


class _BesideAProvider(RuleBasedStateMachine):
    """One user, exact costs, answers that overtake each other: nothing is ever refused."""

    connects = False

    @initialize(
        capacity=st.integers(2, 30), rate=st.sampled_from([0.1, 1.0, 9.7]), gone=st.floats(0, 1), amount=st.just(1)
    )
    def begin(self, capacity: int, rate: float, gone: float, amount: int) -> None:
        self.now = 1000.0
        self.provider = _Provider(capacity, rate, capacity * gone, self.now)
        reserve = min(1.0 + 0.01 * rate, capacity * 0.2)
        self.bucket = Bucket(capacity, rate * 60, _MINUTE, self.now, reserve=reserve)
        self.bucket.told(self.now, math.floor(capacity * gone), self.now, first=True)
        self.waiting: list[tuple[Hold, int]] = []

    @rule(seconds=st.sampled_from([0.0005, 0.01, 0.3, 1.0, 5.0, 70.0]))
    def advance(self, seconds: float) -> None:
        until = self.now + seconds
        _hear(self.bucket, self.provider, until)
        self.now = until

    @rule(amount=st.integers(1, 30), latency=st.sampled_from([0.001, 0.2, 0.9, 3.0, 45.0]), times=st.integers(1, 40))
    def burst(self, amount: int, latency: float, times: int) -> None:
        amount = min(amount, int(self.provider.capacity))
        for number in range(times):
            if self.bucket.wait(amount, self.now) == 0:
                self.now += 1e-4  # two moments are never the same; see the test of those that are
                _go(self.bucket, self.now, amount)
                self.provider.arrives(amount, self.now, latency * (1 + number % 3))

    @rule()
    def leave(self) -> None:
        """Take, and give back before it was sent."""
        if self.bucket.wait(1, self.now) == 0:
            self.bucket.give_back(self.bucket.take(1, self.now), self.now)

    @precondition(lambda self: self.connects)
    @rule(seconds=st.sampled_from([0.01, 0.3, 2.0]), latency=st.sampled_from([0.2, 3.0]))
    def connect(self, seconds: float, latency: float) -> None:
        """Take now, and send a while later."""
        holds: list[Hold] = []
        while len(holds) < 10 and self.bucket.wait(1, self.now) == 0:
            holds.append(self.bucket.take(1, self.now))
        self.advance(seconds)
        for hold in holds:
            self.now += 1e-4
            self.bucket.sent(hold, self.now)
            self.provider.arrives(1, self.now, latency)

    @invariant()
    def nothing_is_refused(self) -> None:
        if hasattr(self, "provider"):
            assert not self.provider.refused

    @invariant()
    def ours_is_never_above_and_not_far_below(self) -> None:
        if hasattr(self, "provider"):
            true = min(self.provider.capacity, self.provider.level + (self.now - self.provider.at) * self.provider.rate)
            below = 2 - self.bucket.slack  # a told count is rounded down, and only so much of that is made up for
            assert true - below - 1e-6 <= self.bucket.level(self.now) <= true + 1e-3


class _BesideAProviderWithSlowConnections(_BesideAProvider):
    connects = True


_MANY = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestBesideAProvider: Any = _BesideAProvider.TestCase
TestBesideAProvider.settings = _MANY


def test_beside_a_provider_to_which_connecting_takes_a_while_nothing_is_refused_either() -> None:
    run_state_machine_as_test(_BesideAProviderWithSlowConnections, settings=settings(_MANY, derandomize=True))


@pytest.mark.parametrize("latency", [0.05, 0.9, 20.0])
@pytest.mark.parametrize(("capacity", "rate"), [(1, 1.0), (10, 10.0), (60, 1.0), (3, 50.0)])
def test_alone_with_a_provider_everything_goes_that_may_and_nothing_more(
    capacity: int, rate: float, latency: float
) -> None:
    """Answers come out of order; whoever waits goes as soon as it may."""
    provider = _Provider(capacity, rate, capacity, 0.0)
    bucket = Bucket(capacity, rate * 60, _MINUTE, 0.0, reserve=min(1.0 + 0.01 * rate, capacity * 0.2))
    now, number, seconds = 0.0, 0, 3_000 / rate
    while now < seconds:
        _hear(bucket, provider, now)
        wait = bucket.wait(1, now)
        if wait > 0:
            now += max(wait, 1e-4)
            continue
        _go(bucket, now)
        provider.arrives(1, now, latency * (0.5 + number * 0.37 % 1))
        number, now = number + 1, now + 1e-5
    assert provider.refused == 0
    assert provider.passed >= (0.97 if capacity > 1 else 0.96) * (capacity + rate * seconds)
