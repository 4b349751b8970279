"""What the tests of the whole product stand on: a provider in a thread, and apps in processes of their own."""

import asyncio
import contextlib
import itertools
import json
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx2
import psutil

from gateway.simulate import LedgerRow, Simulator, SimulatorConfig, serve
from gateway.simulate.provider import key_hash_of
from tests.running import CLEAN, ROOT, GatewayProcess, config_for

APPS = Path(__file__).parent / "apps"
MARK = "canary-"
"""Stands in every API key of these tests, so that it can be looked for where no key may be."""

PULSE_SECONDS = 0.02
MIB = 1024 * 1024
ANSWER_SECONDS = 25.0
Job = dict[str, Any]
Result = dict[str, Any]
Row = dict[str, Any]

_numbers = itertools.count(1)


def new_key(sdk: str = "openai") -> str:
    """Give a key that no other call has: the ledger then tells the calls apart."""
    return f"{'sk-ant-api03' if sdk == 'anthropic' else 'sk-proj'}-{MARK}{next(_numbers):06d}-{'z' * 24}"


def job(api: str = "chat", prompt: str = "one two three", **more: Any) -> Job:
    """Describe one call. Every call has a key and a mark of its own unless it is given one."""
    sdk = "anthropic" if api == "messages" else "openai"
    model = "claude-sonnet-4-5" if sdk == "anthropic" else "gpt-4o-mini"
    made: Job = {"sdk": sdk, "api": api, "style": "async", "model": model, "prompt": prompt, "key": new_key(sdk)} | more
    made["headers"] = {"x-test-id": str(next(_numbers))} | more.get("headers", {})
    return made


