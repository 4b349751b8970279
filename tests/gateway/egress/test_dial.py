"""Through a company's proxy: tunnels for TLS, the whole URL for plain targets, and a cause for each way to fail.

The targets have names that only the proxy can find, as it is behind a real one.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
import trustme

from gateway.egress.classify import classify
from gateway.egress.network import Via, Ways
from gateway.egress.resolve import LoopError
from gateway.egress.timeline import Timeline
from gateway.model.call import Origin
from gateway.model.failure import NetCode, NetFailure, Phase
from tests.gateway.driver import until
from tests.gateway.egress.wire import OK, Connection, Script, Wire, a_request, client, forever, once, provider

TARGET = Origin("https", "provider.test", 443)
PLAIN = Origin("http", "provider.test", 80)
LOGIN = b"Basic dXNlcjpwYXNz"
AUTHORITY = trustme.CA()


@pytest.fixture
def ca_file(tmp_path: Path) -> str:
    AUTHORITY.cert_pem.write_to_path(tmp_path / "ca.pem")
    return str(tmp_path / "ca.pem")


def _tls(name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert(name).configure_cert(context)
    return context


def _through(port: int, established: bytes = b"HTTP/1.1 200 Connection established\r\n\r\n") -> Script:
    """Give a proxy that makes a tunnel to a port of this machine, whatever it is asked for."""

    async def script(connection: Connection) -> None:
        await connection.request()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await connection.say(established)

        async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            with suppress(ConnectionError):
                while data := await source.read(65_536):
                    sink.write(data)
                    await sink.drain()
                sink.write_eof() if sink.can_write_eof() else sink.close()

        try:
            await asyncio.gather(copy(connection.reader, writer), copy(reader, connection.writer))
        finally:
            writer.close()

    return script


def _ways(proxy: Wire, authorization: bytes | None = None) -> Ways:
    via = Via(proxy.origin.scheme, "localhost", proxy.origin.port, authorization)
    return Ways(https=via, http=via)


@pytest.fixture
async def target() -> AsyncIterator[Wire]:
    async with provider(forever(OK), _tls("provider.test")) as wire:
        yield wire


@pytest.mark.parametrize("authorization", [None, LOGIN])
@pytest.mark.parametrize("tls", [False, True], ids=["http proxy", "https proxy"])
async def test_a_call_takes_a_tunnel_and_the_next_one_takes_the_same(
    target: Wire, ca_file: str, authorization: bytes | None, *, tls: bool
) -> None:
    asked = b"CONNECT provider.test:443 HTTP/1.1\r\nhost: provider.test:443\r\nuser-agent: whygate\r\n"
    if authorization is not None:
        asked += b"proxy-authorization: " + authorization + b"\r\n"
    async with (
        provider(_through(target.origin.port), _tls("localhost") if tls else None, host="localhost") as proxy,
        client(ca_file, ways=_ways(proxy, authorization)) as upstream,
    ):
        for _ in range(2):
            incoming = await upstream.open(a_request(TARGET), Timeline())
            assert await incoming.all(100)
            incoming.abort()
    assert proxy.requests == [asked + b"\r\n"]
    assert len(target.requests) == 2
    assert all(request.startswith(b"GET /v1/x HTTP/1.1\r\n") for request in target.requests)
    assert b"roxy" not in b"".join(target.requests)


async def test_a_plain_target_is_asked_of_the_proxy_as_a_whole_url() -> None:
    async with (
        provider(forever(OK), host="localhost") as proxy,
        client(ways=_ways(proxy, LOGIN)) as upstream,
    ):
        for _ in range(2):
            incoming = await upstream.open(a_request(PLAIN), Timeline())
            await incoming.all(100)
            incoming.abort()
    head = b"GET http://provider.test/v1/x HTTP/1.1\r\nhost: provider.test\r\nproxy-authorization: " + LOGIN
    assert proxy.requests == [head + b"\r\n\r\n"] * 2
    assert len(proxy.connections) == 1


async def test_what_no_proxy_names_goes_straight(ca_file: str) -> None:
    async with provider(forever(OK), host="localhost") as proxy, provider(forever(OK)) as straight:
        ways = Ways(https=_ways(proxy).https, http=_ways(proxy).http)
        async with client(ca_file, ways=ways) as upstream:
            incoming = await upstream.open(a_request(straight.origin), Timeline())
            await incoming.all(100)
            incoming.abort()
    assert proxy.connections == []


async def test_a_stream_of_bytes_takes_a_tunnel_too_and_loses_nothing_that_came_early() -> None:
    async def greets_first(connection: Connection) -> None:
        await connection.say(b"220 hello\r\n")
        await connection.until_closed()

    async with (
        provider(greets_first) as far,
        provider(_through(far.origin.port), host="localhost") as proxy,
        client(ways=_ways(proxy)) as upstream,
    ):
        stream = await upstream.stream("provider.test", 25, Timeline())
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        stream.transport.set_protocol(protocol)
        protocol.connection_made(stream.transport)
        reader.feed_data(stream.early)
        assert await reader.readexactly(11) == b"220 hello\r\n"
        stream.transport.abort()


async def _fail(ways: Ways, ca_file: str | None = None, origin: Origin = TARGET) -> NetFailure:
    async with client(ca_file, ways=ways) as upstream:
        timeline = Timeline()
        with pytest.raises(Exception) as caught:  # noqa: PT011 - which one, is what `classify` tells
            await upstream.open(a_request(origin), timeline)
        return classify(caught.value, timeline.phase)


def _says(status: str, *lines: str, body: str = "") -> Script:
    head = "\r\n".join((f"HTTP/1.1 {status}", f"content-length: {len(body)}", *lines))
    return once(f"{head}\r\n\r\n{body}".encode())


ANSWERS = [
    ("407 Proxy Authentication Required", NetCode.PROXY_AUTH),
    ("403 Forbidden", NetCode.PROXY_DENIED),
    ("451 Unavailable For Legal Reasons", NetCode.PROXY_DENIED),
    ("400 Bad Request", NetCode.PROXY_MISCONFIGURED),
    ("405 Method Not Allowed", NetCode.PROXY_MISCONFIGURED),
    ("501 Not Implemented", NetCode.PROXY_MISCONFIGURED),
    ("502 Bad Gateway", NetCode.PROXY_UPSTREAM_ERROR),
    ("503 Service Unavailable", NetCode.PROXY_UPSTREAM_ERROR),
    ("504 Gateway Timeout", NetCode.PROXY_UPSTREAM_ERROR),
]


@pytest.mark.parametrize(("status", "code"), ANSWERS)
async def test_each_answer_of_the_proxy_has_its_cause(status: str, code: NetCode) -> None:
    async with provider(_says(status, body="<html>no</html>"), host="localhost") as proxy:
        failure = await _fail(_ways(proxy))
    assert (failure.code, failure.phase, failure.sent) == (code, Phase.CONNECT, False)
    assert failure.detail == f"the proxy http://localhost:{proxy.origin.port} answered {status[:3]}"


async def test_squids_own_word_for_the_error_is_in_the_detail() -> None:
    said = _says("503 Service Unavailable", "X-Squid-Error: ERR_DNS_FAIL 0")
    async with provider(said, host="localhost") as proxy:
        failure = await _fail(_ways(proxy))
    assert failure.detail.endswith("answered 503 (ERR_DNS_FAIL)")


async def test_a_plain_call_that_the_proxy_wants_a_login_for() -> None:
    async with provider(_says("407 Proxy Authentication Required"), host="localhost") as proxy:
        failure = await _fail(_ways(proxy), origin=PLAIN)
    assert (failure.code, failure.sent) == (NetCode.PROXY_AUTH, False)


async def test_a_proxy_that_is_not_there() -> None:
    async with provider(forever(OK), host="localhost") as proxy:
        ways = _ways(proxy)
    for origin in (TARGET, PLAIN):
        failure = await _fail(ways, origin=origin)
        assert (failure.code, failure.phase, failure.sent) == (NetCode.PROXY_UNREACHABLE, Phase.CONNECT, False)


async def test_a_proxy_whose_name_leads_nowhere() -> None:
    failure = await _fail(Ways(https=Via("http", "proxy.invalid", 3128)))
    assert failure.code is NetCode.PROXY_UNREACHABLE
    assert "not known" in failure.detail
    assert "object at" not in failure.detail


async def test_a_proxy_that_hangs_up_on_connect() -> None:
    async def hangs_up(connection: Connection) -> None:
        await connection.request()

    async with provider(hangs_up, host="localhost") as proxy:
        failure = await _fail(_ways(proxy))
    assert failure.code is NetCode.PROXY_UNREACHABLE
    assert "closed the connection without an answer" in failure.detail


async def test_something_else_at_the_proxys_address() -> None:
    async with provider(once(b"SSH-2.0-OpenSSH_9.2\r\n"), host="localhost") as proxy:
        failure = await _fail(_ways(proxy))
    assert failure.code is NetCode.PROXY_MISCONFIGURED


async def test_a_plain_proxy_that_is_named_as_https(ca_file: str) -> None:
    async def refuses(connection: Connection) -> None:
        await connection.reader.read(100)
        await connection.say(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")

    async with provider(refuses, host="localhost") as proxy:
        failure = await _fail(Ways(https=Via("https", "localhost", proxy.origin.port)), ca_file)
    assert failure.code is NetCode.PROXY_MISCONFIGURED


async def test_a_proxy_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent(connection: Connection) -> None:
        await connection.request()
        await connection.until_closed()

    monkeypatch.setattr("gateway.egress.tunnel.PROXY_ANSWER_SECONDS", 0.05)
    async with provider(silent, host="localhost") as proxy:
        failure = await _fail(_ways(proxy))
    assert failure.code is NetCode.PROXY_UPSTREAM_ERROR


async def test_a_certificate_behind_the_tunnel_is_checked(target: Wire) -> None:
    async with provider(_through(target.origin.port), host="localhost") as proxy:
        failure = await _fail(_ways(proxy))
    assert (failure.code, failure.phase) == (NetCode.TLS_UNTRUSTED_ISSUER, Phase.TLS)


async def test_we_are_never_our_own_proxy() -> None:
    async with (
        provider(forever(OK), host="localhost") as proxy,
        client(own=lambda _host, port: port == proxy.origin.port, ways=_ways(proxy)) as upstream,
    ):
        for origin in (TARGET, PLAIN):
            with pytest.raises(LoopError, match="is the gateway itself"):
                await upstream.open(a_request(origin), Timeline())
    assert proxy.connections == []


async def test_a_call_that_is_given_up_leaves_no_connection_to_the_proxy() -> None:
    async def silent(connection: Connection) -> None:
        await connection.request()
        await connection.until_closed()

    async with provider(silent, host="localhost") as proxy, client(ways=_ways(proxy)) as upstream:
        asking = asyncio.ensure_future(upstream.open(a_request(TARGET), Timeline()))
        await until(lambda: bool(proxy.requests))
        asking.cancel()
        with suppress(asyncio.CancelledError):
            await asking
        await asyncio.wait_for(proxy.connections[0].ended.wait(), 5)
