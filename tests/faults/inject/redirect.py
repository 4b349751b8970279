"""The provider says that the answer is elsewhere."""

from tests.faults.upstream import Exchange, Fault


def redirect(location: str, status: int = 307) -> Fault:
    async def fault(exchange: Exchange) -> None:
        await exchange.receive()
        await exchange.write_head(status, {"location": location}, 0)

    return fault
