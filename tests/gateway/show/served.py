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
from gateway.show.web import build_page
from tests.gateway.record.made import until

TOKEN = "t-0123456789abcdef"  # noqa: S105


@dataclass
class Served:
    """A page that runs; ``health`` may be changed while it does."""

    port: int
    recorder: Recorder
    app: Any
    loop: asyncio.AbstractEventLoop
    health: dict[str, Any] = field(default_factory=dict)

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
    app = build_page(
        recorder,
        token=TOKEN,
        health=lambda: dict(health),
        allowed_hosts=frozenset({"127.0.0.1", "localhost"}),
        version="0.0-test",
    )
    listener = socket.create_server(("127.0.0.1", port))
    config = uvicorn.Config(app, log_config=None, lifespan="off", timeout_graceful_shutdown=1, access_log=False)
    server = uvicorn.Server(config)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=lambda: loop.run_until_complete(server.serve([listener])), daemon=True)
    thread.start()
    until(lambda: server.started)
    try:
        yield Served(listener.getsockname()[1], recorder, app, loop, health)
    finally:
        loop.call_soon_threadsafe(app.state.feed.close)
        server.should_exit = True
        thread.join(10)
        _finish(loop)
        recorder.close()
        listener.close()


def _finish(loop: asyncio.AbstractEventLoop) -> None:
    """End what a library left behind, as ``asyncio.run`` would."""
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
