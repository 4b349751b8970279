"""When each phase of an attempt began and ended. aiohttp's connector reports to it as to one of its traces."""

import time
from collections.abc import Callable

from gateway.model.attempt import Mark
from gateway.model.failure import Phase


class Timeline:
    """The phases of one attempt. Phases follow one another; entering one ends the one before.

    Args:
        on_sent: Called when the request has been written.

    Attributes:
        began: When the attempt did, monotonic seconds.
    """

    __slots__ = ("_marks", "_on_sent", "_phase_began", "began", "phase")

    def __init__(self, on_sent: Callable[[], None] | None = None) -> None:
        self._on_sent = on_sent
        self.began = self._phase_began = time.monotonic()
        self._marks: list[Mark] = []
        self.phase = Phase.POOL

    def enter(self, phase: Phase) -> None:
        """Begin a phase."""
        self._marks += self._current(ok=True)
        self.phase, self._phase_began = phase, time.monotonic()
        if phase is Phase.FIRST_BYTE and self._on_sent is not None:
            self._on_sent()

    def marks(self, *, ok: bool) -> tuple[Mark, ...]:
        """Give the phases so far; the one it is in ends now, well or not."""
        return (*self._marks, *self._current(ok=ok))

    def _current(self, *, ok: bool) -> tuple[Mark, ...]:
        start, end = (self._phase_began - self.began) * 1000, (time.monotonic() - self.began) * 1000
        if self.phase is Phase.POOL and end - start < 1.0 and ok:  # taking an idle connection takes microseconds
            return ()
        return (Mark(self.phase, start, end, ok),)

    # What aiohttp's connector calls on a trace (aiohttp.tracing.Trace, 3.14).

    async def send_connection_queued_start(self) -> None:
        """Wait for a free connection."""

    async def send_connection_queued_end(self) -> None:
        """Got one."""

    async def send_connection_create_start(self) -> None:
        """Begin a new connection."""
        self.enter(Phase.CONNECT)

    async def send_connection_create_end(self) -> None:
        """Have it, with TLS."""

    async def send_connection_reuseconn(self) -> None:
        """Use an idle connection again."""

    async def send_dns_resolvehost_start(self, host: str) -> None:
        """Look the name up."""
        self.phase = Phase.DNS  # no time has passed since the connection was begun

    async def send_dns_resolvehost_end(self, host: str) -> None:
        """Have found it."""
        self.enter(Phase.CONNECT)

    async def send_dns_cache_hit(self, host: str) -> None:
        """Know it already."""

    async def send_dns_cache_miss(self, host: str) -> None:
        """Not know it yet."""
