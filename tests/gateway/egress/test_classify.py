"""Every way in which an attempt fails, by a real fault on a real socket, and its name."""

import datetime as dt
import errno
import re
import socket
import ssl
import threading
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from gateway.egress import connector, lookups
from gateway.egress.classify import classify
from gateway.egress.lookups import Found, LookUp, Question, ask_system
from gateway.egress.resolve import LoopError
from gateway.egress.timeline import Timeline
from gateway.model.call import Origin
from gateway.model.failure import NetCode, NetFailure, Phase
from tests.gateway.egress.wire import OK, Connection, Script, a_request, client, deaf_port, forever, once, provider


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> str:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return str(tmp_path / "ca.pem")


def _tls(authority: trustme.CA, *names: str, days: int = 10) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    until = dt.datetime.now(dt.UTC) + dt.timedelta(days=days)
    authority.issue_cert(*(names or ("localhost",)), not_after=until).configure_cert(context)
    return context


async def _fail(origin: Origin, ca_file: str | None = None, look_up: LookUp = ask_system, **request: Any) -> NetFailure:
    """Ask, read to the end, and name what went wrong."""
    async with client(ca_file, look_up=look_up) as upstream:
        timeline = Timeline()
        try:
            incoming = await upstream.open(a_request(origin, **request), timeline)
            timeline.enter(Phase.BODY)
            try:
                while await incoming.next():
                    pass
            finally:
                incoming.abort()
        except Exception as error:  # noqa: BLE001 - that is what is looked at
            return classify(error, timeline.phase)
        raise AssertionError("nothing failed")


async def _with(script: Script, **how: Any) -> NetFailure:
    async with provider(script) as wire:
        return await _fail(wire.origin, **how)


def _said(failure: NetFailure) -> tuple[NetCode, Phase, bool]:
    return failure.code, failure.phase, failure.sent


# before anything is sent


async def test_a_port_where_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        failure = await _fail(Origin("http", "127.0.0.1", free.getsockname()[1]))
    assert _said(failure) == (NetCode.CONNECTION_REFUSED, Phase.CONNECT, False)


async def test_a_name_that_does_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    """The resolver is the system's; only its answer is replaced, so that no question leaves this machine."""

    def none(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", none)
    failure = await _fail(Origin("http", "x.invalid", 80))
    assert _said(failure) == (NetCode.DNS_FAILURE, Phase.DNS, False)
    assert "Name or service not known" in failure.detail


async def test_a_resolver_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookups, "LOOKUP_SECONDS", 0.05)
    ended = threading.Event()

    def silent(_question: Question) -> tuple[Found, ...]:
        ended.wait(10)
        return ()

    try:
        failure = await _fail(Origin("http", "slow.invalid", 80), look_up=silent)
    finally:
        ended.set()
    assert _said(failure) == (NetCode.DNS_TIMEOUT, Phase.DNS, False)
    assert failure.detail == "the system's resolver has not answered for slow.invalid within 0.05 s"


async def test_a_host_that_drops_every_syn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connector, "CONNECT_SECONDS", 0.1)
    with deaf_port() as port:
        failure = await _fail(Origin("http", "127.0.0.1", port))
    assert _said(failure) == (NetCode.CONNECT_TIMEOUT, Phase.CONNECT, False)
    assert failure.detail == f"127.0.0.1:{port} did not answer within 0.1 s"


async def test_a_certificate_of_an_unknown_authority(authority: trustme.CA) -> None:
    async with provider(forever(OK), _tls(authority), host="localhost") as wire:
        failure = await _fail(wire.origin)
    assert _said(failure) == (NetCode.TLS_UNTRUSTED_ISSUER, Phase.TLS, False)


async def test_a_certificate_that_has_expired(authority: trustme.CA, ca_file: str) -> None:
    async with provider(forever(OK), _tls(authority, days=-1), host="localhost") as wire:
        failure = await _fail(wire.origin, ca_file)
    assert _said(failure) == (NetCode.TLS_CERTIFICATE, Phase.TLS, False)
    assert "expired" in failure.detail


async def test_a_certificate_of_another_host(authority: trustme.CA, ca_file: str) -> None:
    async with provider(forever(OK), _tls(authority, "other.test"), host="localhost") as wire:
        failure = await _fail(wire.origin, ca_file)
    assert _said(failure) == (NetCode.TLS_CERTIFICATE, Phase.TLS, False)
    assert "localhost" in failure.detail


