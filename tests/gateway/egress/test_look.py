"""Looking at what stood around a failure, on real sockets: it ends soon, it never raises, and it gives nothing away."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta

import pytest
import trustme

from gateway.egress import look
from gateway.egress.dial import Dialer
from gateway.egress.look import around
from gateway.egress.network import Via, Ways
from gateway.model.call import Origin
from gateway.model.failure import NetCode, NetFailure, Phase, Surroundings
from tests.gateway.egress.wire import Connection, Script, Wire, once, provider

PRODUCT = trustme.CA(organization_name="Zscaler Inc.", organization_unit_name="Zscaler Root CA")
PAGE = b"<html><title>Blocked</title><p>by policy</p></html>"
ANSWER = (
    b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/html\r\nServer: Zscaler\r\nContent-Length: %d\r\n\r\n" % len(PAGE)
    + PAGE
)
UNTRUSTED = NetFailure(phase=Phase.TLS, code=NetCode.TLS_UNTRUSTED_ISSUER, detail="unable to get issuer", sent=False)


def _tls(name: str = "127.0.0.1", authority: trustme.CA = PRODUCT) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name, organization_name="The host", organization_unit_name="x").configure_cert(context)
    return context


@asynccontextmanager
async def _dialer(ways: Ways | None = None) -> AsyncIterator[Dialer]:
    dialer = Dialer(ca_file=None, own_address=lambda _host, _port: False, ways=ways or Ways())
    try:
        yield dialer
    finally:
        await dialer.close()


async def _look(
    origin: Origin, *, failure: NetFailure = UNTRUSTED, probes: bool = True, ways: Ways | None = None
) -> Surroundings:
    async with _dialer(ways) as dialer:
        return await around(dialer, origin, failure, probes=probes)


async def _silent(connection: Connection) -> None:
    """Take everything and say nothing."""
    await connection.until_closed()


def _through(port: int) -> Script:
    async def script(connection: Connection) -> None:
        await connection.request()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await connection.say(b"HTTP/1.1 200 Connection established\r\n\r\n")

        async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            with suppress(ConnectionError):
                while data := await source.read(65_536):
                    sink.write(data)
                    await sink.drain()
                sink.close()

        try:
            await asyncio.gather(copy(connection.reader, writer), copy(reader, connection.writer))
        finally:
            writer.close()

    return script


def _ways(proxy: Wire) -> Ways:
    return Ways(https=Via("http", "localhost", proxy.origin.port, None))


# who signed, and what stands behind it


async def test_who_signed_a_certificate_that_nobody_trusts_is_named_with_the_page_behind_it() -> None:
    async with provider(once(ANSWER), _tls()) as wire:
        seen = await _look(wire.origin)
    assert "Zscaler Inc." in seen.issuer
    assert "The host" in seen.subject
    assert (seen.status, seen.text) == (403, PAGE.decode())
    assert (b"server", b"Zscaler") in seen.headers


async def test_the_question_carries_nothing_of_the_app() -> None:
    async with provider(once(ANSWER), _tls()) as wire:
        await _look(wire.origin)
    (asked,) = wire.requests
    assert asked.startswith(b"GET / HTTP/1.1\r\n")
    names = {line.partition(b":")[0].lower() for line in asked.split(b"\r\n")[1:] if line}
    assert names == {b"host", b"user-agent", b"accept", b"connection"}


async def test_a_page_without_end_is_read_to_its_bound() -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.say(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        with suppress(ConnectionError):
            while not connection.writer.is_closing():
                await connection.say(b"x" * 65_536)

    async with provider(script, _tls()) as wire:
        seen = await _look(wire.origin)
    assert (seen.status, len(seen.text)) == (200, look.PAGE_BYTES)


@pytest.mark.parametrize(
    "answer",
    [b"", b"this is no HTTP at all\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", b"\x00" * 100],
    ids=["nothing", "no HTTP", "a bad length", "zeros"],
)
async def test_what_cannot_be_read_changes_nothing_about_the_certificate(answer: bytes) -> None:
    async with provider(once(answer), _tls()) as wire:
        seen = await _look(wire.origin)
    assert "Zscaler Inc." in seen.issuer
    assert (seen.status, seen.text) == (0, "")


async def test_half_a_page_is_better_than_none() -> None:
    half = ANSWER.replace(b"Content-Length: ", b"Content-Length: 9")
    async with provider(once(half), _tls()) as wire:
        seen = await _look(wire.origin)
    assert (seen.status, seen.text) == (403, PAGE.decode())


async def test_a_reset_in_the_middle_of_the_page_is_no_error() -> None:
    async with provider(once(ANSWER.replace(b"Content-Length: ", b"Content-Length: 9"), reset=True), _tls()) as wire:
        seen = await _look(wire.origin)
    assert "Zscaler Inc." in seen.issuer
    assert seen.status in {0, 403}


async def test_the_certificates_dates_are_told_beside_the_clock() -> None:
    end = datetime.now(UTC) - timedelta(days=2)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    PRODUCT.issue_cert("127.0.0.1", not_before=end - timedelta(days=9), not_after=end).configure_cert(context)
    async with provider(once(b""), context) as wire:
        seen = await _look(wire.origin)
    assert seen.ends == f"{end:%Y-%m-%d %H:%M} UTC"
    assert seen.begins < seen.ends < seen.clock


# it ends soon, whatever happens


def test_it_takes_two_seconds_at_most() -> None:
    assert 0 < look.LOOK_SECONDS <= 2.0


@pytest.mark.parametrize("secured", [False, True], ids=["before TLS", "behind TLS"])
async def test_a_silent_server_is_left_soon_and_without_an_error(
    secured: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(look, "LOOK_SECONDS", 0.3)
    async with provider(_silent, _tls() if secured else None) as wire:
        origin = Origin("https", "127.0.0.1", wire.origin.port)
        began = time.monotonic()
        seen = await _look(origin)
        assert time.monotonic() - began < 5.0
    assert ("Zscaler Inc." in seen.issuer) is secured
    assert seen.status == 0
    assert caplog.records == []


async def test_a_server_that_drips_its_page_is_left_soon_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(look, "LOOK_SECONDS", 0.3)

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.say(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 100\r\n\r\n")
        with suppress(ConnectionError):
            while not connection.writer.is_closing():
                await connection.say(b"x")
                await asyncio.sleep(0.01)

    async with provider(script, _tls()) as wire:
        seen = await _look(wire.origin)
    assert "Zscaler Inc." in seen.issuer


async def test_a_host_that_is_gone_meanwhile_leaves_only_what_was_known() -> None:
    async with provider(once(b""), _tls()) as wire:
        origin = wire.origin
    known = Surroundings(subject="CN=known")
    failure = NetFailure(phase=Phase.TLS, code=NetCode.TLS_CERTIFICATE, detail="", sent=False, around=known)
    assert await _look(origin, failure=failure) == known


async def test_a_server_that_speaks_no_tls_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    async with provider(once(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as wire:
        seen = await _look(Origin("https", "127.0.0.1", wire.origin.port))
    assert (seen.issuer, seen.status) == ("", 0)
    assert caplog.records == []


async def test_nothing_is_left_open_behind_it() -> None:
    async with provider(_silent, _tls()) as wire:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(look, "LOOK_SECONDS", 0.2)
            await _look(wire.origin)
        (connection,) = wire.connections
        await asyncio.wait_for(connection.ended.wait(), 5)


# who asks nothing


@pytest.mark.parametrize(
    "code", [NetCode.CONNECTION_RESET, NetCode.DNS_FAILURE, NetCode.TLS_HANDSHAKE, NetCode.READ_TIMEOUT]
)
async def test_nobody_is_asked_about_anything_but_a_certificate(code: NetCode) -> None:
    async with provider(once(ANSWER), _tls()) as wire:
        failure = NetFailure(phase=Phase.CONNECT, code=code, detail="", sent=False)
        seen = await _look(wire.origin, failure=failure)
    assert wire.connections == []
    assert (seen.issuer, seen.status) == ("", 0)


async def test_nobody_is_asked_when_probes_are_off() -> None:
    async with provider(once(ANSWER), _tls()) as wire:
        seen = await _look(wire.origin, probes=False)
    assert wire.connections == []
    assert seen.issuer == ""


# through a proxy


async def test_it_looks_through_the_companys_proxy_and_names_it() -> None:
    target = Origin("https", "provider.test", 443)
    async with (
        provider(once(ANSWER), _tls("provider.test")) as wire,
        provider(_through(wire.origin.port), host="localhost") as proxy,
    ):
        seen = await _look(target, ways=_ways(proxy))
    assert seen.proxy == f"localhost:{proxy.origin.port}"
    assert seen.addresses == (), "behind a proxy, what the name resolves to here says nothing"
    assert "Zscaler Inc." in seen.issuer
    assert (seen.status, seen.text) == (403, PAGE.decode())
    assert proxy.requests[0].startswith(b"CONNECT provider.test:443 ")


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", id="refuses"),
        pytest.param(b"", id="closes"),
        pytest.param(
            b"no proxy at all\r\n\r\n",
            id="is none",
        ),
    ],
)
async def test_a_proxy_that_gives_no_tunnel_is_no_error(answer: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async with provider(once(answer), host="localhost") as proxy:
        seen = await _look(Origin("https", "provider.test", 443), ways=_ways(proxy))
    assert (seen.issuer, seen.status) == ("", 0)
    assert seen.proxy == f"localhost:{proxy.origin.port}"
    assert [record.exc_info for record in caplog.records] == []


async def test_what_a_name_led_to_is_told_where_the_way_is_direct() -> None:
    async with provider(once(ANSWER), _tls("localhost"), host="localhost") as wire, _dialer() as dialer:
        before = await around(dialer, wire.origin, UNTRUSTED, probes=True)
        assert before.addresses in {(), ("127.0.0.1",)}
        after = await around(dialer, wire.origin, UNTRUSTED, probes=False)
    assert "127.0.0.1" in after.addresses
    assert after.proxy == ""
