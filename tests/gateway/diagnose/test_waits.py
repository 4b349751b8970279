"""How long somebody says to wait: every form that services use, and nothing where nobody says it."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.diagnose.waits import MAX_SECONDS, in_words, span, stated_wait

DATE = "Fri, 20 Nov 2026 10:00:00 GMT"


def _wait(
    headers: dict[str, str] | None = None,
    *,
    message: str = "",
    raw: str = "",
    numbers: dict[str, float] | None = None,
) -> float | None:
    return stated_wait(headers or {}, numbers or {}, message, raw)


# headers


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("7", 7.0),
        ("1.5", 1.5),
        (" 30 ", 30.0),
        ("86400", 86_400.0),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1e9", None),
        ("nan", None),
        ("inf", None),
        ("1.2.3", None),
        ("\u0661\u0662", None),
        ("999999999999", None),
        ("9" * 400, None),
    ],
)
def test_retry_after_is_read_in_seconds_and_nonsense_is_nothing(value: str, seconds: float | None) -> None:
    assert _wait({"retry-after": value}) == seconds


@pytest.mark.parametrize(
    ("value", "date", "seconds"),
    [
        ("Fri, 20 Nov 2026 10:00:30 GMT", DATE, 30.0),
        ("Fri, 20 Nov 2026 11:00:00 +0100", DATE, 0.0),
        ("Fri, 20 Nov 2026 09:00:00 GMT", DATE, 0.0),
        ("Fri, 20 Nov 2026 10:00:30", DATE, 30.0),
        ("Fri, 20 Nov 2026 10:00:30 GMT", "", None),
        ("Fri, 20 Nov 2026 10:00:30 GMT", "today", None),
        ("Fri, 99 Nov 2026 10:00:30 GMT", DATE, None),
        ("Fri, 20 Nov 9999 10:00:30 GMT", DATE, None),
    ],
    ids=["later", "of another zone", "over", "without a zone", "no date", "no such date", "no such day", "too far"],
)
def test_retry_after_is_read_as_a_date_against_the_answers_own(value: str, date: str, seconds: float | None) -> None:
    """Against the answer's date, since this machine's clock may be wrong."""
    assert _wait({"retry-after": value, "date": date}) == seconds


@pytest.mark.parametrize("name", ["retry-after-ms", "x-ms-retry-after-ms"])
def test_milliseconds_are_the_most_exact(name: str) -> None:
    assert _wait({name: "1250", "retry-after": "2"}) == 1.25


def test_a_form_that_cannot_be_read_leaves_the_word_to_the_next() -> None:
    assert _wait({"retry-after-ms": "later", "retry-after": "x"}, message="try again in 3s") == 3.0


def test_a_subscription_says_when_its_window_opens() -> None:
    assert _wait({"x-codex-primary-reset-after-seconds": "18000"}) == 18_000.0


# fields


@pytest.mark.parametrize("name", ["resets_in_seconds", "retry_after", "retry_after_seconds", "RetryAfter", "clears_in"])
def test_a_number_of_the_envelope_is_a_wait_when_it_is_called_one(name: str) -> None:
    assert _wait(numbers={name: 42.0}) == 42.0


def test_other_numbers_of_the_envelope_are_none() -> None:
    assert _wait(numbers={"limit": 3.0, "code": 429.0}) is None
    assert _wait(numbers={"retry_after": -1.0}) is None
    assert _wait(numbers={"retry_after": math.nan}) is None
    assert _wait(numbers={"retry_after": math.inf}) is None


@pytest.mark.parametrize(
    ("raw", "seconds"),
    [
        ('{"@type":"type.googleapis.com/google.rpc.retryinfo","retrydelay":"37s"}', 37.0),
        ('"retrydelay": "0.5s"', 0.5),
        ('"retrydelay":"37"', None),
        ('"retrydelay":""', None),
    ],
)
def test_googles_delay_is_read_from_the_body(raw: str, seconds: float | None) -> None:
    assert _wait(raw=raw) == seconds


# words


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Please try again in 20s.", 20.0),
        ("Please try again in 7m12s.", 432.0),
        ("Please try again in 1m26.4s.", 86.4),
        ("Please try again in 174ms.", 0.174),
        ("Please retry after 86400 seconds.", 86_400.0),
        ("Please retry in 2 minutes.", 120.0),
        ("Your quota will reset after 8h44m7s.", 31_447.0),
        ("resets in 3 hours", 10_800.0),
        ("Try again in about 5 minutes", 300.0),
        ("wait 10 seconds before", 10.0),
        ("TRY AGAIN IN 6H", 21_600.0),
        ("\u8bf7\u5728 30 \u79d2\u540e\u91cd\u8bd5", 30.0),
        ("\u8bf7\u7b49\u5f85 5\u5206\u949f", 300.0),
        ("Please try again later.", None),
        ("Please try again in 5 parsecs", None),
        ("Limit 30000, Used 29000", None),
        ("try again", None),
        ("retry after", None),
        ("You sent 20s of audio", None),
        ("try again in 99999 days", None),
        ("", None),
    ],
)
def test_words_say_how_long(text: str, seconds: float | None) -> None:
    found = in_words(text)
    assert found == (None if seconds is None else pytest.approx(seconds))
    assert _wait(message=text) == found


@given(text=st.text(max_size=300) | st.text("try again in 0123456789.mshd ", max_size=300))
def test_no_text_is_too_strange(text: str) -> None:
    found = in_words(text)
    assert found is None or 0.0 <= found <= MAX_SECONDS


@given(
    headers=st.dictionaries(
        st.sampled_from(["retry-after", "retry-after-ms", "date", "x-ms-retry-after-ms"]), st.text(max_size=40)
    ),
    numbers=st.dictionaries(st.sampled_from(["retry_after", "resets_in_seconds", "x"]), st.floats()),
    raw=st.text(max_size=60),
)
def test_whatever_stands_there_a_wait_is_sensible_or_none(headers: Any, numbers: Any, raw: str) -> None:
    found = stated_wait(headers, numbers, raw, raw)
    assert found is None or 0.0 <= found <= MAX_SECONDS


# telling


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0.0, "0 ms"),
        (0.174, "174 ms"),
        (1.0, "1 s"),
        (1.25, "1.2 s"),
        (26.4, "26 s"),
        (119.0, "119 s"),
        (432.0, "7 min"),
        (7199.0, "120 min"),
        (10_800.0, "3 h"),
        (432_000.0, "5 days"),
    ],
)
def test_a_time_is_told_as_people_say_it(seconds: float, told: str) -> None:
    assert span(seconds) == told
