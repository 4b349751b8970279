"""Whether streams flow: products that read an answer to its end before they pass it on make an app wait."""

import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from gateway.diagnose import vendors
from gateway.doctor.case import Case
from gateway.doctor.finding import clue, evidence_for, named, ok, skipped, telling, trouble
from gateway.doctor.measured import Handshakes, Streamed
from gateway.doctor.probe import Check, Done, Group, Probe, Status
from gateway.doctor.wire import fetch
from gateway.model.cause import Cause

_SECONDS = 4.0
_EVENTS_MIN = 3
_AT_ONCE_MS = 60.0
"""All events within this time came together; they are sent with pauses of at least a tenth of a second."""

_WAITED_MS = 300.0
_STREAM_BYTES_MIN = 16_384
_SILENT_SECONDS_MIN = 2.0
_WRITTEN_BYTES_PER_SECOND = 2_000_000
"""As for calls: no provider writes faster (`gateway.testimony`)."""


async def _measure(case: Case, _done: Done) -> Streamed:
    held_back = _held_back(case)
    if not case.lists.stream_url:
        return Streamed(held_back_seconds=held_back)
    arrivals: list[float] = []
    began = time.perf_counter()

    def arrived(_piece: bytes) -> None:
        arrivals.append(round((time.perf_counter() - began) * 1000, 1))

    headers = [("accept", "text/event-stream")]
    answer = await fetch(case, case.lists.stream_url, headers=headers, on_bytes=arrived, seconds=_SECONDS)
    return Streamed(arrivals_ms=tuple(arrivals[:64]), answer=answer, held_back_seconds=held_back)


def _streams(case: Case) -> Iterator[Mapping[str, Any]]:
    """Give good streams of the target from the log, the latest first."""
    for row in case.flows:
        events = row.get("events")
        host = row.get("upstream") or row.get("host")
        if row.get("cause") is None and host == str(case.target) and isinstance(events, dict):
            yield {**row, **events}


def _held_back(case: Case) -> float:
    """Give how long the last stream that can tell stayed silent before all of it came; 0 when it flowed."""
    for row in _streams(case):
        size, began, total = (row.get(name) or 0 for name in ("bytes", "began_ms", "total_ms"))
        if size < _STREAM_BYTES_MIN or not total:
            continue
        silent = (began - (row.get("queue_ms") or 0)) / 1000
        at_once = (total - began) / 1000 < size / _WRITTEN_BYTES_PER_SECOND
        return float(silent) if at_once and silent >= _SILENT_SECONDS_MIN else 0.0
    return 0.0


def _judge(case: Case, done: Done) -> Iterator[Check]:
    seen = done.get(Streamed)
    if seen is None:
        return
    answer = seen.answer
    if answer is not None and not answer.status and not seen.held_back_seconds:
        detail = "" if answer.failure is None else answer.failure.detail
        yield skipped("the server that sends events did not answer: {detail}", detail=detail)
    elif answer is not None and answer.status and answer.text.count("\n\n") < _EVENTS_MIN:
        yield skipped("the server that sends events answered with status {status} and too few", status=answer.status)
    elif _came_at_once(seen) or seen.held_back_seconds:
        yield _trouble(case, done, seen)
    else:
        yield ok("events come one by one, as they are sent")


def _came_at_once(seen: Streamed) -> bool:
    """Whether what was sent with pauses came without them, after a wait."""
    if seen.answer is None or not seen.arrivals_ms:
        return False
    return seen.arrivals_ms[-1] - seen.arrivals_ms[0] < _AT_ONCE_MS and seen.arrivals_ms[0] > _WAITED_MS


def _trouble(case: Case, done: Done, seen: Streamed) -> Check:
    clues = []
    if _came_at_once(seen) and seen.answer is not None:
        clues.append(
            clue(
                "{count} events that were sent with pauses came within {ms} ms, after {seconds} s",
                count=seen.answer.text.count("\n\n"),
                ms=round(seen.arrivals_ms[-1] - seen.arrivals_ms[0]),
                seconds=f"{seen.arrivals_ms[0] / 1000:.1f}",
            )
        )
    if seen.held_back_seconds:
        clues.append(
            clue(
                "the last stream from {host} stayed silent for {seconds} s and then came all at once: something on "
                "the way holds streams back",
                host=case.target.host,
                seconds=f"{seen.held_back_seconds:.0f}",
            )
        )
    if product := _product(done):
        clues.append(clue("{vendor} opens this traffic, and such products read answers to their end", vendor=product))
    verdict = named(
        Cause.NETWORK_DEGRADED,
        evidence_for(case, waited_seconds=seen.held_back_seconds),
        clues=clues,
        confirmed=_came_at_once(seen),
        language=case.language,
    )
    told = "something on the way holds streams back until they are complete"
    return trouble(Status.WARN, telling(verdict, case.language, detail="streams come late, and all at once"), told)


def _product(done: Done) -> str:
    seen = done.get(Handshakes)
    served = [one.served for one in seen.each if one.served is not None] if seen is not None else []
    marks = (vendors.of_certificate(one.issuer, one.subject) for one in served)
    return next((mark.vendor for mark in marks if mark is not None), "")


def _leave_out(case: Case) -> str:
    if case.lists.stream_url or any(_streams(case)):
        return ""
    return "the log holds no stream of this host yet, and no server for a test is set"


def _touches(case: Case) -> Iterator[str]:
    parts = urlsplit(case.lists.stream_url)
    if parts.hostname:
        yield f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"


PROBE = Probe(
    name="stream",
    group=Group.NETWORK,
    rank=64,
    gives=Streamed,
    measure=_measure,
    judge=_judge,
    seconds=4.5,
    touches=_touches,
    leave_out=_leave_out,
)
