"""The path as an ASGI application: one task for each exchange, cancelled when the app leaves.

Works behind the lane, and in memory behind any ASGI transport, which is how most tests drive it. The lane tells the
origin and the raw target in ``scope["state"]``; without it a request is in base-URL mode. The lane also asks for the
listener's credential, so what comes here has presented it where one is asked for, and holds it no more.
"""

import asyncio
import random
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Protocol

from gateway.identify.locate import Place
from gateway.model.call import Call, Mode, Origin
from gateway.model.tenant import DEFAULT
from gateway.path import abandoned, serve
from gateway.stages import Stages

REPLAY_BYTES = 8_388_608
"""A body up to this is kept whole, so that it can be sent again; a larger one is streamed and sent once."""

CANARY = b"x-whygate-canary"
"""A request with this header asks whether it comes through here. It is answered at once, and leaves no row."""

_CANARY = re.compile(rb"[A-Za-z0-9_-]{1,64}")
_HOST = re.compile(r"(\[[^\]]*\]|[^:]*)(?::([0-9]{0,5}))?")

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Share(Protocol):
    """What one client may hold in memory."""

    def hold(self, size_bytes: int) -> str:
        """Count bytes; say why there is no room for them, empty when there is."""
        ...

    def give_back(self, size_bytes: int) -> None:
        """Count them no longer."""
        ...


class AbortedError(Exception):
    """Tells the server to cut the connection: the answer has no proper end."""


class ClientLeftError(Exception):
    """The app hung up while its request was still coming."""


class Gateway:
    """The application.

    Attributes:
        stages: Those for calls to come. A call that has arrived keeps what it found here.
    """

    def __init__(self, stages: Stages) -> None:
        self.stages = stages

    def place(self, origin: Origin | None, target: bytes) -> Place | None:
        """See `Identifier.place`; so are the next two, each by the stages of the moment."""
        return self.stages.identifier.place(origin, target)

    def is_provider(self, host: str, port: int) -> bool:
        """Whether calls to a host and port are decrypted."""
        return self.stages.identifier.is_provider(host, port)

    def adopt(self, url: str) -> str | None:
        """Take on a provider by its base URL."""
        return self.stages.identifier.adopt(url)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        held = _Held((scope.get("state") or {}).get("share"))
        try:
            await self._serve(scope, receive, send, held)
        finally:
            held.give_back()

    async def _serve(self, scope: Scope, receive: Receive, send: Send, held: "_Held") -> None:
        task = asyncio.current_task()
        assert task is not None
        stages = self.stages
        arrived_at, arrived = stages.clock.wall(), stages.clock.now()
        body, more = await _read(receive, held)
        if body is None:
            if (scope.get("state") or {}).get("malformed"):
                return  # the server could not read it, and has said so in a row
            abandoned(stages, call_of(scope, arrived_at, arrived, b"", complete=False))
            return
        reply = AsgiReply(send)
        watch = _Watch(receive, task, reply, scope.get("state") or {})
        if not more:
            watch.begin()
        call = call_of(scope, arrived_at, arrived, body, complete=not more, no_room=held.no_room)
        if (canary := call.index.get(CANARY)) is not None and _CANARY.fullmatch(canary):
            await reply.start(204, [(CANARY, canary)])
            await reply.end()
            return
        stages.seen(call.client)
        try:
            await serve(stages, call, reply, watch.upload() if more else None)
        except asyncio.CancelledError:
            if not reply.left:
                raise
            task.uncancel()
        finally:
            watch.end()
        if reply.aborted:
            raise AbortedError


