"""The world process: all servers of a `tests.network.network.Network`, in its namespace, as its process 1.

It is given a JSON document (a file) and says ``ready`` on its output. On its input, each line asks it to write down
what it has heard so far; it answers ``written``. When the input ends, so does the world.
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TextIO

from tests.network import packets, stun
from tests.network.authorities import Authorities
from tests.network.dns_server import Resolver, serve_tcp, serve_udp
from tests.network.door import Door, House
from tests.network.faults import Fault
from tests.network.http_server import Web
from tests.network.sites import Sites
from tests.network.truth import RESOLVER, RESOLVER_6, RESOLVERS, Host, addresses_of

SETTLE_SECONDS = 0.02
"""So long may a server take to note what its client already knows to be done."""


class World:
    """Everything that runs in it.

    Args:
        document: ``hosts``, ``faults``, ``certificates`` (directory), ``six`` (whether IPv6 has servers), and
            ``ledger``, the name of the file.
    """

    def __init__(self, document: dict[str, Any], ledger: TextIO) -> None:
        self._ledger = ledger
        self._ear = packets.Ear()
        self._hosts = [Host(*map(_frozen, row)) for row in document["hosts"]]
        self._faults = [Fault(**(row | {"where": tuple(row["where"])})) for row in document["faults"]]
        self._six: bool = document["six"]
        self._resolver = Resolver(self._hosts, self._faults, self.tell)
        names = {host.name: host for host in self._hosts}
        names |= {name: host for host in self._hosts for name in host.also}
        web = Web(Sites(self._faults, self._resolver), self._faults, self.tell)
        self._house = House(names, self._faults, Authorities(Path(document["certificates"])), web, self.tell, self._own)
        self._tasks: set[asyncio.Task[None]] = set()
        self._kept: list[object] = []

    def tell(self, server: str, what: str, more: dict[str, object]) -> None:
        """Write a row of the ledger."""
        row = {"server": server, "what": what, "more": more, "seconds": time.monotonic()}
        self._ledger.write(json.dumps(row) + "\n")

    async def open(self) -> None:
        """Start every server."""
        found = addresses_of(self._hosts, {fault.kind for fault in self._faults if fault.layer == "dns"})
        for address, hosts in found.items():
            if ":" in address and not self._six:
                continue
            for port in sorted({port for host in hosts for port in host.ports}):
                self._kept.append(Door(self._house, hosts, address, port).open())
            if any(host.stun for host in hosts):
                await self._datagrams(address, hosts, stun.PORT)
        for address in (RESOLVER, *RESOLVERS, *((RESOLVER_6,) if self._six else ())):
            await self._datagrams(address, found.get(address, []), 53)

    async def serve(self) -> None:
        """Answer the test that asks for the ledger, until it goes away."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._ear.sock, self._hear)
        reader = asyncio.StreamReader()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        print("ready", flush=True)
        while await reader.readline():
            await asyncio.sleep(SETTLE_SECONDS)
            self._hear()
            self._ledger.flush()
            print("written", flush=True)

    async def _datagrams(self, address: str, hosts: list[Host], port: int) -> None:
        targets = [address, *(host.name for host in hosts)]
        fault = self._house.fault("tcp", "refused silence", targets, port) or self._house.fault(
            "udp", "silence", targets, port
        )
        if fault and fault.kind == "refused":
            return
        sock = packets.bound(socket.SOCK_DGRAM, address, port)
        if fault:
            packets.lose_all(sock, but_proxy=fault.direct_only)
        if port == stun.PORT:
            self._kept.append(await stun.serve_stun(sock))
            return
        self._kept.append(await serve_udp(self._resolver, sock))
        stream = packets.bound(socket.SOCK_STREAM, address, port)
        if fault and fault.layer == "tcp":
            packets.lose_all(stream, but_proxy=fault.direct_only)
        self._kept.append(await serve_tcp(self._resolver, stream))

    def _hear(self) -> None:
        for what, source, address, port in self._ear.heard():
            self.tell(f"{address}:{port}", what, {"from": source})

    def _own(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


async def _main(document: dict[str, Any], ledger: TextIO) -> None:
    world = World(document, ledger)
    await world.open()
    await world.serve()


if __name__ == "__main__":
    # Process 1 has no default reaction to signals, and nobody else buries what the tests' programs leave behind.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    given = json.loads(Path(sys.argv[1]).read_text())
    with contextlib.suppress(KeyboardInterrupt), Path(given["ledger"]).open("w", encoding="utf-8") as file:
        asyncio.run(_main(given, file))
    os._exit(0)  # what is still open ends with the namespace
