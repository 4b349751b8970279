"""Another fault, with more headers in its head."""

from tests.faults.upstream import Exchange, Fault


def with_headers(fault: Fault, *headers: tuple[str, str]) -> Fault:
    """Add headers; a name may stand twice."""

    async def wrapped(exchange: Exchange) -> None:
        exchange.extra += headers
        await fault(exchange)

    return wrapped
