"""As much as the connection takes, at once, in events."""

from tests.faults.inject.answer import EVENTS
from tests.faults.upstream import Exchange, Fault
from tests.faults.words import CHAT

EVENT_TEXT_BYTES = 8_000


def burst(total_bytes: int) -> Fault:
    """Write so much, as fast as it is taken. ``sent_bytes`` of the row is what was taken, and one event more."""
    event = CHAT.event("x" * EVENT_TEXT_BYTES)

    async def fault(exchange: Exchange) -> None:
        await exchange.receive()
        exchange.writer.transport.set_write_buffer_limits(0)
        await exchange.write_head(200, EVENTS)
        while exchange.row.sent_bytes < total_bytes:
            await exchange.chunk(event)
        for last in CHAT.closing:
            await exchange.chunk(last)
        await exchange.chunk(b"")

    return fault
