"""The machinery of the benchmarks: an nginx that answers at once, stock mitmdump, the gateway, and a load generator.

Needs Debian's ``nginx`` and ``hey``. Everything runs on loopback; every run is bounded in count and in time.
"""

import contextlib
import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import trustme

from tests.running import CLEAN, GatewayProcess

ANSWER_BYTES = 2_000
REQUEST = '{"model":"gpt-4o","messages":[{"role":"user","content":"' + "x" * 900 + '"}]}'


@dataclass(frozen=True, slots=True)
class Load:
    """What a load run gave. Times in milliseconds."""

    per_second: float
    p50_ms: float
    p99_ms: float
    failed: int
    cpu_us: float
    """CPU time of the process under load, for each call, in microseconds."""


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def need(*tools: str) -> None:
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        sys.exit(f"These are missing: {', '.join(missing)}. On Debian: apt-get install {' '.join(missing)}")


@contextlib.contextmanager
def nginx(directory: Path) -> Iterator[tuple[int, Path]]:
    """Run an HTTPS server that answers every request with the same JSON; gives its port and CA."""
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    pem, ca, port = directory / "server.pem", directory / "ca.pem", free_port()
    certificate.private_key_and_cert_chain_pem.write_to_path(pem)
    authority.cert_pem.write_to_path(ca)
    text = '{"id":"x","choices":[{"index":0,"message":{"role":"assistant","content":"' + "y" * (ANSWER_BYTES - 200)
    text += '"},"finish_reason":"stop"}],"usage":{"prompt_tokens":200,"completion_tokens":400,"total_tokens":600}}'
    config = directory / "nginx.conf"
    config.write_text(
        f"""daemon off; worker_processes 1; pid {directory}/nginx.pid; error_log {directory}/error.log;
        events {{ worker_connections 4096; }}
        http {{ access_log off; keepalive_requests 1000000; client_body_temp_path {directory}; default_type application/json;
          server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {pem}; ssl_certificate_key {pem}; location / {{ return 200 '{text}'; }} }} }}"""
    )
    process = subprocess.Popen(["nginx", "-c", str(config), "-p", str(directory)], stderr=subprocess.DEVNULL)
    wait_for(port)
    try:
        yield port, ca
    finally:
        process.terminate()
        process.wait(5)


@contextlib.contextmanager
def mitmdump(directory: Path) -> Iterator[tuple[int, psutil.Process]]:
    """Run stock mitmdump as users start it, without its output."""
    port = free_port()
    command = [
        str(Path(sys.executable).parent / "mitmdump"),
        "-q",
        "--set",
        f"confdir={directory}/mitm",
        "--ssl-insecure",
    ]
    process = subprocess.Popen([*command, "--listen-host", "127.0.0.1", "-p", str(port)], env=CLEAN)
    wait_for(port)
    try:
        yield port, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(10)


def gateway(directory: Path, port: int, ca: Path, extra: str = "") -> GatewayProcess:
    """Run the gateway with the nginx as a provider."""
    config = f'[[providers]]\nname = "openai"\nhosts = ["localhost:{port}"]\nupstream_ca_file = "{ca}"\n' + extra
    return GatewayProcess(directory / "gateway", config)


def hey(
    target: str,
    proxy: str,
    *,
    calls: int,
    workers: int,
    process: psutil.Process,
    rate: float | None = None,
    body: str = REQUEST,
) -> Load:
    """Load a proxy with POSTs of one body over kept connections."""
    command = [
        "hey",
        "-n",
        str(calls),
        "-c",
        str(workers),
        "-m",
        "POST",
        "-T",
        "application/json",
        "-x",
        proxy,
        "-t",
        "20",
    ]
    if rate is not None:
        command += ["-q", str(rate / workers)]
    before = sum(process.cpu_times()[:2])
    out = subprocess.run(
        [*command, "-H", "Authorization: Bearer sk-bench", "-d", body, target],
        capture_output=True, text=True, check=True, timeout=120, env=CLEAN,
    ).stdout  # fmt: skip
    cpu = sum(process.cpu_times()[:2]) - before
    latencies = {int(m[1]): float(m[2]) * 1000 for m in re.finditer(r"(\d+)%+ in ([\d.]+) secs", out)}
    good = sum(int(m[1]) for m in re.finditer(r"\[200\]\s+(\d+) responses", out))
    rps = float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1])  # type: ignore[index]
    return Load(rps, latencies.get(50, 0.0), latencies.get(99, 0.0), calls - good, cpu / max(1, calls) * 1e6)


def wait_for(port: int, seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
            return
        threading.Event().wait(0.02)
    raise TimeoutError(port)


def trusting(ca: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(ca))
