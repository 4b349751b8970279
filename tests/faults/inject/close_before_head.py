"""FIN once the whole request is there, and not a byte of an answer."""

from tests.faults.upstream import Exchange


async def close_before_head(exchange: Exchange) -> None:
    await exchange.receive()
    exchange.fin()
