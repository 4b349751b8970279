"""The TCP connection ends, and TLS has not said so (RFC 8446 section 6.1): anybody on the way can make that."""

import socket

from tests.faults.upstream import Exchange


async def fin_without_close_notify(exchange: Exchange) -> None:
    """Send a FIN below TLS, and nothing more."""
    exchange.writer.get_extra_info("socket").shutdown(socket.SHUT_WR)
    exchange.row.ended = "closed"
    exchange.writer.transport.abort()
    exchange.fin()
