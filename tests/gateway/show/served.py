"""The real page on a real server on loopback, for tests and for looking at it."""

import asyncio
import contextlib
import socket
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import httpx2
import uvicorn

from gateway.authority import load_or_create
from gateway.cache.backend import Wanted
from gateway.doctor.probe import Outcome
from gateway.doctor.report import Report
from gateway.model.clock import Clock
from gateway.record.recorder import Recorder
from gateway.show.overview import Silent
from gateway.show.trust import Trust
from gateway.show.web import build_page, no_limits
from gateway.state import State
from tests.gateway.record.made import until

TOKEN = "t-0123456789abcdef"
READERS = {"alpha": ("token-of-alpha-0123456789", False), "boss": ("token-of-boss-0123456789", True)}
"""Tenants: name -> token, and whether it sees everything."""


@cache
def trust() -> Trust:
    """Give a real authority's certificate, made once, for a gateway that others reach."""
    with tempfile.TemporaryDirectory() as directory:
        made = load_or_create(State.open(Path(directory), create=True))
    return Trust(
        certificate_pem=made.certificate_pem,
        fingerprint_sha256=made.fingerprint_sha256,
        not_after=made.not_after,
        listen_host="0.0.0.0",
        listen_port=18080,
        needs_token=True,
    )


class FakeDoctor:
    """A doctor whose runs a test ends; it knows every host that holds no blank."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, bool]] = []
        self.running = False
        self.seen: tuple[Outcome, ...] = ()
        self.report: Report | None = None
        self.watch = Silent()

    def begin(self, host: str = "", *, chatgpt: bool = False) -> None:
        if " " in host:
            raise ValueError
        self.begun.append((host, chatgpt))
        self.running = True

    def view(self) -> tuple[bool, tuple[Outcome, ...], int, Report | None]:
        return self.running, self.seen, 20, self.report


@dataclass
class Served:
    """A page that runs; ``health``, ``limits`` and ``cache`` may be changed while it does."""

    port: int
    recorder: Recorder
    app: Any
    loop: asyncio.AbstractEventLoop
    health: dict[str, Any] = field(default_factory=dict)
    limits: dict[str, Any] = field(default_factory=dict)
    cache: dict[str, Any] = field(default_factory=dict)
    cleared: list[Wanted] = field(default_factory=list)
    doctor: FakeDoctor = field(default_factory=FakeDoctor)

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
    cache: dict[str, Any] = {"enabled": False}
    cleared: list[Wanted] = []
    doctor = FakeDoctor()

    async def ask_cache() -> dict[str, Any]:
        return cache

    async def clear_cache(wanted: Wanted) -> int:
        """Three entries each time; a store that is in trouble is one without ``entries``."""
        if cache.get("entries", 0) is None:
            raise OSError
        cleared.append(wanted)
        return 3

    app = build_page(
        recorder,
        token=TOKEN,
        health=lambda: dict(health),
        allowed_hosts=frozenset({"127.0.0.1", "localhost"}),
        version="0.0-test",
        adopt=lambda url: "/relay.example/v1" if url == "https://relay.example/v1" else None,
        limits=lambda: limits,
        vitals=lambda: {"tasks": 7},
        cache=ask_cache,
        clear_cache=clear_cache,
        doctor=doctor,
        readers=READERS,
        trust=trust(),
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
        yield Served(listener.getsockname()[1], recorder, app, loop, health, limits, cache, cleared, doctor)
    finally:
        loop.call_soon_threadsafe(app.state.feed.close)
        server.should_exit = True
        thread.join(10)
        recorder.close()
        listener.close()
