"""No fault: a stream whose events say when they were sent, until it is told to end."""

import asyncio
import threading
import time

from tests.faults.inject.answer import begin
from tests.faults.upstream import LIFE_SECONDS, Exchange, Fault
from tests.faults.words import face_of


def ticking(over: threading.Event, gap_seconds: float) -> Fault:
    """Send an event with the monotonic time as its text every ``gap_seconds``; end well once ``over`` is set."""

    async def fault(exchange: Exchange) -> None:
        await exchange.receive()
        face, end = face_of(exchange.request.target), time.monotonic() + LIFE_SECONDS
        await begin(exchange, 0)
        while not over.is_set() and time.monotonic() < end:
            await exchange.chunk(face.event(repr(time.monotonic())))
            await asyncio.sleep(gap_seconds)
        for event in face.closing:
            await exchange.chunk(event)
        await exchange.chunk(b"")

    return fault
