"""The HTTP client against real sockets: bytes as they are, connections used again only when that is safe."""

import asyncio
import gc
import gzip
import logging
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trustme
from aiohttp import SocketTimeoutError
from aiohttp.http_exceptions import HttpProcessingError

from gateway.egress.resolve import LoopError
from gateway.egress.send import AiohttpIncoming, AiohttpUpstream, Outgoing, RaggedEndError
from gateway.egress.timeline import Timeline
from gateway.model.attempt import ReplyHead
from gateway.model.call import Origin
from gateway.model.failure import Phase
from tests.gateway.driver import until
from tests.gateway.egress.wire import OK, Connection, a_request, client, forever, once, provider
from tests.gateway.factories import parts

KEPT = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody"


async def _ask(upstream: AiohttpUpstream, request: Outgoing) -> tuple[ReplyHead, bytes]:
    incoming = await upstream.open(request, Timeline())
    try:
        return incoming.head, await incoming.all(10_000_000)
    finally:
        incoming.abort()


# bytes, out


async def test_the_request_goes_out_byte_for_byte() -> None:
    """Target, names and values as they stand: nothing is encoded, added, folded or put in another order."""
    target = b"/v1//a/../b%2F%2f?q=%7e~&x=\xe4\xf6|{}^&&=#"
    headers = (
        (b"host", b"Provider.TEST"),
        (b"x-latin", b"caf\xe9 \xff"),
        (b"x-utf8", "é漢".encode()),
        (b"x-empty", b""),
        (b"x-twice", b"b"),
        (b"x-twice", b"a"),
        (b"X-CaSe", b"  kept  "),
        (b"content-length", b"5"),
    )
    async with provider(forever(OK)) as wire, client() as upstream:
        await _ask(
            upstream, a_request(wire.origin, method="POST", target=target, headers=headers, body=b"\x00\xff\r\n\r")
        )
    lines = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
    assert wire.requests == [b"POST " + target + b" HTTP/1.1\r\n" + lines + b"\r\n\x00\xff\r\n\r"]


async def test_a_body_without_a_stated_length_goes_out_in_chunks() -> None:
    request = {"method": "POST", "headers": ((b"host", b"h"), (b"transfer-encoding", b"chunked")), "chunked": True}
    async with provider(forever(OK)) as wire, client() as upstream:
        await _ask(upstream, a_request(wire.origin, body=b"hello", rest=parts(), **request))
        await _ask(upstream, a_request(wire.origin, body=b"", rest=parts(b""), **request))
        await _ask(upstream, a_request(wire.origin, body=b"ab", rest=parts(b"", b"c" * 17, b""), **request))
    bodies = [request.partition(b"\r\n\r\n")[2] for request in wire.requests]
    assert bodies == [
        b"5\r\nhello\r\n0\r\n\r\n",
        b"0\r\n\r\n",
        b"2\r\nab\r\n11\r\n" + b"c" * 17 + b"\r\n0\r\n\r\n",
    ]


async def test_an_upload_of_known_length_is_streamed_as_it_comes() -> None:
    first_arrived = asyncio.Event()

    async def script(connection: Connection) -> None:
        await connection.reader.readuntil(b"\r\n\r\n")
        assert await connection.reader.readexactly(3) == b"one"
        first_arrived.set()
        assert await connection.reader.readexactly(3) == b"two"
        await connection.say(OK)

    async def rest() -> AsyncIterator[bytes]:
        await first_arrived.wait()
        yield b"two"

    headers = ((b"host", b"h"), (b"content-length", b"6"))
    async with provider(script) as wire, client() as upstream:
        head, body = await _ask(
            upstream, a_request(wire.origin, method="POST", headers=headers, body=b"one", rest=rest())
        )
    assert (head.status, body) == (200, b"ok")


