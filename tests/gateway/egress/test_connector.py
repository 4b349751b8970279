"""Several addresses of a host, one deadline for TCP and TLS, and a pool that gives no connection that has ended."""

import asyncio
import errno
import os
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme

from gateway.egress import connector
from gateway.egress.classify import classify
from gateway.egress.connector import KEEP_ALIVE_SECONDS, Pool
from gateway.egress.lookups import Found, LookUp
from gateway.egress.network import Via, Ways
from gateway.egress.send import AiohttpUpstream
from gateway.egress.timeline import Timeline
from gateway.model.call import Origin
from gateway.model.failure import NetCode, NetFailure, Phase
from tests.gateway.driver import until
from tests.gateway.egress.wire import OK, Connection, Wire, a_request, client, deaf_port, forever, provider

AUTHORITY = trustme.CA()


@pytest.fixture
def ca_file(tmp_path: Path) -> str:
    AUTHORITY.cert_pem.write_to_path(tmp_path / "ca.pem")
    return str(tmp_path / "ca.pem")


def _tls(name: str = "two.test") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert(name).configure_cert(context)
    return context


def _at(*addresses: str) -> LookUp:
    found = tuple(Found(socket.AF_INET6 if ":" in one else socket.AF_INET, one) for one in addresses)
    return lambda _question: found


async def _ask(upstream: AiohttpUpstream, origin: Origin, timeline: Timeline | None = None) -> bytes:
    incoming = await upstream.open(a_request(origin), timeline or Timeline())
    body = await incoming.all(100)
    incoming.abort()
    return body


@contextmanager
def _refusing(host: str, port: int) -> Iterator[int]:
    """An address of this machine where the port is held, and nobody listens."""
    with socket.socket() as held:
        held.bind((host, port))
        yield port


HAS_IPV6 = (
    Path("/proc/net/if_inet6").exists() and "00000000000000000000000000000001" in Path("/proc/net/if_inet6").read_text()
)


@pytest.mark.parametrize(
    "dead", ["127.0.0.2", pytest.param("::1", marks=pytest.mark.skipif(not HAS_IPV6, reason="no ::1"))]
)
@pytest.mark.parametrize("tls", [True, False], ids=["TLS", "plain"])
async def test_an_address_that_drops_every_syn_costs_a_third_of_a_second(dead: str, ca_file: str, *, tls: bool) -> None:
    async with provider(forever(OK), _tls() if tls else None, host="two.test") as wire:
        with deaf_port(dead, wire.origin.port):
            took = await _quickest(wire, ca_file, dead)
    assert 0.2 < took < 0.5


async def test_an_address_that_refuses_costs_nothing(ca_file: str) -> None:
    async with provider(forever(OK), _tls(), host="two.test") as wire:
        with _refusing("127.0.0.2", wire.origin.port):
            assert await _quickest(wire, ca_file, "127.0.0.2") < 0.2


async def _quickest(wire: Wire, ca_file: str, first: str) -> float:
    """Connect three times, the first address being ``first``; give the seconds of the one that nothing else held up."""
    times = []
    for _ in range(3):
        async with client(ca_file, look_up=_at(first, "127.0.0.1")) as upstream:
            upstream._dialer.context(None)  # reading the system's certificates is no part of it
            began, timeline = time.monotonic(), Timeline()
            assert await _ask(upstream, wire.origin, timeline) == b"ok"
            times.append(time.monotonic() - began)
            assert all(mark.ok for mark in timeline.marks(ok=True))
    return min(times)


async def test_phases_of_a_straight_connection_are_told_apart(ca_file: str) -> None:
    async with provider(forever(OK), _tls(), host="two.test") as wire:
        async with client(ca_file, look_up=_at("127.0.0.1")) as upstream:
            first, second, third = Timeline(), Timeline(), Timeline()
            await _ask(upstream, wire.origin, first)
            await _ask(upstream, wire.origin, second)
            upstream._dialer._connector._conns.clear()  # the name is known, the connection is not
            await _ask(upstream, wire.origin, third)
        for connection in wire.connections:
            connection.writer.transport.abort()
    sent = [Phase.SEND, Phase.FIRST_BYTE]
    phases = [
        [mark.phase for mark in timeline.marks(ok=True) if mark.phase is not Phase.POOL]
        for timeline in (first, second, third)
    ]
    assert phases == [[Phase.DNS, Phase.CONNECT, Phase.TLS, *sent], sent, [Phase.CONNECT, Phase.TLS, *sent]]


