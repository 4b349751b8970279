"""A stream that begins well and then waits for its client to leave; says when that was."""

import threading
import time

from tests.faults.inject.answer import EVENTS, JSON, begin
from tests.faults.upstream import Exchange, Fault, OverError


class Leaving:
    """When the connection ended, seen from the upstream.

    Attributes:
        at: Monotonic seconds, None until then.
    """

    def __init__(self) -> None:
        self.at: float | None = None
        self._seen = threading.Event()

    def after(self, events: int) -> Fault:
        """Give a fault that sends so many events, and then nothing."""

        async def fault(exchange: Exchange) -> None:
            await exchange.receive()
            await begin(exchange, events)
            try:
                await exchange.left()
            except OverError:
                self.at = time.monotonic()
                self._seen.set()
                raise

        return fault

    def wait(self, seconds: float) -> float:
        """Give the time once it is known. Raises TimeoutError."""
        if not self._seen.wait(seconds) or self.at is None:
            raise TimeoutError
        return self.at


async def head_alone(exchange: Exchange) -> None:
    """Send the head of an answer that is no stream of events, and nothing of its body."""
    await exchange.receive()
    await exchange.write_head(200, JSON)
    await exchange.left()


async def stream_head_alone(exchange: Exchange) -> None:
    """Send the head of a stream, and no event."""
    await exchange.receive()
    await exchange.write_head(200, EVENTS)
    await exchange.left()
