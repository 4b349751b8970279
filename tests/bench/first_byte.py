"""Time to the first byte for a program that has just started, direct and through the gateway, 40 ms from the provider.

A fresh program pays for DNS, TCP and TLS before its first call: three round trips or more. The gateway has paid already.
Between both and the provider stands a relay that delays every byte, and the first ones of a connection as a handshake
of TCP would. Run: ``uv run python -m tests.bench.first_byte``
"""

import asyncio
import contextlib
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.bench.peers import need, nginx
from tests.running import CLEAN, ROOT, GatewayProcess

ONE_WAY_SECONDS = 0.020
RUNS = 30
SETTLE_SECONDS = 0.8
"""Between two runs: the gateway opens its next connection ahead meanwhile."""

PYTHON = """
import sys, ssl, time, httpx2
url, proxy, ca = sys.argv[1:4]
with httpx2.Client(proxy=proxy or None, verify=ssl.create_default_context(cafile=ca), trust_env=False, timeout=20) as client:
    with client.stream("POST", url, json={"model": "gpt-4o", "messages": []}, headers={"authorization": "Bearer sk-bench"}) as answer:
        for _ in answer.iter_raw():
            break
        assert answer.status_code == 200, answer.status_code
print(time.time())
"""
BARE = "import httpx2, ssl, time; ssl.create_default_context(); print(time.time())"


class Relay:
    """Carries bytes to a port of this machine, late; one event loop in a thread of its own."""

    def __init__(self, port: int) -> None:
        self._to, self.connections = port, 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._ready.wait(5)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._to)
        # The kernel has shaken hands at once; over the distance SYN and SYN-ACK would have taken a round trip.
        there = asyncio.ensure_future(self._carry(reader, far_writer, begins_at=time.monotonic() + 2 * ONE_WAY_SECONDS))
        back = asyncio.ensure_future(self._carry(far_reader, writer, begins_at=0.0))
        await asyncio.wait((there, back))

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, begins_at: float) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65_536):
                leaves_at = max(time.monotonic(), begins_at)
                loop.call_at(leaves_at + ONE_WAY_SECONDS, writer.write, data)
        loop.call_later(2 * ONE_WAY_SECONDS, writer.close)


@contextlib.contextmanager
def provider(directory: Path) -> Iterator[tuple[Relay, Path]]:
    """Run an HTTPS server 40 ms away."""
    with nginx(directory) as (port, ca):
        relay = Relay(port)
        try:
            yield relay, ca
        finally:
            relay.close()


def first_byte_ms(command: Sequence[str]) -> float:
    """Run a program that prints the time of its first byte; give the milliseconds from its start."""
    began = time.time()
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=CLEAN, cwd=ROOT)
    if done.returncode:
        sys.exit(done.stderr[-2_000:])
    return (float(done.stdout.split()[-1]) - began) * 1000


def curl_ms(url: str, proxy: str, ca: Path) -> float:
    """Run curl; give the milliseconds from its start to the first byte, which it tells apart from the last."""
    command = [
        "curl",
        "-sS",
        "--cacert",
        str(ca),
        "-o",
        "/dev/null",
        "-w",
        "%{http_code} %{time_starttransfer} %{time_total}",
    ]
    command += ["-H", "Authorization: Bearer sk-bench", "--json", '{"model":"gpt-4o","messages":[]}']
    command += ["--proxy", proxy, url] if proxy else [url]
    began = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=CLEAN)
    took = time.monotonic() - began
    status, first, last = done.stdout.split() if done.returncode == 0 else ("", "0", "0")
    if status != "200":
        sys.exit(f"curl: {done.stdout} {done.stderr}")
    return (took - (float(last) - float(first))) * 1000


def show(name: str, runs: list[float]) -> float:
    """Print one line; give the median."""
    median, p95 = statistics.median(runs), statistics.quantiles(runs, n=20)[-1]
    print(f"{name:44} median {median:7.1f} ms   p95 {p95:7.1f} ms   runs {len(runs)}")
    return median


def main() -> None:
    """Print the table."""
    need("nginx", "curl")
    with tempfile.TemporaryDirectory() as name, provider(Path(name)) as (relay, ca):
        url = f"https://localhost:{relay.port}/v1/chat/completions"
        config = (
            f'[network]\npreconnect = ["openai"]\n[cache]\nenabled = false\n'
            f'[[providers]]\nname = "openai"\nhosts = ["localhost:{relay.port}"]\n'
            f'upstream = "https://localhost:{relay.port}"\nupstream_ca_file = "{ca}"\n'
        )
        ours = GatewayProcess(Path(name) / "gateway", config)
        try:
            measure(url, ours, ca)
        finally:
            ours.stop()


def measure(url: str, ours: GatewayProcess, ca: Path) -> None:
    """Take turns, so that what else the machine does falls on both."""
    threading.Event().wait(1.0)
    python = [sys.executable, "-c", PYTHON, url]
    bare: list[float] = []
    direct: dict[str, list[float]] = {"python, httpx2": [], "curl": []}
    through: dict[str, list[float]] = {"python, httpx2": [], "curl": []}
    for _ in range(RUNS):
        bare.append(first_byte_ms([sys.executable, "-c", BARE]))
        direct["python, httpx2"].append(first_byte_ms([*python, "", str(ca)]))
        through["python, httpx2"].append(first_byte_ms([*python, ours.proxy, str(ours.ca)]))
        direct["curl"].append(curl_ms(url, "", ca))
        threading.Event().wait(SETTLE_SECONDS)
        through["curl"].append(curl_ms(url, ours.proxy, ours.ca))
        threading.Event().wait(SETTLE_SECONDS)
    show("python that only imports httpx2", bare)
    for client, runs in direct.items():
        straight = show(f"{client}, direct", runs)
        ours_median = show(f"{client}, through whygate", through[client])
        print(
            f"{client + ', ratio of medians':44} {ours_median / straight:.2f}, sooner by {straight - ours_median:.1f} ms"
        )


if __name__ == "__main__":
    main()
