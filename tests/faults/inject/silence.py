"""The request is taken, and nothing is ever said. Ends when the client leaves."""

from tests.faults.upstream import Exchange


async def silence(exchange: Exchange) -> None:
    await exchange.receive()
    await exchange.left()