async def test_a_server_that_speaks_no_tls() -> None:
    async def plain(connection: Connection) -> None:
        await connection.reader.read(100)
        await connection.say(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with provider(plain) as wire:
        failure = await _fail(Origin("https", "localhost", wire.origin.port))
    assert _said(failure) == (NetCode.TLS_REFUSED, Phase.TLS, False)


@pytest.mark.parametrize(
    ("alert", "code"),
    [(40, NetCode.TLS_REFUSED), (70, NetCode.TLS_REFUSED), (80, NetCode.TLS_HANDSHAKE), (120, NetCode.TLS_REFUSED)],
    ids=["handshake_failure", "protocol_version", "internal_error", "no_application_protocol"],
)
async def test_an_alert_tells_who_will_never_agree_from_who_stumbled(alert: int, code: NetCode) -> None:
    async def refuse(connection: Connection) -> None:
        await connection.reader.read(100)
        await connection.say(bytes((0x15, 3, 3, 0, 2, 2, alert)))

    async with provider(refuse) as wire:
        failure = await _fail(Origin("https", "localhost", wire.origin.port))
    assert _said(failure) == (code, Phase.TLS, False)


@pytest.mark.parametrize("reset", [True, False], ids=["RST", "FIN"])
async def test_a_connection_that_ends_inside_the_handshake(reset: bool) -> None:
    async def cut(connection: Connection) -> None:
        await connection.reader.read(100)
        if reset:
            connection.reset()

    async with provider(cut) as wire:
        failure = await _fail(Origin("https", "localhost", wire.origin.port))
    assert failure.code is NetCode.CONNECTION_RESET
    assert not failure.sent


async def test_a_handshake_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connector, "CONNECT_SECONDS", 0.1)

    async def silent(connection: Connection) -> None:
        await connection.until_closed()

    async with provider(silent) as wire:
        failure = await _fail(Origin("https", "localhost", wire.origin.port))
    assert _said(failure) == (NetCode.TLS_HANDSHAKE, Phase.TLS, False)
    assert failure.detail == f"TLS with localhost:{wire.origin.port} was not ready within 0.1 s"


# before the head


async def test_a_reset_instead_of_an_answer() -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        connection.reset()

    assert _said(await _with(script)) == (NetCode.CONNECTION_RESET, Phase.FIRST_BYTE, True)


async def test_a_close_instead_of_an_answer() -> None:
    assert _said(await _with(once(b""))) == (NetCode.CONNECTION_RESET, Phase.FIRST_BYTE, True)


async def test_a_close_inside_the_head() -> None:
    failure = await _with(once(b"HTTP/1.1 200 OK\r\nContent-Le"))
    assert failure.code in {NetCode.CONNECTION_RESET, NetCode.PROTOCOL_ERROR}
    assert (failure.phase, failure.sent) == (Phase.FIRST_BYTE, True)


async def test_silence_instead_of_an_answer() -> None:
    async def silent(connection: Connection) -> None:
        await connection.request()
        await connection.until_closed()

    assert _said(await _with(silent, idle_seconds=0.05)) == (NetCode.READ_TIMEOUT, Phase.FIRST_BYTE, True)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"SSH-2.0-OpenSSH_9.6\r\n", id="another protocol"),
        pytest.param(b"<html>hello</html>\r\n\r\n", id="HTTP/0.9"),
        pytest.param(b"HTTP/1.1 2x0 OK\r\n\r\n", id="a status that is no number"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok", id="two lengths"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", id="a negative length"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            id="a length and chunks",
        ),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000 + b"\r\n\r\n", id="a huge field"),
        pytest.param(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 10_000 + b"\r\n", id="ten thousand fields"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000, id="endless interim answers"),
        pytest.param(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", id="101 unasked"
        ),
    ],
)
async def test_an_answer_that_breaks_http(answer: bytes) -> None:
    assert _said(await _with(once(answer))) == (NetCode.PROTOCOL_ERROR, Phase.FIRST_BYTE, True)