class AsgiReply:
    """The app's side, over ``send``, which waits while the app does not read."""

    __slots__ = ("_send", "aborted", "done", "left", "started")

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = self.done = self.aborted = self.left = False

    async def start(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Give the head."""
        self.started = True
        await self._send({"type": "http.response.start", "status": status, "headers": list(headers)})

    async def write(self, data: bytes) -> None:
        """Give bytes."""
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self, data: bytes = b"") -> None:
        """Give the last bytes."""
        self.done = True  # before the server wakes the watcher
        await self._send({"type": "http.response.body", "body": data, "more_body": False})

    def abort(self) -> None:
        """Mark the answer as cut; the server does it when the application raises."""
        self.aborted = True


class _Held:
    """What one call's body takes of its client's share of memory. Without a share, any amount is fine."""

    __slots__ = ("_share", "_size_bytes", "no_room")

    def __init__(self, share: Share | None) -> None:
        self._share, self._size_bytes = share, 0
        self.no_room = ""

    def add(self, data: bytes) -> bool:
        """Count a part; False when there is no room for it."""
        if self._share is None or not data:
            return True
        self.no_room = self._share.hold(len(data))
        if not self.no_room:
            self._size_bytes += len(data)
        return not self.no_room

    def give_back(self) -> None:
        """Count it no longer."""
        if self._share is not None and self._size_bytes:
            self._share.give_back(self._size_bytes)
            self._size_bytes = 0


async def _read(receive: Receive, held: _Held) -> tuple[bytes | None, bool]:
    """Read the body up to what can be sent again, and to what there is room for.

    Returns:
        The bytes (None when the app left), and whether more is to come.
    """
    message = await receive()
    if message["type"] == "http.disconnect":
        return None, False
    body: bytes = message.get("body", b"")
    if not held.add(body):
        return b"", True
    if not message.get("more_body", False):
        return body, False
    parts, size = [body], len(body)
    while size <= REPLAY_BYTES:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None, False
        parts.append(message.get("body", b""))
        if not held.add(parts[-1]):
            return b"", True
        size += len(parts[-1])
        if not message.get("more_body", False):
            return b"".join(parts), False
    return b"".join(parts), True


class _Watch:
    """Listens to the app once its request is in: when it leaves before its answer is out, the exchange is cancelled.

    A server that offers ``watch`` in the scope's state calls back when the connection is lost; that spares a task for
    each exchange. Any other is asked through ``receive``.
    """

    def __init__(
        self, receive: Receive, task: "asyncio.Task[Any]", reply: AsgiReply, state: MutableMapping[str, Any]
    ) -> None:
        self._receive, self._task, self._reply = receive, task, reply
        self._watch: Callable[[Callable[[], None]], None] | None = state.get("watch")
        self._unwatch: Callable[[Callable[[], None]], None] | None = state.get("unwatch")
        self._watcher: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Listen from now on."""
        if self._watch is not None:
            self._watch(self._left)
        else:
            self._watcher = asyncio.get_running_loop().create_task(self._listen())

    def end(self) -> None:
        """Stop listening."""
        if self._unwatch is not None:
            self._unwatch(self._left)
        if self._watcher is not None:
            self._watcher.cancel()

    async def upload(self) -> AsyncIterator[bytes]:
        """Give what follows of a large request, then listen."""
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self._left()
                raise ClientLeftError
            more = message.get("more_body", False)
            yield message.get("body", b"")
        self.begin()

    async def _listen(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._left()

    def _left(self) -> None:
        if not self._reply.done:
            self._reply.left = True
            self._task.cancel()


def call_of(
    scope: Scope, arrived_at: float, arrived: float, body: bytes, *, complete: bool = True, no_room: str = ""
) -> Call:
    """Give the call that a scope describes."""
    state: MutableMapping[str, Any] = scope.get("state") or {}
    origin: Origin | None = state.get("origin")
    headers = tuple(scope["headers"])
    target: bytes | None = state.get("target")
    if target is None:
        target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
    client = scope.get("client")
    return Call(
        id=new_id(arrived_at),
        arrived_at=arrived_at,
        arrived=arrived,
        client=f"{client[0]}:{client[1]}" if client else "",
        mode=Mode.BASE_URL if origin is None else Mode.PROXY,
        method=scope["method"],
        origin=origin or _own_origin(headers),
        target=target,
        headers=headers,
        body=body,
        body_complete=complete,
        signed_in=bool(state.get("signed_in")),
        sni=state.get("sni", ""),
        tenant=state.get("tenant") or DEFAULT,
        no_room=no_room,
    )


def _own_origin(headers: tuple[tuple[bytes, bytes], ...]) -> Origin:
    """Give our own address as the app wrote it (RFC 9110, section 7.2): with its port, so that others find us there."""
    written = next((value for name, value in headers if name == b"host"), b"").decode("latin-1").strip().lower()
    found = _HOST.fullmatch(written)
    if found is None:
        return Origin("http", written, 80)  # the guard refuses it, and its row shows what it was
    return Origin("http", found[1].strip("[]"), int(found[2] or 80))


def new_id(epoch_seconds: float) -> str:
    """Give 26 hexadecimal digits: 12 of milliseconds since the epoch, so that ids sort by time, 14 of randomness."""
    # Names and no secrets: asking the system for randomness would give the turn to another thread, for each call.
    return f"{int(epoch_seconds * 1000):012x}{random.getrandbits(56):014x}"
