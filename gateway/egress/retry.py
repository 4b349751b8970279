"""Whether an attempt that failed is followed by another, and after how long. Pure.

How far the attempt came decides (RFC 9110 section 9.2.2: whoever repeats a request has to know that it does no harm):

- *never sent*: connecting failed. Nobody has seen the request; it goes again, whatever it is.
- *refused*: the service said that it does nothing with it now (429, 503, 529; an edge that never reached the origin).
- *ambiguous*: it may have been worked on and paid for (a reset after it was sent, 500, 502, 504, a stream that breaks
  before its first event). It goes again only on routes where a repetition costs money and does no other harm, and the
  answer is marked as a possible duplicate.
- *final*: an answer that trying again does not change, or a server that speaks no TLS that we do.

Once anything was given to the app there is no further attempt. What waiting cannot cure (quota, keys, daily limits) is
never repeated.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from gateway.model.attempt import ReplyHead
from gateway.model.cause import Again, Cause
from gateway.model.diagnosis import Facts
from gateway.model.failure import NetCode, NetFailure

REFUSED_STATUSES = frozenset({429, 503, 529})

UNREACHED_STATUSES = frozenset({521, 522, 523, 525})
"""Cloudflare could not connect to the origin (developers.cloudflare.com/support, "5xx errors", read 2026-11)."""

WAIT_MAX_SECONDS = 120.0
"""A longer stated wait is passed on; the official SDKs refuse to wait longer, too."""

STATED_WAITS_MAX = 10
SPREAD = 0.1
"""A stated wait is lengthened by up to this share, so that those who heard the same do not come back at once."""

NAME_ATTEMPTS_MAX = 2
"""For a name that the system's resolver hangs on: each takes two seconds, and people wait for five."""

_AMBIGUOUS_STATUSES = frozenset({500, 502, 504})
_CUT = frozenset({NetCode.CONNECTION_RESET, NetCode.READ_TIMEOUT, NetCode.TRUNCATED, NetCode.STREAM_TRUNCATED})
_CUT_CAUSES = frozenset(
    {Cause.NETWORK_STREAM_INTERRUPTED, Cause.SERVICE_STREAM_TRUNCATED, Cause.SERVICE_STREAM_STALLED}
)
"""They are final for an answer that is on its way to the app; before that nothing of it was seen."""


class Fate(StrEnum):
    """How far an attempt that failed came."""

    NEVER_SENT = "never sent"
    REFUSED = "refused"
    AMBIGUOUS = "ambiguous"
    FINAL = "final"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How persistent we are.

    Attributes:
        max_attempts: For failures; waiting for a stated time is bounded by the deadline instead.
        base_seconds: The first wait is drawn from 0 to this, each later one from twice the range before.
        cap_seconds: No range is longer.
        strict: Whether nothing is repeated that may have been worked on.
    """

    max_attempts: int = 3
    base_seconds: float = 0.5
    cap_seconds: float = 20.0
    strict: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """Try again after so many seconds.

    Attributes:
        stated: The provider named the time.
        duplicate: What failed may have been worked on, so that it may be paid for twice.
    """

    after_seconds: float
    stated: bool
    duplicate: bool = False


class Halt(StrEnum):
    """Why there is no further attempt although one might help; the words of the evidence."""

    BODY = "it was not tried again: its body was too large to keep"
    ROUTE = "it was not tried again: the provider may have worked on it, and asking twice may do harm on this route"
    STRICT = "it was not tried again: the provider may have worked on it, and the strict setting repeats no such call"
    LONG = "it was not tried again: the stated wait is longer than two minutes"
    TIME = "it was not tried again: the app's own time would have been over before an answer"
    BUDGET = "it was not tried again: retries have had their share of this key's calls for the moment"
    BREAKER = "it was not tried again: the server keeps failing, and is asked by single calls for now"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Give the answer as it is.

    Attributes:
        spent: Further retries by the app would only repeat what we saw or tried.
        why: None when another attempt could not help, or all have been made.
    """

    spent: bool
    why: Halt | None = field(default=None, compare=False)