# one deadline


async def _silent(connection: Connection) -> None:
    await connection.until_closed()


async def _fail(origin: Origin, look_up: LookUp, ways: Ways | None = None) -> tuple[NetFailure, float]:
    async with client(ways=ways, look_up=look_up) as upstream:
        timeline, began = Timeline(), time.monotonic()
        with pytest.raises(Exception) as caught:  # noqa: PT011 - which one, is what `classify` tells
            await upstream.open(a_request(origin), timeline)
        return classify(caught.value, timeline.phase), time.monotonic() - began


async def test_a_server_that_never_speaks_tls_is_given_up_after_five_seconds() -> None:
    async with provider(_silent, host="two.test") as wire:
        failure, took = await _fail(Origin("https", "two.test", wire.origin.port), _at("127.0.0.1"))
    assert (failure.code, failure.phase, failure.sent) == (NetCode.TLS_HANDSHAKE, Phase.TLS, False)
    assert failure.detail == f"TLS with two.test:{wire.origin.port} was not ready within 5 s"
    assert 4.9 < took < 8


async def test_all_addresses_of_a_host_share_one_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connector, "CONNECT_SECONDS", 0.4)
    async with provider(_silent) as wire:
        with deaf_port("127.0.0.2", wire.origin.port), deaf_port("127.0.0.3", wire.origin.port):
            silent = Origin("https", "two.test", wire.origin.port)
            for addresses in (("127.0.0.2", "127.0.0.3"), ("127.0.0.1", "127.0.0.2", "127.0.0.3")):
                took = []
                for _ in range(3):
                    failure, seconds = await _fail(silent, _at(*addresses))
                    assert failure.code in {NetCode.CONNECT_TIMEOUT, NetCode.TLS_HANDSHAKE}
                    took.append(seconds)
                assert 0.35 < min(took) < 0.75  # one for each address would be 0.8 or 1.2


async def test_tls_behind_a_tunnel_has_what_the_way_to_the_proxy_has_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time that the proxy itself needs to answer is not counted."""
    monkeypatch.setattr(connector, "CONNECT_SECONDS", 0.6)

    async def tunnel(connection: Connection) -> None:
        await connection.request()
        await asyncio.sleep(0.7)
        await connection.say(b"HTTP/1.1 200 OK\r\n\r\n")
        await connection.until_closed()

    async with provider(tunnel) as proxy:
        with deaf_port("127.0.0.2", proxy.origin.port):
            ways = Ways(https=Via("http", "proxy.test", proxy.origin.port))
            took = []
            for _ in range(3):
                failure, seconds = await _fail(Origin("https", "far.test", 443), _at("127.0.0.2", "127.0.0.1"), ways)
                assert (failure.code, failure.phase, failure.sent) == (NetCode.TLS_HANDSHAKE, Phase.TLS, False)
                took.append(seconds)
    assert 1.25 < min(took) < 1.5  # 0.25 to the second address of the proxy, 0.7 for its answer, 0.35 for TLS


async def test_a_tunnel_that_is_closed_as_soon_as_it_stands_is_a_reset() -> None:
    async def tunnel(connection: Connection) -> None:
        await connection.request()
        await connection.say(b"HTTP/1.1 200 OK\r\n\r\n")

    async with provider(tunnel) as proxy:
        ways = Ways(https=Via("http", "proxy.test", proxy.origin.port))
        failure, took = await _fail(Origin("https", "far.test", 443), _at("127.0.0.1"), ways)
    assert (failure.code, failure.phase, failure.sent) == (NetCode.CONNECTION_RESET, Phase.TLS, False)
    assert took < 1


async def test_an_error_of_the_system_keeps_its_number() -> None:
    """ETIMEDOUT is Python's TimeoutError, too."""
    key = connector.Key(Origin("http", "x", 1), ssl.create_default_context(), None, "straight")
    with pytest.raises(TimeoutError) as caught:
        async with connector._Patience().bound(key, Timeline()):
            raise OSError(errno.ETIMEDOUT, "the kernel gave up")
    assert caught.value.errno == errno.ETIMEDOUT


