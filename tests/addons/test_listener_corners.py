"""Corners of HTTP on the wire that are rare in an app's life and still happen to it."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterator

import pytest

from tests.running import OPENED, GatewayProcess, RawUpstream, config_for, lane, plain, read_answer

Wire = tuple[GatewayProcess, RawUpstream]
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def post(path: str, body: bytes = b"{}", host: str = "localhost", *headers: bytes) -> bytes:
    lines = [
        b"POST %b HTTP/1.1" % path.encode(),
        b"Host: %b" % host.encode(),
        b"Content-Length: %d" % len(body),
        *headers,
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def answer_ok(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
    await reader.readexactly(int(length or 0))
    writer.write(OK)


class Seen:
    """A handler that keeps the heads of what it answers."""

    def __init__(self) -> None:
        self.heads: list[bytes] = []

    async def __call__(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heads.append(head)
        await answer_ok(head, reader, writer)


# Interim answers and trailers


async def test_interim_answers_of_the_provider_are_read_over(wire: Wire) -> None:
    """Clients have to ignore them; early hints are of no use to an app that asks an API."""
    gateway, upstream = wire

    async def hints(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for interim in (b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n", b"HTTP/1.1 102 Processing\r\n\r\n"):
            writer.write(interim)
            await writer.drain()
        await answer_ok(head, reader, writer)

    target = upstream.on(hints)
    reader, writer = await lane(gateway)
    for _ in range(2):
        writer.write(post(target, host="api.openai.com"))
        head, body = await read_answer(reader)
        assert head.startswith(b"HTTP/1.1 200")
        assert b"link:" not in head
        assert body == b"{}"


async def test_trailers_are_dropped_on_both_ways_and_the_connection_stays_usable(wire: Wire) -> None:
    """As headers they could name another host than the head that was checked."""
    gateway, upstream = wire
    got: list[bytes] = []

    async def trailing(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append(head + await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])))
        writer.write(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-checksum\r\n\r\n"
            + chunk(b"one") + b"0\r\nx-checksum: 1\r\n\r\n"
        )  # fmt: skip

    target = upstream.on(trailing)
    reader, writer = await lane(gateway)
    head = f"POST {target} HTTP/1.1\r\nHost: api.openai.com\r\nTransfer-Encoding: chunked\r\nTrailer: X-Mine\r\n\r\n".encode()
    for _ in range(2):
        writer.write(head + chunk(b"abc") + b"0\r\nX-Mine: 1\r\nHost: evil.test\r\n\r\n")
        answer, body = await read_answer(reader)
        assert body == b"one"
        assert b"trailer" not in answer
        assert b"x-checksum" not in answer
    assert [one.endswith(b"\r\n\r\nabc") for one in got] == [True, True], got
    assert not any(name in b"".join(got).lower() for name in (b"x-mine", b"evil"))


# Half a close, and a whole one


@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "streamed"])
async def test_a_client_that_has_ended_its_own_side_gets_the_whole_answer(wire: Wire, streamed: bool) -> None:
    gateway, upstream = wire
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()

    async def late(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(2)
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(ended.wait(), loop))
        writer.write(STREAM + chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n" if streamed else OK)

    target = "/openai" + upstream.on(late)
    reader, writer = await plain(gateway)
    writer.write(post(target))
    writer.write_eof()
    # With this the gateway finds out whether there is still a client.
    assert await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5) == b"HTTP/1.1 100 Continue\r\n\r\n"
    ended.set()
    rest = await asyncio.wait_for(reader.read(), 5)
    assert rest.startswith(b"HTTP/1.1 200")
    assert rest.endswith(chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n" if streamed else b"\r\n\r\n{}")
    row = await row_of(gateway, writer)
    assert (row["status"], row["cause"]) == (200, None)


async def row_of(gateway: GatewayProcess, writer: asyncio.StreamWriter) -> dict[str, object]:
    client = "{}:{}".format(*writer.get_extra_info("sockname")[:2])
    return await asyncio.to_thread(
        gateway.until,
        lambda: next((r for r in gateway.flows() if r["client"] == client and r["state"] == "done"), None),
    )


@pytest.mark.parametrize("how", ["close", "abort"])
@pytest.mark.parametrize("when", ["before the head", "in the stream"])
async def test_a_client_of_a_base_url_that_closes_ends_the_upstream_call_at_once(
    wire: Wire, when: str, how: str
) -> None:
    gateway, upstream = wire
    loop = asyncio.get_running_loop()
    asked, closed = asyncio.Event(), asyncio.Event()

    async def watch(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(2)
        if when == "in the stream":
            writer.write(STREAM + chunk(b"data: one\n\n"))
            await writer.drain()
        loop.call_soon_threadsafe(asked.set)
        with contextlib.suppress(ConnectionError):
            while when == "in the stream" and not reader.at_eof():
                writer.write(chunk(b": still here\n\n"))
                await writer.drain()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(reader.read(1), 0.05)
            await reader.read(1)
        loop.call_soon_threadsafe(closed.set)
        writer.close()

    target = "/openai" + upstream.on(watch)
    reader, writer = await plain(gateway)
    writer.write(post(target))
    await asyncio.wait_for(asked.wait(), 5)
    if when == "in the stream":
        await reader.readuntil(b"one")
    began = loop.time()
    writer.close() if how == "close" else writer.transport.abort()
    await asyncio.wait_for(closed.wait(), 5)
    print(f"\n{when}, {how}: {(loop.time() - began) * 1000:.0f} ms")
    assert loop.time() - began < 0.5
    assert (await row_of(gateway, writer))["cause"] == "client.disconnected"


# Whole URLs


WHOLE = {
    "https": "https://api.openai.com{}",
    "https with its port": "https://api.openai.com:443{}",
    "http": "http://api.openai.com{}",
    "upper case": "HTTPS://API.OpenAI.com{}",
}


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("host", ["api.openai.com", "something.else"])
async def test_a_whole_url_in_plain_reaches_the_provider_that_it_names(wire: Wire, name: str, host: str) -> None:
    """Old HTTP clients (axios before 1.7) ask a proxy so even for https; Host does not count beside it."""
    gateway, upstream = wire
    seen = Seen()
    target = upstream.on(seen)
    reader, writer = await plain(gateway)
    writer.write(post(WHOLE[name].format(target), host=host))
    head, body = await read_answer(reader)
    assert (head.split(b" ", 2)[1], body) == (b"200", b"{}")
    assert b"x-whygate-flow-id: " in head
    assert seen.heads[0].startswith(b"POST " + target.encode() + b" HTTP/1.1\r\n")
    assert b"\r\nhost: 127.0.0.1:%d\r\n" % upstream.port in seen.heads[0]
    row = await row_of(gateway, writer)
    assert (row["kind"], row["provider"], row["status"]) == ("api", "openai", 200)


async def test_one_connection_may_ask_for_one_host_after_the_other(wire: Wire) -> None:
    gateway, upstream = wire
    seen = Seen()
    target = upstream.on(seen)
    authority = f"127.0.0.1:{upstream.port}"
    reader, writer = await plain(gateway)
    for url, host, ours in (
        (f"https://api.openai.com{target}", "api.openai.com", True),
        (f"http://{authority}{target}", authority, False),
        (f"https://api.anthropic.com{target}", "api.anthropic.com", True),
        (f"/openai{target}", "localhost", True),
        (f"http://{authority}{target}", authority, False),
    ):
        writer.write(post(url, host=host))
        head, body = await read_answer(reader)
        assert body == b"{}"
        assert (b"x-whygate-flow-id" in head) == ours
    assert len(seen.heads) == 5
    assert all(b"\r\nhost: %b\r\n" % authority.encode() in head.lower() for head in seen.heads)


async def test_a_whole_url_inside_the_connection_to_its_host_is_understood(wire: Wire) -> None:
    gateway, upstream = wire
    seen = Seen()
    target = upstream.on(seen)
    reader, writer = await lane(gateway)
    writer.write(post(f"https://api.openai.com{target}", host="api.openai.com"))
    assert (await read_answer(reader))[1] == b"{}"
    assert seen.heads[0].startswith(b"POST " + target.encode())


async def test_the_answer_of_another_host_is_passed_on_as_it_is(wire: Wire) -> None:
    gateway, upstream = wire

    async def missing(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 404 Not Found\r\nx-a: b\r\ncontent-type: text/plain\r\ncontent-length: 4\r\n\r\nnone")

    authority = f"127.0.0.1:{upstream.port}"
    reader, writer = await plain(gateway)
    writer.write(f"GET http://{authority}{upstream.on(missing)} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode())
    head, body = await read_answer(reader)
    assert (head.split(b"\r\n")[0], body) == (b"HTTP/1.1 404 Not Found", b"none")
    assert b"x-whygate" not in head
    row = await row_of(gateway, writer)
    assert (row["kind"], row["status"], row["cause"], row["provider"]) == ("tunnel", 404, None, "")


# Addresses of the newer kind, and ports of one's own


@pytest.fixture(scope="module")
def six(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    """A gateway that listens at [::1], and knows a provider at a port of its own."""
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            pytest.skip("this machine has no IPv6 loopback")
    upstream = RawUpstream()
    extra = f'[[providers]]\nname = "mine"\nhosts = ["llm.test:8443"]\nupstream = "http://127.0.0.1:{upstream.port}"\n'
    gateway = GatewayProcess(tmp_path_factory.mktemp("six"), config_for(upstream.port, extra), "--listen", "[::1]:0")
    yield gateway, upstream
    gateway.stop()
    upstream.close()


async def open_six(gateway: GatewayProcess) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("::1", gateway.port)
    OPENED.append(writer)
    return reader, writer


async def test_a_base_url_may_be_an_ipv6_address(six: Wire) -> None:
    gateway, upstream = six
    assert gateway.runtime["listen"] == f"[::1]:{gateway.port}"
    reader, writer = await open_six(gateway)
    writer.write(post("/openai" + upstream.on(answer_ok), host=f"[::1]:{gateway.port}"))
    head, body = await read_answer(reader)
    assert (head.split(b" ", 2)[1], body) == (b"200", b"{}")


async def test_a_tunnel_and_a_whole_url_may_lead_to_an_ipv6_address(six: Wire) -> None:
    gateway, _ = six

    async def hello(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b" % (len(head), head))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(hello, "::1", 0)
    authority = f"[::1]:{server.sockets[0].getsockname()[1]}"
    async with server:
        reader, writer = await open_six(gateway)
        writer.write(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode())
        assert b" 200 " in await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await read_answer(reader))[1] == b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
        reader, writer = await open_six(gateway)
        writer.write(f"GET http://{authority}/a?b HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode())
        head, body = await read_answer(reader)
        assert body.startswith(b"GET /a?b HTTP/1.1\r\nhost: " + authority.encode()), head
        row = await asyncio.to_thread(
            gateway.until, lambda: next((r for r in gateway.flows() if r["path"].startswith("/a")), None)
        )
    assert (row["host"], row["status"], row["cause"]) == (authority, 200, None)


@pytest.mark.parametrize("listener", ["listen", "page"])
async def test_a_gateway_at_an_ipv6_address_cannot_be_reached_through_itself(six: Wire, listener: str) -> None:
    gateway, _ = six
    port = gateway.runtime[listener].rpartition(":")[2]
    for host in ("[::1]", "localhost", "[0:0:0:0:0:0:0:1]", "[::]"):
        reader, writer = await open_six(gateway)
        writer.write(f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
        head, body = await read_answer(reader)
        assert head.startswith(b"HTTP/1.1 508"), host
        assert b"proxy.loop_detected" in body


async def test_a_provider_with_a_port_of_its_own_is_decrypted_at_that_port_alone(six: Wire) -> None:
    gateway, upstream = six
    target = upstream.on(answer_ok)
    reader, writer = await open_six(gateway)
    writer.write(b"CONNECT llm.test:8443 HTTP/1.1\r\nHost: llm.test:8443\r\n\r\n")
    assert b" 200 " in await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    await writer.start_tls(ssl.create_default_context(cafile=str(gateway.ca)), server_hostname="llm.test")
    writer.write(post(target, host="llm.test:8443"))
    head, body = await read_answer(reader)
    assert (head.split(b" ", 2)[1], body) == (b"200", b"{}")
    assert b"x-whygate-flow-id: " in head
    reader, writer = await open_six(gateway)
    writer.write(post(f"https://llm.test:8443{target}", host="llm.test:8443"))
    assert (await read_answer(reader))[1] == b"{}"
    reader, writer = await open_six(gateway)
    writer.write(b"CONNECT llm.test:443 HTTP/1.1\r\nHost: llm.test\r\n\r\n")
    head, body = await read_answer(reader)
    assert head.startswith(b"HTTP/1.1 502")
    assert b"network.dns_failure" in body
