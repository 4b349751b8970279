"""What a 429 was about."""

import pytest

from gateway.egress.retry import WAIT_MAX_SECONDS
from gateway.limit.refusal import PASSED_ON_SECONDS, Refusal, is_pacing
from gateway.model.cause import Cause

PACING = {
    Cause.RATE_LIMIT_REQUESTS: "requests",
    Cause.RATE_LIMIT_UNKNOWN: "requests",
    Cause.RATE_LIMIT_RAMP: "requests",
    Cause.RATE_LIMIT_TOKENS: "tokens",
    Cause.RATE_LIMIT_CONCURRENCY: "concurrency",
}


@pytest.mark.parametrize("cause", Cause)
def test_a_refusal_is_one_of_speed_for_these_causes_and_no_others(cause: Cause) -> None:
    assert is_pacing(cause) is (cause in PACING)


@pytest.mark.parametrize(("cause", "kind"), PACING.items())
def test_every_refusal_of_speed_says_what_there_was_too_much_of(cause: Cause, kind: str) -> None:
    assert Refusal(cause=cause).kind == kind


def test_the_gate_holds_for_as_long_as_a_call_is_tried_again_and_no_longer() -> None:
    """Else a call would be held by a pause that nobody keeps, or tried again against one that all others keep."""
    assert PASSED_ON_SECONDS == WAIT_MAX_SECONDS