async def test_an_answer_before_the_end_of_an_upload_is_taken_and_its_connection_dropped() -> None:
    async def script(connection: Connection) -> None:
        await connection.reader.readuntil(b"\r\n\r\n")
        await connection.say(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")
        await connection.until_closed()

    async def rest() -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    headers = ((b"host", b"h"), (b"content-length", b"600"))
    async with provider(script) as wire, client() as upstream:
        head, body = await _ask(
            upstream, a_request(wire.origin, method="POST", headers=headers, body=b"one", rest=rest())
        )
        assert (head.status, body) == (413, b"big")
        await asyncio.wait_for(wire.connections[0].ended.wait(), 5)


async def test_an_upload_that_fails_fails_the_request_and_closes_it() -> None:
    async def script(connection: Connection) -> None:
        await connection.until_closed()

    async def rest() -> AsyncIterator[bytes]:
        yield b"two"
        raise EOFError("the app left")

    headers = ((b"host", b"h"), (b"content-length", b"600"))
    async with provider(script) as wire, client() as upstream:
        with pytest.raises(EOFError, match="the app left"):
            await upstream.open(a_request(wire.origin, method="POST", headers=headers, rest=rest()), Timeline())
        await asyncio.wait_for(wire.connections[0].ended.wait(), 5)


async def test_a_connection_on_which_an_upload_failed_is_never_used_again(caplog: pytest.LogCaptureFixture) -> None:
    """Half a request stands on it; the next would be taken for the other half."""
    answered = asyncio.Event()

    async def rest() -> AsyncIterator[bytes]:
        await answered.wait()
        raise EOFError("the app left")
        yield b""

    async def script(connection: Connection) -> None:
        await connection.reader.readuntil(b"\r\n\r\n")
        await connection.say(OK)
        await connection.until_closed()

    headers = ((b"host", b"h"), (b"content-length", b"600"))
    async with provider(script) as wire, client() as upstream:
        incoming = await upstream.open(a_request(wire.origin, method="POST", headers=headers, rest=rest()), Timeline())
        answered.set()
        assert incoming._upload is not None
        await asyncio.wait({incoming._upload})
        assert await incoming.all(100) == b"ok"
        incoming.abort()
        await asyncio.wait_for(wire.connections[0].ended.wait(), 5)
    del incoming
    gc.collect()
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


# bytes, in


async def test_the_answers_headers_are_given_byte_for_byte() -> None:
    answer = (
        b"HTTP/1.1 429 Slow Down\r\nContent-Length: 0\r\nX-Latin: caf\xe9\r\nSet-Cookie: b\r\nset-cookie: a\r\n"
        b"X-Empty:\r\nX-UTF8: " + "é漢".encode() + b"\r\n\r\n"
    )
    async with provider(forever(answer)) as wire, client() as upstream:
        head, _ = await _ask(upstream, a_request(wire.origin))
    assert head == ReplyHead(
        status=429,
        headers=(
            (b"content-length", b"0"),
            (b"x-latin", b"caf\xe9"),
            (b"set-cookie", b"b"),
            (b"set-cookie", b"a"),
            (b"x-empty", b""),
            (b"x-utf8", "é漢".encode()),
        ),
    )


async def test_a_packed_body_stays_packed() -> None:
    packed = gzip.compress(b"hello" * 100)
    answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed) + packed
    async with provider(forever(answer)) as wire, client() as upstream:
        head, body = await _ask(upstream, a_request(wire.origin))
    assert body == packed
    assert head.header(b"content-encoding") == "gzip"


async def test_a_wrong_encoding_is_not_our_business() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 5\r\n\r\nplain"
    async with provider(forever(answer)) as wire, client() as upstream:
        assert (await _ask(upstream, a_request(wire.origin)))[1] == b"plain"


async def test_a_body_that_only_the_close_ends_is_whole() -> None:
    async with provider(once(b"HTTP/1.1 200 OK\r\n\r\nuntil the end")) as wire, client() as upstream:
        assert (await _ask(upstream, a_request(wire.origin)))[1] == b"until the end"


