"""A whole answer in order as HTTP goes, whose body is whatever the case wants."""

from tests.faults.inject.answer import JSON
from tests.faults.upstream import Exchange, Fault


def plain_body(body: bytes, status: int = 200, *, chunked: bool = False) -> Fault:
    """Answer with exactly these bytes as JSON, with their length or in two chunks."""

    async def fault(exchange: Exchange) -> None:
        await exchange.receive()
        await exchange.write_head(status, JSON, None if chunked else len(body))
        if not chunked:
            await exchange.write(body)
            return
        middle = len(body) // 2
        for part in (body[:middle], body[middle:], b""):
            await exchange.chunk(part)

    return fault
