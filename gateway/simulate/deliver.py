"""Send an answer as it should be, or break it as a failure says."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice

from gateway.simulate.config import Knobs
from gateway.simulate.exchange import Exchange
from gateway.simulate.faces.face import EventStream
from gateway.simulate.failure import Behaviour, Failure

type Pairs = list[tuple[str, str]]

_DEFAULT_SILENCE_SECONDS = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer that is ready to be sent.

    Attributes:
        headers: The complete head, without ``content-length``.
        body: The JSON of a plain answer; empty for a stream.
        error_event: Wraps an error for this stream.
    """

    headers: Pairs
    knobs: Knobs
    body: bytes = b""
    stream: EventStream | None = None
    error_event: Callable[[bytes, int], bytes] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Disturbance:
    """A failure that is about to happen to one call.

    Attributes:
        headers: The complete head of the failure's own answer.
        values: What the placeholders of its body stand for.
    """

    failure: Failure
    headers: Pairs
    values: Mapping[str, str]
    too_large: bool = False


async def deliver(exchange: Exchange, reply: Reply) -> None:
    """Send the whole answer."""
    await exchange.pause(reply.knobs.first_byte_seconds)
    if reply.stream is None:
        await exchange.answer(200, reply.headers, reply.body)
        return
    await _begin_stream(exchange, reply, reply.stream, None)
    for data in reply.stream.closing:
        await exchange.write(data)
    await exchange.finish()


async def refuse(exchange: Exchange, disturbance: Disturbance) -> None:
    """Send the failure's own answer."""
    failure = disturbance.failure
    body = failure.rendered_body(disturbance.values, too_large=disturbance.too_large)
    await exchange.answer(failure.status or 500, disturbance.headers, body)


async def disturb(exchange: Exchange, disturbance: Disturbance, reply: Reply) -> None:
    """Do to the answer what the failure says."""
    failure = disturbance.failure
    match failure.behaviour:
        case Behaviour.ANSWER | Behaviour.REFUSE_TIMES:
            await refuse(exchange, disturbance)
        case Behaviour.SLOW_FIRST_BYTE:
            await exchange.pause(failure.seconds)
            await deliver(exchange, reply)
        case Behaviour.RESET:
            await _begin(exchange, reply, failure.after_events)
            await exchange.reset()
        case Behaviour.CLOSE_BEFORE_HEAD:
            await exchange.close()
        case Behaviour.TRUNCATE_BODY | Behaviour.TRUNCATE_STREAM:
            await _begin(exchange, reply, failure.after_events or 0)
            await exchange.close()
        case Behaviour.STALL:
            await _begin(exchange, reply, failure.after_events)
            await exchange.pause(failure.seconds or _DEFAULT_SILENCE_SECONDS)
            await exchange.close()
        case Behaviour.CLEAN_END_WITHOUT_MARK:
            await _begin(exchange, reply, failure.after_events or 0, promise_length=False)
            await exchange.finish()
        case Behaviour.ERROR_EVENT:
            await _error_event(exchange, disturbance, reply)
        case Behaviour.MALFORMED_HEAD:
            await exchange.write_raw(failure.rendered_body(disturbance.values))


async def _error_event(exchange: Exchange, disturbance: Disturbance, reply: Reply) -> None:
    """End a stream with the provider's error event; a plain call gets the status instead."""
    if reply.stream is None or reply.error_event is None:
        await refuse(exchange, disturbance)
        return
    events = disturbance.failure.after_events or 0
    sent = await _begin_stream(exchange, reply, reply.stream, events)
    await exchange.write(reply.error_event(disturbance.failure.rendered_body(disturbance.values), sent))
    await exchange.finish()


async def _begin(exchange: Exchange, reply: Reply, events: int | None, *, promise_length: bool = True) -> None:
    """Send the part of an answer that comes before the break: nothing, the head, or some of the content."""
    if events is None:
        return
    await exchange.pause(reply.knobs.first_byte_seconds)
    if reply.stream is not None:
        await _begin_stream(exchange, reply, reply.stream, events)
        return
    length = [("content-length", str(len(reply.body)))] if promise_length else []
    await exchange.start(200, reply.headers + length)
    if events:
        await exchange.write(reply.body[: len(reply.body) // 2])


async def _begin_stream(exchange: Exchange, reply: Reply, stream: EventStream, events: int | None) -> int:
    """Send the head, the opening and the first ``events`` pieces (``None``: all). Return how many events went out."""
    await exchange.start(200, reply.headers)
    if events == 0:
        return 0
    for data in stream.opening:
        await exchange.write(data)
    sent = 0
    for data in islice(stream.deltas, events):
        if sent:
            await exchange.pause(reply.knobs.event_interval_seconds)
        await exchange.write(data)
        sent += 1
    return len(stream.opening) + sent
