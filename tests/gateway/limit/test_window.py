"""The sliding window: never more than its limit in any stretch of its length."""

import math
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gateway.limit.cost import Hold
from gateway.limit.window import _LOG_MAX, Window

_STEPS = st.lists(st.sampled_from([0.0, 0.001, 0.1, 0.25, 0.5, 0.999, 1.0, 1.7, 60.0]), max_size=60)


def _go(window: Window, now: float, amount: float = 1) -> Hold:
    """Take and send at once."""
    hold = window.take(amount, now)
    window.sent(hold, now)
    return hold


@pytest.mark.parametrize(
    ("limit", "seconds"),
    [(0, 1.0), (-1, 1.0), (float("nan"), 1.0), (float("inf"), 1.0)]
    + [(1, seconds) for seconds in (0.0, -1.0, float("nan"), float("inf"))],
)
def test_a_window_without_sense_is_refused(limit: float, seconds: float) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Window(limit, seconds)
    window = Window(5, 1.0)
    with pytest.raises(ValueError, match="at least 1"):
        window.adopt(limit, seconds)
    assert (window.limit, window.seconds) == (5, 1.0), "and leaves the old one in force"


def test_a_burst_passes_and_the_next_waits_for_the_oldest_to_leave() -> None:
    window = Window(2, 1.0)
    for now in (10.0, 10.4):
        assert window.wait(1, now) == 0
        _go(window, now)
    assert window.level(10.9) == 0
    assert window.wait(1, 10.9) == pytest.approx(0.1)
    assert window.wait(1, 11.0) == 0
    assert window.level(11.0) == 1


def test_a_heavy_call_waits_for_as_many_to_leave_as_it_needs() -> None:
    window = Window(10, 10.0)
    for now, amount in ((0.0, 4), (1.0, 3), (2.0, 3)):
        _go(window, now, amount)
    assert [window.wait(amount, 2.0) for amount in (1, 4, 5, 7, 8, 10)] == [8.0, 8.0, 9.0, 9.0, 10.0, 10.0]


def test_what_is_larger_than_the_limit_goes_alone_and_nothing_passes_until_it_has_left() -> None:
    window = Window(10, 1.0)
    _go(window, 0.0)
    assert window.wait(25, 0.5) == 0.5
    assert window.wait(25, 1.0) == 0
    _go(window, 1.0, 25)
    assert window.level(1.5) == -15
    assert window.wait(1, 1.5) > 0
    assert window.wait(10, 2.0) == 0


@pytest.mark.parametrize("how", ["larger than the limit", "settled above its estimate", "limit lowered"])
def test_whatever_is_counted_above_the_limit_is_waited_for_no_longer_than_a_window(how: str) -> None:
    window = Window(100, 60.0)
    if how == "larger than the limit":
        _go(window, 0.0, 250)
    elif how == "settled above its estimate":
        window.settle(_go(window, 0.0, 10), 250, 1.0)
    else:
        _go(window, 0.0, 100)
        window.adopt(40, 60.0)
    assert window.wait(1, 20.0) == pytest.approx(40.0)


def test_what_was_given_back_may_be_granted_again_but_once() -> None:
    window = Window(2, 60.0)
    waiting, gone = window.take(1, 5.0), _go(window, 5.0)
    for hold in (waiting, gone):
        window.give_back(hold, 6.0)
        window.give_back(hold, 6.0)
        window.settle(hold, 7, 6.0)
        window.sent(hold, 6.0)
    assert window.level(6.0) == 2
    assert window.entries(6.0) == []


def test_a_grant_counts_without_end_until_it_is_sent_and_a_window_from_then_on() -> None:
    window = Window(2, 1.0)
    slow = window.take(1, 5.0)
    _go(window, 5.2)
    assert window.level(5.5) == 0
    window.sent(slow, 5.5)
    assert window.wait(1, 5.5) == pytest.approx(0.7)
    slow = window.take(1, 7.0)
    assert window.level(100.0) == 1, "connecting takes long"
    window.sent(slow, 100.0)
    window.sent(slow, 100.5)
    assert (window.level(100.9), window.level(101.0)) == (1, 2), "it goes once"


@pytest.mark.parametrize("is_sent", [False, True])
def test_an_estimate_is_corrected_up_and_down_and_each_correction_counts_the_difference(is_sent: bool) -> None:
    window = Window(100, 60.0)
    hold = window.take(30, 0.0)
    if is_sent:
        window.sent(hold, 0.0)
    left = []
    for amount in (10, 10, 50, 0, 120, 40):
        window.settle(hold, amount, 1.0)
        left.append(window.level(1.0))
    assert left == [90, 90, 50, 100, -20, 60]
    window.sent(hold, 2.0)
    assert window.level(60.0 if is_sent else 62.0) == 100


