"""The breaker: a host that answers nobody is not asked by everybody. One for each host and key.

It opens after `FAILURES_MIN` failures in a row that are the host's own (see `is_owned`): a share of failures would open
it on a host that serves most of its callers. Open, it lets one attempt through each `OPEN_SECONDS`, after a few of
them each twice that, and so on; the first answer closes it, whatever it says. It never waits for an attempt to end
before it lets the next one try: an answer may take minutes. The periods are short, since the calls that it spares cost
little and a host that is well again shall be asked at once.

Gateways of a team tell one another what is open (see `gateway.news`): one that only heard of it lets attempts through
in periods of its own, and forgets it when nobody says so any more.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import NamedTuple

from gateway.model.cause import Again, Cause, Fault

FAILURES_MIN = 20
"""Of a host that refuses three calls in five at random, one run in 30,000 is so long."""

QUIET_SECONDS = 10.0
"""Failures further apart than this are no run."""

OPEN_SECONDS = 0.25
OPEN_MAX_SECONDS = 2.0
TRIES_EACH = 4
"""So many are let through before the period doubles: a host that comes back within a second is seen to at once."""

SCOPES_MAX = 1_000

type Account = tuple[str, str]
"""What a breaker is for: a host, and the fingerprint of a key."""


class Open(NamedTuple):
    """How many attempts failed in a row, and of what the last one did."""

    failures: int
    cause: Cause


@dataclass(slots=True)
class _Failing:
    failures: int = 0
    failed_at: float = 0.0
    opened: int = 0  # 0 while closed, then one more with each attempt that it let through
    next_at: float = 0.0
    cause: Cause = Cause.UNKNOWN
    heard: bool = False  # and nothing has failed here since


class Breaker:
    """Counts failures. The caller brings the time (monotonic seconds). Whoever answers well costs a look-up."""

    def __init__(self) -> None:
        self._failing: OrderedDict[Account, _Failing] = OrderedDict()

    def wait(self, host: str, key: str, now: float) -> float:
        """Seconds until somebody may try, 0.0 for now. Only looks."""
        failing = self._failing.get((host, key))
        return 0.0 if failing is None or not failing.opened else max(0.0, failing.next_at - now)

    def enter(self, host: str, key: str, now: float) -> float:
        """Begin an attempt: 0.0 when it may, else the seconds until somebody may. Takes the one place of a period."""
        failing = self._failing.get((host, key))
        if failing is None or not failing.opened:
            return 0.0
        if now < failing.next_at:
            return failing.next_at - now
        failing.opened += 1
        failing.next_at = now + _period(failing.opened)
        return 0.0

    def failed(self, host: str, key: str, now: float, cause: Cause) -> None:
        """An attempt ended in a failure of the host's own."""
        failing = self._failing.get((host, key))
        if failing is None:
            failing = self._failing[host, key] = _Failing()
            if len(self._failing) > SCOPES_MAX:
                self._failing.popitem(last=False)
        if not failing.opened and now - failing.failed_at > QUIET_SECONDS:
            failing.failures = 0
        failing.failures, failing.failed_at, failing.cause = failing.failures + 1, now, cause
        failing.heard = False
        if not failing.opened and failing.failures >= FAILURES_MIN:
            failing.opened, failing.next_at = 1, now + _period(1)

    def answered(self, host: str, key: str) -> None:
        """The host has answered like one that works."""
        if self._failing:
            self._failing.pop((host, key), None)

    def why(self, host: str, key: str) -> Open:
        """Give how many attempts failed in a row, and of what the last one did."""
        failing = self._failing.get((host, key))
        return Open(0, Cause.UNKNOWN) if failing is None else Open(failing.failures, failing.cause)

    def is_open(self, account: Account) -> bool:
        """Whether it is open, for whatever reason."""
        failing = self._failing.get(account)
        return failing is not None and failing.opened > 0

    def opened(self) -> dict[Account, Open]:
        """Give those that are open because of what this gateway has seen itself."""
        return {
            account: Open(failing.failures, failing.cause)
            for account, failing in self._failing.items()
            if failing.opened and not failing.heard
        }

    def hear(self, account: Account, said: Open, now: float) -> None:
        """Open as another gateway has."""
        failing = self._failing.get(account)
        if failing is not None and failing.opened:
            return
        self._failing[account] = _Failing(said.failures, now, 1, now + _period(1), said.cause, heard=True)
        if len(self._failing) > SCOPES_MAX:
            self._failing.popitem(last=False)

    def unhear(self, account: Account) -> None:
        """Close what was open by others' word alone: they say so no more."""
        failing = self._failing.get(account)
        if failing is not None and failing.heard:
            del self._failing[account]


def _period(opened: int) -> float:
    return float(min(OPEN_MAX_SECONDS, OPEN_SECONDS * 2 ** min((opened - 1) // TRIES_EACH, 8)))


def is_owned(cause: Cause) -> bool:
    """Whether a failure says something about the host: it cannot be reached, or cannot serve anybody.

    What a caller, a limit or a policy causes does not, and neither does what waiting for a stated time cures.
    """
    of_host = cause.fault in {Fault.NETWORK, Fault.EDGE, Fault.PROVIDER}
    return of_host and cause.again in {Again.IF_UNPROCESSED, Again.WITHIN_BUDGET}
