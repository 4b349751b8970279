"""Whether large requests get through like small ones: a hop that drops what it cannot take says nothing (RFC 2923)."""

import asyncio
from collections.abc import Iterator

from gateway.diagnose.evidence import CallShape, History
from gateway.doctor.case import Case
from gateway.doctor.finding import clue, evidence_for, judged, named, not_this, ok, skipped, trouble
from gateway.doctor.measured import Handshakes, Reached, Sizes
from gateway.doctor.probe import Check, Done, Group, Probe, Status
from gateway.doctor.replies import url_of
from gateway.doctor.wire import Answer, fetch
from gateway.model.attempt import ReplyHead
from gateway.model.cause import Cause
from gateway.model.failure import NetCode, NetFailure, Phase

_SIZES = (1_024, 16_384, 65_536)
_SECONDS, _SECOND_SECONDS = 1.6, 2.8
"""For the two attempts. A second of each is for a lost packet (RFC 6298 section 2.1)."""

_LOSS = 0.1

_TOO_LARGE = 413
_PATHS = {"anthropic": "/v1/messages"}


async def _measure(case: Case, done: Done) -> Sizes:
    seen = done.get(Handshakes)
    good = None if seen is None else next((one for one in seen.each if one.failure is None), None)
    if good is None:
        return Sizes()
    answers = await asyncio.gather(*(_post(case, size, good.address) for size in _SIZES))
    return Sizes(each=tuple(zip(_SIZES, answers, strict=True)))


async def _post(case: Case, size: int, address: str) -> Answer:
    """Send a body of this length; once more when it is not answered."""
    found = await _attempt(case, size, address, _SECONDS)
    return found if found.status else await _attempt(case, size, address, _SECOND_SECONDS)


async def _attempt(case: Case, size: int, address: str, seconds: float) -> Answer:
    target = case.target
    host = f"[{target.host}]" if ":" in target.host else target.host
    path = _PATHS.get(target.name) or f"{target.path.partition('?')[0].removesuffix('/models')}/chat/completions"
    body = b'{"model": "", "messages": [], "pad": "%s"}'
    return await fetch(
        case,
        f"https://{host}:{target.port}{path}",
        method="POST",
        headers=[("content-type", "application/json")],
        body=body % (b"x" * (size - len(body) + 2)),
        address=address,
        ca_file=target.ca_file,
        seconds=seconds,
    )


def _judge(case: Case, done: Done) -> Iterator[Check]:
    seen = done.get(Sizes)
    if seen is None:
        return
    passed = [size for size, answer in seen.each if answer.status]
    # What was never sent says nothing of its size: the connection itself was late.
    failures = [(size, answer.failure) for size, answer in seen.each if not answer.status]
    lost = [(size, failure) for size, failure in failures if failure is not None and failure.sent]
    refused = next(((size, answer) for size, answer in seen.each if answer.status == _TOO_LARGE), None)
    if not passed:
        yield skipped("not even the smallest request was answered" if seen.each else "no valid handshake to send on")
    elif refused is not None:
        yield _refused(case, *refused)
    elif not lost and len(failures) > len(lost):
        yield skipped("no connection for the larger requests came about")
    elif not lost:
        yield ok("requests of {count} kB are answered like small ones", count=max(passed) // 1_024)
    elif why := _explained(seen, done):
        yield skipped(why)
    elif min(size for size, _ in lost) > max(passed):
        yield _lost(case, max(passed), *lost[-1])
    else:
        yield skipped("a request of {size} bytes was not answered, a larger one was", size=lost[0][0])


def _explained(seen: Sizes, done: Done) -> str:
    """Give what else can make a large request late, empty when nothing does."""
    reached = done.get(Reached)
    if reached is not None and any(one.loss >= _LOSS for one in reached.good):
        return "the line loses packets, so nothing can be said of their size"
    times = {size: answer.first_byte_ms for size, answer in seen.each if answer.status}
    small, middle, large = _SIZES
    if small in times and middle in times:
        slope = (times[middle] - times[small]) / (middle - small)
        if times[small] + slope * (large - small) > _SECOND_SECONDS * 1000 / 2:
            return "the line is too slow for large requests to tell anything"
    return ""


def _lost(case: Case, passed: int, size: int, failure: NetFailure) -> Check:
    small = clue("a request of {size} bytes was answered", size=passed)
    large = clue("one of {size} bytes was not, in two attempts", size=size)
    ruled_out = [not_this(Cause.SERVICE_UNAVAILABLE, small), not_this(Cause.NETWORK_TCP_TIMEOUT, small)]
    call = CallShape(method="POST", size_bytes=size)
    if failure.code is NetCode.CONNECTION_RESET:
        evidence = evidence_for(case, failure=failure, call=call)
        verdict = named(
            Cause.NETWORK_CONNECTION_RESET, evidence, clues=[small, large], ruled_out=ruled_out, language=case.language
        )
        told = "requests of {size} bytes are cut, small ones are answered: something limits their size"
        return trouble(Status.WARN, verdict, told, size=size)
    stalled = NetFailure(phase=Phase.SEND, code=NetCode.READ_TIMEOUT, detail=failure.detail, sent=True)
    evidence = evidence_for(case, failure=stalled, call=call, history=History(small_passed=True))
    verdict = judged(evidence, clues=[small, large], ruled_out=ruled_out, language=case.language)
    return trouble(Status.FAIL, verdict, "requests of {size} bytes get lost, small ones are answered", size=size)


def _refused(case: Case, size: int, answer: Answer) -> Check:
    """Providers take many megabytes: who refuses this little stands on the way."""
    head = ReplyHead(status=answer.status, headers=answer.headers)
    evidence = evidence_for(case, head=head, text=answer.text, call=CallShape(method="POST", size_bytes=size))
    verdict = judged(evidence, confirmed=False, language=case.language)
    return trouble(Status.WARN, verdict, "a request of {size} bytes is refused as too large", size=size)


PROBE = Probe(
    name="mtu",
    group=Group.NETWORK,
    rank=60,
    gives=Sizes,
    measure=_measure,
    judge=_judge,
    after=(Handshakes,),
    seconds=4.8,
    touches=lambda case: (f"{case.target.host}:{case.target.port}",),
    leave_out=lambda case: "it is called over plain HTTP" if url_of(case.target).startswith("http:") else "",
)
