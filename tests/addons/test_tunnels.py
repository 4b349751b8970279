"""What is no provider: tunnelled untouched, with a row, and a verdict when it fails."""

import asyncio
import contextlib
import json
import socket
import ssl

import psutil
import pytest
import trustme

from addons.tunnels import classify
from gateway.model.failure import NetCode
from tests.running import OPENED, GatewayProcess, RawUpstream, plain, read_answer

Wire = tuple[GatewayProcess, RawUpstream]


async def connect(
    gateway: GatewayProcess, target: str
) -> tuple[bytes, bytes, asyncio.StreamReader, asyncio.StreamWriter]:
    """Send a CONNECT; give the answer's head and body."""
    reader, writer = await plain(gateway)
    writer.write(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 15)
    length = (
        int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]) if b"content-length" in head.lower() else 0
    )
    return head, await reader.readexactly(length), reader, writer


async def row_of(gateway: GatewayProcess, writer: asyncio.StreamWriter) -> dict[str, object]:
    client = "{}:{}".format(*writer.get_extra_info("sockname")[:2])
    return await asyncio.to_thread(
        gateway.until, lambda: next((r for r in gateway.flows(kind="tunnel") if r["client"] == client), None)
    )


async def test_a_tunnel_shows_the_far_side_s_own_certificate(wire: Wire) -> None:
    gateway, _ = wire
    authority = trustme.CA()
    server_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(server_side)

    async def hello(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(5))
        with contextlib.suppress(ConnectionError):
            await writer.drain()
            await reader.read()
        writer.close()

    server = await asyncio.start_server(hello, "127.0.0.1", 0, ssl=server_side)
    head, _, reader, writer = await connect(gateway, f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
    assert b" 200 " in head
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    await writer.start_tls(trusting, server_hostname="127.0.0.1")
    writer.write(b"hello")
    assert await asyncio.wait_for(reader.readexactly(5), 5) == b"hello"
    plain_writer = OPENED[-1]
    row_key = plain_writer.get_extra_info("sockname")[:2]
    writer.close()
    row = await asyncio.to_thread(
        gateway.until,
        lambda: next((r for r in gateway.flows(kind="tunnel") if r["client"] == "{}:{}".format(*row_key)), None),
    )
    assert (row["status"], row["cause"]) == (200, None)
    server.close()
    await server.wait_closed()


async def test_a_refused_tunnel_says_so_in_its_answer_and_its_row(wire: Wire) -> None:
    gateway, _ = wire
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        head, body, _, writer = await connect(gateway, f"127.0.0.1:{closed.getsockname()[1]}")
    assert head.startswith(b"HTTP/1.1 502")
    error = json.loads(body)["error"]
    assert error["code"] == "network.tcp_refused"
    assert "127.0.0.1" in error["message"]
    row = await row_of(gateway, writer)
    assert (row["cause"], row["fault"]) == ("network.tcp_refused", "network")


async def test_a_name_that_does_not_exist_is_a_dns_failure(wire: Wire) -> None:
    gateway, _ = wire
    head, body, _, writer = await connect(gateway, "no-such-host.invalid:443")
    assert head.startswith(b"HTTP/1.1 502")
    assert json.loads(body)["error"]["code"] == "network.dns_failure"
    assert (await row_of(gateway, writer))["cause"] == "network.dns_failure"


async def test_a_far_side_that_closes_without_a_byte_is_a_finding(wire: Wire) -> None:
    gateway, _ = wire

    async def close_at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.close()

    server = await asyncio.start_server(close_at_once, "127.0.0.1", 0)
    head, _, reader, writer = await connect(gateway, f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
    assert b" 200 " in head
    writer.write(b"\x16\x03\x01 a hello")
    assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.write_eof()
    assert (await row_of(gateway, writer))["cause"] == "network.connection_reset"
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "0.0.0.0", "127.1", "[::ffff:127.0.0.1]", "2130706433"])
@pytest.mark.parametrize("listener", ["listen", "page"])
async def test_the_gateway_is_not_reachable_through_itself(wire: Wire, name: str, listener: str) -> None:
    gateway, _ = wire
    process = psutil.Process(gateway.process.pid)
    before = process.num_fds()
    port = gateway.runtime[listener].rpartition(":")[2]
    head, body, _, _ = await connect(gateway, f"{name}:{port}")
    assert head.startswith(b"HTTP/1.1 508")
    assert json.loads(body)["error"]["code"] == "proxy.loop_detected"
    assert process.num_fds() < before + 20


@pytest.mark.parametrize("name", ["127.0.0.1", "0.0.0.0", "127.1"])
async def test_a_plain_request_to_the_gateway_itself_is_refused(wire: Wire, name: str) -> None:
    gateway, _ = wire
    reader, writer = await plain(gateway)
    port = gateway.runtime["page"].rpartition(":")[2]
    writer.write(f"GET http://{name}:{port}/readyz HTTP/1.1\r\nHost: {name}:{port}\r\n\r\n".encode())
    head, _ = await read_answer(reader)
    assert head.startswith(b"HTTP/1.1 502")
    assert (await row_of(gateway, writer))["cause"] == "proxy.loop_detected"


async def test_a_plain_request_to_another_host_is_streamed_through(wire: Wire) -> None:
    gateway, upstream = wire

    async def answer(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nyes")

    target = upstream.on(answer)
    reader, writer = await plain(gateway)
    address = f"127.0.0.1:{upstream.port}"
    writer.write(f"GET http://{address}{target} HTTP/1.1\r\nHost: {address}\r\n\r\n".encode())
    head, body = await read_answer(reader)
    assert (head[:15], body) == (b"HTTP/1.1 200 OK", b"yes")
    assert (await row_of(gateway, writer))["status"] == 200


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("[Errno 111] Connect call failed ('127.0.0.1', 1)", NetCode.CONNECTION_REFUSED),
        ("[Errno 101] Network is unreachable", NetCode.NETWORK_UNREACHABLE),
        ("[Errno -2] Name or service not known", NetCode.DNS_FAILURE),
        ("[Errno -3] Temporary failure in name resolution", NetCode.DNS_FAILURE),
        ("[Errno 110] Connection timed out", NetCode.CONNECT_TIMEOUT),
        ("[Errno 24] Too many open files", NetCode.OUT_OF_DESCRIPTORS),
        ("something that nobody has seen", NetCode.UNKNOWN),
    ],
)
def test_the_number_of_the_error_names_the_failure(words: str, code: NetCode) -> None:
    assert classify(words) is code
