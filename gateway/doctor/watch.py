"""Watches providers' status pages, only while calls to them fail: what goes on there explains what goes wrong here."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from gateway.doctor.measured import StatusSaid
from gateway.model.clock import Clock

logger = logging.getLogger("whygate.doctor")

POLL_SECONDS = 60.0
QUIET_SECONDS = 300.0
"""So long after the last failure a page is still looked at, so that the end of an incident is seen, too."""
STALE_SECONDS = 180.0
"""What was said longer ago is not taken for what is."""

Ask = Callable[[str], Awaitable[StatusSaid | None]]
"""Provider's name -> what its page says; None where it has none."""


class StatusWatch:
    """What status pages say, by provider. Belongs to one event loop."""

    def __init__(self, ask: Ask, clock: Clock) -> None:
        self._ask, self._clock = ask, clock
        self._failed_at: dict[str, float] = {}
        self._asked_at: dict[str, float] = {}
        self._said: dict[str, tuple[float, StatusSaid]] = {}
        self._wake = asyncio.Event()
        self._asking: dict[str, asyncio.Task[StatusSaid | None]] = {}

    def failed(self, provider: str) -> None:
        """Note that a call failed in a way that the provider may be the reason of. Returns at once."""
        self._failed_at[provider] = self._clock.now()
        self._wake.set()

    def said(self, provider: str) -> StatusSaid | None:
        """Give what its page said of late, None when it was not asked or that was long ago."""
        found = self._said.get(provider)
        if found is None or self._clock.now() - found[0] > STALE_SECONDS:
            return None
        return found[1]

    def all_said(self) -> dict[str, StatusSaid]:
        """Give what is known of each provider now."""
        return {name: said for name in self._said if (said := self.said(name)) is not None}

    def incident(self, provider: str) -> str:
        """Give what goes on there in words, empty when nothing is known to."""
        said = self.said(provider)
        if said is None or said.state != "affected":
            return ""
        names = [f"{one.name} ({one.status})" if one.status else one.name for one in said.incidents]
        names += [f"{name}: {state.replace('_', ' ')}" for name, state in said.components if state != "operational"]
        return "; ".join(dict.fromkeys(names[:4]))

    async def ask(self, provider: str) -> StatusSaid | None:
        """Give what its page says, asked at most once a minute; whoever asks meanwhile joins in."""
        now = self._clock.now()
        if now - self._asked_at.get(provider, -POLL_SECONDS) < POLL_SECONDS and provider not in self._asking:
            return self.said(provider)
        task = self._asking.get(provider)
        if task is None:
            self._asked_at[provider] = now
            task = self._asking[provider] = asyncio.get_running_loop().create_task(self._poll(provider))
            task.add_done_callback(lambda _: self._asking.pop(provider, None))
            if task.done():  # mitmproxy's task factory is eager
                self._asking.pop(provider, None)
        return await asyncio.shield(task)

    async def run(self) -> None:
        """Poll while there are failures, until cancelled."""
        try:
            while True:
                self._wake.clear()
                now = self._clock.now()
                wanted = [name for name, at in self._failed_at.items() if now - at < QUIET_SECONDS]
                for name in wanted:
                    await self.ask(name)
                self._failed_at = {name: at for name, at in self._failed_at.items() if now - at < QUIET_SECONDS}
                if wanted:
                    await asyncio.sleep(POLL_SECONDS)
                else:
                    await self._wake.wait()
        finally:
            for task in tuple(self._asking.values()):
                task.cancel()

    async def _poll(self, provider: str) -> StatusSaid | None:
        try:
            said = await self._ask(provider)
        except Exception:
            logger.exception("the status page of %s", provider)  # no word is no incident, and no failure of a call
            return None
        if said is not None:
            self._said[provider] = (self._clock.now(), said)
        return said
