"""Keeps one connection to each of some providers open ahead, so that a first call does not wait for TCP and TLS."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import NamedTuple, Protocol

from gateway.egress.classify import classify
from gateway.model.call import Origin
from gateway.model.failure import Phase

LOOK_SECONDS = 0.5
"""How often it is looked whether the connection is still there."""

PAUSE_SECONDS = 1.0
PAUSE_MAX_SECONDS = 60.0
LASTING_SECONDS = 10.0
"""A connection that its server ends sooner, without a request on it, is not wanted there: it counts as a failure."""

logger = logging.getLogger("whygate")


class Target(NamedTuple):
    """A provider to keep a connection to.

    Attributes:
        ca_file: A PEM file to trust for it alone, or None.
    """

    name: str
    origin: Origin
    ca_file: str | None


class Dialing(Protocol):
    """Who opens connections."""

    def has_idle(self, origin: Origin, ca_file: str | None) -> bool:
        """Whether the next call finds a connection open."""
        ...

    async def warm(self, origin: Origin, ca_file: str | None) -> asyncio.BaseTransport:
        """Open one and leave it idle. Raises what `classify` names."""
        ...


async def keep_warm(
    dialer: Dialing,
    targets: Iterable[Target],
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Keep one idle connection to each target until cancelled. Whatever fails is tried again, ever more slowly."""
    async with asyncio.TaskGroup() as tasks:
        for target in targets:
            tasks.create_task(_keep(dialer, target, sleep, clock))


async def _keep(
    dialer: Dialing, target: Target, sleep: Callable[[float], Awaitable[None]], clock: Callable[[], float]
) -> None:
    pause = PAUSE_SECONDS
    while True:
        while dialer.has_idle(target.origin, target.ca_file):
            await sleep(LOOK_SECONDS)
        try:
            connection = await dialer.warm(target.origin, target.ca_file)
        except Exception as error:  # noqa: BLE001 - a bug here must not end what serves calls
            if pause == PAUSE_SECONDS:
                words = classify(error, Phase.CONNECT).detail
                logger.warning("whygate: no connection could be opened ahead to %s: %s; it is tried again.",
                               target.name, words)  # fmt: skip
        else:
            opened_at = clock()
            await sleep(LOOK_SECONDS)
            while dialer.has_idle(target.origin, target.ca_file):
                await sleep(LOOK_SECONDS)
            if not connection.is_closing() or clock() - opened_at >= LASTING_SECONDS:  # taken, or well used up
                pause = PAUSE_SECONDS
                continue
        await sleep(pause)
        pause = min(2 * pause, PAUSE_MAX_SECONDS)
