"""A real redis-server on a port of its own, and everything that can happen to it. It keeps nothing on disk."""

import contextlib
import itertools
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from tests.running import CLEAN
from tests.tools import require_tool

START_SECONDS = 10.0
_numbers = itertools.count(1)


class RedisServer:
    """One server: alive, killed, frozen, full, or a replica.

    Args:
        directory: Where it may run; its log goes there.
        arguments: Further words of its command line, for example ``"--maxmemory", "10mb"``.
        password: What clients must present; empty for none.

    Attributes:
        port: The same after every restart.
    """

    def __init__(self, directory: Path, *arguments: str, password: str = "") -> None:
        self._binary = require_tool("redis-server", "apt-get install redis-server")
        self._directory, self._arguments, self.password = directory, arguments, password
        directory.mkdir(parents=True, exist_ok=True)
        self.log = directory / f"redis-{next(_numbers)}.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.port = 0

    @property
    def url(self) -> str:
        """What stands in ``[team] redis``."""
        login = f":{quote(self.password, safe='')}@" if self.password else ""
        return f"redis://{login}127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it and wait until it answers."""
        if self.port:
            self._launch()
        else:
            for _ in range(5):  # somebody else may take a port that was free a moment ago
                self.port = _free_port()
                with contextlib.suppress(RuntimeError):
                    self._launch()
                    return
            raise RuntimeError(self.log.read_text())

    def _launch(self) -> None:
        password = ("--requirepass", self.password) if self.password else ()
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [
                    self._binary, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
                    "--dir", str(self._directory), "--enable-debug-command", "local", *password, *self._arguments,
                ],
                stdout=log, stderr=log, cwd=self._directory, env=CLEAN, start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            # Another server may hold the port: the one that answers has to be ours.
            with contextlib.suppress(RedisError, OSError), self.client(0.5) as client:
                if client.info("server")["process_id"] == self.process.pid:
                    return
            threading.Event().wait(0.01)
        self.kill()
        raise RuntimeError(self.log.read_text())

    def stop(self) -> None:
        """End it as an operator does. Harmless when it has ended."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """``kill -9``: connections break, and what it held is gone."""
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        process, self.process = self.process, None
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.send_signal(number)
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
        process.wait(5)

    def freeze(self) -> None:
        """SIGSTOP: connections are accepted by the kernel, and nothing answers."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT: it goes on, with all that was asked meanwhile."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def restart(self) -> None:
        """Kill it if it lives, and start it empty on the same port."""
        self.kill()
        self.start()

    def replica_of(self, other: "RedisServer | None") -> None:
        """Make it a replica, which takes no writes, of another; with None a primary again."""
        with self.client() as client:
            if other is None:
                client.replicaof("NO", "ONE")
            else:
                client.replicaof("127.0.0.1", other.port)

    def config_set(self, name: str, value: str) -> None:
        """Change a setting while it runs, for example ``maxmemory``."""
        with self.client() as client:
            client.config_set(name, value)

    @contextlib.contextmanager
    def client(self, seconds: float = 5.0) -> Iterator[Any]:
        """Give a client of the test's own, without any of ours in between."""
        made: Any = Redis(
            port=self.port,
            password=self.password or None,
            socket_timeout=seconds,
            socket_connect_timeout=seconds,
            retry=Retry(NoBackoff(), 0),
        )
        try:
            yield made
        finally:
            made.close()


@contextlib.contextmanager
def redis_server(directory: Path, *arguments: str, password: str = "") -> Iterator[RedisServer]:
    """Give one that runs; it is gone at the end, in whatever state the test left it."""
    server = RedisServer(directory, *arguments, password=password)
    server.start()
    try:
        yield server
    finally:
        server.kill()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