class Overheard(Simulator):
    """The simulated provider, keeping a copy of every body that it sends to a call with a mark."""

    def __init__(self, config: SimulatorConfig) -> None:
        super().__init__(config)
        self.bodies: dict[str, list[bytes]] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one call."""
        mark = next((v.decode() for n, v in scope.get("headers", ()) if n == b"x-test-id"), None)
        if mark is None:
            await super().__call__(scope, receive, send)
            return
        parts: list[bytes] = []

        async def listen(message: Any) -> None:
            if message["type"] == "http.response.body":
                parts.append(message.get("body", b""))
            await send(message)

        try:
            await super().__call__(scope, receive, listen)
        finally:
            self.bodies.setdefault(mark, []).append(b"".join(parts))


class Provider:
    """The simulated provider on a port of its own, in a thread of its own.

    Attributes:
        stalls: When it could do nothing (Unix seconds) for how long: what came meanwhile was taken at one moment.
    """

    def __init__(self, *, simulator: type[Overheard] = Overheard, **settings: Any) -> None:
        self.simulator = simulator(SimulatorConfig(**settings))
        self.port = 0
        self.stalls: list[tuple[float, float]] = []
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._end = asyncio.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(5)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        async with await serve(self.simulator) as handle:
            self.port = handle.port
            self._ready.set()
            pulse = self._loop.create_task(self._pulse())
            await self._end.wait()
            pulse.cancel()

    async def _pulse(self) -> None:
        while True:
            before = time.time()
            await asyncio.sleep(PULSE_SECONDS)
            if (late := time.time() - before - PULSE_SECONDS) > PULSE_SECONDS:
                self.stalls.append((before, late))

    def late(self, since: float, until: float) -> float:
        """Give for how long at most (seconds) it could do nothing, from one moment (Unix seconds) to another."""
        return max((late for at, late in self.stalls if at + late > since and at < until), default=0.0)

    def close(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._end.set)
            self._thread.join(10)

    @property
    def in_flight(self) -> int:
        return self.simulator.ledger.in_flight

    def rows(self, key: str | None = None) -> list[LedgerRow]:
        """Give the ended calls, of one key or of all, once no call is under way."""
        GatewayProcess.until(lambda: not self.in_flight)
        wanted = None if key is None else key_hash_of(key)
        return [row for row in self.simulator.ledger.rows if wanted in {None, row.key_hash}]

    def sent(self, asked: Job) -> list[bytes]:
        """Give the bodies that were sent in answer to a call, one for each attempt."""
        GatewayProcess.until(lambda: not self.in_flight)
        return list(self.simulator.bodies.get(asked["headers"]["x-test-id"], ()))


class App:
    """``apps/caller.py``, by ``whygate run`` or, as the measure of things, without."""

    def __init__(self, command: Sequence[str], env: dict[str, str], log: Path) -> None:
        self._log = log
        with log.open("w") as errors:
            self.process = subprocess.Popen(
                [*command, sys.executable, str(APPS / "caller.py")],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, cwd=ROOT, text=True,
                env=CLEAN | env, start_new_session=True,
            )  # fmt: skip
        self._is_ready = False

    def send(self, jobs: Sequence[Job], *, together: bool = True) -> None:
        """Give it a batch to work on."""
        assert self.process.stdin is not None
        if not self._is_ready:
            assert self._line(30) == {"ready": True}
            self._is_ready = True
        self.process.stdin.write(json.dumps({"jobs": list(jobs), "together": together}) + "\n")
        self.process.stdin.flush()

    def results(self, seconds: float = ANSWER_SECONDS) -> list[Result]:
        """Wait for the results of the batch."""
        found: list[Result] = self._line(seconds)
        return found

    def ask(self, jobs: Sequence[Job], *, together: bool = True) -> list[Result]:
        """Do both."""
        self.send(jobs, together=together)
        return self.results()

    def ask_one(self, asked: Job) -> Result:
        return self.ask([asked])[0]

    def _line(self, seconds: float) -> Any:
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], seconds)
        line = self.process.stdout.readline() if ready else ""
        if not line:
            raise TimeoutError(f"the app said nothing (exit code {self.process.poll()}): {self._log.read_text()}")
        return json.loads(line)

    def close(self) -> None:
        """End its input; it ends then by itself."""
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGKILL)
            self.process.wait(5)


def row_of(gateway: GatewayProcess, flow_id: str) -> Row:
    """Wait for a finished row, however many came after it."""
    url = f"http://{gateway.runtime['page']}/api/flows/{flow_id}"
    token = {"authorization": f"Bearer {gateway.runtime['token']}"}

    def look() -> Row | None:
        answer = httpx2.get(url, headers=token, trust_env=False)
        row: Row = answer.json() if answer.status_code == 200 else {}
        row = row.get("flow", row)
        return row if row.get("state") == "done" else None

    return gateway.until(look)


@dataclass
class World:
    """A gateway before a simulated provider, and the apps that call through it."""

    provider: Provider
    gateway: GatewayProcess
    directory: Path
    _apps: dict[str, App] = field(default_factory=dict)

    def run_command(self, *options: str) -> list[str]:
        """Give the words of ``whygate run`` up to the command."""
        gateway = self.gateway
        words = ["run", "--state", str(gateway.state), "--config", str(gateway.config)]
        return [
            sys.executable, "-m", "gateway", *words, "--listen", gateway.runtime["listen"], *options, "--",
        ]  # fmt: skip

    @property
    def proxied(self) -> App:
        """An app that knows HTTPS_PROXY and a certificate file, and no base URL."""
        return self._app("proxied", self.run_command("--no-base-url"), {})

    @property
    def based(self) -> App:
        """An app that is given base URLs."""
        return self._app("based", self.run_command("--base-url"), {})

    @property
    def direct(self) -> App:
        """An app without a gateway: what it sees is what an app should see."""
        url = f"http://127.0.0.1:{self.provider.port}"
        return self._app("direct", [], {"OPENAI_BASE_URL": f"{url}/v1", "ANTHROPIC_BASE_URL": url})

    def _app(self, name: str, command: list[str], env: dict[str, str]) -> App:
        if name not in self._apps:
            self._apps[name] = App(command, env, self.directory / f"{name}.txt")
        return self._apps[name]

    def row(self, result: Result) -> Row:
        """Give the row of a call that the app has the headers of."""
        headers = result["headers"] or result["error"]["headers"]
        return row_of(self.gateway, headers["x-whygate-flow-id"])

    def close(self) -> None:
        for app in self._apps.values():
            app.close()
        self.gateway.stop()
        self.provider.close()


@contextlib.contextmanager
def new_world(directory: Path, extra: str = "", **settings: Any) -> Iterator[World]:
    """Make a provider with these limits and a gateway before it."""
    provider = Provider(**settings)
    try:
        world = World(provider, GatewayProcess(directory, config_for(provider.port, extra)), directory)
    except BaseException:
        provider.close()
        raise
    try:
        yield world
    finally:
        world.close()


class Memory:
    """Watches the resident memory of a process, in MiB, while something goes on."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._over = threading.Event()
        self.before = self.peak = self.now()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def now(self) -> float:
        return float(self._process.memory_info().rss) / MIB

    def _watch(self) -> None:
        while not self._over.wait(0.02):
            with contextlib.suppress(psutil.Error):
                self.peak = max(self.peak, self.now())

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(5)

    @property
    def growth(self) -> float:
        return self.peak - self.before


def steady(look: Any, seconds: float = 0.5, within: float = 10.0) -> Any:
    """Wait until a value has not changed for a while, and give it."""
    value, since, end = look(), time.monotonic(), time.monotonic() + within
    while time.monotonic() - since < seconds:
        assert time.monotonic() < end, "it never came to rest"
        threading.Event().wait(0.02)
        if (new := look()) != value:
            value, since = new, time.monotonic()
    return value
