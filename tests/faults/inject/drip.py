"""Bytes that come one by one, each too soon to be called silence."""

from tests.faults.upstream import LIFE_SECONDS, Exchange, Fault


def drip(start: bytes, gap_seconds: float) -> Fault:
    """Send the start, then a letter after each gap, until the client leaves."""

    async def fault(exchange: Exchange) -> None:
        await exchange.receive()
        await exchange.write(start)
        for _ in range(int(LIFE_SECONDS / gap_seconds)):
            await exchange.left(gap_seconds)
            await exchange.write(b"y")

    return fault
