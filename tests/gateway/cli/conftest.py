"""The command line as a real process, beside a gateway that is real in all but its proxy."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import gateway
from gateway.authority import load_or_create
from gateway.state import Runtime, State

TOKEN = "token-of-the-test"

STAND_IN_APP = """
import os, signal, threading, time
from http.server import BaseHTTPRequestHandler, HTTPServer
from gateway.authority import load_or_create
from gateway.state import Runtime

from gateway.ports import StartError

class Page(BaseHTTPRequestHandler):
    def do_GET(self):
        body = b'{"flows": [], "next_cursor": null}'
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args): pass


def serve(settings, state, *, team, on_ready, read_again=None, end_with_runs=False, ui=None):
    if os.environ.get("WHYGATE_TEST_FAIL") == "start":
        raise StartError("The port is in use", str(settings.listen.address), "Give another.")
    if os.environ.get("WHYGATE_TEST_FAIL") == "crash":
        raise RuntimeError("boom")
    with state.lock():
        load_or_create(state)
        server = HTTPServer((settings.page.address.host, settings.page.address.port), Page)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        stop = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: stop.set())
        signal.signal(signal.SIGINT, lambda *_: stop.set())
        runtime = Runtime(pid=os.getpid(), listen=str(settings.listen.address), ends_with_runs=end_with_runs,
                          page=f"127.0.0.1:{server.server_port}", token="t" * 20, started_at="")
        runtime.write(state)
        on_ready(runtime)
        while not stop.wait(0.05) and not (end_with_runs and state.no_runs(retire=runtime)):
            pass
        runtime.remove(state)
        server.shutdown()
    return 0
"""


@dataclass
class Whygate:
    """The command line in one state directory."""

    state: State
    cwd: Path
    env: dict[str, str]

    def command(self, *arguments: str) -> list[str]:
        """Give the words of one call."""
        return [sys.executable, "-m", "gateway", *arguments]

    def __call__(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run one verb to its end."""
        return subprocess.run(
            self.command(*arguments),
            cwd=self.cwd, env=self.env | env, capture_output=True, text=True, timeout=60, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def start(self, *arguments: str, **env: str) -> subprocess.Popen[str]:
        """Run one verb beside the test."""
        return subprocess.Popen(
            self.command(*arguments),
            cwd=self.cwd, env=self.env | env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip


@dataclass
class PageApi:
    """What answers for the page of a gateway that runs."""

    runtime: Runtime
    rows: Sequence[dict[str, Any]] = ()
    status: int = 200
    asked: list[tuple[str, str]] = field(default_factory=list)
    adopts: bool = True
    adopted: list[str] = field(default_factory=list)


@pytest.fixture
def whygate(tmp_path: Path) -> Whygate:
    """Take a new state directory and no variables of ours."""
    ours = (
        "WHYGATE_",
        "OPENAI_",
        "ANTHROPIC_",
        "AZURE_",
        "JAVA_TOOL",
        "NO_PROXY",
        "no_proxy",
        "HTTP",
        "http",
        "COLUMNS",
    )
    env = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    env |= {"WHYGATE_STATE": str(tmp_path / "state"), "COLUMNS": "120", "PYTHONPATH": _root()}
    return Whygate(State.open(tmp_path / "state"), tmp_path, env)


@pytest.fixture
def standing_in(whygate: Whygate, tmp_path: Path) -> Whygate:
    """Run the same program with another ``gateway.app``: it does all that a gateway does, except proxying."""
    package = tmp_path / "source" / "gateway"
    package.mkdir(parents=True)
    for entry in Path(gateway.__path__[0]).iterdir():
        if entry.name not in {"app.py", "__pycache__"}:
            (package / entry.name).symlink_to(entry)
    (package / "app.py").write_text(STAND_IN_APP)
    del whygate.env["PYTHONPATH"]
    whygate.cwd = package.parent
    return whygate


@pytest.fixture
def page_api(whygate: Whygate) -> Iterator[PageApi]:
    """Pretend a gateway that runs already, seen from outside: its files, and a page that answers."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            api.asked.append((self.path, self.headers.get("Authorization", "")))
            body = json.dumps({"flows": list(api.rows), "next_cursor": None}).encode()
            self.send_response(api.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            """Adopt as a gateway does, or know nothing of it, as older ones."""
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            known = api.adopts and (self.path, self.headers["Authorization"]) == ("/api/providers", f"Bearer {TOKEN}")
            if known:
                api.adopted.append(body["base_url"])
            answer = json.dumps({"base_path": "/" + body["base_url"].partition("://")[2]} if known else {}).encode()
            self.send_response(200 if known else 404)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    load_or_create(whygate.state)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page = f"127.0.0.1:{server.server_port}"
        api = PageApi(Runtime(pid=os.getpid(), listen="127.0.0.1:8765", page=page, token=TOKEN, started_at=""))
        api.runtime.write(whygate.state)
        yield api
        server.shutdown()


def _root() -> str:
    return str(Path(gateway.__path__[0]).parent)
