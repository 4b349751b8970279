"""What a client calls the host it wants: CONNECT, SNI, Host and :authority say the same, or nothing goes anywhere."""

import asyncio
import ssl
from collections.abc import Iterator
from typing import Any

import h2.config
import h2.connection
import h2.events
import pytest

from tests.e2e.world import Provider
from tests.running import GatewayProcess, config_for, plain, read_answer

OPENAI, ANTHROPIC, EVIL = "api.openai.com", "api.anthropic.com", "evil.example"
EDIT = '[listen]\nedit = ["openai/v1/edited*"]\n'
Pair = tuple[GatewayProcess, Provider]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    provider = Provider()
    gateway = GatewayProcess(tmp_path_factory.mktemp("names"), config_for(provider.port, EDIT))
    yield gateway, provider
    gateway.stop()
    provider.close()


async def tunnel(
    gateway: GatewayProcess, connect: str, sni: str, *alpn: str, header: str = ""
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a connection whose names may differ; the client does not look whose certificate it is given."""
    reader, writer = await plain(gateway)
    writer.write(f"CONNECT {connect}:443 HTTP/1.1\r\nHost: {header or connect}:443\r\n\r\n".encode())
    assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
    context = ssl.create_default_context(cafile=str(gateway.ca))
    context.check_hostname = False
    if alpn:
        context.set_alpn_protocols(list(alpn))
    await writer.start_tls(context, server_hostname=sni)
    return reader, writer


async def http1(pair: Pair, connect: str, sni: str, path: str, *lines: str) -> tuple[int, int]:
    """Ask; give the status, and how many calls the provider was asked."""
    gateway, provider = pair
    before = len(await asyncio.to_thread(provider.rows))
    reader, writer = await tunnel(gateway, connect, sni)
    writer.write("\r\n".join([f"GET {path} HTTP/1.1", *lines, "Authorization: Bearer sk-names", "", ""]).encode())
    head, _ = await read_answer(reader)
    return int(head.split(b" ")[1]), len(await asyncio.to_thread(provider.rows)) - before


async def http2(pair: Pair, connect: str, sni: str, authority: str, *more: tuple[str, str]) -> tuple[int, int]:
    """Do the same over HTTP/2."""
    gateway, provider = pair
    before = len(await asyncio.to_thread(provider.rows))
    reader, writer = await tunnel(gateway, connect, sni, "h2")
    client = h2.connection.H2Connection(
        h2.config.H2Configuration(header_encoding="utf-8", validate_outbound_headers=False)
    )
    client.initiate_connection()
    path = "/v1/models"
    asked = [(":method", "GET"), (":scheme", "https"), (":authority", authority), (":path", path)]
    asked += [("authorization", "Bearer sk-names"), *more]
    client.send_headers(1, asked, end_stream=True)
    writer.write(client.data_to_send())
    status = 0
    while not status:
        data = await asyncio.wait_for(reader.read(65_536), 10)
        for event in client.receive_data(data):
            if isinstance(event, h2.events.ResponseReceived):
                status = int(next(value for name, value in event.headers or () if name in {":status", b":status"}))
            elif isinstance(event, h2.events.StreamReset | h2.events.ConnectionTerminated):
                status = 400
        if not data:
            break
        writer.write(client.data_to_send())
    writer.transport.abort()
    return status, len(await asyncio.to_thread(provider.rows)) - before


MATRIX: list[Any] = [
    pytest.param(OPENAI, OPENAI, (f"Host: {OPENAI}",), 200, id="all agree"),
    pytest.param(OPENAI, OPENAI, (f"Host: {OPENAI.upper()}:443",), 200, id="large letters and the port"),
    pytest.param(OPENAI, OPENAI, (f"Host: {EVIL}",), 421, id="Host of a stranger"),
    pytest.param(OPENAI, OPENAI, (f"Host: {ANTHROPIC}",), 421, id="Host of another provider"),
    pytest.param(OPENAI, OPENAI, (f"Host: {OPENAI}.",), 421, id="Host with a dot"),
    pytest.param(OPENAI, OPENAI, (f"Host: {OPENAI}:8443",), 421, id="Host with another port"),
    pytest.param(OPENAI, OPENAI, (f"Host: {OPENAI}", f"Host: {EVIL}"), 400, id="two"),
    pytest.param(OPENAI, OPENAI, (), 400, id="no Host"),
    pytest.param(OPENAI, EVIL, (f"Host: {OPENAI}",), 421, id="SNI of a stranger"),
    pytest.param(OPENAI, ANTHROPIC, (f"Host: {OPENAI}",), 421, id="SNI of another provider"),
    pytest.param(OPENAI, ANTHROPIC, (f"Host: {ANTHROPIC}",), 421, id="SNI and Host against CONNECT"),
]


@pytest.mark.parametrize(("connect", "sni", "lines", "status"), MATRIX)
@pytest.mark.parametrize("path", ["/v1/models", "/v1/edited"], ids=["lane", "edited"])
async def test_http_1_names_agree(  # noqa: PLR0917 - a row of the matrix
    pair: Pair, path: str, connect: str, sni: str, lines: tuple[str, ...], status: int
) -> None:
    said, asked = await http1(pair, connect, sni, path, *lines)
    if status == 200:
        assert (said, asked) == (200 if path == "/v1/models" else 404, 1)
    else:
        assert (said, asked) == (status, 0)


@pytest.mark.parametrize(
    ("sni", "authority", "more", "status"),
    [
        pytest.param(OPENAI, OPENAI, (), 200, id="all agree"),
        pytest.param(OPENAI, f"{OPENAI}:443", (), 200, id="the port"),
        pytest.param(OPENAI, EVIL, (), 421, id=":authority of a stranger"),
        pytest.param(OPENAI, ANTHROPIC, (), 421, id=":authority of another provider"),
        pytest.param(OPENAI, OPENAI, (("host", EVIL),), 421, id="host beside :authority"),
        pytest.param(EVIL, OPENAI, (), 421, id="SNI of a stranger"),
        pytest.param(ANTHROPIC, ANTHROPIC, (), 421, id="both against CONNECT"),
    ],
)
async def test_http_2_names_agree(
    pair: Pair, sni: str, authority: str, more: tuple[tuple[str, str], ...], status: int
) -> None:
    said, asked = await http2(pair, OPENAI, sni, authority, *more)
    assert (said, asked) in ({(200, 1)} if status == 200 else {(421, 0), (400, 0)})


@pytest.mark.parametrize("path", ["/openai/v1/models", "/openai/v1/edited"], ids=["lane", "edited"])
@pytest.mark.parametrize(
    "line", [f"Host: {EVIL}", "Host: localhost\r\nOrigin: https://evil.example"], ids=["host", "page"]
)
async def test_a_base_url_names_this_machine_on_every_way(pair: Pair, path: str, line: str) -> None:
    """A name of theirs that leads here is how a web page would come in."""
    gateway, provider = pair
    before = len(await asyncio.to_thread(provider.rows))
    reader, writer = await plain(gateway)
    writer.write(f"GET {path} HTTP/1.1\r\n{line}\r\n\r\n".encode())
    head, body = await read_answer(reader)
    assert head.startswith(b"HTTP/1.1 403")
    assert b"proxy.destination_blocked" in head + body
    assert len(await asyncio.to_thread(provider.rows)) == before
