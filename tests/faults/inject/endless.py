"""An answer with a part that never ends."""

from tests.faults.upstream import Exchange, Fault

LIMIT_BYTES = 33_554_432
"""So much is sent when nobody stops it."""


def endless(start: bytes, piece: bytes, *, status: int | None = None) -> Fault:
    """Send the start, then the piece again and again."""

    async def fault(exchange: Exchange) -> None:
        await exchange.receive()
        exchange.row.status = status
        await exchange.write(start)
        for _ in range(LIMIT_BYTES // len(piece)):
            await exchange.write(piece)
        exchange.fin()

    return fault
