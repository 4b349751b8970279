"""What a refusal of ours says of when to come back."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model.cause import Cause
from gateway.model.decision import Refuse, StatedPolicy
from gateway.reply import waits

_NAME = r'"[\x20\x21\x23-\x5b\x5d-\x7e]*"'  # a string without escapes: RFC 9651 section 3.3.3
_POLICY = re.compile(
    _NAME + r';q=(0|[1-9][0-9]{0,14});qu="(requests|tokens|concurrent-requests)"(?:;w=([1-9][0-9]{0,14}))?'
)
_LIMIT = re.compile(_NAME + r";r=0(?:;t=(0|[1-9][0-9]{0,14}))?")


def _refuse(seconds: float | None, policy: StatedPolicy | None = None) -> dict[str, str]:
    refuse = Refuse(cause=Cause.PROXY_QUEUE_TIMEOUT, status=429, why="", retry_after_seconds=seconds, policy=policy)
    pairs = [(name.decode("ascii"), value.decode("ascii")) for name, value in waits(refuse)]
    assert len(dict(pairs)) == len(pairs), "no name twice"
    return dict(pairs)


def _policy(
    kind: str = "requests", limit: float = 60, window: float | None = 60.0, reset: float = 12.3
) -> StatedPolicy:
    return StatedPolicy(kind=kind, limit=limit, window_seconds=window, reset_seconds=reset)


@pytest.mark.parametrize(
    ("seconds", "whole", "milliseconds"),
    [
        (0.0, "1", "0"),
        (0.2, "1", "200"),
        (1.0, "1", "1000"),
        (1.001, "2", "1001"),
        (59.5, "60", "59500"),
        (86_400, "86400", "86400000"),
    ],
)
def test_retry_after_is_whole_seconds_never_too_early_and_the_other_one_is_exact(
    seconds: float, whole: str, milliseconds: str
) -> None:
    assert _refuse(seconds) == {"retry-after": whole, "retry-after-ms": milliseconds}


def test_where_waiting_does_not_help_nothing_says_when_to_come_back() -> None:
    assert _refuse(None) == {}
    assert "retry-after" not in _refuse(None, _policy())


def test_the_limit_is_named_with_its_numbers() -> None:
    said = _refuse(12.3, _policy())
    assert said["ratelimit-policy"] == '"requests";q=60;qu="requests";w=60'
    assert said["ratelimit"] == '"requests";r=0;t=13'


@pytest.mark.parametrize("kind", ["tokens", "input_tokens", "output_tokens"])
def test_every_kind_of_tokens_is_counted_in_tokens_and_named_as_it_is(kind: str) -> None:
    said = _refuse(1.0, _policy(kind, 1_000_000))
    assert said["ratelimit-policy"] == f'"{kind}";q=1000000;qu="tokens";w=60'
    assert said["ratelimit"].startswith(f'"{kind}";')


def test_a_concurrency_has_no_window_and_an_endless_wait_no_time() -> None:
    said = _refuse(1.0, _policy("concurrency", 5, None, math.inf))
    assert said["ratelimit-policy"] == '"concurrency";q=5;qu="concurrent-requests"'
    assert said["ratelimit"] == '"concurrency";r=0'


@given(
    kind=st.sampled_from(["requests", "tokens", "input_tokens", "output_tokens", "concurrency"]),
    limit=st.floats(1, 1e9),
    window=st.none() | st.floats(1e-3, 1e6),
    reset=st.floats(0, 1e6) | st.just(math.inf),
    seconds=st.none() | st.floats(0, 1e6),
)
def test_whatever_the_numbers_the_fields_are_valid_and_no_wait_is_shortened(
    kind: str, limit: float, window: float | None, reset: float, seconds: float | None
) -> None:
    """Structured fields (RFC 9651): a list of one string with integers for parameters."""
    said = _refuse(seconds, _policy(kind, limit, window, reset))
    policy, rest = _POLICY.fullmatch(said["ratelimit-policy"]), _LIMIT.fullmatch(said["ratelimit"])
    assert policy is not None
    assert rest is not None
    assert abs(int(policy[1]) - limit) <= 0.5
    assert (policy[3] is None) is (window is None)
    assert window is None or int(policy[3]) >= window
    assert (rest[1] is None) is math.isinf(reset)
    assert math.isinf(reset) or reset <= int(rest[1]) <= reset + 1
    assert (seconds is None) is ("retry-after" not in said)
    if seconds is not None:
        assert int(said["retry-after"]) >= 1
        assert seconds <= int(said["retry-after"]) <= max(1, seconds + 1)
        assert seconds * 1000 <= int(said["retry-after-ms"]) <= seconds * 1000 + 1
