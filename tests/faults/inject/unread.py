"""The connection ends as the request comes: its head is seen, nothing of it is read or answered."""

from tests.faults.upstream import Exchange


async def reset_unread(exchange: Exchange) -> None:
    """End it with a RST, as a system does whose program had closed its side a moment before."""
    exchange.reset()


async def closed_unread(exchange: Exchange) -> None:
    """End it with a FIN; what is still unread makes the system send a RST behind it."""
    exchange.fin()
