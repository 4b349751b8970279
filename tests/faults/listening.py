"""A client on a socket that hears a stream as it comes, and can tell a whole answer from one that was cut."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Literal

from tests.faults.clients import ClientRow, Outcome, Seen, new_key
from tests.faults.field import Case
from tests.running import lane, plain, reset

WAIT_SECONDS = 15.0
"""The longest that one piece is waited for, unless told."""

CHAT_STREAM = b'{"model":"gpt-4o-mini","stream":true,"messages":[{"role":"user","content":"hi"}]}'


def asking(**more: object) -> bytes:
    """Give the body of a chat call with a stream, with further fields."""
    return json.dumps({**json.loads(CHAT_STREAM), **more}, separators=(",", ":")).encode()


@dataclass
class Stream:
    """An answer whose head has come.

    Attributes:
        body: What has come of it, freed of chunks.
        whole: Its proper end came; None while it goes on, False when it was cut.
        told: The app read in it that it failed; to be set by whoever reads.
    """

    row: ClientRow
    head: Seen
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    body: bytes = b""
    whole: bool | None = None
    told: bool = False

    async def next(self, seconds: float = WAIT_SECONDS) -> bytes:
        """Give the next piece; empty at the end, proper or not."""
        try:
            async with asyncio.timeout(seconds):
                if "transfer-encoding" in self.head.headers:
                    size = int(await self.reader.readuntil(b"\r\n"), 16)
                    piece = (await self.reader.readexactly(size + 2))[:-2]
                    self.whole = None if size else True
                else:
                    left = int(self.head.headers["content-length"]) - len(self.body)
                    piece = await self.reader.read(left) if left else b""
                    if not piece:
                        self.whole = not left
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            piece, self.whole = getattr(error, "partial", b""), False
            if piece and "transfer-encoding" in self.head.headers:
                piece = b""  # part of a chunk's frame
        self.body += piece
        return piece

    async def heard(self, words: bytes, seconds: float = WAIT_SECONDS) -> None:
        """Read on until the words have come."""
        while words not in self.body:
            assert await self.next(seconds), f"the stream ended without {words!r}"

    async def to_end(self, seconds: float = WAIT_SECONDS) -> bytes:
        """Read all, and give the whole body."""
        while self.whole is None:
            await self.next(seconds)
        return self.body


@contextlib.asynccontextmanager
async def listening_to(
    case: Case,
    mark: str,
    *,
    way: Literal["lane", "plain"] = "lane",
    path: str = "/v1/chat/completions",
    host: str = "api.openai.com",
    body: bytes = CHAT_STREAM,
    key: str | None = None,
    headers: Mapping[str, str] | None = None,
    softly: bool = False,
) -> AsyncIterator[Stream]:
    """Ask, and give the answer once its head is there. What became of it is in the client's ledger afterwards.

    A block that ends before the answer does hangs up: with a RST in plain, where a FIN is no more than the end of the
    app's own side, unless told ``softly``.
    """
    row = ClientRow(mark, key or new_key())
    case.clients.rows.append(row)
    began = time.monotonic()
    reader, writer = await (lane(case.field.gateway, host) if way == "lane" else plain(case.field.gateway))
    named = {
        "host": host if way == "lane" else "localhost", "authorization": f"Bearer {row.key}", "x-test-id": mark,
        "content-type": "application/json", "content-length": str(len(body)), **(headers or {}),
    }  # fmt: skip
    lines = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    try:
        writer.write(f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode() + body)
        row.requests += 1
        head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), WAIT_SECONDS)).decode("latin-1")
        fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
        seen = Seen(int(head.split(" ", 2)[1]), fields)
        row.answers.append(seen)
        row.status, row.cause = seen.status, seen.cause
        stream = Stream(row, seen, reader, writer)
        yield stream
        whole: Outcome = "exception" if stream.told else "answer" if seen.status < 400 else "error"
        row.outcome = {True: whole, False: "exception", None: "left"}[stream.whole]
        row.text = stream.body.decode("utf-8", "replace")
    finally:
        if row.outcome == "left":
            row.left_at = time.monotonic()
        row.seconds = time.monotonic() - began
        if way == "plain" and not softly and row.outcome == "left":
            reset(writer)
        writer.transport.abort()
