"""A relay in a base URL variable, from the command line through a real gateway to the relay."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from gateway.cli.adopting import Adopted, adopt
from gateway.state import Runtime
from tests.running import CLEAN, ROOT, GatewayProcess
from tests.tools import require_tool

ASK = 'curl -s "$OPENAI_BASE_URL/chat/completions" -H "authorization: Bearer sk-local" -H "content-type: application/json" -d "$1"'
CALL = {"model": "llama3", "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture
def model_server() -> Iterator[tuple[str, list[tuple[str, str | None]]]]:
    """Run a model server on this machine; give its base URL and what it was asked."""
    asked: list[tuple[str, str | None]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            asked.append((self.path, self.headers["authorization"]))
            body = json.dumps({"id": "x", "choices": [{"message": {"content": "from here"}}]}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://localhost:{server.server_port}/v1", asked
        server.shutdown()


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[GatewayProcess]:
    running = GatewayProcess(tmp_path / "gateway", "")
    yield running
    running.process.terminate()
    running.process.wait(10)


def test_calls_to_a_server_on_this_machine_come_through_and_arrive(
    gateway: GatewayProcess, model_server: tuple[str, list[tuple[str, str | None]]]
) -> None:
    """Nothing changes for the app; the call is in the log."""
    require_tool("curl", "apt-get install curl")
    base_url, asked = model_server
    words = [sys.executable, "-m", "gateway", "run", "--state", str(gateway.state), "--", "sh", "-c", ASK, "sh"]
    done = subprocess.run(
        [*words, json.dumps(CALL)],
        env=CLEAN | {"OPENAI_BASE_URL": base_url}, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert json.loads(done.stdout)["choices"][0]["message"]["content"] == "from here"
    assert asked == [("/v1/chat/completions", "Bearer sk-local")]
    assert "OPENAI_BASE_URL now leads to localhost through the gateway" in done.stderr
    (row,) = [row for row in gateway.flows() if row["kind"] == "api"]
    assert (row["model"], row["status"]) == ("llama3", 200)


def test_a_known_host_gets_its_own_path_and_an_impossible_one_a_reason(gateway: GatewayProcess) -> None:
    runtime = Runtime(**gateway.runtime)
    assert adopt(runtime, "https://api.openai.com/v1") == Adopted(path="/openai/v1")
    assert "http:// or https://" in adopt(runtime, "ftp://relay.example").refusal


def test_who_does_not_answer_adopts_nothing() -> None:
    runtime = Runtime(pid=os.getpid(), listen="127.0.0.1:1", page="127.0.0.1:1", token="t", started_at="")
    assert adopt(runtime, "https://relay.example/v1") == Adopted()
