"""A second look while a call still waits: the right probes at the failing host, shared, so that never a storm comes.

When a call fails below HTTP, or its provider answers nobody, the same question is asked by hundreds of calls at once.
One run answers all of them for a minute. It begins while the call waits to be tried again; what it finds turns a
verdict that was drawn from one failure into one that was confirmed, or into the cause beneath it.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from gateway.diagnose.say import say
from gateway.doctor.case import Case
from gateway.doctor.probe import Check, Outcome, Probe, Status
from gateway.doctor.run import UNASKED_SECONDS, run
from gateway.model.cause import Cause, Precision
from gateway.model.clock import Clock
from gateway.model.diagnosis import Clue, Diagnosis
from gateway.model.failure import NetFailure, Phase

logger = logging.getLogger("whygate.doctor")

SHARED_SECONDS = 60.0
RUNS_MAX = 4
"""At a time. Whoever comes on top gets the verdict that there is."""
KEPT_MAX = 256

_BY_PHASE: dict[Phase, tuple[str, ...]] = {
    Phase.POOL: ("machine",),
    Phase.DNS: ("machine", "names"),
    Phase.CONNECT: ("machine", "names", "reach", "upstream-proxy"),
    Phase.TLS: ("machine", "names", "tls", "upstream-proxy", "clock"),
    Phase.SEND: ("machine", "names", "reach", "tls", "status"),
    Phase.FIRST_BYTE: ("machine", "names", "reach", "tls", "answer", "status"),
    Phase.BODY: ("machine", "reach", "status"),
}
"""What is worth a look after a failure in a phase: all that can have gone wrong up to there."""

_OF_SERVICE = ("service.server_error", "service.overloaded", "service.unavailable", "service.timeout",
               "service.incident", "edge.origin_error")  # fmt: skip
_SEEN_TWICE = frozenset({
    Cause.NETWORK_OFFLINE, Cause.NETWORK_DNS_FAILURE, Cause.NETWORK_TCP_REFUSED, Cause.NETWORK_TCP_TIMEOUT,
    Cause.NETWORK_CONNECTION_RESET, Cause.NETWORK_IPV6_BROKEN, Cause.NETWORK_TLS_CERTIFICATE,
    Cause.NETWORK_TLS_HANDSHAKE, Cause.NETWORK_PROXY_UNREACHABLE, Cause.NETWORK_PROXY_AUTH, Cause.NETWORK_PROXY_DENIED,
    Cause.NETWORK_PROXY_UPSTREAM_ERROR,
})  # fmt: skip
"""What says no more than what happens: seen again, it is sure. Other causes also say whose doing it is."""
_REPEATED = frozenset({
    "attempt {count} failed in the phase {phase}: {detail}", "the request was never sent",
    "the request may have reached the provider",
})  # fmt: skip
"""What the call's own evidence says already, of the call itself."""
_SURE = (Precision.INFERRED, Precision.DECLARED, Precision.CONFIRMED)
_TOLD_MAX = 3
"""Of what went well; the last are the nearest to the provider."""
_SETTLED = frozenset({Cause.NETWORK_PROXY_MISCONFIGURED, Cause.NETWORK_WEBSOCKET_BLOCKED})
"""What a second look cannot make any surer."""


def worth(diagnosis: Diagnosis, failure: NetFailure | None) -> tuple[str, ...]:
    """Give the names of the probes that may tell more of a failure; none for what is sure, or said plainly."""
    if diagnosis.precision is Precision.CONFIRMED:
        return ()
    if failure is not None and diagnosis.cause.startswith(("network.", "service.", "unknown")):
        return () if diagnosis.cause in _SETTLED else _BY_PHASE[failure.phase]
    return ("status",) if failure is None and diagnosis.cause.startswith(_OF_SERVICE) else ()


def surer(diagnosis: Diagnosis, outcomes: Iterable[Outcome]) -> Diagnosis:
    """Give the verdict on a call with what a second look found. Pure.

    The same cause is confirmed; a deeper one takes its place, unless it is a guess and the verdict is none; when all
    went well a second time, it only says so.
    """
    outcomes = tuple(outcomes)
    found = [
        (outcome.probe.rank, check)
        for outcome in outcomes
        for check in outcome.checks
        if check.status is Status.FAIL and check.diagnosis is not None
    ]
    if not found:
        return _looked(diagnosis, outcomes)
    for _, check in found:
        if check.diagnosis is not None and check.diagnosis.cause is diagnosis.cause:
            return _merged(diagnosis, check.diagnosis, diagnosis)
    deepest = min(found, key=lambda pair: pair[0])[1].diagnosis
    assert deepest is not None
    if deepest.precision is not Precision.CONFIRMED and diagnosis.precision is not Precision.INFERRED:
        return diagnosis  # a guess takes the place of a guess alone
    if not _explains(deepest.cause, diagnosis.cause):
        return diagnosis
    return _merged(deepest, deepest, diagnosis)


