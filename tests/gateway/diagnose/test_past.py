"""What went before, as lines of evidence: only where it says something about this cause."""

from typing import Any

import pytest

from gateway.diagnose.evidence import Evidence, History
from gateway.diagnose.observation import Observation
from gateway.diagnose.past import past
from gateway.diagnose.remedy import fill
from gateway.model.cause import Cause


def _lines(cause: Cause, **before: Any) -> list[str]:
    seen = Observation(Evidence(provider=None, host="api.openai.com", history=History(**before)))
    return [fill(clue.text, dict(clue.facts)) for clue in past(seen, cause)]


@pytest.mark.parametrize("cause", Cause)
def test_no_history_is_no_line(cause: Cause) -> None:
    assert _lines(cause) == []


@pytest.mark.parametrize("cause", [Cause.AUTH_INVALID_KEY, Cause.ACCOUNT_DEACTIVATED, Cause.QUOTA_EXHAUSTED])
def test_a_key_that_worked_is_told_where_the_key_is_in_question(cause: Cause) -> None:
    assert _lines(cause, key_worked_seconds=600.0) == ["this key last worked 10 min ago"]
    assert _lines(cause, other_key_works=True) == ["another key from this machine works now"]


@pytest.mark.parametrize("cause", [Cause.SERVICE_TIMEOUT, Cause.REQUEST_INVALID_JSON, Cause.NETWORK_OFFLINE])
def test_a_key_that_worked_says_nothing_elsewhere(cause: Cause) -> None:
    assert _lines(cause, key_worked_seconds=600.0, other_key_works=True) == []


def test_somebody_else_uses_a_limit_that_falls_faster_than_we_send() -> None:
    line = "the provider's count fell by 50 while 3 calls went through here: somebody else uses this limit"
    assert _lines(Cause.RATE_LIMIT_REQUESTS, remaining_fell=50, sent_since_limit=3) == [line]
    assert _lines(Cause.RATE_LIMIT_REQUESTS, remaining_fell=4, sent_since_limit=3) == []
    assert _lines(Cause.SERVICE_OVERLOADED, remaining_fell=50, sent_since_limit=3) == []


def test_what_the_app_does_wrong_is_told_of_every_cause() -> None:
    for cause in (Cause.RATE_LIMIT_UNKNOWN, Cause.SERVICE_OVERLOADED):
        assert "this app called again before the stated wait was over" in _lines(cause, retry_after_ignored=True)
        assert "the very same request came 9 times within a minute" in _lines(cause, same_body=9)
    assert _lines(Cause.RATE_LIMIT_UNKNOWN, same_body=1) == []


def test_whom_it_concerns_is_told_where_the_caller_cannot_fix_it() -> None:
    assert _lines(Cause.SERVICE_OVERLOADED, others_fail=True) == ["other apps fail at api.openai.com in the same way"]
    assert _lines(Cause.SERVICE_OVERLOADED, others_work=True) == [
        "other apps get answers from api.openai.com meanwhile"
    ]
    assert _lines(Cause.SERVICE_OVERLOADED, others_work=True, others_fail=True) == [
        "other apps get answers from api.openai.com meanwhile"
    ]
    assert _lines(Cause.REQUEST_INVALID_JSON, others_fail=True, host_failed_since_seconds=60.0) == []


def test_since_when_it_fails_is_told_or_when_it_last_worked() -> None:
    cause = Cause.SERVICE_UNAVAILABLE
    assert _lines(cause, host_failed_since_seconds=300.0, host_worked_seconds=400.0) == [
        "it fails like this since 5 min"
    ]
    assert _lines(cause, host_worked_seconds=30.0) == ["api.openai.com last answered well 30 s ago"]
    assert _lines(cause, host_failed_since_seconds=0.5) == [], "that is this very call"


def test_how_long_answers_take_is_told_to_who_does_not_wait() -> None:
    line = "good answers of this model take up to 42 s here"
    assert _lines(Cause.CLIENT_TIMEOUT_TOO_SHORT, usual_seconds=42.0) == [line]
    assert _lines(Cause.SERVICE_TIMEOUT, usual_seconds=42.0) == []