def test_a_correction_after_the_window_has_passed_changes_nothing() -> None:
    window = Window(100, 1.0)
    hold = _go(window, 0.0, 30)
    assert window.level(1.0) == 100
    for amount in (0, 500):
        window.settle(hold, amount, 1.5)
        assert window.level(1.5) == 100
    window.give_back(hold, 1.5)
    assert window.level(1.5) == 100


def test_a_lower_limit_holds_from_the_next_grant_on_and_a_higher_one_lets_go_at_once() -> None:
    window = Window(10, 1.0)
    _go(window, 0.0, 6)
    window.adopt(3, 1.0)
    assert (window.limit, window.level(0.0)) == (3, -3)
    assert window.wait(1, 0.0) > 0
    window.adopt(20, 2.0)
    assert (window.limit, window.seconds, window.level(0.0)) == (20, 2.0, 14)
    assert window.level(1.5) == 14, "the longer window holds for what went before, too"
    assert window.level(2.0) == 20


@given(steps=_STEPS, limit=st.integers(1, 5), seconds=st.sampled_from([0.4, 1.0, 60.0]))
def test_no_window_ever_holds_more_than_its_limit(steps: list[float], limit: int, seconds: float) -> None:
    """Whoever goes as soon as `wait` allows stays within it, whatever the rhythm."""
    window, now, grants = Window(limit, seconds), 1000.0, list[float]()
    for step in steps:
        now += step
        if window.wait(1, now) == 0:
            _go(window, now)
            grants.append(now)
    for start in grants:
        assert sum(start <= grant < start + seconds for grant in grants) <= limit


@given(steps=_STEPS, limit=st.integers(1, 5), seconds=st.sampled_from([0.4, 1.0, 60.0]))
def test_nobody_is_kept_waiting_by_less_than_a_full_window(steps: list[float], limit: int, seconds: float) -> None:
    window, now, grants = Window(limit, seconds), 1000.0, list[float]()
    for step in steps:
        now += step
        counted = sum(grant + seconds > now for grant in grants)
        assert (window.wait(1, now) > 0) == (counted >= limit)
        assert window.level(now) == limit - counted
        if counted < limit:
            _go(window, now)
            grants.append(now)


@given(steps=_STEPS, limit=st.integers(1, 5), ahead=st.integers(0, 17))
def test_a_prediction_is_what_happens(steps: list[float], limit: int, ahead: int) -> None:
    window, now = Window(limit, 1.0), 1000.0
    for step in steps:
        now += step
        if window.wait(1, now) == 0:
            _go(window, now)
    predicted = now + window.wait(1, now, ahead)
    for _ in range(ahead):
        now += window.wait(1, now)
        _go(window, now)
    assert now + window.wait(1, now) == pytest.approx(predicted, abs=1e-6)


@given(
    amounts=st.lists(st.integers(1, 10), max_size=30), ahead=st.lists(st.integers(1, 10), max_size=20),
    amount=st.integers(1, 10),
)  # fmt: skip
def test_a_prediction_for_calls_of_any_size_is_never_late_and_early_by_the_room_they_leave_alone(
    amounts: list[int], ahead: list[int], amount: int
) -> None:
    """Calls do not fill a window to its brim, so what goes behind them may go later than foreseen: never earlier."""
    window, now = Window(10, 8.0), 0.0
    for one in amounts:
        now += window.wait(one, now) + 0.5
        _go(window, now, one)
    predicted = now + window.wait(amount, now, sum(ahead))
    for one in ahead:
        now += window.wait(one, now)
        _go(window, now, one)
    happened = now + window.wait(amount, now)
    assert predicted <= happened + 1e-6
    assert happened <= predicted + 8.0 * (len(ahead) + 1)


# what the provider says


def test_what_others_have_spent_is_counted_from_the_request_on_that_told_it() -> None:
    window = Window(100, 60.0)
    _go(window, 10.0, 20)
    window.told(10.0, 50, 12.0)
    assert window.level(12.0) == 50
    assert window.level(69.9) == 50
    assert window.level(70.0) == 100


def test_what_was_counted_too_much_is_dropped_from_the_oldest() -> None:
    window = Window(100, 60.0)
    for now in (0.0, 10.0):
        _go(window, now, 40)
    window.told(10.0, 70, 11.0)
    assert window.level(11.0) == 70
    assert window.level(60.0) == 70, "the oldest was nothing"
    assert window.level(70.0) == 100
    window.told(10.0, 100, 71.0)
    assert window.level(71.0) == 100


