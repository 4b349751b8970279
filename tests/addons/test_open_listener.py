"""A gateway on every address of its machine: with a credential alone, to providers and listed hosts alone."""

import asyncio
import json
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from tests.running import CLEAN, ROOT, GatewayProcess, RawUpstream, config_for, plain, read_answer

TOKEN = "canary-of-the-open-listener-0123"
PAGE_TOKEN = "canary-of-the-open-page-01234567"
BASIC = f"Proxy-Authorization: Basic {b64encode(f'x:{TOKEN}'.encode()).decode()}\r\n"


@dataclass
class Place:
    gateway: GatewayProcess
    upstream: RawUpstream


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    upstream = RawUpstream()
    listen = (
        f'[listen]\ntoken = "{TOKEN}"\n'
        f'allow_hosts = ["localhost", "127.0.0.1:{upstream.port}", "localhost:{upstream.port}"]\n'
        f'[page]\ntoken = "{PAGE_TOKEN}"\nallowed_hosts = ["whygate"]\n'
    )
    gateway = GatewayProcess(
        tmp_path_factory.mktemp("open"),
        config_for(upstream.port, listen),
        *("--listen", "0.0.0.0:0", "--page", "0.0.0.0:0"),
    )
    try:
        yield Place(gateway, upstream)
    finally:
        gateway.stop()
        upstream.close()


async def connect(place: Place, target: str) -> tuple[bytes, bytes, asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await plain(place.gateway)
    writer.write(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{BASIC}\r\n".encode())
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
    body = b"" if b" 200 " in head else await reader.read()
    return head, body, reader, writer


async def row_of(place: Place, writer: asyncio.StreamWriter) -> dict[str, object]:
    client = "{}:{}".format(*writer.get_extra_info("sockname")[:2])
    rows = place.gateway.flows
    return await asyncio.to_thread(
        place.gateway.until, lambda: next((r for r in rows() if r["client"] == client and r["state"] == "done"), None)
    )


@pytest.mark.parametrize(
    "target",
    [
        *("github.com:443", "chatgpt.com:443", "api.openai.com:22", "api.openai.com.evil.example:443", "postgres:5432"),
        *("169.254.169.254:80", "metadata.google.internal:80", "10.0.0.1:443", "127.0.0.1:22", "127.1:443", "[::1]:443"),
        *("2130706433:443", "0x7f000001:443", "[fd00:ec2::254]:80", "[::ffff:127.0.0.1]:443", "localhost:5432"),
        # Listed, but they lead to this machine.
        *("localhost:443", "localhost:80", "LOCALHOST:443"),
    ],
)  # fmt: skip
async def test_a_tunnel_to_anywhere_else_is_refused(place: Place, target: str) -> None:
    head, body, _, writer = await connect(place, target)
    assert head.startswith(b"HTTP/1.1 403 ")
    error = json.loads(body)["error"]
    assert error["code"] == "proxy.destination_blocked"
    assert "that destination is not allowed here" in error["message"]
    row = await row_of(place, writer)
    assert (row["cause"], row["kind"], row["status"], row["method"]) == (
        "proxy.destination_blocked", "tunnel", 403, "CONNECT",
    )  # fmt: skip


async def test_a_tunnel_to_an_address_that_is_listed_is_carried(place: Place) -> None:
    """As it is written; by a name, the same address is refused."""

    async def answer(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nyes")

    target = place.upstream.on(answer)
    head, _, reader, writer = await connect(place, f"127.0.0.1:{place.upstream.port}")
    assert b" 200 " in head
    writer.write(f"GET {target} HTTP/1.1\r\n\r\n".encode())
    assert (await read_answer(reader))[1] == b"yes"
    writer.close()
    head, body, _, _ = await connect(place, f"localhost:{place.upstream.port}")
    assert b" 403 " in head
    assert "the machine of the gateway itself" in json.loads(body)["error"]["message"]


@pytest.mark.parametrize("url", ["http://intranet/x", "http://127.0.0.1:9/", "http://localhost/", "http://10.0.0.1/"])
@pytest.mark.parametrize("upgrade", ["", "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"])
async def test_a_plain_request_to_anywhere_else_is_refused(place: Place, url: str, upgrade: str) -> None:
    reader, writer = await plain(place.gateway)
    host = url.split("/")[2]
    writer.write(f"GET {url} HTTP/1.1\r\nHost: {host}\r\n{BASIC}{upgrade}\r\n".encode())
    head, body = await read_answer(reader)
    assert head.startswith(b"HTTP/1.1 403 ")
    assert json.loads(body)["error"]["code"] == "proxy.destination_blocked"
    assert (await row_of(place, writer))["cause"] == "proxy.destination_blocked"


async def test_providers_are_served_wherever_the_operator_leads_them(place: Place) -> None:
    """The upstream is on this very machine; under a base URL any name of the gateway will do."""

    async def answer(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nyes")

    path = place.upstream.on(answer)
    for target, more in ((f"/~{TOKEN}/openai{path}", ""), (f"http://api.openai.com{path}", BASIC)):
        reader, writer = await plain(place.gateway)
        host = "api.openai.com" if more else "whygate:8080"
        writer.write(f"GET {target} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n".encode())
        head, body = await read_answer(reader)
        assert (head.split(b" ")[1], body) == (b"200", b"yes")


async def test_it_says_how_this_machine_reaches_it(place: Place) -> None:
    """Not ``0.0.0.0``, which is no address to call."""
    assert place.gateway.runtime["listen"].startswith("127.0.0.1:")
    assert place.gateway.runtime["page"].startswith("127.0.0.1:")
    log = place.gateway.log.read_text()
    assert TOKEN not in log


@pytest.mark.parametrize(
    ("host", "status"), [("127.0.0.1", 200), ("whygate", 200), ("evil.example", 421), ("0.0.0.0", 421)]
)
async def test_the_page_is_shown_under_its_own_names(place: Place, host: str, status: int) -> None:
    headers = {"host": f"{host}:8081", "authorization": f"Bearer {PAGE_TOKEN}"}
    page = f"http://{place.gateway.runtime['page']}/api/health"
    assert (await asyncio.to_thread(httpx2.get, page, headers=headers, trust_env=False)).status_code == status
    del headers["authorization"]
    assert (await asyncio.to_thread(httpx2.get, page, headers=headers, trust_env=False)).status_code in {401, 421}


@pytest.mark.parametrize("option", ["--listen", "--page"])
def test_it_does_not_start_without_a_token(tmp_path: Path, option: str) -> None:
    command = [sys.executable, "-m", "gateway", "start", "--state", str(tmp_path / "state"), option, "0.0.0.0:0"]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=CLEAN, timeout=20, check=False)
    assert ended.returncode == 2
    name = option.strip("-").upper()
    assert f"WHYGATE_{name}__TOKEN" in "".join(ended.stderr.split("\n"))
    assert not (tmp_path / "state" / "runtime.json").exists()
