"""What holds of every call that never reached its upstream."""

from tests.faults.clients import ClientRow
from tests.faults.field import Case
from tests.faults.ledgers import Flow

TRIES = 3
BACKOFF_SECONDS = 1.5
"""The most that is waited between three tries."""

SLACK_SECONDS = 1.0
"""For the client itself, and a machine that others use."""

AT_ONCE_SECONDS = 3.0
"""Sooner than anything that waits; the first call of an SDK in a process takes more than one by itself."""


def refused(case: Case, call: ClientRow, cause: str, code: str, status: int = 502) -> Flow:
    """See that client and log tell of one failure below HTTP, of which the upstream got nothing; give the flow."""
    flow = case.flow(call)
    assert (call.outcome, call.status, call.cause, call.requests) == ("error", status, cause, 1)
    assert (flow["status"], flow["cause"]) == (status, cause)
    assert {attempt["failure"]["code"] for attempt in flow["attempts"]} == {code}
    assert not any(attempt["failure"]["sent"] for attempt in flow["attempts"])
    assert not flow["possible_duplicate"]
    assert case.received(call) == []
    return flow


def longest_seconds(flow: Flow) -> float:
    """Give how long the longest attempt took."""
    return max(float(attempt["phases"][-1]["end_ms"]) for attempt in flow["attempts"]) / 1000