def test_what_is_told_of_a_moment_leaves_alone_what_was_sent_later_or_not_yet() -> None:
    window = Window(100, 60.0)
    _go(window, 0.0, 10)
    _go(window, 1.0, 20)
    window.take(30, 1.5)
    assert window.after(0.0) == 50
    window.told(0.0, 90, 2.0)
    assert window.level(2.0) == 40
    window.told(0.0, 85, 2.0)
    assert window.level(2.0) == 35


def test_a_stated_reset_frees_what_was_counted_by_then_and_nothing_later() -> None:
    window = Window(100, 60.0)
    _go(window, 0.0, 60)
    _go(window, 1.0, 40)
    window.told(0.0, 40, 2.0, 5.0)
    assert window.wait(60, 2.0) == pytest.approx(5.0)
    assert window.wait(61, 2.0) == pytest.approx(59.0)
    assert (window.level(6.9), window.level(7.0)) == (0, 60)
    _go(window, 8.0, 10)
    assert window.level(9.0) == 50, "it passes once"


def test_a_reset_that_is_later_than_the_window_holds_nobody_longer() -> None:
    window = Window(10, 1.0)
    _go(window, 0.0, 10)
    window.told(0.0, 0, 0.5, 30.0)
    assert window.wait(1, 0.5) == 0.5
    assert window.level(1.0) == 10


@pytest.mark.parametrize(("left", "actual"), [(960, 40), (840, 160)])
def test_what_the_provider_has_counted_is_not_corrected_a_second_time(left: int, actual: int) -> None:
    window = Window(1_000, 60.0)
    hold = _go(window, 0.0, 100)
    window.told(0.0, left, 1.0)
    window.settle(hold, actual, 2.0)
    assert window.level(2.0) == left


def test_what_others_have_spent_hides_nothing_that_was_sent_later() -> None:
    window = Window(10, 60.0)
    for now in (0.0, 1.0, 2.0):
        _go(window, now)
    window.told(0.0, 7, 3.0)  # two of others
    assert window.level(3.0) == 5
    window.told(1.0, 6, 3.1)  # the same two, and ours
    assert window.level(3.2) == 5
    assert window.after(1.0) == 1


def test_what_has_left_since_the_provider_counted_is_not_put_in_again() -> None:
    window = Window(10, 1.0)
    for tenth in range(10):
        _go(window, tenth / 10)
    window.told(0.9, 0, 1.45)  # as of 0.9 all ten were counted; five of them have left since
    assert window.level(1.45) == 5


def test_what_was_sent_in_the_same_moment_as_the_answered_one_is_not_forgotten() -> None:
    """`time.monotonic` of Python 3.12 on Windows stands still for 16 ms; a burst of ten goes out in one."""
    window = Window(10, 60.0)
    for _ in range(10):
        _go(window, 5.0)
    window.told(5.0, 9, 5.5)  # the provider has counted the first of them
    assert window.level(5.5) == 0


@settings(deadline=None)
@example(calls=[(1, 4)] * 14, limit=9)
@given(
    calls=st.lists(st.tuples(st.integers(1, 8), st.integers(1, 12)), min_size=1, max_size=25), limit=st.integers(1, 9)
)
def test_a_provider_that_counts_as_we_do_changes_nothing_however_late_and_in_whatever_order_it_answers(
    calls: list[tuple[int, int]], limit: int
) -> None:
    window, sent, answers, now = Window(limit, 1.0), list[float](), list[tuple[float, float, int]](), 1000.0
    for eighths, latency in [*calls, (8, 1), (8, 1)]:
        until = now + eighths / 8
        for at, sent_at, remaining in sorted(one for one in answers if one[0] <= until):
            now = max(now, at)
            window.told(sent_at, remaining, now)
            assert window.level(now) == limit - sum(one > now - 1.0 for one in sent)
        answers = [one for one in answers if one[0] > until]
        now = until
        if window.wait(1, now) == 0:
            _go(window, now)
            sent.append(now)
            answers.append((now + latency / 8, now, limit - sum(one > now - 1.0 for one in sent)))


# many


def test_of_thousands_in_one_window_the_log_stays_bounded_and_the_count_exact() -> None:
    window, spacing = Window(50_000, 60.0), 0.001
    holds = [_go(window, number * spacing) for number in range(50_000)]
    assert len(window._log) <= 2 * _LOG_MAX
    assert window.level(50.0) == 0
    assert window.wait(1, 50.0) > 0
    for hold in holds[-1_000:]:
        window.give_back(hold, 50.0)
    assert window.level(50.0) == 1_000
    assert window.level(200.0) == 50_000


