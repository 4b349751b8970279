"""Whether to try again, and after how long. Decides only; the path sleeps.

The phase of a failure decides before its kind: what was never sent may always be sent again; what the service refused
(429, 503, 529) may be sent again when it says so or when a short wait is likely to help; anything else may have been
processed and paid for, and is not repeated. What waiting cannot cure (quota, keys, daily limits) is never repeated.
"""

from collections.abc import Callable
from dataclasses import dataclass

from gateway.model.attempt import ReplyHead
from gateway.model.cause import Again, Cause
from gateway.model.diagnosis import Facts
from gateway.model.failure import NetFailure

REFUSED_STATUSES = frozenset({429, 503, 529})
WAIT_MAX_SECONDS = 120.0
"""A longer stated wait is passed on; the official SDKs refuse to wait longer, too."""

STATED_WAITS_MAX = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How persistent we are.

    Attributes:
        max_attempts: For failures; waiting for a stated time is bounded by the deadline instead.
        base_seconds: The first wait is drawn from 0 to this, each later one from twice the range before.
        cap_seconds: No range is longer.
    """

    max_attempts: int = 3
    base_seconds: float = 0.5
    cap_seconds: float = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """Try again after so many seconds. ``stated`` when the provider named the time."""

    after_seconds: float
    stated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Give the answer as it is. ``spent`` when we tried and further retries by the app would only repeat that."""

    spent: bool


def next_step(
    *,
    number: int,
    failures: int,
    head: ReplyHead | None,
    failure: NetFailure | None,
    cause: Cause,
    stated_seconds: float | None,
    can_repeat: bool,
    left_seconds: float,
    may_spend: Callable[[], bool],
    policy: RetryPolicy,
    draw: float,
) -> Retry | Stop:
    """Decide after a failed attempt.

    Args:
        number: Attempts made, at least 1.
        failures: Those among them that named no time to wait.
        head: The answer's head, None when none came.
        failure: What went wrong below HTTP, None when an answer came.
        cause: The verdict so far.
        stated_seconds: How long the answer says to wait, in whatever form; None when it does not.
        can_repeat: Whether the whole body is still at hand.
        left_seconds: Until the app gives up.
        may_spend: Takes one retry from the budget, False when it is empty. Asked last, once.
        draw: A random number from 0 to 1.
    Source: RFC 9110 sections 9.2.2 and 10.2.3; "full jitter", aws.amazon.com/blogs/architecture (read 2026-11).
    """
    if not can_repeat:
        return Stop(spent=number > 1)
    if failure is not None:
        if failure.sent or cause.again not in {Again.IF_UNPROCESSED, Again.WITHIN_BUDGET}:
            return Stop(spent=number > 1)
        stated = None
    else:
        assert head is not None
        hopeless = cause.again is Again.NEVER and cause is not Cause.UNKNOWN  # such a status says "not now" by itself
        if head.status not in REFUSED_STATUSES or hopeless:
            return Stop(spent=number > 1)
        stated = stated_seconds or None
    jitter = draw * min(policy.cap_seconds, policy.base_seconds * 2 ** min(number - 1, 10))
    if stated is not None:
        wait = stated + jitter * 0.1
        if stated > WAIT_MAX_SECONDS or wait > left_seconds or number > STATED_WAITS_MAX:
            return Stop(spent=number > 1)
        return Retry(after_seconds=wait, stated=True)
    if failures >= policy.max_attempts or jitter > left_seconds or not may_spend():
        return Stop(spent=True)
    return Retry(after_seconds=jitter, stated=False)


def never_fits(facts: Facts) -> bool:
    """Whether a refusal says that this call alone is larger than the whole limit. Waiting does not make it smaller."""
    numbers = {name: int(value) for name, value in facts if name in {"limit", "requested"} and value.isdigit()}
    return len(numbers) == 2 and numbers["requested"] > numbers["limit"] > 0
