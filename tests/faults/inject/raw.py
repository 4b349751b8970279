"""Exactly these bytes in place of an answer."""

from tests.faults.upstream import Exchange, Fault


def raw(*parts: bytes, status: int | None = None, then_close: bool = True) -> Fault:
    """Write bytes, each part by itself. ``status`` is what a reader will take the answer's to be."""

    async def fault(exchange: Exchange) -> None:
        await exchange.receive()
        exchange.row.status = status
        for part in parts:
            await exchange.write(part)
        if then_close:
            exchange.fin()

    return fault
