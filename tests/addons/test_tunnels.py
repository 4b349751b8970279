"""What is no provider: tunnelled untouched, with a row, and a verdict when it fails."""

import asyncio
import contextlib
import json
import socket
import ssl

import psutil
import pytest
import trustme

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
    assert head.startswith(b"HTTP/1.1 508")
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


async def test_a_connection_serves_plain_requests_to_several_hosts_and_base_urls(wire: Wire) -> None:
    gateway, upstream = wire

    async def answer(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host = head.lower().split(b"host: ")[1].split(b"\r\n")[0]
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(host), host))

    target = upstream.on(answer)
    reader, writer = await plain(gateway)
    for host in (f"127.0.0.1:{upstream.port}", f"localhost:{upstream.port}", f"127.1:{upstream.port}"):
        # Whatever Host says, the URL counts (RFC 9112 section 3.2.2).
        writer.write(f"GET http://{host}{target} HTTP/1.1\r\nHost: elsewhere.example\r\n\r\n".encode())
        head, body = await read_answer(reader)
        assert (head[:15], body.decode()) == (b"HTTP/1.1 200 OK", host)
        assert b"x-whygate" not in head.lower()
    writer.write(b"GET /nobody/v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n")
    head, _ = await read_answer(reader)
    assert head.startswith(b"HTTP/1.1 404")


async def test_a_server_that_speaks_first_is_heard_and_each_side_may_end_its_half(wire: Wire) -> None:
    gateway, _ = wire

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hello\r\n")
        everything = await reader.read()
        writer.write(b"%d bytes" % len(everything))
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    head, _, reader, writer = await connect(gateway, f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
    assert b" 200 " in head
    assert await asyncio.wait_for(reader.readexactly(11), 5) == b"220 hello\r\n"
    writer.write(b"x" * 3_000_000)
    writer.write_eof()
    assert await asyncio.wait_for(reader.read(), 10) == b"3000000 bytes"
    assert (await row_of(gateway, writer))["cause"] is None
    server.close()
    await server.wait_closed()


async def test_what_comes_behind_the_head_of_connect_is_passed_on(wire: Wire) -> None:
    gateway, _ = wire

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(5))
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    reader, writer = await plain(gateway)
    target = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    writer.write(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\nearly".encode())
    assert (await asyncio.wait_for(reader.read(), 5)).endswith(b"\r\n\r\nearly")
    server.close()
    await server.wait_closed()


async def test_an_app_that_does_not_wait_for_its_tunnel_leaves_nothing_behind(wire: Wire) -> None:
    """The far side accepts nothing more, so that the tunnel is still being dialled when the app leaves."""
    gateway, _ = wire
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        target = f"127.0.0.1:{full.getsockname()[1]}"
        fillers = [socket.socket() for _ in range(3)]
        for filler in fillers:
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                filler.connect(full.getsockname())
        process = psutil.Process(gateway.process.pid)
        before = process.num_fds()
        _, writer = await plain(gateway)
        writer.write(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
        await writer.drain()
        await asyncio.to_thread(gateway.until, lambda: process.num_fds() > before)
        writer.close()
        assert (await row_of(gateway, writer))["cause"] == "client.disconnected"
        await asyncio.to_thread(gateway.until, lambda: process.num_fds() <= before)
        for filler in fillers:
            filler.close()