# the pool


async def test_idle_connections_are_kept_a_little_less_than_the_shortest_of_those_who_close_them() -> None:
    """Amazon's load balancers close after 60 seconds."""
    assert 50 <= KEEP_ALIVE_SECONDS < 60
    async with client() as upstream:
        assert upstream._dialer._connector._keepalive_timeout == KEEP_ALIVE_SECONDS


async def test_the_pool_counts_what_is_busy_and_what_is_idle() -> None:
    async with provider(forever(OK)) as wire, client() as upstream:
        assert upstream.pool() == Pool(0, 0)
        first = await upstream.open(a_request(wire.origin), Timeline())
        second = await upstream.open(a_request(wire.origin), Timeline())
        assert upstream.pool() == Pool(2, 0)
        await first.all(100)
        assert upstream.pool() == Pool(1, 1)
        second.abort()
        assert upstream.pool() == Pool(0, 1)


async def _with_an_idle_connection(upstream: AiohttpUpstream, wire: Wire) -> Connection:
    assert await _ask(upstream, wire.origin) == b"ok"
    (connection,) = wire.connections
    return connection


@pytest.mark.parametrize(
    ("end", "tls"), [("FIN", True), ("FIN", False), ("words unasked", False)], ids=["TLS", "plain", "words"]
)
async def test_an_idle_connection_that_has_ended_is_not_used_even_before_the_loop_has_seen_it(
    ca_file: str, *, end: str, tls: bool
) -> None:
    async with (
        provider(forever(OK), _tls() if tls else None, host="two.test") as wire,
        client(ca_file, look_up=_at("127.0.0.1")) as upstream,
    ):
        connection = await _with_an_idle_connection(upstream, wire)
        await until(lambda: upstream._dialer.has_idle(wire.origin, None))
        with socket.socket(fileno=os.dup(connection.writer.get_extra_info("socket").fileno())) as raw:
            # Loopback delivers before this returns, and the loop does not run in between.
            raw.shutdown(socket.SHUT_WR) if end == "FIN" else raw.send(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
        assert upstream._dialer.has_idle(wire.origin, None) is False
        assert await _ask(upstream, wire.origin) == b"ok"
        assert len(wire.connections) == 2
        assert len(wire.requests) == 2, "no request was lost on the old one"


async def test_what_was_said_unasked_is_no_answer_to_the_next_call() -> None:
    async with provider(forever(OK)) as wire, client() as upstream:
        connection = await _with_an_idle_connection(upstream, wire)
        await connection.say(b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n")
        await until(lambda: not upstream._dialer.has_idle(wire.origin, None))
        assert await _ask(upstream, wire.origin) == b"ok"


async def test_a_connection_that_is_opened_ahead_is_the_one_that_the_next_call_takes(ca_file: str) -> None:
    async with (
        provider(forever(OK), _tls(), host="two.test") as wire,
        client(ca_file, look_up=_at("127.0.0.1")) as upstream,
    ):
        assert upstream._dialer.has_idle(wire.origin, None) is False
        await upstream._dialer.warm(wire.origin, None)
        await until(lambda: upstream._dialer.has_idle(wire.origin, None))
        assert upstream.pool() == Pool(0, 1)
        timeline = Timeline()
        assert await _ask(upstream, wire.origin, timeline) == b"ok"
        assert [mark.phase for mark in timeline.marks(ok=True)] == [Phase.SEND, Phase.FIRST_BYTE]
        assert len(wire.connections) == 1