# inside the body


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (b"Content-Length: 100", b"only this"),
        (b"Transfer-Encoding: chunked", b"5\r\nhello\r\n"),
        (b"Transfer-Encoding: chunked", b"5\r\nhel"),
        (b"Transfer-Encoding: chunked", b"5\r\nhello\r\n0\r\n"),
    ],
    ids=["length", "between chunks", "inside a chunk", "before the last line"],
)
@pytest.mark.parametrize("reset", [True, False], ids=["RST", "FIN"])
async def test_a_body_that_is_cut(head: bytes, body: bytes, reset: bool) -> None:
    failure = await _with(once(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n" + body, reset=reset))
    assert failure.code in ({NetCode.TRUNCATED, NetCode.CONNECTION_RESET} if reset else {NetCode.TRUNCATED})
    assert (failure.phase, failure.sent) == (Phase.BODY, True)


async def test_a_reset_inside_a_body_that_only_the_close_would_end() -> None:
    """A whole body and a cut one differ in nothing else."""
    failure = await _with(once(b"HTTP/1.1 200 OK\r\n\r\nhalf of", reset=True))
    assert failure.code in {NetCode.TRUNCATED, NetCode.CONNECTION_RESET}
    assert (failure.phase, failure.sent) == (Phase.BODY, True)


async def test_a_chunk_that_is_none() -> None:
    failure = await _with(once(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n"))
    assert failure.code in {NetCode.PROTOCOL_ERROR, NetCode.TRUNCATED}
    assert failure.sent


async def test_silence_inside_the_body() -> None:
    async def stalls(connection: Connection) -> None:
        await connection.request()
        await connection.say(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        await connection.until_closed()

    assert _said(await _with(stalls, idle_seconds=0.05)) == (NetCode.READ_TIMEOUT, Phase.BODY, True)


# the table itself


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENETUNREACH, NetCode.NETWORK_UNREACHABLE),
        (errno.EHOSTUNREACH, NetCode.NETWORK_UNREACHABLE),
        (errno.ENETDOWN, NetCode.NETWORK_UNREACHABLE),
        (errno.EADDRNOTAVAIL, NetCode.NETWORK_UNREACHABLE),
        (errno.ETIMEDOUT, NetCode.CONNECT_TIMEOUT),
        (errno.EPIPE, NetCode.CONNECTION_RESET),
        (errno.EMFILE, NetCode.OUT_OF_DESCRIPTORS),
        (errno.ENFILE, NetCode.OUT_OF_DESCRIPTORS),
        (errno.EIO, NetCode.UNKNOWN),
    ],
)
def test_what_this_machine_cannot_be_made_to_do_is_told_by_its_number(number: int, code: NetCode) -> None:
    key = aiohttp.client_reqrep.ConnectionKey("h", 1, is_ssl=False, ssl=True, proxy=None, proxy_auth=None,
                                              proxy_headers_hash=None, server_hostname=None)  # fmt: skip
    error = aiohttp.ClientConnectorError(key, OSError(number, "words"))
    assert classify(error, Phase.CONNECT).code is code
    assert classify(OSError(number, "words"), Phase.CONNECT).code is code


def test_the_words_of_the_deepest_exception_are_kept_on_one_line_without_names_of_people() -> None:
    error = RuntimeError("outer")
    error.__cause__ = OSError("cannot read\n /home/ada/secret/ca.pem or C:\\Users\\ada\\x")
    assert classify(error, Phase.TLS).detail == "cannot read /home/.../secret/ca.pem or C:\\Users\\...\\x"


def test_a_loop_of_exceptions_ends() -> None:
    one, other = ValueError("one"), ValueError("other")
    one.__context__, other.__context__ = other, one
    assert classify(one, Phase.SEND).code is NetCode.UNKNOWN
    assert classify(ExceptionGroup("", [ConnectionResetError()]), Phase.SEND).code is NetCode.CONNECTION_RESET


def test_the_words_of_aiohttp_about_a_connection_are_not_repeated() -> None:
    """They print objects by their place in memory, and uvloop's resets say nothing themselves."""
    key = aiohttp.client_reqrep.ConnectionKey("h", 1, is_ssl=True, ssl=True, proxy=None, proxy_auth=None,
                                              proxy_headers_hash=None, server_hostname=None)  # fmt: skip
    assert (
        classify(aiohttp.ClientConnectorError(key, ConnectionResetError()), Phase.TLS).detail == "ConnectionResetError"
    )
    assert classify(aiohttp.ClientConnectorError(key, OSError(5, "words")), Phase.TLS).detail == "[Errno 5] words"


def test_an_exception_without_words_is_named() -> None:
    assert classify(ValueError(), Phase.SEND).detail == "ValueError"


_ERRORS = st.one_of(
    st.sampled_from([ValueError, KeyError, TimeoutError, ConnectionError, EOFError, LoopError]).flatmap(
        lambda kind: st.text(max_size=400).map(kind)
    ),
    st.builds(OSError, st.integers(0, 200), st.text(max_size=20)),
    st.builds(ssl.SSLError, st.integers(0, 20), st.text(max_size=20)),
    st.builds(aiohttp.ClientPayloadError, st.text(max_size=20)),
)


@given(outer=_ERRORS, inner=_ERRORS, phase=st.sampled_from(Phase))
def test_naming_is_total_and_bounded(outer: BaseException, inner: BaseException, phase: Phase) -> None:
    outer.__cause__ = inner
    failure = classify(outer, phase)
    assert failure.code in NetCode
    assert len(failure.detail) <= 300
    assert not re.search(r"[\r\n]", failure.detail)
    if phase in {Phase.POOL, Phase.DNS, Phase.CONNECT, Phase.TLS}:
        assert not failure.sent
