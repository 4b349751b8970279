"""Numbers and times in headers: what they say, or nothing."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.providers._headers import RESET_MAX_SECONDS, duration, until, until_epoch, whole

_NOW = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
_TIMES = (duration, until, until_epoch(1), until_epoch(0.001))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (b"1s", 1.0),
        (b"6m0s", 360.0),
        (b"20ms", 0.02),
        (b"1m26.4s", 86.4),
        (b"2h3m", 7380.0),
        (b"150us", 150e-6),
        (b"7.66s", 7.66),
        (b"12", 12.0),
        (b"0", 0.0),
        (b"0s", 0.0),
    ],
)
def test_a_duration_is_read_as_go_writes_it(text: bytes, seconds: float) -> None:
    assert duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", [b"", b"s", b"-1s", b"1 s", b"1s!", b"soon", b"1d", b"9999h", b"1e3", b"inf", b"99999999"]
)
def test_what_is_no_sensible_duration_is_nothing(text: bytes) -> None:
    assert duration(text) is None


def test_a_time_is_read_against_the_answers_own() -> None:
    assert until(b"2026-11-20T10:00:12Z", _NOW) == 12.0
    assert until(b"2026-11-20T11:00:12.500+01:00", _NOW) == 12.5
    assert until(b"2026-11-20T09:00:00Z", _NOW) == 0.0
    assert until(b"2026-11-20T10:00:12Z", None) is None
    assert until(b"2026-11-20T10:00:12", _NOW) is None
    assert until(b"2027-11-20T10:00:12Z", _NOW) is None
    assert until(b"2026-13-20T10:00:12Z", _NOW) is None


def test_a_time_may_be_counted_from_1970() -> None:
    stamp = int(_NOW.timestamp())
    assert until_epoch(1)(str(stamp + 30).encode(), _NOW) == 30.0
    assert until_epoch(0.001)(str((stamp + 30) * 1000).encode(), _NOW) == pytest.approx(30.0)
    assert until_epoch(1)(str((stamp + 30) * 1000).encode(), _NOW) is None
    assert until_epoch(1)(str(stamp).encode(), None) is None


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (b"0", 0),
        (b" 500 ", 500),
        (b"-1", None),
        (b"5.5", None),
        (b"", None),
        (None, None),
        (b"9" * 13, None),
        (b"\xb2", None),
    ],
)
def test_a_count_is_digits_and_nothing_else(text: bytes | None, number: int | None) -> None:
    assert whole(text) == number


@given(
    text=st.binary(max_size=80) | st.text("0123456789.hmsun-TZ:+", max_size=40).map(str.encode),
    now=st.none() | st.datetimes(timezones=st.just(UTC)),
)
def test_reading_is_total_and_never_absurd(text: bytes, now: datetime | None) -> None:
    for read in _TIMES:
        seconds = read(text, now)
        assert seconds is None or 0 <= seconds <= RESET_MAX_SECONDS
    number = whole(text)
    assert number is None or 0 <= number <= 10**12
