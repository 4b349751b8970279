"""An app in memory, one ASGI exchange at a time: it can stop reading, upload slowly, and hang up."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from gateway.asgi import AbortedError, Gateway, Message
from gateway.model.call import Origin
from gateway.model.exchange import Concluded
from gateway.stages import Stages
from tests.gateway.factories import OPENAI_ORIGIN, ListSink

CHAT = b'{"model":"gpt-5","messages":[{"role":"user","content":"hello"}]}'
HEADERS = ((b"host", b"api.openai.com"), (b"content-type", b"application/json"), (b"authorization", b"Bearer sk-test"))


class Exchange:
    """One request of an app and what came back."""

    def __init__(
        self,
        stages: Stages,
        *,
        body: bytes | None = CHAT,
        target: bytes = b"/v1/chat/completions",
        method: str = "POST",
        headers: Sequence[tuple[bytes, bytes]] = HEADERS,
        origin: Origin | None = OPENAI_ORIGIN,
    ) -> None:
        self._inbox: asyncio.Queue[Message] = asyncio.Queue()
        self.reading = asyncio.Event()
        self.reading.set()
        self.head: Message | None = None
        self.pieces: list[bytes] = []
        self.ended = False
        path, _, query = target.partition(b"?")
        self.scope: Message = {
            "type": "http",
            "method": method,
            "raw_path": path,
            "query_string": query,
            "headers": list(headers),
            "client": ("127.0.0.1", 50_123),
            "state": {"origin": origin, "target": target} if origin is not None else {},
        }
        if body is not None:
            self.upload(body)
        self.task = asyncio.ensure_future(Gateway(stages)(self.scope, self._inbox.get, self._send))

    def upload(self, data: bytes, *, more: bool = False) -> None:
        self._inbox.put_nowait({"type": "http.request", "body": data, "more_body": more})

    def hang_up(self) -> None:
        self._inbox.put_nowait({"type": "http.disconnect"})

    async def done(self) -> bool:
        """Wait for the end; say whether it was a proper one."""
        try:
            await asyncio.wait_for(self.task, 10)
        except AbortedError:
            return False
        return self.ended

    async def until(self, pieces: int = 0) -> None:
        """Wait for the head and so many pieces."""
        while self.head is None or len(self.pieces) < pieces:
            assert not self.task.done(), self.task.exception()
            await asyncio.sleep(0)

    @property
    def status(self) -> int | None:
        return None if self.head is None else self.head["status"]

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)

    def header(self, name: str) -> str | None:
        assert self.head is not None
        values = [value.decode("latin-1") for key, value in self.head["headers"] if key == name.encode()]
        assert len(values) <= 1, values
        return values[0] if values else None

    async def _send(self, message: Message) -> None:
        await self.reading.wait()
        assert not self.ended, "nothing may follow the end"
        if message["type"] == "http.response.start":
            assert self.head is None
            self.head = message
            return
        assert self.head is not None
        self.pieces.append(message["body"])
        self.ended = not message["more_body"]


async def until(true: Callable[[], object]) -> None:
    """Let others go on until something is so; a test that waits in vain fails by its time limit."""
    while not true():  # noqa: ASYNC110 - what is waited for has no event of its own
        await asyncio.sleep(0)


async def ask(stages: Stages, **how: Any) -> Exchange:
    """Have one request answered to its end."""
    exchange = Exchange(stages, **how)
    await exchange.done()
    return exchange


def only_row(stages: Stages) -> Concluded:
    """Give the one row that there is; nothing may be open, and no place in the gate taken."""
    sink = stages.sink
    assert isinstance(sink, ListSink)
    assert not sink.open
    (row,) = sink.rows
    nothing_is_held(stages)
    return row


def nothing_is_held(stages: Stages) -> None:
    """No place in the gate, none in its queue."""
    assert stages.gate.waiting == stages.gate.waiting_bytes == 0
    assert not [scope.key for scope in stages.gate.scopes.values() if scope.in_flight or scope.queue]
