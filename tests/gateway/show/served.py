"""The real page on a real server on loopback, for tests and for looking at it."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import uvicorn

from gateway.model.clock import Clock
from gateway.record.recorder import Recorder
from gateway.show.web import build_page, no_limits
from tests.gateway.record.made import until

TOKEN = "t-0123456789abcdef"


@dataclass
class Served:
    """A page that runs; ``health`` and ``limits`` may be changed while it does."""

    port: int
    recorder: Recorder
    app: Any
    loop: asyncio.AbstractEventLoop
    health: dict[str, Any] = field(default_factory=dict)
    limits: dict[str, Any] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def link(self) -> str:
        return f"{self.url}/?token={TOKEN}"

    def client(self, **headers: str) -> httpx2.Client:
        """A client that knows the token and looks at no proxy variable."""
        with_token = {"authorization": f"Bearer {TOKEN}", **headers}
        return httpx2.Client(base_url=self.url, headers=with_token, trust_env=False, timeout=10)

    def bare(self, **headers: str) -> httpx2.Client:
        """A client that knows nothing."""
        return httpx2.Client(base_url=self.url, headers=headers, trust_env=False, timeout=10)


@contextlib.contextmanager
def serve_page(path: Path, clock: Clock, port: int = 0) -> Iterator[Served]:
    """Serve a page over the log at ``path`` until the block ends."""
    recorder = Recorder(path, clock)
    recorder.start()
    health: dict[str, Any] = {"state": "ready"}
    limits = no_limits()
    app = build_page(
        recorder,
        token=TOKEN,
        health=lambda: dict(health),
        allowed_hosts=frozenset({"127.0.0.1", "localhost"}),
        version="0.0-test",
        adopt=lambda url: "/relay.example/v1" if url == "https://relay.example/v1" else None,
        limits=lambda: limits,
        vitals=lambda: {"tasks": 7},
    )
    listener = socket.create_server(("127.0.0.1", port))
    config = uvicorn.Config(app, log_config=None, lifespan="off", timeout_graceful_shutdown=1, access_log=False)
    server = uvicorn.Server(config)
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        await server.serve([listener])

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    until(lambda: server.started)
    loop = loops[0]
    try:
        yield Served(listener.getsockname()[1], recorder, app, loop, health, limits)
    finally:
        loop.call_soon_threadsafe(app.state.feed.close)
        server.should_exit = True
        thread.join(10)
        recorder.close()
        listener.close()
