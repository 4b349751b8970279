"""Everything that is no provider: a tunnel of bytes, untouched, with a row, and a verdict when it fails.

Tunnels are dialled as calls are (`gateway.egress.dial`): through the company's proxy where there is one, with a
deadline for each step, and with failures that have types instead of words. The answer to CONNECT is given when the far
side is reached, so that it can carry the verdict instead of a connection that closes without a word.
"""

import asyncio
import contextlib
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus

from gateway.egress.classify import classify
from gateway.egress.connector import Stream
from gateway.egress.resolve import BarredError, LoopError, NotAllowedError
from gateway.egress.timeline import Timeline
from gateway.identify.guard import circle, hops_of, marked
from gateway.model.call import Header, Headers
from gateway.model.diagnosis import Diagnosis
from gateway.model.failure import NetCode, NetFailure, Phase
from gateway.model.tenant import DEFAULT

DIAL_SECONDS = 25.0
"""For all of it: name, addresses one after the other, the proxy's answer."""

LOOK_SECONDS = 2.0
"""For a second look at what a tunnel failed of, before the app is told."""

WRITE_BUFFER_BYTES = 262_144
KEEPALIVE_SECONDS = 60
"""After so much silence the kernel asks whether the other side still exists; a tunnel may be silent for hours."""

ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"


