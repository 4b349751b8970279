"""RST once the whole request is there, and not a byte of an answer: nobody knows whether the work was done."""

from tests.faults.upstream import Exchange


async def reset_before_head(exchange: Exchange) -> None:
    await exchange.receive()
    exchange.reset()