def _explains(deeper: Cause, seen: Cause) -> bool:
    """Whether one trouble can look like another from inside a call."""
    if deeper is Cause.SERVICE_INCIDENT:
        return seen.startswith(("service.", "edge.origin_error", "network.read_timeout", "network.connection_reset"))
    return deeper.startswith("network.") and (seen.startswith("network.") or seen is Cause.UNKNOWN)


def _merged(base: Diagnosis, looked: Diagnosis, seen: Diagnosis) -> Diagnosis:
    """Give a verdict with the evidence of both: first the call's own, then what the second look saw."""
    excluded = {one.cause: one for one in (*looked.ruled_out, *seen.ruled_out) if one.cause is not base.cause}
    merged = replace(
        base,
        precision=_precision(seen, looked) if base is seen else base.precision,
        clues=tuple(dict.fromkeys((*seen.clues, *(one for one in looked.clues if one.text not in _REPEATED)))),
        ruled_out=tuple(excluded.values()),
        alternatives=tuple(one for one in seen.alternatives if one not in excluded and one is not base.cause),
        vendor=base.vendor or seen.vendor or looked.vendor,
    )
    return say(merged, seen.language)


def _precision(seen: Diagnosis, looked: Diagnosis) -> Precision:
    """Say how sure a cause is that both found."""
    if seen.cause in _SEEN_TWICE:
        return Precision.CONFIRMED
    return max(seen.precision, looked.precision, key=_SURE.index)


def _looked(diagnosis: Diagnosis, outcomes: Sequence[Outcome]) -> Diagnosis:
    """Say that a second look found nothing wrong, and what it looked at."""
    well = [outcome for outcome in outcomes if _all_well(outcome.checks)]
    told = [check.told for outcome in well for check in outcome.checks if check.status is Status.OK]
    if not told:
        return diagnosis
    clues = (Clue("a second look right afterwards found nothing wrong"), *told[-_TOLD_MAX:])
    return say(replace(diagnosis, clues=tuple(dict.fromkeys((*diagnosis.clues, *clues)))), diagnosis.language)


def _all_well(checks: Sequence[Check]) -> bool:
    return bool(checks) and all(check.status in {Status.OK, Status.NOTE} for check in checks)


@dataclass(slots=True)
class _Flight:
    """A run, under way or over.

    Attributes:
        ended_at: On the monotonic clock; None while it is under way.
    """

    task: "asyncio.Task[tuple[Outcome, ...]]"
    ended_at: float | None = None


class Looks:
    """Second looks of one gateway. Belongs to one event loop.

    Args:
        probes: All that may run unasked.
        seconds: For one run.
    """

    def __init__(self, probes: Iterable[Probe], clock: Clock, *, seconds: float = UNASKED_SECONDS) -> None:
        self._clock, self._seconds = clock, seconds
        self._probes = {probe.name: probe for probe in probes if probe.unasked}
        self._flights: OrderedDict[tuple[str, int, tuple[str, ...]], _Flight] = OrderedDict()

    def look(
        self, case: Case, diagnosis: Diagnosis, failure: NetFailure | None
    ) -> Callable[[Diagnosis], Awaitable[Diagnosis]] | None:
        """Begin a look at a case's target, or join one that is under way or fresh.

        Returns:
            What waits for it and gives a verdict with what was found; None where no look can tell more, or too many
            are under way.
        """
        names = tuple(name for name in worth(diagnosis, failure) if name in self._probes)
        flight = self._flight(case, names) if names else None
        if flight is None:
            return None

        async def told(drawn: Diagnosis) -> Diagnosis:
            return surer(drawn, await asyncio.shield(flight.task))

        return told

    async def close(self) -> None:
        """End what is under way."""
        tasks = [flight.task for flight in self._flights.values() if not flight.task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._flights.clear()

    def _flight(self, case: Case, names: tuple[str, ...]) -> _Flight | None:
        key = (case.target.host, case.target.port, names)
        found = self._flights.get(key)
        if found is not None and (found.ended_at is None or self._clock.now() - found.ended_at < SHARED_SECONDS):
            return found
        if sum(flight.ended_at is None for flight in self._flights.values()) >= RUNS_MAX:
            return None
        task = asyncio.get_running_loop().create_task(self._run(case, names))
        flight = self._flights[key] = _Flight(task)
        self._flights.move_to_end(key)
        task.add_done_callback(lambda _: setattr(flight, "ended_at", self._clock.now()))
        while len(self._flights) > KEPT_MAX:
            self._flights.popitem(last=False)[1].task.cancel()
        return flight

    async def _run(self, case: Case, names: Sequence[str]) -> tuple[Outcome, ...]:
        try:
            return await run(case, [self._probes[name] for name in names], seconds=self._seconds)
        except Exception:
            logger.exception("a second look at %s", case.target.host)  # the call's own verdict stands
            return ()
