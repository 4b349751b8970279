"""How a gateway begins: the log is opened, and the listener is waited for."""

import asyncio
import contextlib
import errno
import gc
from collections.abc import Coroutine
from typing import Any

from mitmproxy import master

from gateway.model.clock import Clock
from gateway.ports import StartError, port_error
from gateway.record.recorder import Recorder
from gateway.record.ring import Names
from gateway.settings import Address, Record
from gateway.state import State


def open_log(kept: Record, state: State, clock: Clock, names: Names) -> Recorder:
    """Open the log of calls.

    Args:
        names: Of apps, by their connections.

    Raises:
        StartError: It cannot be used.
    """
    from gateway.record.backends.sqlite import StoreError  # noqa: PLC0415

    recorder = Recorder(
        state.flows_db,
        clock,
        max_age_days=kept.max_age_days,
        max_bytes=kept.max_bytes,
        bodies=kept.bodies,
        names=names,
    )
    try:
        recorder.start()
    except StoreError as error:
        raise StartError(
            str(error), str(state.flows_db), f"Move it away: mv {state.flows_db} {state.flows_db}.old"
        ) from error
    return recorder


async def listening(proxy: master.Master, task: "asyncio.Task[Any]", wanted: Address) -> Address:
    """Wait until apps are listened to, and give where.

    Raises:
        StartError: The address cannot be had.
    """
    server = proxy.addons.get("proxyserver")
    while not task.done():
        addresses = server.listen_addrs()
        if addresses:
            return Address(addresses[0][0], addresses[0][1])
        for instance in server.servers:
            if instance.last_exception is not None:
                proxy.shutdown()
                raise port_error(instance.last_exception, wanted, "--listen")
        await asyncio.sleep(0.002)
    raise port_error(OSError(errno.EIO, "the listener ended"), wanted, "--listen")


def settle() -> None:
    """Have the collector leave alone what is there by now: most of it stays until the end.

    A full collection looked at 500,000 objects of the libraries each time, and held every call up for 100 to 160 ms.
    """
    gc.freeze()


async def quietly(work: Coroutine[Any, Any, None]) -> None:
    """Run mitmproxy's master, which ends by SystemExit when its listener failed; `listening` says why."""
    with contextlib.suppress(SystemExit):
        await work