def test_calls_that_share_an_entry_leave_no_earlier_than_each_would_alone() -> None:
    window, sent, now = Window(8_000, 60.0), list[float](), 0.0
    while now < 150:
        if window.wait(1, now) == 0:
            _go(window, now)
            sent.append(now)
        now += 0.004
    for start in sent[::97]:
        assert sum(start <= at < start + 60.0 for at in sent) <= 8_000


def test_calls_that_share_an_entry_leave_no_later_than_a_share_of_the_window() -> None:
    """A steady stream just below the limit is never held back for long."""
    window, spacing, longest = Window(10_000, 60.0), 1 / 166, 0.0
    for number in range(166 * 120):
        longest = max(longest, window.wait(1, number * spacing))
        if not longest:
            _go(window, number * spacing)
    assert longest < 1.0


def test_what_others_spend_keeps_the_log_bounded() -> None:
    window, left = Window(100_000, 60.0), 100_000
    for number in range(3 * _LOG_MAX):
        _go(window, number / 1_000)
        left -= 2
        window.told(number / 1_000, left, number / 1_000)
    assert len(window._log) <= 2 * _LOG_MAX


def test_who_is_next_waits_exactly_however_many_are_counted() -> None:
    window = Window(1_000, 60.0)
    _go(window, 0.0, 700)
    for number in range(300):
        _go(window, 30 + number / 100)
    assert window.wait(600, 40.0) == pytest.approx(20.0)


def test_who_is_next_waits_for_the_reset_however_many_are_counted() -> None:
    window = Window(1_000, 60.0)
    for number in range(1_000):
        _go(window, number / 1_000)
    window.told(0.999, 0, 2.0, 3.0)
    assert window.wait(900, 2.0) == pytest.approx(3.0)


# over a restart


