"""One call on a socket, byte by byte as a case wants it, and in the ledger like any other."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Literal

from tests.faults.clients import ClientRow, Seen, new_key
from tests.faults.field import Case
from tests.running import lane, plain, read_answer, reset

BODY = b'{"model":"gpt-4o-mini","messages":[{"role":"user","content":"hi"}]}'


@dataclass
class Wire:
    """A connection on which one request is made."""

    row: ClientRow
    way: Literal["lane", "plain"]
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def head(self, headers: Mapping[str, object] | None = None, *, path: str = "/v1/chat/completions") -> bytes:
        """Give the head of a request; without headers it says nothing of a body."""
        named = {
            "Host": "api.openai.com" if self.way == "lane" else "localhost",
            "Authorization": f"Bearer {self.row.key}", "x-test-id": self.row.mark,
            "Content-Type": "application/json", **(headers or {}),
        }  # fmt: skip
        lines = "".join(f"{name}: {value}\r\n" for name, value in named.items())
        return f"POST {'' if self.way == 'lane' else '/openai'}{path} HTTP/1.1\r\n{lines}\r\n".encode()

    def request(self, body: bytes = BODY) -> bytes:
        """Give a whole request."""
        return self.head({"Content-Length": len(body)}) + body

    async def send(self, *parts: bytes) -> None:
        """Write; the first time is the beginning of the request."""
        self.row.requests = 1
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()

    async def answered(self) -> ClientRow:
        """Read the answer, and enter it."""
        row = self.row
        try:
            head, body = await read_answer(self.reader)
            while head.startswith(b"HTTP/1.1 100"):
                head, body = await read_answer(self.reader)
        except (OSError, asyncio.IncompleteReadError) as error:
            row.exception, row.message = (type(error).__name__,), str(error)
        else:
            fields = dict(line.split(": ", 1) for line in head.decode("latin-1").lower().split("\r\n")[1:] if line)
            row.answers.append(Seen(int(head.split(b" ", 2)[1]), fields))
            row.text, row.status, row.cause = body.decode(), row.answers[-1].status, row.answers[-1].cause
            row.outcome = "answer" if row.status < 400 else "error"
        row.seconds = time.monotonic() - row.at
        return row

    async def leave(self) -> None:
        """Hang up with a RST; it is on its way when this returns."""
        self.row.outcome, self.row.left_at = "left", time.monotonic()
        reset(self.writer)
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()


@contextlib.asynccontextmanager
async def wire(
    case: Case, mark: str, way: Literal["lane", "plain"] = "lane", key: str | None = None
) -> AsyncIterator[Wire]:
    """Open a connection through CONNECT and TLS, or to a base URL; it is closed with the block.

    Args:
        key: Of a crowd.
    """
    row = ClientRow(mark, key or new_key())
    case.clients.rows.append(row)
    reader, writer = await (lane(case.field.gateway) if way == "lane" else plain(case.field.gateway))
    try:
        yield Wire(row, way, reader, writer)
    finally:
        writer.transport.abort()
