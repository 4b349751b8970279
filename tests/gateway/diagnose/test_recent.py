"""What happened lately: windows, bounds, and what each number stands for."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.diagnose.evidence import History
from gateway.diagnose.recent import BODY_WINDOW_SECONDS, KEPT, PLACES_MAX, WINDOW_SECONDS, Happened, Recent
from gateway.providers.openai import PROVIDER as OPENAI

NOW = 10_000.0
HOST = "api.openai.com"


def _call(at: float = NOW - 10, **changes: Any) -> Happened:
    values: dict[str, Any] = {
        "host": HOST,
        "model": "gpt-5",
        "key": "k1",
        "client": "app",
        "cause": "rate_limit.requests",
        "seconds": 1.0,
    }
    return Happened(at=at, **(values | changes))


def _left(count: int | None) -> dict[str, Any]:
    """Give what an answer of OpenAI says is left, as the history keeps it."""
    headers = (
        ()
        if count is None
        else ((b"x-ratelimit-limit-requests", b"1000"), (b"x-ratelimit-remaining-requests", b"%d" % count))
    )
    return {"limits": headers, "read_limits": OPENAI.read_limits}


def _good(at: float = NOW - 10, **changes: Any) -> Happened:
    return _call(at, **({"cause": None} | changes))


def _look(*calls: Happened, now: float = NOW, **who: Any) -> History:
    recent = Recent()
    for one in calls:
        recent.note(one)
    values: dict[str, Any] = {"host": HOST, "model": "gpt-5", "key": "k1", "client": "app", "body": 0}
    return recent.look(now, **(values | who))


def test_a_host_of_which_nothing_is_known_has_no_history() -> None:
    assert _look() == History()
    assert _look(_good(host="api.anthropic.com")) == History()


# keys


def test_when_this_key_last_worked_is_known() -> None:
    assert _look(_good(NOW - 90), _call(NOW - 10)).key_worked_seconds == 90.0
    assert _look(_good(key="k2")).key_worked_seconds is None


def test_another_key_works_only_if_it_did_so_lately() -> None:
    assert _look(_good(key="k2")).other_key_works
    assert not _look(_good(key="k1")).other_key_works
    assert not _look(_good(NOW - WINDOW_SECONDS - 1, key="k2")).other_key_works


# the host


def test_since_when_a_host_fails_in_the_same_way_is_known() -> None:
    failing = [_call(NOW - 300, cause="service.overloaded"), _call(NOW - 20, cause="service.overloaded")]
    assert _look(*failing).host_failed_since_seconds == 300.0
    assert _look(*failing).host_worked_seconds is None


def test_a_good_answer_ends_a_failure() -> None:
    seen = _look(_call(NOW - 300, cause="service.overloaded"), _good(NOW - 100))
    assert (seen.host_failed_since_seconds, seen.host_worked_seconds) == (None, 100.0)


def test_another_failure_begins_anew() -> None:
    seen = _look(_call(NOW - 300, cause="service.overloaded"), _call(NOW - 50, cause="service.timeout"))
    assert seen.host_failed_since_seconds == 50.0


def test_an_app_that_left_is_no_failure_of_the_host() -> None:
    seen = _look(_call(NOW - 50, cause="client.disconnected", left=True, client="other"))
    assert (seen.host_failed_since_seconds, seen.others_fail) == (None, False)


def test_others_are_those_of_another_app() -> None:
    assert _look(_call(client="other")).others_fail
    assert not _look(_call(client="app")).others_fail
    assert _look(_good(client="other")).others_work
    assert not _look(_good(client="app")).others_work


def test_what_is_over_for_ten_minutes_says_nothing_of_others() -> None:
    old = NOW - WINDOW_SECONDS - 1
    seen = _look(_call(old, client="other"), _good(old, client="other"))
    assert (seen.others_fail, seen.others_work) == (False, False)


# storms


def test_the_very_same_request_is_counted_with_the_one_that_has_just_failed() -> None:
    calls = [_call(NOW - at, body=7, retries=retries) for at, retries in ((50, 0), (40, 1), (30, 0))]
    seen = _look(*calls, body=7)
    assert (seen.same_body, seen.restarts) == (4, 2)


def test_a_loop_of_ones_own_around_no_sdk_begins_nothing_anew() -> None:
    """Where nobody counts retries, each of them looks like a first try."""
    assert _look(*[_call(NOW - at, body=7) for at in (50, 40, 30)], body=7).restarts == 0


def test_how_often_the_provider_was_asked_with_it_counts_our_own_repetitions() -> None:
    seen = _look(*[_call(NOW - at, body=7, attempts=3) for at in (50, 40)], _call(body=8, attempts=3), body=7)
    assert (seen.rounds, seen.same_sent) == (2, 6)


def test_what_is_asked_many_times_at_once_is_no_repetition() -> None:
    """Ten samples of one prompt, all of them refused while the provider is overloaded."""
    at_once = [_call(NOW - 10 - at / 10, body=7, attempts=2, seconds=5.0) for at in range(10)]
    assert (_look(*at_once, body=7).rounds, _look(*at_once, body=7).same_sent) == (0, 20)
    assert _look(*at_once, _call(NOW - 4, body=7, retries=1), body=7).restarts == 1


def test_another_body_or_an_older_one_is_none_of_the_same() -> None:
    calls = [_call(NOW - 10, body=8), _call(NOW - BODY_WINDOW_SECONDS - 1, body=7), _call(NOW - 10)]
    assert _look(*calls, body=7).same_body == 0
    assert _look(*calls, body=0).same_body == 0, "a request without a body is like any other"


def test_the_same_request_of_another_app_is_no_storm_of_this_one() -> None:
    assert _look(*[_call(body=7, client=f"app {at}") for at in range(9)], body=7).same_body <= 1


# limits


def test_how_far_the_providers_count_fell_is_set_against_our_own_calls() -> None:
    calls = [_good(NOW - 30 + at * 5, **_left(remaining)) for at, remaining in enumerate((100, 90, 80))]
    seen = _look(*calls)
    assert (seen.remaining_fell, seen.sent_since_limit) == (20, 2)


def test_a_count_that_rises_begins_a_new_window() -> None:
    calls = [_good(NOW - 30 + at, **_left(remaining)) for at, remaining in enumerate((5, 4, 100, 97))]
    assert _look(*calls).remaining_fell == 3


def test_a_count_of_another_key_is_another_count() -> None:
    calls = [_good(NOW - 30, **_left(100)), _good(NOW - 20, key="k2", **_left(50))]
    assert _look(*calls).remaining_fell == 0


@pytest.mark.parametrize("counts", [(), (7,), (None, None), (None, 5)])
def test_one_count_alone_says_nothing(counts: tuple[int | None, ...]) -> None:
    calls = [_good(NOW - 30 + at, **_left(remaining)) for at, remaining in enumerate(counts)]
    seen = _look(*calls)
    assert (seen.remaining_fell, seen.sent_since_limit) == (0, 0)


# waits


@pytest.mark.parametrize(
    ("stated", "ago", "ignored"),
    [(60.0, 10.0, True), (60.0, 59.0, False), (60.0, 100.0, False), (0.5, 0.1, False), (0.0, 0.0, False)],
    ids=["at once", "almost waited for", "waited for", "not worth a word", "none"],
)
def test_a_wait_is_ignored_when_the_app_comes_back_well_before_its_end(
    stated: float, ago: float, ignored: bool
) -> None:
    assert _look(_call(NOW - ago, stated_wait=stated)).retry_after_ignored is ignored


def test_a_wait_that_another_app_was_told_binds_nobody_else() -> None:
    assert not _look(_call(NOW - 1, stated_wait=60.0, client="other")).retry_after_ignored


# patience


def test_an_app_that_hangs_up_after_the_same_time_again_and_again_has_a_limit_of_its_own() -> None:
    left = [_call(NOW - 100 + at, left=True, cause="client.disconnected", seconds=30.0 + at / 10) for at in range(3)]
    assert _look(*left).gave_up_seconds == pytest.approx(30.1)
    assert _look(left[0]).gave_up_seconds == 0.0
    wild = [_call(NOW - 9, left=True, seconds=5.0), _call(NOW - 8, left=True, seconds=40.0)]
    assert _look(*wild).gave_up_seconds == 0.0


def test_how_long_good_answers_of_this_model_take_is_known() -> None:
    calls = [_good(NOW - 100 + at, seconds=float(at)) for at in range(1, 11)]
    assert _look(*calls).usual_seconds == 10.0
    assert _look(*calls, model="other").usual_seconds == 0.0


def test_how_long_connecting_takes_is_known_of_connections_that_were_made() -> None:
    made = [_good(NOW - 9, connect_seconds=0.2), _call(NOW - 8, connect_seconds=0.4), _good(NOW - 7)]
    broken = _call(NOW - 6, connect_seconds=20.0, cause="network.tcp_timeout")
    assert _look(*made, broken).usual_connect_seconds in {0.2, 0.4}


def test_only_small_requests_prove_that_small_ones_pass() -> None:
    assert _look(_good(size_bytes=1_000)).small_passed
    assert not _look(_good(size_bytes=1_000_000)).small_passed
    assert not _look(_good(NOW - WINDOW_SECONDS - 1, size_bytes=1_000)).small_passed
    assert not _look(_call(size_bytes=1_000)).small_passed


def test_a_stream_that_came_all_at_once_is_remembered_until_one_flows() -> None:
    held, flowed, plain = (
        _good(NOW - 50, held_back_seconds=12.0),
        _good(NOW - 40, held_back_seconds=0.0),
        _good(NOW - 30),
    )
    assert _look(held, plain).held_back_seconds == 12.0
    assert _look(held, flowed).held_back_seconds == 0.0
    assert _look(_good(NOW - WINDOW_SECONDS - 1, held_back_seconds=12.0)).held_back_seconds == 0.0


# bounds


def test_it_forgets_hosts_keys_and_calls() -> None:
    recent = Recent()
    for at in range(PLACES_MAX + 50):
        recent.note(_good(host=f"h{at}"))
    for at in range(KEPT + 50):
        recent.note(_good(at, host="busy", key=f"k{at}", client=f"c{at}"))
    assert len(recent._places) == PLACES_MAX
    assert "h0" not in recent._places
    busy = recent._places["busy"]
    assert len(busy.calls) == len(busy.good) == len(busy.took) == KEPT
    assert "k0" not in busy.good


def test_the_host_that_is_used_all_the_time_is_not_the_one_that_is_forgotten() -> None:
    recent = Recent()
    recent.note(_good(NOW - 900))
    for at in range(PLACES_MAX + 5):
        recent.note(_good(NOW - 800 + at, host=f"h{at}"))
        recent.note(_good(NOW - 800 + at))
    seen = recent.look(NOW, HOST, model="gpt-5", key="k1", client="app", body=0)
    assert seen.host_worked_seconds is not None
    assert len(recent._places[HOST].calls) == KEPT


_CALLS = st.lists(
    st.builds(
        Happened,
        at=st.floats(0, NOW),
        host=st.sampled_from([HOST, "other"]),
        model=st.sampled_from(["gpt-5", "x"]),
        key=st.sampled_from(["k1", "k2"]),
        client=st.sampled_from(["app", "other"]),
        cause=st.none() | st.sampled_from(["rate_limit.requests", "network.tcp_timeout"]),
        seconds=st.floats(0, 1e4),
        connect_seconds=st.floats(0, 1e3),
        size_bytes=st.integers(0, 10**7),
        limits=st.builds(lambda count: _left(count)["limits"], st.none() | st.integers(0, 1000)),
        read_limits=st.just(OPENAI.read_limits),
        stated_wait=st.floats(0, 1e5),
        body=st.integers(0, 3),
        retries=st.integers(0, 3),
        left=st.booleans(),
    ),
    max_size=30,
).map(lambda calls: sorted(calls, key=lambda one: one.at))


@given(calls=_CALLS, body=st.integers(0, 3))
def test_looking_is_total_and_changes_nothing(calls: list[Happened], body: int) -> None:
    recent = Recent()
    for one in calls:
        recent.note(one)
    who: dict[str, Any] = {"model": "gpt-5", "key": "k1", "client": "app", "body": body}
    seen = recent.look(NOW, HOST, **who)
    assert seen == recent.look(NOW, HOST, **who)
    assert seen.remaining_fell >= 0
    assert seen.restarts <= seen.same_body
    assert min(seen.usual_seconds, seen.gave_up_seconds, seen.usual_connect_seconds) >= 0
    ages = (seen.key_worked_seconds, seen.host_worked_seconds, seen.host_failed_since_seconds)
    assert all(age is None or age >= 0 for age in ages)
