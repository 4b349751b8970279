"""A stream that begins well: so many events, then something else."""

from collections.abc import Awaitable, Callable

from tests.faults.inject.answer import begin
from tests.faults.upstream import Exchange, Fault


def after_events(events: int, then: Callable[[Exchange], Awaitable[None] | None], gap_seconds: float = 0.0) -> Fault:
    """Send so many events with text, then do the rest; for example ``after_events(3, Exchange.reset)``."""

    async def fault(exchange: Exchange) -> None:
        await exchange.receive()
        await begin(exchange, events, gap_seconds=gap_seconds)
        rest = then(exchange)
        if rest is not None:
            await rest

    return fault
