"""One connection, one handshake, one request: every way in which it ends is a value, and it ends in time."""

import asyncio
import socket
import ssl
import time
from base64 import b64encode
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from gateway.doctor.case import Case, Target
from gateway.doctor.lists import Lists
from gateway.doctor.wire import BODY_BYTES, Answer, fetch, open_straight, too_slow
from gateway.egress import lookups
from gateway.egress.lookups import Found, Question
from gateway.egress.network import parse_via
from gateway.model.failure import NetCode, Phase
from tests.gateway.egress.wire import OK, Connection, Script, Wire, deaf_port, once, provider

AUTHORITY = trustme.CA()
HOST = "provider.test"
SHORT = 0.3


@pytest.fixture
def ca_file(tmp_path: Path) -> str:
    AUTHORITY.cert_pem.write_to_path(tmp_path / "ca.pem")
    return str(tmp_path / "ca.pem")


def _tls(name: str = HOST, authority: trustme.CA = AUTHORITY, **how: Any) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name, **how).configure_cert(context)
    return context


def _case(wire: Wire | None = None, **more: Any) -> Case:
    places = {} if wire is None else {f"{HOST}:{port}": f"127.0.0.1:{wire.origin.port}" for port in (80, 443)}
    return Case(target=Target(host=HOST), lists=Lists(connect_to=places), **more)


async def _ask(
    script: Script, *, scheme: str = "http", tls: ssl.SSLContext | None = None, more: dict[str, Any] | None = None,
    **how: Any,
) -> Answer:  # fmt: skip
    async with provider(script, tls) as wire:
        return await fetch(_case(wire, **(more or {})), f"{scheme}://{HOST}/", **({"seconds": 2.0} | how))


def _said(answer: Answer) -> tuple[NetCode, Phase, bool] | None:
    failure = answer.failure
    return None if failure is None else (failure.code, failure.phase, failure.sent)


async def _silent(connection: Connection) -> None:
    await connection.until_closed()


async def _reset(connection: Connection) -> None:
    connection.reset()


async def _eof(_connection: Connection) -> None:
    """Close at once."""


async def _speaks_plainly(connection: Connection) -> None:
    await connection.say(OK)


def _says(answer: bytes) -> Script:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.say(answer)

    return script


# an answer


async def test_the_head_and_the_body_are_read_and_the_times_are_there(ca_file: str) -> None:
    answer = await _ask(once(OK), scheme="https", tls=_tls(), more={"ca_file": ca_file})
    assert (answer.status, answer.failure, answer.address) == (200, None, "127.0.0.1")
    assert answer.connect_ms > 0
    assert answer.tls_ms > 0
    assert answer.version.startswith("TLSv1")
    assert answer.served is not None
    assert answer.served.names == (HOST,)


async def test_the_request_names_the_host_and_holds_no_credential() -> None:
    async with provider(once(OK)) as wire:
        await fetch(_case(wire), f"http://{HOST}/v1/models?a=b")
    [head] = wire.requests
    assert head.startswith(b"GET /v1/models?a=b HTTP/1.1\r\n")
    lines = head.lower().split(b"\r\n")
    assert b"host: provider.test" in lines
    assert b"connection: close" in lines
    assert b"authorization" not in head.lower()


async def test_a_header_of_the_caller_stands_in_for_ours() -> None:
    async with provider(once(OK)) as wire:
        await fetch(_case(wire), f"http://{HOST}/", headers=[("connection", "Upgrade"), ("upgrade", "websocket")])
    assert wire.requests[0].lower().count(b"connection:") == 1
    assert b"connection: upgrade" in wire.requests[0].lower()


