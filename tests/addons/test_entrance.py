"""The listener's credential on the wire: who is let in, what the others are told, and that it stays between the two."""

import asyncio
import json
import os
import ssl
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import pytest

from tests.running import CLEAN, GatewayProcess, RawUpstream, config_for, plain, read_answer
from tests.tools import require_tool

TOKEN = "canary-of-the-listener-0123456789"
ALMOST = TOKEN[:-1] + "x"
BASIC = f"Proxy-Authorization: Basic {b64encode(f'whygate:{TOKEN}'.encode()).decode()}\r\n"
WRONG = f"Proxy-Authorization: Basic {b64encode(f'whygate:{ALMOST}'.encode()).decode()}\r\n"
CONNECT = "CONNECT api.openai.com:443 HTTP/1.1\r\nHost: api.openai.com:443\r\n"
UPGRADE = (
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)

Locked = tuple[GatewayProcess, RawUpstream]


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Locked]:
    """A gateway with a credential; when all tests are over, no file of it but the one for that may hold it."""
    upstream = RawUpstream()
    settings = config_for(upstream.port, "[cache]\nenabled = false\n")
    gateway = GatewayProcess(tmp_path_factory.mktemp("locked"), settings, env={"WHYGATE_LISTEN__TOKEN": TOKEN})
    try:
        yield gateway, upstream
        rows = json.dumps(gateway.flows())
        assert "proxy.unauthorized" in rows
        gateway.stop()
        for secret in (TOKEN, ALMOST, b64encode(f"whygate:{TOKEN}".encode()).decode()):
            assert secret not in rows
            files = [file for file in gateway.directory.rglob("*") if file.is_file()]
            assert [file for file in files if secret.encode() in file.read_bytes()] == []
            assert {"flows.db", "log.txt"} <= {file.name for file in files}
    finally:
        gateway.stop()
        upstream.close()


@pytest.fixture
def heads(locked: Locked) -> Iterator[list[bytes]]:
    """What reached the provider. Never the credential."""
    seen: list[bytes] = []
    yield seen
    assert not [head for head in seen if TOKEN.encode() in head or b"canary-" in head or b"proxy-auth" in head.lower()]


@pytest.fixture
def path(locked: Locked, heads: list[bytes]) -> str:
    """A path of the provider's that answers."""

    async def answer(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(head)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}")

    return locked[1].on(answer)


@pytest.fixture
async def connection(locked: Locked) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await plain(locked[0])


Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def say(connection: Connection, text: str) -> tuple[bytes, bytes]:
    """Ask, and give the answer."""
    connection[1].write(text.encode())
    return await read_answer(connection[0])


def code_of(body: bytes) -> str:
    code: str = json.loads(body)["error"]["code"]
    return code


async def test_connect_is_asked_for_it_and_let_in_on_the_same_connection(
    locked: Locked, path: str, connection: Connection
) -> None:
    """As Java, .NET and curl --proxy-anyauth do it."""
    reader, writer = connection
    for attempt in ("", WRONG, "Proxy-Authorization: Digest x\r\n"):
        head, body = await say(connection, f"{CONNECT}{attempt}\r\n")
        assert head.startswith(b"HTTP/1.1 407 Proxy Authentication Required\r\n")
        assert b'\r\nproxy-authenticate: Basic realm="whygate"\r\n' in head
        assert b"x-whygate-cause: proxy.unauthorized\r\n" in head
        assert b"connection: close" not in head
        assert code_of(body) == "proxy.unauthorized"
        assert b"HTTPS_PROXY=http://whygate:TOKEN@HOST:8080" in body
    writer.write(f"{CONNECT}{BASIC}\r\n".encode())
    assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
    await writer.start_tls(ssl.create_default_context(cafile=str(locked[0].ca)), server_hostname="api.openai.com")
    head, _ = await say(connection, f"GET {path} HTTP/1.1\r\nHost: api.openai.com\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")


async def test_tunnels_need_it_as_well(locked: Locked, connection: Connection) -> None:
    async def far_side(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"far side")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(far_side, "127.0.0.1", 0)
    place = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    head, _ = await say(connection, f"CONNECT {place} HTTP/1.1\r\n\r\n")
    assert b" 407 " in head
    connection[1].write(f"CONNECT {place} HTTP/1.1\r\n{BASIC}\r\n".encode())
    assert b" 200 " in await connection[0].readuntil(b"\r\n\r\n")
    assert await connection[0].readexactly(8) == b"far side"
    connection[1].close()
    server.close()
    await server.wait_closed()


async def test_nobody_may_guess_for_ever_on_one_connection(connection: Connection) -> None:
    for _ in range(4):
        await say(connection, f"{CONNECT}{WRONG}\r\n")
    head, _ = await say(connection, f"{CONNECT}{WRONG}\r\n")
    assert b" 407 " in head
    assert b"connection: close\r\n" in head
    assert await connection[0].read() == b""


