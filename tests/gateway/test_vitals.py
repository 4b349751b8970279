"""What the gateway says that it holds is what it holds."""

import asyncio
import socket
from pathlib import Path

import pytest

from gateway.egress.dial import Dialer
from gateway.egress.network import Ways
from gateway.egress.send import AiohttpUpstream
from gateway.egress.timeline import Timeline
from gateway.limit.gate import Gate, Permit
from gateway.model.clock import SystemClock
from gateway.vitals import descriptors, vitals
from tests.gateway.driver import until
from tests.gateway.egress.wire import OK, Connection, a_request, provider
from tests.gateway.limit.asking import a_gate, a_way, permitted
from tests.gateway.limit.timed import TimedLoop, timed

ON_LINUX = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="this system does not tell")


@ON_LINUX
def test_every_open_descriptor_is_counted() -> None:
    before = descriptors()
    assert before is not None
    with socket.socket(), socket.socket():
        assert descriptors() == before + 2
    assert descriptors() == before


def test_a_permit_is_a_reservation_until_it_is_given_back() -> None:
    async def main(loop: TimedLoop) -> None:
        gate = a_gate(loop)
        held: list[Permit] = [await permitted(gate, a_way(key)) for key in ("key-a", "key-b")]
        assert gate.reservations == 2
        for permit in held:
            permit.release()
            permit.release()
        assert gate.reservations == 0

    timed(main)


async def test_the_pool_counts_who_asks_who_may_be_asked_again_and_nobody_who_has_left() -> None:
    async def closes(connection: Connection) -> None:
        await connection.request()
        await connection.say(OK)
        await leave.wait()

    leave = asyncio.Event()
    async with provider(closes) as wire:
        dialer = Dialer(ca_file=None, own_address=lambda _host, _port: False, ways=Ways())
        upstream = AiohttpUpstream(dialer)
        try:
            incoming = await upstream.open(a_request(wire.origin), Timeline())
            assert dialer.pool() == (1, 0)
            await incoming.all(10)
            assert dialer.pool() == (0, 1)
            leave.set()
            await until(lambda: dialer.pool() == (0, 0))
        finally:
            await upstream.close()


async def test_the_page_is_told_of_all_of_it() -> None:
    gate = Gate((), SystemClock(), queue_max=1, queue_max_bytes=1)
    upstream = AiohttpUpstream(Dialer(ca_file=None, own_address=lambda _host, _port: False, ways=Ways()))
    try:
        told = vitals(gate, upstream)
    finally:
        await upstream.close()
    assert told["tasks"] == len(asyncio.all_tasks())
    assert (told["reservations"], told["pool"]) == (0, {"busy": 0, "idle": 0})
    assert told["descriptors"] is None or told["descriptors"] > 0
