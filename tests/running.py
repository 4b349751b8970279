"""A real gateway in a process of its own, and a provider of raw bytes in a thread: what wire tests stand on."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2

from gateway.record.row import utc_text

ROOT = Path(__file__).parent.parent
Handler = Callable[[bytes, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
START_SECONDS = 20.0
OPENED: list[asyncio.StreamWriter] = []
"""Connections of the running test; a fixture of the wire tests closes them, also when the test failed."""
_LAST_TEST: deque[float] = deque(maxlen=1)
"""When the one before ended, in seconds since the epoch."""

CLEAN = {
    key: value
    for key, value in os.environ.items()
    if not key.upper().endswith("_PROXY")
    and not key.startswith("WHYGATE_")
    and key not in {"OPENAI_BASE_URL", "ANTHROPIC_BASE_URL", "PYTHONDONTWRITEBYTECODE"}
}
"""What a person's shell has; without Python's bytecode kept, a gateway takes twice as long to start."""


class RawUpstream:
    """Serves one scripted handler for each path token; a handler gets the head and writes what it likes."""

    def __init__(self) -> None:
        self._handlers: dict[str, Handler] = {}
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self.port = 0
        self.connections = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(5)

    def on(self, handler: Handler) -> str:
        """Register a handler; give the path (below ``/v1/chat/completions``) that reaches it."""
        token = f"t{len(self._handlers)}"
        self._handlers[token] = handler
        return f"/v1/chat/completions?{token}"

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0, limit=2**22))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0.05))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                target = head.split(b" ", 2)[1].decode("latin-1")
                handler = self._handlers.get(target.partition("?")[2].partition("&")[0])
                if handler is None:
                    writer.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
                    continue
                await handler(head, reader, writer)
                await writer.drain()
                if writer.is_closing():
                    break
        writer.close()


class GatewayProcess:
    """``whygate start`` with its own state directory and free ports."""

    def __init__(self, directory: Path, config: str, *arguments: str, env: dict[str, str] | None = None) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory, self.state = directory, directory / "state"
        self.config = directory / "whygate.toml"
        self.config.write_text(config)
        self.log = directory / "log.txt"
        began = time.monotonic()
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable, "-m", "gateway", "start", "--state", str(self.state), "--config", str(self.config),
                    "--listen", "127.0.0.1:0", "--page", "127.0.0.1:0", *arguments,
                ],
                stdout=log, stderr=log, cwd=ROOT, env=CLEAN | (env or {}), start_new_session=True,
            )  # fmt: skip
        self.runtime = self._wait(began + START_SECONDS)
        self.start_seconds = time.monotonic() - began

    def _wait(self, deadline: float) -> dict[str, Any]:
        file = self.state / "runtime.json"
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(self.log.read_text())
            with contextlib.suppress(OSError, ValueError, httpx2.HTTPError):
                runtime: dict[str, Any] = json.loads(file.read_text())
                if httpx2.get(f"http://{runtime['page']}/readyz", trust_env=False).status_code == 200:
                    return runtime
            threading.Event().wait(0.01)
        raise TimeoutError(self.log.read_text())

    @property
    def port(self) -> int:
        return int(self.runtime["listen"].rpartition(":")[2])

    @property
    def proxy(self) -> str:
        return f"http://{self.runtime['listen']}"

    @property
    def ca(self) -> Path:
        return self.state / "ca.pem"

    def flows(self, **query: Any) -> list[dict[str, Any]]:
        answer = httpx2.get(
            f"http://{self.runtime['page']}/api/flows",
            params={"limit": 200, **query},
            headers={"authorization": f"Bearer {self.runtime['token']}"},
            trust_env=False,
        )
        rows: list[dict[str, Any]] = answer.raise_for_status().json()["flows"]
        return rows

    def rows_of(self, client: str) -> list[dict[str, Any]]:
        """Wait for the rows of one connection of the running test; an earlier one may have had its port."""
        since = utc_text(_LAST_TEST[-1] if _LAST_TEST else 0.0)
        return self.until(
            lambda: [
                row
                for row in self.flows()
                if row["client"] == client and row["state"] == "done" and row["started_at"] >= since
            ]
        )

    def flow(self, flow_id: str) -> dict[str, Any]:
        """Give one finished flow; waits for its end."""
        return self.until(lambda: next((r for r in self.flows() if r["id"] == flow_id and r["state"] == "done"), None))

    @staticmethod
    def until[T](look: Callable[[], T | None], seconds: float = 5.0) -> T:
        """Look until there is something to see."""
        deadline = time.monotonic() + seconds
        while True:
            found = look()
            if found:
                return found
            if time.monotonic() > deadline:
                raise TimeoutError("nothing to see")
            threading.Event().wait(0.02)

    def client(self, **arguments: Any) -> httpx2.Client:
        """A real client that knows of the gateway by proxy setting and CA alone."""
        return httpx2.Client(
            proxy=self.proxy,
            verify=ssl.create_default_context(cafile=str(self.ca)),
            trust_env=False,
            timeout=20,
            **arguments,
        )

    def stop(self, seconds: float = 10.0) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
        return self.process.wait(5)


def config_for(port: int, extra: str = "") -> str:
    """Settings that send both providers to a port of this machine."""
    tables = "".join(
        f'[[providers]]\nname = "{name}"\nupstream = "http://127.0.0.1:{port}"\n' for name in ("openai", "anthropic")
    )
    controls = "" if "[doctor]" in extra else "[doctor]\ncontrols = false\n"  # no test asks a third party
    return controls + tables + extra


async def lane(
    gateway: GatewayProcess, host: str = "api.openai.com", early: bytes = b"", alpn: tuple[str, ...] = ()
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a connection as an SDK does: CONNECT, then TLS that trusts the gateway's CA. Raw from there on."""
    reader, writer = await plain(gateway)
    writer.write(f"CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n\r\n".encode() + early)
    head = await reader.readuntil(b"\r\n\r\n")
    assert b" 200 " in head, head
    context = ssl.create_default_context(cafile=str(gateway.ca))
    context.set_alpn_protocols(alpn)
    await writer.start_tls(context, server_hostname=host)
    return reader, writer


