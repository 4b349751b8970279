"""No fault: a whole answer in the protocol that was asked for, as a stream when one was asked for."""

import asyncio

from tests.faults.upstream import Exchange, Fault
from tests.faults.words import face_of

JSON = {"content-type": "application/json"}
EVENTS = {"content-type": "text/event-stream"}


def answer(text: str = "words", *, events: int = 3, gap_seconds: float = 0.0) -> Fault:
    """Answer; a stream says the text ``events`` times."""

    async def fault(exchange: Exchange) -> None:
        await exchange.receive()
        face = face_of(exchange.request.target)
        if not exchange.request.is_stream:
            body = face.whole(text)
            await exchange.write_head(200, JSON, len(body))
            await exchange.write(body)
            return
        await begin(exchange, events, text, gap_seconds)
        for event in face.closing:
            await exchange.chunk(event)
        await exchange.chunk(b"")

    return fault


async def begin(exchange: Exchange, events: int, text: str = "words", gap_seconds: float = 0.0) -> None:
    """Begin a stream: head, opening, and so many events with text. What follows is the caller's."""
    face = face_of(exchange.request.target)
    await exchange.write_head(200, EVENTS)
    for event in face.opening:
        await exchange.chunk(event)
    for number in range(events):
        if number and gap_seconds:
            await asyncio.sleep(gap_seconds)
        await exchange.chunk(face.event(text))
