"""Clients of HTTP/2: those that speak nothing else get their answers too, all others are given HTTP/1.1."""

import asyncio
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import h2.config
import h2.connection
import h2.errors
import pytest
import trustme

from tests.e2e.world import APPS, Provider, Row, new_key
from tests.running import CLEAN, GatewayProcess, RawUpstream, lane, plain, read_answer
from tests.tools import require_tool


class Setting:
    """A gateway before a simulated provider, a gRPC service, a provider of raw bytes, and one that is not there."""

    def __init__(self, directory: Any) -> None:
        authority = trustme.CA()
        ca_file, certificate = directory / "ca.pem", directory / "grpc.pem"
        authority.cert_pem.write_to_path(str(ca_file))
        authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(certificate))
        self.provider, self.raw = Provider(), RawUpstream()
        self.service = subprocess.Popen(
            [sys.executable, str(APPS / "grpc_server.py"), str(certificate)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=CLEAN, text=True,
        )  # fmt: skip
        assert self.service.stdout is not None
        port = int(self.service.stdout.readline())
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            nobody = closed.getsockname()[1]
        upstreams = {
            "openai": f"http://127.0.0.1:{self.provider.port}", "raw": f"http://127.0.0.1:{self.raw.port}",
            "grpc": f"https://localhost:{port}", "closed": f"http://127.0.0.1:{nobody}",
        }  # fmt: skip
        self.gateway = GatewayProcess(
            directory / "gateway",
            "".join(
                f'[[providers]]\nname = "{name}"\nupstream = "{url}"\nhosts = ["{name}.test"]\nupstream_ca_file = "{ca_file}"\n'
                for name, url in upstreams.items()
            ),
        )

    def row(self, path: str) -> Row:
        """Wait for the one row of a path."""
        return GatewayProcess.until(lambda: next((r for r in self.gateway.flows() if path in r["path"]), None))

    def close(self) -> None:
        self.gateway.stop()
        self.provider.close()
        self.raw.close()
        self.service.communicate()


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setting]:
    made = Setting(tmp_path_factory.mktemp("http2"))
    yield made
    made.close()


def curl(setting: Setting, *words: str) -> subprocess.CompletedProcess[str]:
    command = [require_tool("curl", "apt-get install curl"), "--silent", "--show-error", "--max-time", "20"]
    proxy = ["--proxy", setting.gateway.proxy, "--cacert", str(setting.gateway.ca)]
    return subprocess.run([*command, *proxy, *words], capture_output=True, text=True, env=CLEAN, check=False)


def chat(prompt: str, *, stream: bool = False) -> dict[str, Any]:
    return {"model": "gpt-4o-mini", "stream": stream, "messages": [{"role": "user", "content": prompt}]}


def test_curl_that_insists_on_http_2_is_answered_with_a_row(setting: Setting) -> None:
    """Of its versions some offer HTTP/1.1 even so."""
    done = curl(
        setting, "--http2-prior-knowledge", "--write-out", "\n%{http_version}", "--header", f"Authorization: Bearer {new_key()}",
        "--json", json.dumps(chat("one two")), "https://api.openai.com/v1/chat/completions?version=curl",
    )  # fmt: skip
    body, version = done.stdout.rsplit("\n", 1)
    assert version in {"1.1", "2"}, done.stderr
    assert json.loads(body)["choices"][0]["message"]["content"] == "Echo: one two"
    row = setting.row("version=curl")
    wanted = {
        "kind": "api",
        "provider": "openai",
        "endpoint": "chat.completions",
        "status": 200,
        "cause": None,
        "method": "POST",
    }
    assert {name: row[name] for name in wanted} == wanted


def test_curl_that_offers_both_is_given_http_1_1_on_the_lane(setting: Setting) -> None:
    done = curl(
        setting, "--http2", "--include", "--write-out", "\n%{http_version}", "--header", f"Authorization: Bearer {new_key()}",
        "--json", json.dumps(chat("three")), "https://api.openai.com/v1/chat/completions",
    )  # fmt: skip
    assert done.stdout.endswith("\n1.1"), done.stderr
    assert "x-whygate-flow-id: " in done.stdout


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_httpx_without_http_1_is_answered(setting: Setting, stream: bool) -> None:
    key, mark = new_key(), f"version={new_key()[-30:-24]}-{stream}"
    with setting.gateway.client(http1=False, http2=True) as client:
        for number in range(3):  # on one connection
            answer = client.post(
                f"https://api.openai.com/v1/chat/completions?{mark}-{number}",
                json=chat("four five six", stream=stream),
                headers={"authorization": f"Bearer {key}", "x-whygate-cache": "no-cache"},
            )
            assert (answer.status_code, answer.http_version) == (200, "HTTP/2")
            assert "six" in answer.text
    assert [setting.row(f"{mark}-{number}")["status"] for number in range(3)] == [200] * 3
    assert [row.status for row in setting.provider.rows(key)] == [200] * 3


