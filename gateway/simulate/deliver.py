"""Send an answer as it should be, or break it as a failure says."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice

from gateway.simulate.config import Knobs
from gateway.simulate.face import EventStream
from gateway.simulate.failure import Behaviour, Failure
from gateway.simulate.line import Line

type Pairs = list[tuple[str, str]]

_DEFAULT_SILENCE_SECONDS = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer that is ready to be sent.

    Attributes:
        headers: The complete head, without ``content-length``.
        body: The JSON of a plain answer; empty for a stream.
        preface: Bytes before the events of the stream.
    """

    headers: Pairs
    knobs: Knobs
    body: bytes = b""
    stream: EventStream | None = None
    preface: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Disturbance:
    """A failure that is about to happen to one call.

    Attributes:
        headers: The complete head of the failure's own answer.
        values: What the placeholders of its body stand for.
        envelope: Rewrites its JSON where the route has errors in another form.
    """

    failure: Failure
    headers: Pairs
    values: Mapping[str, str]
    too_large: bool = False
    envelope: Callable[[bytes], bytes] | None = None


async def deliver(line: Line, reply: Reply) -> None:
    """Send the whole answer."""
    await line.pause(reply.knobs.first_byte_seconds)
    if reply.stream is None:
        await line.answer(200, reply.headers, reply.body)
        return
    await _begin_stream(line, reply, reply.stream, None)
    for data in reply.stream.closing:
        await line.write(data)
    await line.finish()


async def refuse(line: Line, disturbance: Disturbance) -> None:
    """Send the failure's own answer."""
    failure = disturbance.failure
    body = failure.rendered_body(disturbance.values, too_large=disturbance.too_large)
    if disturbance.envelope and "json" in failure.content_type:
        body = disturbance.envelope(body)
    await line.answer(failure.status or 500, disturbance.headers, body)


async def disturb(line: Line, disturbance: Disturbance, reply: Reply) -> None:
    """Do to the answer what the failure says."""
    failure = disturbance.failure
    match failure.behaviour:
        case Behaviour.ANSWER | Behaviour.REFUSE_TIMES:
            await refuse(line, disturbance)
        case Behaviour.SLOW_FIRST_BYTE:
            await line.pause(failure.seconds)
            await deliver(line, reply)
        case Behaviour.RESET:
            await _begin(line, reply, failure.after_events)
            await line.reset()
        case Behaviour.CLOSE_BEFORE_HEAD:
            await line.close()
        case Behaviour.TRUNCATE_BODY | Behaviour.TRUNCATE_STREAM:
            await _begin(line, reply, failure.after_events or 0)
            await line.close()
        case Behaviour.STALL:
            await _begin(line, reply, failure.after_events)
            await line.pause(failure.seconds or _DEFAULT_SILENCE_SECONDS)
            await line.close()
        case Behaviour.CLEAN_END_WITHOUT_MARK:
            await _begin(line, reply, failure.after_events or 0, promise_length=False)
            await line.give_up()
        case Behaviour.ERROR_EVENT:
            await _error_event(line, disturbance, reply)
        case Behaviour.MALFORMED_HEAD:
            await line.write_raw(failure.rendered_body(disturbance.values))


async def _error_event(line: Line, disturbance: Disturbance, reply: Reply) -> None:
    """End a stream with the provider's error event; a plain call gets the status instead, as does a page."""
    is_json = "json" in disturbance.failure.content_type
    if reply.stream is None or reply.stream.error_event is None or not is_json:
        await refuse(line, disturbance)
        return
    events = disturbance.failure.after_events or 0
    sent = await _begin_stream(line, reply, reply.stream, events)
    await line.write(reply.stream.error_event(disturbance.failure.rendered_body(disturbance.values), sent))
    await line.finish()


async def _begin(line: Line, reply: Reply, events: int | None, *, promise_length: bool = True) -> None:
    """Send the part of an answer that comes before the break: nothing, the head, or some of the content."""
    if events is None:
        return
    await line.pause(reply.knobs.first_byte_seconds)
    if reply.stream is not None:
        await _begin_stream(line, reply, reply.stream, events)
        return
    length = [("content-length", str(len(reply.body)))] if promise_length else []
    await line.start(200, reply.headers + length)
    if events:
        await line.write(reply.body[: len(reply.body) // 2])


async def _begin_stream(line: Line, reply: Reply, stream: EventStream, events: int | None) -> int:
    """Send the head, the opening and the first ``events`` pieces (``None``: all). Return how many events went out."""
    await line.start(200, reply.headers)
    if reply.preface:
        await line.write(reply.preface)
    if events == 0:
        return 0
    for data in stream.opening:
        await line.write(data)
    sent = 0
    for data in islice(stream.deltas, events):
        if sent:
            await line.pause(reply.knobs.event_interval_seconds)
        await line.write(data)
        sent += 1
    return len(stream.opening) + sent