@given(amounts=st.lists(st.tuples(st.integers(0, 40), st.integers(1, 5)), max_size=20), later=st.integers(0, 80))
def test_what_was_counted_can_be_counted_again_elsewhere(amounts: list[tuple[int, int]], later: int) -> None:
    window, now = Window(20, 8.0), 1000.0
    for eighths, amount in amounts:
        now += eighths / 8
        if window.wait(amount, now) == 0:
            _go(window, now, amount)
    window.take(window.level(now) // 2, now)
    other, moment = Window(20, 8.0), 50.0
    for age, amount_kept in window.entries(now):
        other.restore(age, amount_kept, moment)
    assert other.level(moment) == window.level(now)
    if not window._pending:
        assert other.level(moment + later / 8) == window.level(now + later / 8)
    assert other.level(moment + 8.0) == 20


@given(
    amounts=st.lists(st.tuples(st.integers(0, 9), st.integers(1, 5)), max_size=200),
    asked=st.one_of(st.integers(0, 60), st.just(math.inf)),
)
def test_what_was_spent_is_told_in_few_pieces_none_of_which_leaves_too_early(
    amounts: list[tuple[int, int]], asked: float
) -> None:
    window, now, kept = Window(10_000, 100.0), 1000.0, []
    for tenths, amount in amounts:
        now += tenths / 10
        _go(window, now, amount)
        kept += [now] * amount
    kept = [at for at in kept if at + 100.0 > now]
    latest = kept[len(kept) - int(min(asked, len(kept))) :]
    told = window.spent(now, asked)
    assert len(told) <= 64
    assert sum(amount for _, amount in told) == len(latest)
    assert [age for age, _ in told] == sorted((age for age, _ in told), reverse=True)
    spread = [age for age, amount in told for _ in range(int(amount))]
    assert all(age <= now - at + 1e-9 for age, at in zip(spread, latest, strict=True))


def test_what_is_older_than_the_window_is_not_restored() -> None:
    window = Window(5, 1.0)
    window.restore(1.0, 4, 10.0)
    window.restore(0.5, 3, 10.0)
    assert window.entries(10.0) == [(0.5, 3)]
    assert window.level(10.0) == 2
    assert window.level(10.5) == 5


def test_what_is_restored_late_makes_nothing_leave_early() -> None:
    """Two scopes of one account become one: what the other has counted is older than our latest."""
    window = Window(10_000, 60.0)
    for number in range(_LOG_MAX):
        _go(window, number / 1_000)
    _go(window, 30.0)
    for _ in range(5_000):
        _go(window, 30.0)
    window.restore(29.9, 10, 31.0)  # as of 1.1
    assert window.level(80.0) <= 10_000 - 5_000


# against a model that remembers everything


@dataclass
class _Told:
    """One call, as the naive model knows it."""

    hold: Hold
    amount: int
    sent_at: float | None = None


class _AgainstNaive(RuleBasedStateMachine):
    """The window, and a list of everything that ever went. Time moves in eighths, so that sums are exact."""

    overruns = False

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.calls: list[_Told] = []
        self.gone: list[tuple[float, int]] = []

    @initialize(limit=st.integers(1, 12), eighths=st.sampled_from([4, 8, 80]))
    def begin(self, limit: int, eighths: int) -> None:
        self.limit, self.seconds = limit, eighths / 8
        self.window = Window(limit, self.seconds)

    def counted(self, now: float) -> list[_Told]:
        return [call for call in self.calls if call.sent_at is None or call.sent_at > now - self.seconds]

    def naive_wait(self, amount: int) -> float:
        """Give the wait, were nothing sent that is not sent yet."""
        excess = sum(call.amount for call in self.counted(self.now)) + min(amount, self.limit) - self.limit
        if excess <= 0:
            return 0.0
        leaving = sorted((call.sent_at, call.amount) for call in self.counted(self.now) if call.sent_at is not None)
        for sent_at, leaves in leaving:
            excess -= leaves
            if excess <= 0:
                return sent_at + self.seconds - self.now
        return float("inf")

    @rule(eighths=st.sampled_from([0, 1, 2, 3, 7, 8, 9, 81, 10_000_000]))
    def advance(self, eighths: int) -> None:
        self.now += eighths / 8

    @rule(data=st.data(), sends=st.booleans())
    def ask(self, data: st.DataObject, sends: bool) -> None:
        amount = data.draw(st.integers(0, self.limit * (2 if self.overruns else 1)))
        wait, naive = self.window.wait(amount, self.now), self.naive_wait(amount)
        assert (wait == 0) == (naive == 0)
        if naive < float("inf") and naive <= self.seconds:
            excess = sum(call.amount for call in self.counted(self.now)) + min(amount, self.limit) - self.limit
            assert wait == naive or excess > self.limit  # see what is counted above the limit
        if wait == 0:
            call = _Told(self.window.take(amount, self.now), amount)
            self.calls.append(call)
            if sends:
                self.send(call)

    def send(self, call: _Told) -> None:
        self.window.sent(call.hold, self.now)
        if call.sent_at is None and not call.hold.gone:
            call.sent_at = self.now

    def some(self, data: st.DataObject) -> _Told:
        return data.draw(st.sampled_from(self.calls[-20:]))

    @precondition(lambda self: self.calls)
    @rule(data=st.data())
    def send_one(self, data: st.DataObject) -> None:
        self.send(self.some(data))

    @precondition(lambda self: self.calls)
    @rule(data=st.data())
    def settle(self, data: st.DataObject) -> None:
        call = self.some(data)
        amount = data.draw(st.integers(0, 20 if self.overruns else call.amount))
        self.window.settle(call.hold, amount, self.now)
        if not call.hold.gone:
            call.amount = amount

    @precondition(lambda self: self.calls)
    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        call = self.some(data)
        self.window.give_back(call.hold, self.now)
        call.amount = 0

    @invariant()
    def counts_what_is_counted(self) -> None:
        if self.calls:
            counted = sum(call.amount for call in self.counted(self.now))
            assert self.window.level(self.now) == self.limit - counted
            assert sum(amount for _, amount in self.window.entries(self.now)) == counted
            assert all(amount >= 0 for _, amount in self.window.entries(self.now))
            assert self.window._pending == sum(call.amount for call in self.calls if call.sent_at is None)

    @invariant()
    def holds_the_limit(self) -> None:
        sent = [(call.sent_at, call.amount) for call in self.calls if call.sent_at is not None]
        for start, _ in () if self.overruns else sent:
            assert sum(amount for at, amount in sent if start <= at < start + self.seconds) <= self.limit


class _AgainstNaiveWithOverruns(_AgainstNaive):
    """Calls that turn out larger than their estimate, or than the limit: the same grants, whatever the limit."""

    overruns = True


_MANY = settings(max_examples=60, stateful_step_count=50, deadline=None)
TestAgainstNaive: Any = _AgainstNaive.TestCase
TestAgainstNaive.settings = _MANY
TestAgainstNaiveWithOverruns: Any = _AgainstNaiveWithOverruns.TestCase
TestAgainstNaiveWithOverruns.settings = _MANY