async def plain(gateway: GatewayProcess) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a connection without TLS, as for a base URL."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port, limit=2**24)
    OPENED.append(writer)
    return reader, writer


async def read_answer(reader: asyncio.StreamReader, *, to_head: bool = False) -> tuple[bytes, bytes]:
    """Read one answer: head and body, framed by length or chunks (given decoded). IncompleteReadError when cut."""
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
    fields = dict(line.split(b": ", 1) for line in head.lower().split(b"\r\n")[1:] if b": " in line)
    status = int(head.split(b" ", 2)[1])
    if to_head or status in {204, 304} or status < 200:
        return head, b""
    if b"content-length" in fields:
        return head, await asyncio.wait_for(reader.readexactly(int(fields[b"content-length"])), 10)
    if b"transfer-encoding" not in fields:
        return head, await asyncio.wait_for(reader.read(), 10)
    body = b""
    while size := int(await asyncio.wait_for(reader.readuntil(b"\r\n"), 10), 16):
        body += await asyncio.wait_for(reader.readexactly(size), 10)
        await reader.readexactly(2)
    await reader.readexactly(2)
    return head, body


def reset(writer: asyncio.StreamWriter) -> None:
    """Close with a RST."""
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    writer.transport.abort()


async def close_opened() -> None:
    """Close what the running test opened by hand."""
    for writer in OPENED:
        writer.transport.abort()
    for writer in OPENED:
        with contextlib.suppress(Exception):
            await writer.wait_closed()
    OPENED.clear()
    _LAST_TEST.append(time.time())


@contextlib.contextmanager
def gateway_and_upstream(directory: Path, extra: str = "") -> Iterator[tuple[GatewayProcess, RawUpstream]]:
    """Both, for as long as they are needed."""
    upstream = RawUpstream()
    gateway = GatewayProcess(directory, config_for(upstream.port, extra))
    try:
        yield gateway, upstream
    finally:
        gateway.stop()
        upstream.close()
