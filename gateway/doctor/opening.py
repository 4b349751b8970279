"""How probes connect: straight to the first address that takes it, through the company's proxy, and with which trust.

No time limit is kept here, and failures are raised: `gateway.doctor.wire` turns both into values.
"""

import asyncio
import contextlib
import functools
import ipaddress
import os
import socket
import ssl
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from gateway.doctor.case import Case
from gateway.egress.lookups import Lookups, Question

if TYPE_CHECKING:
    from gateway.egress.network import Via

READ_BYTES = 65_536
_STAGGER_SECONDS = 0.25
"""How long one address may take before the next is tried beside it (RFC 8305 section 8)."""

_FRESH_SECONDS = 10.0
"""How long the store of certificates is kept: reading it takes 30 ms, and a run makes a dozen handshakes."""


class Connection:
    """An open connection, and how it came about. Use it as a context manager: it is aborted at the end."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, address: str, took_ms: float
    ) -> None:
        """Keep the two ends of a stream."""
        self.reader, self.writer, self.address, self.took_ms = reader, writer, address, took_ms
        self.tls_ms = 0.0

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let go at once; nobody waits for a farewell."""
        self.writer.transport.abort()

    async def secure(self, context: ssl.SSLContext, name: str) -> None:
        """Begin TLS. Raises OSError, ssl.SSLError and what `failure_of` names."""
        began = time.perf_counter()
        try:
            await self.writer.start_tls(context, server_hostname=name)
        except ConnectionError as error:
            if error.errno is not None or isinstance(error, ssl.SSLError):
                raise
            message = f"{self.address or name} closed the connection in the middle of the handshake"
            raise ConnectionResetError(message) from None
        self.tls_ms = _since(began)

    @property
    def version(self) -> str:
        """Of TLS, as ``TLSv1.3``; empty before `secure`."""
        return (self.tls.version() or "") if self.tls is not None else ""

    @property
    def tls(self) -> ssl.SSLObject | None:
        """The TLS end, None before `secure`."""
        found: ssl.SSLObject | None = self.writer.get_extra_info("ssl_object")
        return found


def context_of(case: Case, ca_file: str | None = None, *, believing: bool = False) -> ssl.SSLContext:
    """Give TLS settings: those of calls (the system's store, the configured files), or ones that believe anybody."""
    if believing:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_alpn_protocols(["http/1.1"])
        return context
    extra, store = (case.ca_file, ca_file), (os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))
    seen = (*store, *map(_stamp, (*extra, store[0])), int(time.monotonic() / _FRESH_SECONDS))
    return _trusting(extra, seen)


def _stamp(file: str | None) -> tuple[int, int] | None:
    """Give what changes when a file does."""
    try:
        found = Path(file).stat() if file else None
    except OSError:
        return None
    return None if found is None else (found.st_mtime_ns, found.st_size)


@functools.lru_cache(maxsize=4)
def _trusting(extra: tuple[str | None, ...], _seen: tuple[object, ...]) -> ssl.SSLContext:
    where = ssl.get_default_verify_paths()
    context: ssl.SSLContext
    if sys.platform == "linux" and (where.cafile or _holds_certificates(where.capath)):
        # What truststore does there, too, but anew for every connection.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.set_default_verify_paths()
    else:
        import truststore  # noqa: PLC0415

        context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for file in extra:
        if file is not None:
            context.load_verify_locations(file)
    context.set_alpn_protocols(["http/1.1"])
    return context


def _holds_certificates(directory: str | None) -> bool:
    return directory is not None and next(Path(directory).glob("????????.0"), None) is not None


async def addresses_of(host: str, port: int) -> tuple[str, ...]:
    """Look a name up as programs do, in the system's own order. Raises ``socket.gaierror``, after 2 s at the latest."""
    with contextlib.suppress(ValueError):
        return (str(ipaddress.ip_address(host.strip("[]"))),)
    try:
        found = await Lookups().find(Question(host, port, socket.AF_UNSPEC))
    except TimeoutError as error:
        raise socket.gaierror(socket.EAI_AGAIN, str(error)) from None
    return tuple(one.address for one in found)


async def open_straight(case: Case, host: str, port: int) -> Connection:
    """Connect without a proxy, to the first address that takes it (RFC 8305). Raises OSError."""
    place = case.lists.connect_to.get(f"{host}:{port}", "")
    if place:
        host, _, text = place.rpartition(":")
        port = int(text)
    return await _connect(await addresses_of(host, port), port)


async def _connect(addresses: Sequence[str], port: int) -> Connection:
    """Try them one after the other, each a little later than the one before or as soon as that has failed."""
    loop, began = asyncio.get_running_loop(), time.perf_counter()
    tasks: list[asyncio.Task[tuple[asyncio.StreamReader, asyncio.StreamWriter]]] = []
    winner = None
    try:
        for address in addresses:
            tasks.append(loop.create_task(asyncio.open_connection(address, port, limit=READ_BYTES)))
            await asyncio.wait(tasks[-1:], timeout=_STAGGER_SECONDS if address is not addresses[-1] else 0)
            winner = next((task for task in tasks if task.done() and task.exception() is None), None)
            if winner is not None:
                break
        while winner is None and (under_way := [task for task in tasks if not task.done()]):
            await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
            winner = next((task for task in tasks if task.done() and task.exception() is None), None)
        if winner is None:
            errors = [error for task in tasks if (error := task.exception()) is not None]
            raise errors[0] if errors else OSError("the name has no address")
        reader, writer = winner.result()
        peer = writer.get_extra_info("peername")
        return Connection(reader, writer, str(peer[0]) if peer else "", _since(began))
    finally:
        for task in tasks:
            if task is not winner:
                _let_go(task)


def _let_go(task: "asyncio.Task[tuple[asyncio.StreamReader, asyncio.StreamWriter]]") -> None:
    """End an attempt that is not needed, and its connection if it has come about in the same moment."""
    if not task.done():
        task.cancel()
    elif not task.cancelled() and task.exception() is None:
        task.result()[1].transport.abort()


async def open_through(via: "Via", host: str, port: int, ca_file: str | None = None) -> Connection:
    """Connect through a proxy's tunnel. Raises what `failure_of` names.

    Args:
        ca_file: To trust besides the system's store, for a proxy that speaks TLS itself.
    """
    from gateway.egress.dial import Dialer  # noqa: PLC0415 - aiohttp comes with it, 0.5 s
    from gateway.egress.network import Ways  # noqa: PLC0415
    from gateway.egress.timeline import Timeline  # noqa: PLC0415

    dialer = Dialer(ca_file=ca_file, own_address=lambda _host, _port: False, ways=Ways(https=via, http=via))
    began = time.perf_counter()
    try:
        stream = await dialer.stream(host, port, Timeline())
        transport: Any = stream.transport
        reader = asyncio.StreamReader(limit=READ_BYTES)
        protocol = asyncio.StreamReaderProtocol(reader)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        if stream.early:
            protocol.data_received(stream.early)
        writer = asyncio.StreamWriter(transport, protocol, reader, asyncio.get_running_loop())
        return Connection(reader, writer, "", _since(began))
    finally:
        await dialer.close()


async def open_way(case: Case, host: str, port: int) -> Connection:
    """Connect as a call would: through the company's proxy where there is one. Raises what `failure_of` names."""
    if case.via is not None:
        return await open_through(case.via, host, port, case.ca_file)
    return await open_straight(case, host, port)


def _since(began: float) -> float:
    return round((time.perf_counter() - began) * 1000, 2)