@pytest.mark.parametrize("early", [b"\x16\x03\x01\x00\x05hello", b"GET / HTTP/1.1\r\n\r\n"])
async def test_who_goes_on_as_if_let_in_is_cut_off(connection: Connection, early: bytes) -> None:
    """What follows CONNECT was for the far side, and is nothing of ours."""
    connection[1].write(CONNECT.encode() + b"\r\n" + early)
    head, _ = await read_answer(connection[0])
    assert b"connection: close\r\n" in head
    assert await connection[0].read() == b""


async def test_tls_after_a_refusal_is_cut_off(connection: Connection) -> None:
    await say(connection, f"{CONNECT}\r\n")
    connection[1].write(b"\x16\x03\x01\x00\x05hello")
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await connection[0].readexactly(1)


async def test_a_connect_of_http_1_0_is_answered_and_closed(connection: Connection) -> None:
    head, _ = await say(connection, "CONNECT api.openai.com:443 HTTP/1.0\r\n\r\n")
    assert b" 407 " in head
    assert b"connection: close\r\n" in head
    assert await connection[0].read() == b""


async def test_a_whole_url_is_asked_for_it_and_let_in_on_the_same_connection(path: str, connection: Connection) -> None:
    """With a body that nobody read, and with the Bearer scheme."""
    request = f"POST http://api.openai.com{path} HTTP/1.1\r\nHost: api.openai.com\r\nContent-Length: 200000\r\n"
    for attempt in ("", WRONG):
        head, body = await say(connection, f"{request}{attempt}\r\n{'x' * 200_000}")
        assert head.startswith(b"HTTP/1.1 407 ")
        assert b'proxy-authenticate: Basic realm="whygate"' in head
        assert code_of(body) == "proxy.unauthorized"
    for credential in (BASIC, f"Proxy-Authorization: Bearer {TOKEN}\r\n"):
        request = f"GET http://api.openai.com{path} HTTP/1.1\r\nHost: api.openai.com\r\n{credential}\r\n"
        assert (await say(connection, request))[0].startswith(b"HTTP/1.1 200")