def fate_of(head: ReplyHead | None, failure: NetFailure | None, cause: Cause) -> Fate:
    """Say how far a failed attempt came.

    Args:
        head: The answer's head, None when none came. Of a success it is one whose first event says that it is none.
        failure: What went wrong below HTTP, None when an answer came.
        cause: The verdict on it.
    """
    helps = cause.again in {Again.IF_UNPROCESSED, Again.WITHIN_BUDGET}
    if failure is not None:
        if not failure.sent:
            return Fate.NEVER_SENT if helps and failure.code is not NetCode.TLS_REFUSED else Fate.FINAL
        return Fate.AMBIGUOUS if failure.code in _CUT and (helps or cause in _CUT_CAUSES) else Fate.FINAL
    assert head is not None
    hopeless = cause.again is Again.NEVER and cause is not Cause.UNKNOWN
    if hopeless:
        return Fate.FINAL
    if head.status in REFUSED_STATUSES or (head.status in UNREACHED_STATUSES and helps):
        return Fate.REFUSED  # such a status says "not now" by itself, whoever wrote it
    # A stream may begin with a refusal for speed: nobody says whether something was worked on by then.
    late = head.status < 400 and cause.again is Again.AFTER_STATED_WAIT
    return Fate.AMBIGUOUS if helps or late or head.status in _AMBIGUOUS_STATUSES else Fate.FINAL


def next_step(
    *,
    number: int,
    failures: int,
    head: ReplyHead | None,
    failure: NetFailure | None,
    cause: Cause,
    stated_seconds: float | None,
    can_repeat: bool,
    harmless: bool,
    left_seconds: float,
    usual_seconds: float,
    may_try: Callable[[], bool],
    may_spend: Callable[[], bool],
    policy: RetryPolicy,
    draw: float,
) -> Retry | Stop:
    """Decide after a failed attempt.

    Args:
        number: Attempts made, at least 1.
        failures: Those among them that did not end in a wait that the provider stated.
        head: See `fate_of`.
        failure: See `fate_of`.
        cause: The verdict so far.
        stated_seconds: How long the answer says to wait, in whatever form; None when it does not.
        can_repeat: Whether the whole body is still at hand.
        harmless: Whether asking twice does no harm beyond its price.
        left_seconds: Until the app gives up.
        usual_seconds: What an answer usually takes to begin; an attempt that has less left is not begun.
        may_try: Whether the host is being asked at all; a breaker that is open says no.
        may_spend: Takes one retry from the budget, False when it is empty. Asked last, once.
        draw: A random number from 0 to 1.
    Source: RFC 9110 sections 9.2.2 and 10.2.3; "full jitter", aws.amazon.com/blogs/architecture (read 2026-11).
    """
    fate = fate_of(head, failure, cause)
    ambiguous, stated = fate is Fate.AMBIGUOUS, (stated_seconds or None) if failure is None else None
    why = _bar(fate, can_repeat=can_repeat, harmless=harmless, strict=policy.strict)
    if why is not None or fate is Fate.FINAL:
        return Stop(spent=number > 1 or (failure is not None and failure.code is NetCode.TLS_REFUSED), why=why)
    if stated is not None and stated > WAIT_MAX_SECONDS:
        return Stop(spent=False, why=Halt.LONG)
    left = left_seconds - usual_seconds
    if stated is not None and cause.again is not Again.WITHIN_BUDGET and not ambiguous:
        wait = stated * (1 + SPREAD * draw)
        if wait > left or number > STATED_WAITS_MAX:
            return Stop(spent=False, why=Halt.TIME)  # it may have more than it said, and waiting does help
        return Retry(after_seconds=wait, stated=True)
    wait = draw * min(policy.cap_seconds, policy.base_seconds * 2 ** min(number - 1, 10))
    if stated is not None:
        wait = max(wait, stated * (1 + SPREAD * draw))
    slow = failure is not None and failure.code is NetCode.DNS_TIMEOUT
    if failures >= (min(policy.max_attempts, NAME_ATTEMPTS_MAX) if slow else policy.max_attempts):
        return Stop(spent=True)
    if not may_try():
        return Stop(spent=False, why=Halt.BREAKER)  # by the time the app comes back it may be asked again
    if wait > left or not may_spend():
        # What we have not tried even once is not the app's to leave alone: an empty budget stops us only.
        return Stop(spent=number > 1, why=Halt.TIME if wait > left else Halt.BUDGET)
    return Retry(after_seconds=wait, stated=stated is not None, duplicate=ambiguous)


def _bar(fate: Fate, *, can_repeat: bool, harmless: bool, strict: bool) -> Halt | None:
    """Say what about the call itself forbids another attempt that might help; None when nothing does."""
    if fate is Fate.AMBIGUOUS and not harmless:
        return Halt.ROUTE
    if fate is Fate.AMBIGUOUS and strict:
        return Halt.STRICT
    return Halt.BODY if not can_repeat and fate is not Fate.FINAL else None


def never_fits(facts: Facts) -> bool:
    """Whether a refusal says that this call alone is larger than the whole limit. Waiting does not make it smaller."""
    numbers = {name: int(value) for name, value in facts if name in {"limit", "requested"} and value.isdigit()}
    return len(numbers) == 2 and numbers["requested"] > numbers["limit"] > 0