@pytest.mark.parametrize("size", [0, 1, 65_536, 1_000_000])
@pytest.mark.parametrize("framing", ["length", "chunks", "close"])
async def test_a_body_of_any_size_comes_whole(size: int, framing: str) -> None:
    body = bytes(number % 251 for number in range(1000)) * (size // 1000 + 1)
    body = body[:size]
    head, framed = {
        "length": (b"Content-Length: %d\r\n" % size, body),
        "chunks": (
            b"Transfer-Encoding: chunked\r\n",
            b"".join(
                b"%x\r\n%b\r\n" % (len(piece), piece)
                for at in range(0, size, 9_999)
                if (piece := body[at : at + 9_999])
            )
            + b"0\r\n\r\n",
        ),
        "close": (b"", body),
    }[framing]
    async with provider(once(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n" + framed)) as wire, client() as upstream:
        assert (await _ask(upstream, a_request(wire.origin)))[1] == body


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"),
        ("HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\n\r\n"),
    ],
)
async def test_an_answer_without_a_body_leaves_its_connection_usable(method: str, answer: bytes) -> None:
    async with provider(forever(answer, OK)) as wire, client() as upstream:
        _, body = await _ask(upstream, a_request(wire.origin, method=method))
        assert body == b""
        assert (await _ask(upstream, a_request(wire.origin)))[1] == b"ok"
    assert len(wire.connections) == 1


async def test_interim_answers_are_read_over() -> None:
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    async with provider(forever(interim + OK)) as wire, client() as upstream:
        head, body = await _ask(upstream, a_request(wire.origin))
    assert (head.status, body) == (200, b"ok")
    assert head.header(b"link") is None


@pytest.mark.parametrize(
    "rest",
    [b"zz\r\nx", b"-1\r\nx", b"f" * 17 + b"\r\nx", b"0\r\n" + b"x: y\r\n" * 10_000],
    ids=["no size", "less than none", "too large", "trailers without end"],
)
async def test_a_body_that_breaks_http_halfway_ends_at_once_and_says_so(rest: bytes) -> None:
    """Aiohttp alone closes the connection, and leaves its reader waiting."""

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n")
        await go.wait()
        await connection.say(rest)
        await connection.until_closed()

    go = asyncio.Event()
    async with provider(script) as wire, client() as upstream:
        incoming = await upstream.open(a_request(wire.origin), Timeline())
        assert await incoming.next() == b"ok"
        go.set()
        with pytest.raises(HttpProcessingError):
            await asyncio.wait_for(incoming.next(), 5)
        incoming.abort()
        assert upstream.pool() == (0, 0)


@pytest.mark.parametrize("interim", [b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"], ids=["", "after an interim one"])
async def test_a_head_that_comes_in_drops_is_waited_for_no_longer_than_one_that_does_not_come(interim: bytes) -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.say(interim + b"HTTP/1.1 200 OK\r\nx: ")
        for _ in range(1_000):
            await asyncio.sleep(0.02)
            await connection.say(b"y")

    began = asyncio.get_running_loop().time()
    async with provider(script) as wire, client() as upstream:
        with pytest.raises(SocketTimeoutError, match=r"not whole within 0\.3 s"):
            await upstream.open(a_request(wire.origin, idle_seconds=0.3), Timeline())
        assert upstream.pool() == (0, 0)
    assert 0.2 < asyncio.get_running_loop().time() - began < 5


async def test_an_upload_takes_its_time_and_the_head_has_its_own() -> None:
    async def rest() -> AsyncIterator[bytes]:
        for _ in range(6):
            await asyncio.sleep(0.1)
            yield b"x"

    async with provider(forever(OK)) as wire, client() as upstream:
        request = a_request(wire.origin, method="POST", rest=rest(), chunked=True, idle_seconds=0.4)
        assert (await _ask(upstream, request))[1] == b"ok"


@pytest.mark.parametrize(
    "head",
    [
        b"".join(b"x-%d: %b\r\n" % (number, b"y" * 9_000) for number in range(8)),
        b"".join(b"x-%d: y\r\n" % number for number in range(101)),
        b"x: " + b"y" * 70_000 + b"\r\n",
    ],
    ids=["together too large", "too many", "one too large"],
)
async def test_a_head_over_the_bounds_is_refused(head: bytes) -> None:
    answer = b"HTTP/1.1 200 OK\r\n" + head + b"Content-Length: 2\r\n\r\nok"
    async with provider(forever(answer)) as wire, client() as upstream:
        with pytest.raises(HttpProcessingError):
            await upstream.open(a_request(wire.origin), Timeline())
        assert upstream.pool() == (0, 0)


@pytest.mark.parametrize("version", [b"0.9", b"2.0"])
async def test_a_status_line_of_another_http_is_refused(version: bytes) -> None:
    async with provider(once(OK.replace(b"1.1", version, 1))) as wire, client() as upstream:
        with pytest.raises(HttpProcessingError):
            await upstream.open(a_request(wire.origin), Timeline())


async def test_pieces_come_as_they_are_sent() -> None:
    go = asyncio.Event()

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        await go.wait()
        await connection.say(b"3\r\ntwo\r\n0\r\n\r\n")

    async with provider(script) as wire, client() as upstream:
        incoming = await upstream.open(a_request(wire.origin), Timeline())
        assert await incoming.next() == b"one"
        assert not incoming.ended
        go.set()
        assert await incoming.next() == b"two"
        assert await incoming.next() == b""
        assert incoming.ended
        assert await incoming.next() == b"", "the end stays the end"
        incoming.abort()


async def test_reading_all_stops_at_its_bound_and_the_rest_can_still_be_read() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 1_000_000
    async with provider(forever(answer)) as wire, client() as upstream:
        incoming = await upstream.open(a_request(wire.origin), Timeline())
        body = await incoming.all(1_000)
        assert 1_000 < len(body) < 1_000_000
        body += await incoming.all(10_000_000)
        assert len(body) == 1_000_000
        incoming.abort()


# connections


async def test_a_connection_is_used_again() -> None:
    async with provider(forever(OK)) as wire, client() as upstream:
        timelines = []
        for _ in range(5):
            timelines.append(Timeline())
            incoming = await upstream.open(a_request(wire.origin), timelines[-1])
            assert await incoming.all(100) == b"ok"
            incoming.abort()
    assert len(wire.connections) == 1
    dialled = [any(mark.phase is Phase.CONNECT for mark in timeline.marks(ok=True)) for timeline in timelines]
    assert dialled == [True, False, False, False, False]


async def test_a_connection_that_was_closed_while_idle_is_replaced_without_a_word() -> None:
    async with provider(once(OK)) as wire, client() as upstream:
        for _ in range(3):
            assert (await _ask(upstream, a_request(wire.origin)))[1] == b"ok"
            await asyncio.sleep(0.02)
    assert len(wire.connections) == 3


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(OK + b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen", id="a second answer"),
        pytest.param(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", id="it says so"),
        pytest.param(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", id="HTTP/1.0"),
    ],
)
async def test_a_connection_is_not_used_again_after(answer: bytes) -> None:
    """What came too much must never be taken for the answer to the next request."""
    async with provider(forever(answer)) as wire, client() as upstream:
        for _ in range(20):
            assert (await _ask(upstream, a_request(wire.origin)))[1] == b"ok"
    assert len(wire.connections) == 20


@pytest.mark.parametrize("together", [True, False])
async def test_bytes_behind_an_answer_reach_nobody(together: bool) -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.say(OK + (b"extra" if together else b""))
        if not together:
            await asyncio.sleep(0.01)
            await connection.say(b"extra")
        await connection.until_closed()

    async with provider(script) as wire, client() as upstream:
        for _ in range(10):
            try:
                assert (await _ask(upstream, a_request(wire.origin)))[1] == b"ok"
            except HttpProcessingError:
                assert together, "what came in one piece is refused as a whole"
            await asyncio.sleep(0.02)
    assert len(wire.connections) == 10


async def test_a_connection_whose_answer_was_not_read_to_its_end_is_closed_at_once() -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.say(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nsome")
        await connection.until_closed()

    async with provider(script) as wire, client() as upstream:
        incoming = await upstream.open(a_request(wire.origin), Timeline())
        assert await incoming.next() == b"some"
        incoming.abort()
        incoming.abort()
        await asyncio.wait_for(wire.connections[0].ended.wait(), 5)


@pytest.mark.parametrize("phase", [Phase.FIRST_BYTE, Phase.BODY])
async def test_cancelling_closes_the_connection_and_the_pool_stays_well(phase: Phase) -> None:
    async def script(connection: Connection) -> None:
        if await connection.request() and len(wire.connections) > 5:
            await connection.say(OK)
            return
        if phase is Phase.BODY:
            await connection.say(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nsome")
        await connection.until_closed()

    async def one() -> None:
        incoming: AiohttpIncoming | None = None
        try:
            incoming = await upstream.open(a_request(wire.origin), Timeline())
            await incoming.all(1000)
        finally:
            if incoming is not None:
                incoming.abort()

    async with provider(script) as wire, client() as upstream:
        for number in range(5):
            task = asyncio.ensure_future(one())
            await until(lambda wanted=number: len(wire.requests) > wanted)  # type: ignore[misc]
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.wait_for(wire.connections[number].ended.wait(), 5)
        assert (await _ask(upstream, a_request(wire.origin)))[1] == b"ok"


async def test_who_does_not_read_stops_the_provider() -> None:
    """What is in flight is bounded by the buffers of the sockets and two of ours."""
    size = 50_000_000
    sent = 0

    async def script(connection: Connection) -> None:
        nonlocal sent
        await connection.request()
        await connection.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        while sent < size:
            await connection.say(b"x" * 100_000)
            sent += 100_000
        await connection.until_closed()

    async with provider(script) as wire, client() as upstream:
        incoming = await upstream.open(a_request(wire.origin), Timeline())
        before = -1
        while before != sent:
            before = sent
            await asyncio.sleep(0.05)
        assert sent < size / 2
        assert incoming._payload.total_bytes <= 1_000_000
        read = 0
        while data := await incoming.next():
            read += len(data)
        assert read == sent == size
        incoming.abort()


async def test_credentials_of_two_calls_may_share_a_connection_but_never_an_answer() -> None:
    async def script(connection: Connection) -> None:
        while True:
            key = (await connection.request()).partition(b"x-key: ")[2].partition(b"\r\n")[0]
            await connection.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(key), key))

    async def one(number: int) -> None:
        key = b"key-%d" % number
        request = a_request(wire.origin, headers=((b"host", b"h"), (b"x-key", key)))
        for _ in range(5):
            assert (await _ask(upstream, request))[1] == key

    async with provider(script) as wire, client() as upstream:
        await asyncio.gather(*(one(number) for number in range(40)))
    assert len(wire.connections) <= 40


async def test_no_redirect_is_followed_and_no_cookie_kept() -> None:
    moved = b"HTTP/1.1 307 Moved\r\nLocation: http://127.0.0.1:1/\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n"
    async with provider(forever(moved)) as wire, client() as upstream:
        for _ in range(2):
            head, _ = await _ask(upstream, a_request(wire.origin))
            assert (head.status, head.header(b"location")) == (307, "http://127.0.0.1:1/")
    assert not [request for request in wire.requests if b"cookie" in request.lower()]
    assert len(wire.requests) == 2


# TLS


async def test_a_trusted_certificate_is_trusted_and_another_file_opens_another_connection(tmp_path: Path) -> None:
    authority, path = trustme.CA(), tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    async with provider(forever(OK), context, host="localhost") as wire, client() as upstream:
        request = a_request(wire.origin, ca_file=str(path))
        assert (await _ask(upstream, request))[1] == b"ok"
        assert (await _ask(upstream, request))[1] == b"ok"
        assert len(wire.connections) == 1
        with pytest.raises(ssl.SSLCertVerificationError):
            await _ask(upstream, a_request(wire.origin))


@pytest.mark.parametrize("said", [True, False], ids=["close_notify", "FIN alone"])
async def test_a_body_that_only_the_close_ends_is_whole_when_tls_says_so(tmp_path: Path, *, said: bool) -> None:
    """Without that word anybody on the way could have ended it (RFC 8446 section 6.1)."""

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.say(b"HTTP/1.1 200 OK\r\n\r\nbody")
        if said:
            connection.writer.close()
        else:
            connection.writer.get_extra_info("socket").shutdown(socket.SHUT_WR)
            connection.writer.transport.abort()

    authority, path = trustme.CA(), tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    async with provider(script, context, host="localhost") as wire, client() as upstream:
        request = a_request(wire.origin, ca_file=str(path))
        if said:
            assert (await _ask(upstream, request))[1] == b"body"
        else:
            with pytest.raises(RaggedEndError):
                await _ask(upstream, request)
        assert upstream.pool() == (0, 0)


# ourselves


async def test_an_address_of_our_own_is_never_asked() -> None:
    async with provider(forever(OK)) as wire, client(own=lambda _host, port: port == wire.origin.port) as upstream:
        for host in ("127.0.0.1", "localhost"):
            with pytest.raises(LoopError, match="is the gateway itself"):
                await upstream.open(a_request(Origin("http", host, wire.origin.port)), Timeline())
    assert wire.connections == []


async def test_a_name_that_leads_to_us_is_a_loop_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is no failure of the name's resolution, and nothing to try again."""
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 9))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_named: found)
    async with client(own=lambda host, _port: host == "127.0.0.1") as upstream:
        with pytest.raises(LoopError, match=r"sneaky\.test:9 is the gateway itself"):
            await upstream.open(a_request(Origin("http", "sneaky.test", 9)), Timeline())


async def test_the_phases_of_an_attempt_are_told_as_they_come() -> None:
    async with provider(forever(OK)) as wire, client() as upstream:
        timeline = Timeline()
        incoming = await upstream.open(a_request(Origin("http", "localhost", wire.origin.port)), timeline)
        assert timeline.phase is Phase.FIRST_BYTE
        await incoming.all(100)
        incoming.abort()
        phases = [mark.phase for mark in timeline.marks(ok=True)]
        assert phases == [Phase.DNS, Phase.CONNECT, Phase.SEND, Phase.FIRST_BYTE]


async def test_an_idle_connection_that_was_closed_is_not_counted_as_one() -> None:
    async with provider(once(KEPT)) as wire, client() as upstream:
        assert (await _ask(upstream, a_request(wire.origin)))[1] == b"body"
        await until(lambda: upstream.pool() == (0, 0))