async def test_events_reach_a_client_of_http_2_as_they_come(setting: Setting) -> None:
    heard = threading.Event()

    async def two(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        writer.write(b"a\r\ndata: one\n\r\n")
        await writer.drain()
        assert await asyncio.to_thread(heard.wait, 10)
        writer.write(b"a\r\ndata: two\n\r\n0\r\n\r\n")

    url = f"https://raw.test{setting.raw.on(two)}"

    def listen() -> list[bytes]:
        with setting.gateway.client(http1=False, http2=True) as client, client.stream("GET", url) as answer:
            pieces = []
            for piece in answer.iter_raw():
                pieces.append(piece)
                heard.set()
            return pieces

    assert await asyncio.to_thread(listen) == [b"data: one\n", b"data: two\n"]


def test_a_failed_call_of_http_2_has_its_cause_in_the_row(setting: Setting) -> None:
    with setting.gateway.client(http1=False, http2=True) as client:
        answer = client.post(
            "https://api.openai.com/v1/chat/completions?version=refused", json=chat("x"),
            headers={"authorization": f"Bearer {new_key()}", "x-simulate": "auth.invalid_key"},
        )  # fmt: skip
        assert answer.status_code == 401
        assert answer.json()["error"]["code"] == "invalid_api_key"
        assert setting.row("version=refused")["cause"] == "auth.invalid_key"
        assert client.get("https://closed.test/v1/models?version=closed").status_code == 502
    row = setting.row("version=closed")
    assert (row["provider"], row["cause"]) == ("closed", "network.tcp_refused")


@pytest.mark.parametrize("when", ["before the answer", "in the middle of the answer"])
@pytest.mark.parametrize("leaves", ["the call", "the connection"])
async def test_a_client_of_http_2_that_leaves_has_one_row_that_says_so(
    setting: Setting, leaves: str, when: str
) -> None:
    """And not one that blames the network, or none."""
    asked, gone, loop = asyncio.Event(), threading.Event(), asyncio.get_running_loop()

    async def slow(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if when == "in the middle of the answer":
            writer.write(
                b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 99\r\n\r\ndata: one\n\n"
            )
            await writer.drain()
        loop.call_soon_threadsafe(asked.set)
        await reader.read()  # until we are left, too
        gone.set()

    mark = f"version={new_key()[-30:-24]}"
    _, writer = await lane(setting.gateway, "raw.test", alpn=("h2",))
    client = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
    client.initiate_connection()
    path = f"{setting.raw.on(slow)}&{mark}"
    names = [(":method", "GET"), (":scheme", "https"), (":authority", "raw.test"), (":path", path)]
    client.send_headers(1, names, end_stream=True)
    writer.write(client.data_to_send())
    await asyncio.wait_for(asked.wait(), 10)
    if leaves == "the call":
        client.reset_stream(1, h2.errors.ErrorCodes.CANCEL)
        writer.write(client.data_to_send())
    else:
        writer.transport.abort()
    assert await asyncio.to_thread(gone.wait, 5)
    row = await asyncio.to_thread(setting.row, mark)
    assert (row["cause"], row["provider"], row["state"]) == ("client.disconnected", "raw", "done")
    writer.close()
    assert len([one for one in setting.gateway.flows() if mark in one["path"]]) == 1


@pytest.mark.parametrize("target", ["grpc.test:443"])
def test_grpc_calls_are_answered_one_by_one_and_streamed(setting: Setting, target: str) -> None:
    env = CLEAN | {"https_proxy": setting.gateway.proxy, "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(setting.gateway.ca)}
    done = subprocess.run(
        [sys.executable, str(APPS / "grpc_client.py"), target],
        capture_output=True,
        text=True,
        env=env,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    wanted = {"shout": "HELLO", "large": 3_000_000, "count": list(range(500)), "failure": "RESOURCE_EXHAUSTED"}
    assert json.loads(done.stdout) == wanted
    rows = GatewayProcess.until(
        lambda: found if len(found := [r for r in setting.gateway.flows() if "/test.Echo/" in r["path"]]) == 4 else None
    )
    assert {(row["kind"], row["provider"], row["status"]) for row in rows} == {("api", "grpc", 200)}


async def test_http_2_without_tls_is_refused_in_words(setting: Setting) -> None:
    reader, writer = await plain(setting.gateway)
    writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
    head, body = await read_answer(reader)
    assert head.startswith(b"HTTP/1.1 400")
    assert b"client.malformed_request" in body
