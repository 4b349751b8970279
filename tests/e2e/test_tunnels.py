"""What is for no provider passes untouched, and our own listeners cannot be reached through us."""

import asyncio
import json
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import psutil
import pytest
import trustme

from tests.e2e.world import Row, World
from tests.running import GatewayProcess, plain


class Elsewhere:
    """A TLS server of somebody else, with an authority of its own."""

    def __init__(self) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = b"elsewhere"
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        authority = trustme.CA()
        serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(serving)
        self.trusting = ssl.create_default_context()
        authority.configure_trust(self.trusting)
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.socket = serving.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Elsewhere]:
    made = Elsewhere()
    yield made
    made.server.shutdown()
    made.server.server_close()


async def connect(
    world: World, target: str
) -> tuple[bytes, dict[str, Any], asyncio.StreamReader, asyncio.StreamWriter]:
    """Ask for a tunnel; give head and, of a refusal, the body."""
    reader, writer = await plain(world.gateway)
    writer.write(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 15)
    body: dict[str, Any] = {}
    if b" 200 " not in head.split(b"\r\n")[0]:
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        body = json.loads(await asyncio.wait_for(reader.readexactly(length), 5))
    return head, body, reader, writer


async def row_for(world: World, writer: asyncio.StreamWriter) -> Row:
    """Wait for the row of a connection."""
    name = "{}:{}".format(*writer.get_extra_info("sockname")[:2])

    def look() -> Row | None:
        return next((row for row in world.gateway.flows(kind="tunnel") if row["client"] == name), None)

    return await asyncio.to_thread(GatewayProcess.until, look)


async def test_a_tunnel_leads_to_the_other_sides_own_certificate(world: World, elsewhere: Elsewhere) -> None:
    """A client that trusts only that authority would refuse a certificate of ours."""
    _, _, reader, writer = await connect(world, f"localhost:{elsewhere.port}")
    await writer.start_tls(elsewhere.trusting, server_hostname="localhost")
    certificate = writer.get_extra_info("peercert")
    assert "trustme" in str(certificate["issuer"])
    writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert (await asyncio.wait_for(reader.read(), 5)).endswith(b"elsewhere")
    writer.close()
    row = await row_for(world, writer)
    assert (row["kind"], row["method"], row["host"]) == ("tunnel", "CONNECT", f"localhost:{elsewhere.port}")
    assert (row["status"], row["cause"]) == (200, None)


async def test_a_tunnel_to_a_closed_port_is_refused_with_the_verdict(world: World) -> None:
    import socket

    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        head, body, _, writer = await connect(world, f"127.0.0.1:{closed.getsockname()[1]}")
    assert head.startswith(b"HTTP/1.1 502")
    assert body["error"]["code"] == "network.tcp_refused"
    assert "127.0.0.1" in body["error"]["message"]
    row = await row_for(world, writer)
    assert (row["kind"], row["status"], row["cause"]) == ("tunnel", 502, "network.tcp_refused")


async def test_a_tunnel_to_a_name_that_does_not_exist_is_refused_with_the_verdict(world: World) -> None:
    head, body, _, writer = await connect(world, "nowhere.invalid:443")
    assert head.startswith(b"HTTP/1.1 502")
    assert body["error"]["code"] == "network.dns_failure"
    assert "nowhere.invalid" in body["error"]["message"]
    assert (await row_for(world, writer))["cause"] == "network.dns_failure"


OURS = ["127.0.0.1", "localhost", "0.0.0.0", "[::ffff:127.0.0.1]", "127.1", "127.0.0.2", "[::1]", "2130706433"]


@pytest.mark.parametrize("listener", ["listen", "page"])
@pytest.mark.parametrize("name", OURS)
async def test_our_own_listeners_cannot_be_reached_through_us(world: World, name: str, listener: str) -> None:
    port = world.gateway.runtime[listener].rpartition(":")[2]
    process = psutil.Process(world.gateway.process.pid)
    before = process.num_fds()
    writers = []
    for _ in range(5):
        head, body, _, writer = await connect(world, f"{name}:{port}")
        assert body["error"]["code"] == "proxy.loop_detected"
        assert head.startswith(b"HTTP/1.1 508")
        writers.append(writer)
    row = await row_for(world, writers[0])
    assert row["cause"] == "proxy.loop_detected"
    for writer in writers:
        writer.transport.abort()
    await asyncio.to_thread(GatewayProcess.until, lambda: process.num_fds() <= before + 2)


@pytest.mark.parametrize("listener", ["listen", "page"])
async def test_our_own_listeners_cannot_be_reached_by_plain_http_either(world: World, listener: str) -> None:
    address = world.gateway.runtime[listener]
    reader, writer = await plain(world.gateway)
    writer.write(f"GET http://{address}/readyz HTTP/1.1\r\nHost: {address}\r\n\r\n".encode())
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
    assert head.split(b" ")[1] in {b"502", b"508"}
    assert (await row_for(world, writer))["cause"] == "proxy.loop_detected"