@dataclass(slots=True, kw_only=True)
class Tunnel:
    """One tunnel.

    Attributes:
        started: Monotonic seconds.
        failure: Why it failed, None while nothing failed.
        diagnosis: What a second look made of that, None without one.
        refused: What kept us from going there, None when nothing did.
        hops: The headers that name the gateways which CONNECT has passed.
        client_left: The app hung up before the far side was reached.
        status: What CONNECT was answered.
    """

    client: str
    host: str
    port: int
    started_at: float
    started: float
    failure: NetFailure | None = None
    diagnosis: Diagnosis | None = None
    refused: NotAllowedError | None = None
    client_left: bool = False
    status: int | None = None
    bytes_down: int = 0
    tenant: str = DEFAULT
    hops: Headers = ()

    @property
    def authority(self) -> str:
        """Host and port, as in a URL."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Tunnels:
    """Carries tunnels.

    Args:
        dial: Host, port, and what a proxy is shown against circles -> a connection. Raises what `classify` names.
        closed: Told of each tunnel once, when it is over.
        refusal: A failed tunnel -> status and JSON body of our CONNECT answer.
        barred: Host and port -> why no app may go there, None when it may.
        look: Looks a second time at what a failed tunnel failed of, and gives the verdict; None where it gives none.
        instance: Marks what this gateway asks for.
    """

    def __init__(
        self,
        dial: Callable[[str, int, Timeline, Header | None], Awaitable[Stream]],
        closed: Callable[[Tunnel], None],
        refusal: Callable[[Tunnel], tuple[int, bytes]],
        barred: Callable[[str, int], str | None],
        look: Callable[[Tunnel], Awaitable[Diagnosis | None]],
        *,
        instance: str,
    ) -> None:
        self._mark = instance
        self._dial, self._closed, self._refusal, self._barred, self._look = dial, closed, refusal, barred, look
        self._running: set[asyncio.Task[None]] = set()

    def refuses(self, hops: Headers) -> bool:
        """Whether CONNECT with such marks has gone in a circle."""
        return circle(hops_of(hops), self._mark) is not None

    def begin(  # noqa: PLR0917
        self,
        app: asyncio.Transport,
        client: str,
        host: str,
        port: int,
        early: Callable[[], bytes],
        tenant: str = DEFAULT,
        hops: Headers = (),
    ) -> "asyncio.Task[None] | None":
        """Carry a tunnel in a task of its own. Until the far side is reached, whoever holds ``app`` cancels it.

        Args:
            app: The app's connection.
            early: Gives what has come behind the head of CONNECT by the time the far side is reached.
            tenant: Who asked.
            hops: The headers that name the gateways which CONNECT has passed.
        """
        at, started = time.time(), time.monotonic()
        tunnel = Tunnel(client=client, host=host, port=port, started_at=at, started=started, tenant=tenant, hops=hops)
        task = asyncio.get_running_loop().create_task(self._carry(tunnel, app, early))
        if task.done():  # eager tasks may be over by now
            return None
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    def close(self) -> None:
        """Cut all that run."""
        for task in list(self._running):
            task.cancel()

    async def _carry(self, tunnel: Tunnel, app: asyncio.Transport, early: Callable[[], bytes]) -> None:
        try:
            stream = await self._reach(tunnel)
            if stream is None:
                await self._look_again(tunnel)
                tunnel.status, body = self._refusal(tunnel)
                app.write(_answer(tunnel.status, body))
                return
            tunnel.status = HTTPStatus.OK
            await _relay(tunnel, app, stream, early())
            app.close()
            await self._look_again(tunnel)
        finally:
            app.close()
            self._closed(tunnel)

    async def _look_again(self, tunnel: Tunnel) -> None:
        if tunnel.failure is None:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS):
                tunnel.diagnosis = await self._look(tunnel)

    async def _reach(self, tunnel: Tunnel) -> Stream | None:
        if why := self._barred(tunnel.host, tunnel.port):
            tunnel.refused = BarredError(why)
            return None
        if why := circle(hops_of(tunnel.hops), self._mark):
            tunnel.refused = LoopError(why)
            return None
        timeline = Timeline()
        try:
            async with asyncio.timeout(DIAL_SECONDS):
                return await self._dial(tunnel.host, tunnel.port, timeline, marked(tunnel.hops, self._mark))
        except asyncio.CancelledError:
            tunnel.client_left = True
            raise
        except NotAllowedError as error:
            tunnel.refused = error
        except Exception as error:  # noqa: BLE001 - every failure of the far side becomes a value here
            tunnel.failure = classify(error, timeline.phase)
        return None


def _answer(status: int, body: bytes) -> bytes:
    phrase = HTTPStatus(status).phrase.encode()
    return b"HTTP/1.1 %d %b\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%b" % (
        status,
        phrase,
        len(body),
        body,
    )


async def _relay(tunnel: Tunnel, app: asyncio.Transport, stream: Stream, early: bytes) -> None:
    far = stream.transport
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    app_end, far_end = _End(app, far, done), _End(far, app, done)
    app_end.peer, far_end.peer = far_end, app_end
    try:
        for transport, end in ((app, app_end), (far, far_end)):
            transport.set_write_buffer_limits(WRITE_BUFFER_BYTES)
            keep_alive(transport)
            transport.set_protocol(end)
        app.write(ESTABLISHED + stream.early)
        if early:
            far.write(early)
        app.resume_reading()
        far.resume_reading()
        await done
    finally:
        far.close()
        tunnel.bytes_down = far_end.received + len(stream.early)
        if not tunnel.bytes_down and far_end.ended_first:
            words = "the far side closed the tunnel without sending a byte"
            tunnel.failure = NetFailure(phase=Phase.FIRST_BYTE, code=NetCode.CONNECTION_RESET, detail=words, sent=True)


class _End(asyncio.Protocol):
    """One end of a tunnel: what comes in goes out at the other, at the pace at which that takes it."""

    def __init__(self, own: asyncio.Transport, other: asyncio.Transport, done: "asyncio.Future[None]") -> None:
        self._own, self._other, self._done = own, other, done
        self.peer = self
        self.received = 0
        self.ended = self.ended_first = False

    def data_received(self, data: bytes) -> None:
        """Pass it on."""
        self.received += len(data)
        if not self._other.is_closing():
            self._other.write(data)

    def eof_received(self) -> bool:
        """Pass on that nothing more will come; the other direction may go on (RFC 9293 section 3.6)."""
        self._end()
        if self.peer.ended:
            self._settle()
        elif self._other.can_write_eof() and not self._other.is_closing():
            self._other.write_eof()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """End the other side, too: as it ended here."""
        self._end()
        if exc is not None:
            self._other.abort()
        self._settle()

    def pause_writing(self) -> None:
        """Read no more from the other end while this one does not take it."""
        with contextlib.suppress(RuntimeError):  # it is closing
            self._other.pause_reading()

    def resume_writing(self) -> None:
        """Go on."""
        with contextlib.suppress(RuntimeError):
            self._other.resume_reading()

    def _end(self) -> None:
        self.ended_first = self.ended_first or not (self.ended or self.peer.ended)
        self.ended = True

    def _settle(self) -> None:
        if not self._done.done():
            self._done.set_result(None)


def keep_alive(transport: asyncio.BaseTransport) -> None:
    """Let the kernel ask now and then whether the other side still exists."""
    sock = transport.get_extra_info("socket")
    if sock is None:
        return
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if hasattr(socket, "TCP_KEEPIDLE"):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_SECONDS)