async def test_switching_protocols_is_an_answer() -> None:
    script = _says(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    headers = [("connection", "Upgrade"), ("upgrade", "websocket")]
    assert (await _ask(script, headers=headers)).status == 101


async def test_hints_ahead_of_the_answer_are_passed_over() -> None:
    answer = await _ask(_says(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK))
    assert answer.status == 200


async def test_no_redirect_is_followed() -> None:
    moved = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
    answer = await _ask(_says(moved))
    assert (answer.status, answer.header("location"), answer.failure) == (302, "http://127.0.0.1:1/", None)


async def test_no_more_of_a_body_is_read_than_its_start() -> None:
    async def endless(connection: Connection) -> None:
        await connection.request()
        await connection.say(b"HTTP/1.1 200 OK\r\n\r\n")
        with suppress(ConnectionError):
            while True:
                await connection.say(b"x" * 16_384)

    answer = await _ask(endless)
    assert (answer.status, len(answer.text), answer.failure) == (200, BODY_BYTES, None)


async def test_pieces_are_told_of_as_they_come() -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        await released.wait()
        await connection.say(b"3\r\ntwo\r\n0\r\n\r\n")

    pieces: list[bytes] = []
    released = asyncio.Event()

    def heard(piece: bytes) -> None:
        pieces.append(piece)
        released.set()

    answer = await _ask(script, on_bytes=heard)
    assert (pieces, answer.text) == ([b"one", b"two"], "onetwo")


async def test_a_letter_that_comes_in_two_halves_is_whole() -> None:
    answer = await _ask(
        _says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n\xc3\r\n1\r\n\xa9\r\n0\r\n\r\n")
    )
    assert answer.text == "\u00e9"


async def test_a_server_that_answers_before_it_has_read_all_is_heard() -> None:
    async def hasty(connection: Connection) -> None:
        await connection.reader.readuntil(b"\r\n\r\n")
        await connection.say(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await asyncio.sleep(0.05)
        connection.reset()

    answer = await _ask(hasty, method="POST", body=b"x" * 8_000_000)
    assert answer.status == 413


# every failure


async def test_a_name_that_is_none() -> None:
    answer = await fetch(_case(), "http://no-such-name.invalid/", seconds=2.0)
    assert _said(answer) == (NetCode.DNS_FAILURE, Phase.DNS, False)


async def test_a_resolver_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    async def find(_self: object, question: Question) -> tuple[Found, ...]:
        raise TimeoutError(f"the system's resolver has not answered for {question.host} within 2 s")

    monkeypatch.setattr(lookups.Lookups, "find", find)
    answer = await fetch(_case(), f"http://{HOST}/", seconds=2.0)
    assert _said(answer) == (NetCode.DNS_FAILURE, Phase.DNS, False)
    assert answer.failure is not None
    assert "has not answered" in answer.failure.detail


async def test_a_port_where_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        answer = await fetch(_case(), f"http://127.0.0.1:{free.getsockname()[1]}/")
    assert _said(answer) == (NetCode.CONNECTION_REFUSED, Phase.CONNECT, False)


async def test_a_port_that_drops_every_packet() -> None:
    with deaf_port() as port:
        answer = await fetch(_case(), f"http://127.0.0.1:{port}/", seconds=SHORT)
    assert _said(answer) == (NetCode.CONNECT_TIMEOUT, Phase.CONNECT, False)
    assert answer.failure is not None
    assert answer.failure.detail == f"127.0.0.1:{port} did not answer within 0.3 s"


FAILURES: dict[str, tuple[Script, str, NetCode, Phase, bool]] = {
    "reset at the hello": (_reset, "https", NetCode.CONNECTION_RESET, Phase.TLS, False),
    "end at the hello": (_eof, "https", NetCode.CONNECTION_RESET, Phase.TLS, False),
    "silence after the hello": (_silent, "https", NetCode.TLS_HANDSHAKE, Phase.TLS, False),
    "plain http where TLS belongs": (_speaks_plainly, "https", NetCode.TLS_REFUSED, Phase.TLS, False),
    "reset before the answer": (_reset, "http", NetCode.CONNECTION_RESET, Phase.FIRST_BYTE, True),
    "end before the answer": (_eof, "http", NetCode.CONNECTION_RESET, Phase.FIRST_BYTE, True),
    "silence": (_silent, "http", NetCode.READ_TIMEOUT, Phase.FIRST_BYTE, True),
    "no http": (_says(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), "http", NetCode.PROTOCOL_ERROR, Phase.FIRST_BYTE, True),
}


@pytest.mark.parametrize("name", FAILURES)
async def test_a_failure_is_a_value(name: str) -> None:
    script, scheme, code, phase, sent = FAILURES[name]

    async def read_then(connection: Connection) -> None:
        if scheme == "https" and script is not _silent:
            await connection.reader.read(10_000)
        if scheme == "http" and script in {_reset, _eof}:
            await connection.request()
        await script(connection)

    answer = await _ask(
        read_then if scheme == "https" or script in {_reset, _eof} else script, scheme=scheme, seconds=1.0
    )
    assert _said(answer) == (code, phase, sent)
    assert answer.status == 0
    assert answer.failure is not None
    assert len(answer.failure.detail) > 10


async def test_a_certificate_that_nobody_vouches_for() -> None:
    answer = await _ask(once(OK), scheme="https", tls=_tls())
    assert _said(answer) == (NetCode.TLS_UNTRUSTED_ISSUER, Phase.TLS, False)


async def test_a_certificate_for_another_name(ca_file: str) -> None:
    answer = await _ask(once(OK), scheme="https", tls=_tls("other.test"), ca_file=ca_file)
    assert _said(answer) == (NetCode.TLS_CERTIFICATE, Phase.TLS, False)


async def test_a_certificate_out_of_date(ca_file: str) -> None:
    ended = datetime.now(UTC) - timedelta(days=3)
    answer = await _ask(once(OK), scheme="https", tls=_tls(not_after=ended), ca_file=ca_file)
    assert _said(answer) == (NetCode.TLS_CERTIFICATE, Phase.TLS, False)


async def test_a_file_of_certificates_that_changes_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    for authority in (trustme.CA(), trustme.CA()):
        authority.cert_pem.write_to_path(file)
        answer = await _ask(once(OK), scheme="https", tls=_tls(authority=authority), ca_file=str(file))
        assert answer.failure is None


async def test_whoever_believes_anybody_reads_what_is_served() -> None:
    answer = await _ask(once(OK), scheme="https", tls=_tls("other.test"), believing=True)
    assert (answer.status, answer.failure) == (200, None)
    assert answer.served is not None
    assert answer.served.names == ("other.test",)


async def test_an_answer_that_breaks_off_keeps_what_came() -> None:
    answer = await _ask(_says(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 100\r\n\r\n<title>Blo"))
    assert (answer.status, answer.text) == (403, "<title>Blo")
    assert _said(answer) == (NetCode.TRUNCATED, Phase.BODY, True)


async def test_an_answer_that_does_not_end_keeps_what_came() -> None:
    async def stuck(connection: Connection) -> None:
        await connection.request()
        await connection.say(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        await connection.until_closed()

    answer = await _ask(stuck, seconds=SHORT)
    assert (answer.status, answer.text) == (200, "half")
    assert _said(answer) == (NetCode.READ_TIMEOUT, Phase.BODY, True)


async def test_nothing_takes_longer_than_it_may() -> None:
    began = time.monotonic()
    await asyncio.gather(
        _ask(_silent, seconds=SHORT),
        _ask(_silent, scheme="https", seconds=SHORT),
        _ask(_silent, more={"via": parse_via("http://127.0.0.1:9")}, straight=True, seconds=SHORT),
    )
    assert time.monotonic() - began < 3 * SHORT + 0.6


@pytest.mark.parametrize("name", FAILURES)
def test_a_failure_has_the_same_name_on_the_gateways_loop(name: str) -> None:
    loops = pytest.importorskip("uvloop")
    loops.run(test_a_failure_is_a_value(name))


# several addresses


def _found(*addresses: str) -> Callable[..., Awaitable[tuple[Found, ...]]]:
    async def find(_self: object, _question: Question) -> tuple[Found, ...]:
        return tuple(Found(socket.AF_INET6 if ":" in one else socket.AF_INET, one) for one in addresses)

    return find


async def test_an_address_that_is_dead_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async with provider(once(OK)) as wire:
        with deaf_port("127.0.0.2", wire.origin.port):
            monkeypatch.setattr(lookups.Lookups, "find", _found("127.0.0.2", "127.0.0.1"))
            answer = await fetch(_case(), f"http://{HOST}:{wire.origin.port}/", seconds=2.0)
    assert (answer.status, answer.address) == (200, "127.0.0.1")
    assert answer.connect_ms < 900


async def test_an_address_that_refuses_is_followed_by_the_next_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async with provider(once(OK)) as wire:
        monkeypatch.setattr(lookups.Lookups, "find", _found("127.0.0.9", "127.0.0.1"))
        with await open_straight(_case(), HOST, wire.origin.port) as connection:
            assert connection.address == "127.0.0.1"
            assert connection.took_ms < 200


async def test_a_name_without_an_address_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookups.Lookups, "find", _found())
    answer = await fetch(_case(), f"http://{HOST}/")
    assert answer.failure is not None
    assert "no address" in answer.failure.detail


# through a proxy


def _tunnel(to: int, answers: bytes = b"HTTP/1.1 200 OK\r\n\r\n") -> Script:
    async def script(connection: Connection) -> None:
        await connection.request()
        await _copies(connection, to, answers)

    return script


async def _copies(connection: Connection, to: int, answers: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", to)
    await connection.say(answers)

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


def _socks(to: int) -> Script:
    async def script(connection: Connection) -> None:
        await connection.reader.readexactly(4)
        await connection.say(b"\x05\x02")
        login = await connection.reader.readexactly(1 + 1 + 2 + 1 + 2)
        connection.wire.requests.append(login)
        await connection.say(b"\x01\x00")
        await connection.reader.readexactly(4 + 1 + len(HOST) + 2)
        await _copies(connection, to, b"\x05\x00\x00\x01\x7f\x00\x00\x01\x1f\x90")

    return script


async def test_a_proxy_gives_a_tunnel_and_is_told_who_asks(ca_file: str) -> None:
    async with provider(once(OK), _tls()) as target, provider(_tunnel(target.origin.port)) as proxy:
        via = parse_via(f"http://me:pw@127.0.0.1:{proxy.origin.port}")
        answer = await fetch(_case(via=via, ca_file=ca_file), f"https://{HOST}/", seconds=3.0)
    assert (answer.status, answer.address) == (200, "")
    assert b"CONNECT provider.test:443" in proxy.requests[0]
    assert b"Basic " + b64encode(b"me:pw") in proxy.requests[0]
    assert b"Basic" not in target.requests[0]


async def test_a_socks_proxy_gives_a_tunnel(ca_file: str) -> None:
    async with provider(once(OK), _tls()) as target, provider(_socks(target.origin.port)) as proxy:
        via = parse_via(f"socks5h://me:pw@127.0.0.1:{proxy.origin.port}")
        answer = await fetch(_case(via=via, ca_file=ca_file), f"https://{HOST}/", seconds=3.0)
    assert answer.status == 200
    assert proxy.requests == [b"\x01\x02me\x02pw"]


async def test_what_comes_with_the_tunnel_is_not_lost() -> None:
    async def hasty(connection: Connection) -> None:
        await connection.request()
        await connection.say(b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n")
        await connection.until_closed()

    async with provider(hasty) as proxy:
        via = parse_via(f"http://127.0.0.1:{proxy.origin.port}")
        answer = await fetch(_case(via=via), f"http://{HOST}/", seconds=2.0)
    assert answer.status == 204


async def test_past_the_proxy_nobody_asks_it() -> None:
    async with provider(once(OK)) as wire, provider(_silent) as proxy:
        case = replace(_case(wire), via=parse_via(f"http://127.0.0.1:{proxy.origin.port}"))
        assert (await fetch(case, f"http://{HOST}/", straight=True)).status == 200
        assert not proxy.connections


REFUSALS = {
    "login": (b"HTTP/1.1 407 Auth\r\nProxy-Authenticate: Negotiate\r\nContent-Length: 0\r\n\r\n", NetCode.PROXY_AUTH),
    "policy": (b"HTTP/1.1 403 No\r\nContent-Length: 3\r\n\r\nbad", NetCode.PROXY_DENIED),
    "behind it": (b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", NetCode.PROXY_UPSTREAM_ERROR),
    "no proxy": (b"HTTP/1.1 405 No\r\nContent-Length: 0\r\n\r\n", NetCode.PROXY_MISCONFIGURED),
}


@pytest.mark.parametrize("name", REFUSALS)
async def test_a_refusal_of_the_proxy_keeps_its_words(name: str) -> None:
    words, code = REFUSALS[name]
    async with provider(_says(words)) as proxy:
        via = parse_via(f"http://me:secret@127.0.0.1:{proxy.origin.port}")
        answer = await fetch(_case(via=via), f"https://{HOST}/", seconds=2.0)
    assert _said(answer) == (code, Phase.CONNECT, False)
    assert answer.failure is not None
    assert answer.failure.around.status == int(words[9:12])
    assert "secret" not in repr(answer)


async def test_a_proxy_that_says_nothing_is_given_up_in_time() -> None:
    async with provider(_silent) as proxy:
        via = parse_via(f"http://127.0.0.1:{proxy.origin.port}")
        answer = await fetch(_case(via=via), f"https://{HOST}/", seconds=SHORT)
    assert _said(answer) == (NetCode.PROXY_UPSTREAM_ERROR, Phase.CONNECT, False)
    assert answer.failure is not None
    assert "gave no tunnel to provider.test:443" in answer.failure.detail


def test_every_step_has_words_for_being_slow() -> None:
    phases = (Phase.CONNECT, Phase.TLS, Phase.SEND, Phase.FIRST_BYTE, Phase.BODY)
    assert all("a.test:443" in too_slow(phase, "a.test:443", 2.0).detail for phase in phases)


# nothing is left


def _descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="descriptors are counted where Linux lists them")
async def test_no_descriptor_is_left_whatever_comes(ca_file: str) -> None:
    async def count() -> int:
        await asyncio.sleep(0.05)
        return _descriptors()

    async with provider(once(OK)) as good, provider(_silent) as silent, provider(_reset) as reset:
        with deaf_port() as deaf:
            await fetch(_case(), f"http://127.0.0.1:{good.origin.port}/")
            before = await count() - len(silent.connections)
            for wire in (good, reset, silent):
                for scheme in ("http", "https"):
                    await fetch(_case(), f"{scheme}://127.0.0.1:{wire.origin.port}/", seconds=SHORT)
                via = parse_via(f"http://127.0.0.1:{wire.origin.port}")
                await fetch(_case(via=via), f"https://{HOST}/", seconds=SHORT)
            await fetch(_case(), f"http://127.0.0.1:{deaf}/", seconds=SHORT)
            for wire in (good, reset, silent):
                for connection in wire.connections:
                    connection.writer.transport.abort()
            assert await count() <= before