async def test_a_base_url_presents_it_in_its_path_or_in_a_header(
    path: str, connection: Connection, heads: list[bytes]
) -> None:
    """Under any name: who knows it is no page of another site."""
    for target, headers in (
        (f"/~{TOKEN}/openai{path}", ""),
        (f"/openai{path}", f"X-Whygate-Token: {TOKEN}\r\n"),
        (f"/~{ALMOST}/openai{path}", f"x-whygate-token: {TOKEN}\r\n"),
    ):
        for host in ("127.0.0.1", "whygate:8080", "host.docker.internal:8080"):
            head, _ = await say(connection, f"GET {target} HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
    assert {head.split(b" ")[1].decode() for head in heads} == {path}


@pytest.mark.parametrize(
    ("target", "headers"),
    [
        ("/openai/v1/models", ""),
        (f"/~{ALMOST}/openai/v1/models", ""),
        (f"/~{TOKEN}x/openai/v1/models", ""),
        (f"/~{TOKEN.upper()}/openai/v1/models", ""),
        (f"/%7E{TOKEN}/openai/v1/models", ""),
        (f"/x/~{TOKEN}/openai/v1/models", ""),
        (f"//~{TOKEN}/openai/v1/models", ""),
        (f"/openai/v1/models?token={TOKEN}", ""),
        ("/~/openai/v1/models", ""),
        ("/openai/v1/models", f"x-whygate-token: {ALMOST}\r\n"),
        ("/openai/v1/models", f"Authorization: Bearer {TOKEN}\r\n"),
        ("/openai/v1/models", BASIC),
        ("/", ""),
        ("/nowhere", "x-whygate-canary: abc\r\n"),
        ("/openai/v1/realtime", UPGRADE),
        ("/openai/v1/models", "Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAM\r\nUpgrade: h2c\r\n"),
    ],
)
async def test_without_it_a_base_url_is_refused(connection: Connection, target: str, headers: str) -> None:
    head, body = await say(connection, f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}\r\n")
    assert head.startswith(b"HTTP/1.1 401 ")
    assert b"x-whygate-cause: proxy.unauthorized\r\n" in head
    assert b"x-should-retry: false\r\n" in head
    assert b"proxy-authenticate" not in head
    assert code_of(body) == "proxy.unauthorized"
    for secret in (TOKEN, ALMOST):
        assert secret.encode() not in head + body


async def test_the_refusal_has_the_shape_of_the_provider_that_was_meant(connection: Connection) -> None:
    _, body = await say(connection, "POST /~nearly/anthropic/v1/messages HTTP/1.1\r\nHost: a\r\n\r\n")
    assert json.loads(body)["error"]["type"] == "authentication_error"


async def test_the_canary_is_answered_to_who_presents_it(connection: Connection) -> None:
    head, _ = await say(connection, f"GET /~{TOKEN}/x HTTP/1.1\r\nHost: a\r\nx-whygate-canary: abc\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 204")


async def test_a_page_of_another_site_is_refused_even_with_it(connection: Connection) -> None:
    request = f"POST /~{TOKEN}/openai/v1/x HTTP/1.1\r\nHost: whygate:8080\r\nOrigin: https://evil.example\r\n\r\n"
    head, body = await say(connection, request)
    assert head.startswith(b"HTTP/1.1 403")
    assert code_of(body) == "proxy.destination_blocked"


async def test_a_websocket_is_let_in_by_its_path(locked: Locked, connection: Connection, heads: list[bytes]) -> None:
    async def switch(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(head)
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n\x88\x00")
        await writer.drain()
        writer.close()

    target = f"/~{TOKEN}/openai{locked[1].on(switch)}"
    connection[1].write(f"GET {target} HTTP/1.1\r\nHost: whygate:8080\r\n{UPGRADE}\r\n".encode())
    assert (await connection[0].readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
    row = await asyncio.to_thread(locked[0].until, lambda: next(iter(locked[0].flows(kind="websocket")), None))
    assert row["path"].startswith("/v1/"), "as its provider sees it, like the host"


async def test_it_is_out_of_the_row_even_where_it_does_not_belong(locked: Locked, connection: Connection) -> None:
    """A base URL of ours asked for through the proxy: the call leads back to us and is refused."""
    listen = locked[0].runtime["listen"]
    request = f"GET http://{listen}/~{TOKEN}/openai/v1/models HTTP/1.1\r\nHost: {listen}\r\n{BASIC}\r\n"
    head, body = await say(connection, request)
    assert head.startswith(b"HTTP/1.1 508")
    assert TOKEN.encode() not in body
    client = "{}:{}".format(*connection[1].get_extra_info("sockname")[:2])
    row = await asyncio.to_thread(
        locked[0].until, lambda: next((r for r in locked[0].flows() if r["client"] == client), None)
    )
    assert row["path"] == "/~[redacted]/openai/v1/models"


async def test_guesses_leave_a_row_now_and_then(locked: Locked) -> None:
    """Whatever host they name; the row says what was asked, and what we answered."""
    for number in range(10):
        guess = await plain(locked[0])
        await say(guess, f"CONNECT host-{number}.example:443 HTTP/1.1\r\n{WRONG}\r\n")
    rows = [row for row in await asyncio.to_thread(locked[0].flows) if row["cause"] == "proxy.unauthorized"]
    assert len([row for row in rows if "-" in row["host"]]) <= 1
    assert {row["status"] for row in rows} <= {401, 407}
    assert {(row["kind"], row["method"]) for row in rows if row["status"] == 407 and row["method"]} <= {
        ("tunnel", "CONNECT")
    }


async def test_what_opens_it_is_in_one_private_file_and_in_no_link(locked: Locked) -> None:
    gateway, _ = locked
    file = gateway.state / "runtime.json"
    assert file.stat().st_mode & 0o777 == 0o600
    assert json.loads(file.read_text())["listen_token"] == TOKEN
    assert TOKEN not in gateway.log.read_text()


@pytest.mark.parametrize("options", [(), ("--proxy-anyauth",), ("--proxy-basic",)])
def test_curl_takes_it_from_the_proxys_address(locked: Locked, path: str, options: tuple[str, ...]) -> None:
    curl = require_tool("curl", "apt-get install curl")
    gateway, _ = locked
    proxy = f"http://whygate:{TOKEN}@{gateway.runtime['listen']}"
    for url in (f"https://api.openai.com{path}", f"http://api.openai.com{path}"):
        command = [curl, "-sS", "-m", "20", *options, "--cacert", str(gateway.ca), "-x", proxy, url]
        assert subprocess.run(command, capture_output=True, env=CLEAN, check=True).stdout == b"{}"


APP = """
import openai
client = openai.OpenAI(api_key="sk-of-the-app-itself", max_retries=0)
try:
    print(client.models.with_raw_response.list().status_code)
except openai.APIError as error:
    print(type(error).__name__, getattr(error, "code", None) or error.__cause__)
"""


@pytest.mark.parametrize(
    ("env", "told"),
    [
        ({"HTTPS_PROXY": "http://whygate:TOKEN@LISTEN"}, "200"),
        ({"HTTPS_PROXY": "http://LISTEN"}, "APIConnectionError 407 Proxy Authentication Required"),
        ({"OPENAI_BASE_URL": "http://LISTEN/~TOKEN/openai/v1"}, "200"),
        ({"OPENAI_BASE_URL": "http://LISTEN/openai/v1"}, "AuthenticationError proxy.unauthorized"),
    ],
)
async def test_the_official_sdk_takes_it_from_its_environment(
    locked: Locked, heads: list[bytes], env: dict[str, str], told: str
) -> None:
    gateway, upstream = locked

    async def models(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(head)
        body = b'{"object":"list","data":[]}'
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body
        )

    upstream._handlers[""] = models
    filled: dict[str, Any] = {
        name: value.replace("TOKEN", TOKEN).replace("LISTEN", gateway.runtime["listen"]) for name, value in env.items()
    }
    app = await asyncio.create_subprocess_exec(
        sys.executable, "-c", APP, stdout=asyncio.subprocess.PIPE,
        env=CLEAN | {"SSL_CERT_FILE": str(gateway.ca), "PATH": os.environ["PATH"]} | filled,
    )  # fmt: skip
    out, _ = await asyncio.wait_for(app.communicate(), 30)
    assert out.decode().strip() == told
