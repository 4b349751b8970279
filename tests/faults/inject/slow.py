"""Another fault, later: the request is taken, and for a while nothing is said."""

from tests.faults.upstream import Exchange, Fault


def slow(seconds: float, fault: Fault) -> Fault:
    """Wait with what is said; the connection ends at once when the client leaves meanwhile."""

    async def later(exchange: Exchange) -> None:
        await exchange.receive()
        await exchange.left(seconds)
        await fault(exchange)

    return later
